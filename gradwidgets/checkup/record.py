"""The record of a watched loop: plain data, which the rules read and do not change.

Time is a counter of events, so "before" and "after" are comparisons of integers. Comments above
fields name their writers: the inventory adds objects, the gradient log tracks `.grad`, the
observer records events, `read_loss` fills in its `Backward`, and `step_readings` makes each
`Step` and its `Reading`s and measures parameters.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from weakref import ref

import torch
from torch import Tensor, nn

from gradwidgets.checkup.tensors import Sample, local
from gradwidgets.checkup.thresholds import ALWAYS_MEASURED, MOST_KEPT, THEN_EVERY, TYPICAL_SIZE

Root = Literal["graph", "leaf", "nothing", "freed", "hand", "earlier"]
"""The source of a gradient: a loss with a graph; a loss that is itself a leaf; a loss without
any graph; a graph already freed; an assignment to `.grad` by hand; something before the watch."""


@dataclass
class Event:
    """One thing the loop did: forward, backward, grad, edit, clear, step, skip or error."""

    kind: str
    detail: str = ""
    times: int = 1

    def __str__(self) -> str:
        text = f"{self.kind} ({self.detail})" if self.detail else self.kind
        return f"{text} x{self.times}" if self.times > 1 else text


@dataclass
class Timeline:
    """Events in order; `now` is the latest one's number, and equal neighbours are one entry."""

    now: int = 0
    events: list[Event] = field(default_factory=list)

    def tick(self, kind: str, detail: str = "") -> int:
        """Add an event and return its number; forwards are not counted (one per module)."""
        self.now += 1
        latest = self.events[-1] if self.events else None
        if latest is not None and latest.kind == kind and latest.detail == detail:
            latest.times += kind != "forward"
        elif len(self.events) < MOST_KEPT:
            self.events.append(Event(kind, detail))
        return self.now


@dataclass(eq=False, slots=True)
class Backward:
    """One call of `backward`, or another source of a gradient in `.grad`."""

    # The observer and `read_loss`:
    time: int
    root: Root
    loss: float | None = None
    graph_retained: bool = False
    direction: int = 0  # +1: minimising this loss lowers an error, -1: raises it, 0: cannot be told
    # Shapes before and after a broadcast by mistake, and whether it was by a factor:
    spread: tuple[tuple[int, ...], tuple[int, ...], bool] | None = None
    misfit: tuple[str, str, str] | None = None  # a criterion, what it takes, what it is given
    attached: str = ""  # what should be a constant and is not: the target, the advantage
    divided: float = 1.0  # the number by which a mean loss was divided in the end
    tokens: tuple[float, int, float] | None = None  # counted targets, all, weight of their mean
    kind: tuple[str, int, int] = ("", 0, 0)  # of its graph: to tell one loss from another
    earliest: dict[int, int] = field(default_factory=dict)  # optimizer index -> its first forward
    scale: float = 1.0  # of a GradScaler, in its gradients; `loss` is without
    unscaled: bool = False  # a GradScaler has divided its gradients
    unscaled_by: float = 1.0
    leaves: set[int] = field(default_factory=set)  # id of every leaf of the graph
    other_leaves: list[tuple[int, ...]] = field(default_factory=list)  # shapes: inputs, rebuilt
    outdated: set[int] = field(default_factory=set)  # optimizers that stepped after its forward
    eval_modules: set[str] = field(default_factory=set)
    parallel: set[int] = field(default_factory=set)  # ids of the DDP wrappers it goes through
    contains: list[Backward] = field(default_factory=list)  # earlier ones, whose loss it repeats
    switched_off: set[int] = field(default_factory=set)  # id of every leaf in a term times 0
    failed: str = ""  # the error that it raised
    # The gradient log:
    reached: set[int] = field(default_factory=set)  # id of every parameter that got a gradient
    refused: set[int] = field(default_factory=set)  # id of each that backward came to with None
    non_finite: list[str] = field(default_factory=list)  # parameters with a non-finite gradient
    applied: bool = False  # a step has read it
    cleared: bool = False  # it was cleared unread
    applied_by: dict[int, int] = field(default_factory=dict)  # optimizer index -> when, first
    skips: int = 0  # times that a GradScaler skipped a step with it
    clipped: int = 0  # when its gradients were first made smaller by clipping
    used_by_hand: bool = False  # the loop moved parameters with it, or a scaler skipped it
    witness: Sample | None = None  # of a parameter, to notice use by hand


@dataclass(eq=False)
class Parameter:
    """One tensor of the model or of an optimizer, and the backward calls summed in its `.grad`."""

    # The inventory:
    name: str
    tensor: Tensor
    in_model: bool
    was_in_model: bool
    optimizers: list[OptimizerSeen] = field(default_factory=list)
    first_size: float | None = None  # norm of the tensor when the watch began
    begun: Sample | None = None  # a few elements when the watch began
    moved: bool = True  # between the beginning and the end of the watch
    moved_by_loop: bool = False  # no optimizer holds it, and it changed: averaged, copied, loaded
    # The gradient log:
    contents: list[Backward] = field(default_factory=list)
    norm: float | None = None  # of .grad, when last looked at
    raw_norm: float | None = None  # of .grad, as backward left it (unscaled), where measured
    raw_address: int | None = None  # of .grad at that time; if it changes, .grad was replaced
    raw_elements: Tensor | None = None  # a few of .grad at that time; kept only while needed
    raw_nonzero: Tensor | None = None  # which sampled elements of .grad backward left non-zero
    ever_written: bool = False  # a gradient came, by backward or by hand
    # `step_readings`:
    size: float | None = None  # norm of the tensor, when last measured
    before: Tensor | None = None  # a few elements before the last measured step, if it moved them
    after: tuple[int, Tensor] | None = None  # the same after it, and the number of that step
    alike: bool = False  # a matrix of equal rows, which so far have got equal gradients
    mask: Tensor | None = None  # which sampled elements of .grad were masked in that step
    masked: int = 0  # measured steps in a row with that mask
    escape: Escape | None = None  # masked elements that it moved all the same

    @cached_property
    def typical_size(self) -> float:
        """The norm that a usual initialisation gives a tensor of its shape."""
        tensor = local(self.tensor)
        shape = tensor.shape
        fan_in = tensor.numel() / max(shape[0], 1) if len(shape) > 1 else 1.0
        return TYPICAL_SIZE * math.sqrt(tensor.numel() / max(fan_in, 1.0))

    @property
    def has_elements(self) -> bool:
        """False where all of a tensor that is spread over processes is with others."""
        return local(self.tensor).numel() > 0

    @property
    def is_bias(self) -> bool:
        """True if its name says so, as in torch's layers: bias, bias_ih_l0, in_proj_bias."""
        return "bias" in self.name.rpartition(".")[2]

    @property
    def is_matrix(self) -> bool:
        """Biases, gains and gates are small or zero by design; matrices and kernels are not.

        A gain may have the shape (C, 1, 1), or (1, 1, C).
        """
        shape = self.tensor.shape
        gain = len(shape) > 2 and self.tensor.numel() == max(shape)
        return len(shape) >= 2 and not (gain and self.name.rpartition(".")[2] != "weight")


@dataclass(eq=False)
class OptimizerSeen:
    """One optimizer: given to `checkup`, or seen to step parameters that are watched."""

    # The inventory:
    name: str
    optimizer: torch.optim.Optimizer
    index: int
    given: bool
    held: list[int] = field(default_factory=list)  # id of every tensor in its groups
    parameters: list[Parameter] = field(default_factory=list)  # the watched ones among them
    # The observer:
    last_step: int = 0
    steps: int = 0
    skipped: int = 0  # by a GradScaler
    last_scale: float = 1.0  # of that GradScaler
    look_again: bool = False  # something was seen in a step that the next one must confirm
    version: int = 0  # of its parameters together, after its last step
    continues: OptimizerSeen | None = None  # one of the same kind that held the same parameters
    skipped_again: int = 0  # of those, with gradients that an earlier one had skipped already

    @property
    def learning_rates(self) -> list[float]:
        """The lr of every group at this moment; NaN where it is no number (Adafactor: None)."""
        return [_number(group.get("lr")) for group in self.optimizer.param_groups]

    @property
    def measures_next(self) -> bool:
        """True if everything is measured at the next step."""
        return self.look_again or self.steps < ALWAYS_MEASURED or self.steps % THEN_EVERY == 0

    @property
    def has_state(self) -> bool:
        """True if it remembers something for each element: momentum, averages."""
        states = self.optimizer.state.values()
        return any(
            isinstance(value, Tensor) and value.dim() > 0 for s in states for value in s.values()
        )


@dataclass(eq=False, slots=True)
class Reading:
    """One parameter at one step: the gradient that the optimizer read, and the change it made."""

    parameter: Parameter
    lr: float
    requires_grad: bool
    grad: float | None  # norm of .grad, None where there was none
    raw: float | None  # norm as backward left it, before edits; None where it was not measured
    size: float  # norm of the parameter before the step
    new: int  # backward calls in .grad that this optimizer reads for the first time
    old: int  # backward calls in .grad that it has read before
    change: float | None = None  # norm of the change; None where it was not measured
    returned: bool = False  # the elements that the last measured step moved are as before it
    kept: float | None = None  # share of the last step's move that is left, if it was measured
    overwritten: bool = False  # all elements have been replaced since that step
    alike: bool = False  # its gradient has equal rows, as the matrix has, and is not zero
    masked_again: bool = False  # the same elements of .grad are masked as in earlier steps
    escaped: int = 0  # of those, how many the step moved, and nobody put back
    stuck: bool = False  # most elements with a gradient did not move: lost to rounding

    @property
    def reference(self) -> float:
        """The parameter's norm, or the typical initial norm for its shape if that is larger."""
        return max(self.size, self.parameter.typical_size) or 1.0

    @property
    def relative_change(self) -> float:
        """|update| / |parameter|."""
        return (self.change or 0.0) / self.reference


@dataclass(eq=False)
class Escape:
    """Elements whose gradient was masked and that a step moved all the same."""

    reading: Reading
    sample: Sample
    places: Tensor
    values: Tensor  # after the step

    def settle(self) -> None:
        """Count those that are still where the step left them: the loop put none back."""
        self.reading.escaped = int((self.sample.now()[self.places] == self.values).sum())


@dataclass(eq=False)
class Step:
    """One `optimizer.step()`."""

    time: int
    optimizer: OptimizerSeen
    lrs: list[float]
    maximize: bool
    readings: list[Reading]
    measured: bool  # sizes, raw norms and changes; if False, sizes are the last measured
    read: list[Backward] = field(default_factory=list)  # for the first time, at most by a parameter
    in_scaler: bool = False  # a GradScaler made the step
    uphill: float | None = None  # cosine between change and gradient, of an optimizer not torch's

    @property
    def has_new_gradient(self) -> bool:
        """True if it read a backward call's gradient for the first time."""
        return any(reading.new for reading in self.readings)

    @cached_property
    def judged(self) -> list[Reading]:
        """The finite readings whose size is meaningful: of matrices if any, otherwise all."""
        usable = [r for r in self.readings if r.grad is not None and math.isfinite(r.grad)]
        usable = [r for r in usable if math.isfinite(r.change or 0.0)]
        return [r for r in usable if r.parameter.is_matrix] or usable

    @cached_property
    def gradient(self) -> float:
        """|grad| / |parameter| of the whole step."""
        size = math.hypot(*(reading.reference for reading in self.judged))
        return math.hypot(*(r.grad or 0.0 for r in self.judged)) / size if size else 0.0


@dataclass(eq=False)
class Outsider:
    """A parameter that losses depend on, and that neither the model nor an optimizer given has."""

    # `read_loss`:
    tensor: ref[Tensor]
    shape: tuple[int, ...]
    begun: Tensor  # a few elements when it was first seen
    backwards: int = 0  # whose losses depend on it
    beside: bool = False  # one of these depends on parameters of the model, too
    # The inventory, at the end:
    name: str = ""  # with the class of its module; "" if it has no gradient, or was moved
    in_network: bool = False  # that module has layers of its own
    left_out: bool = False  # no optimizer of this process has it, and it is in training mode


@dataclass(eq=False)
class HigherGrad:
    """One call of `autograd.grad` that kept a graph of its results."""

    used: bool = False  # a loss, or another such call, depends on them


@dataclass(eq=False)
class Clip:
    """One call that clips gradients."""

    state: ClipState
    max_norm: float
    count: int  # tensors that it was given
    time: int = 0
    held: frozenset[int] = frozenset()  # their ids


ClipState = Literal["fresh", "nothing", "applied", "empty", "elsewhere"]
"""Gradients that wait for a step; no tensors at all; those that a step has applied; none yet or
no longer; none, of tensors that are not watched."""


@dataclass(eq=False)
class ModuleSeen:
    """One module of the model."""

    # The inventory:
    name: str
    module: nn.Module
    owns_parameters: bool
    is_layer: bool  # has no children
    is_outermost: bool  # was given to `checkup`
    trained_by: tuple[int, ...] = ()  # indices of the optimizers that hold its own parameters
    # The observer:
    runs: int = 0
    runs_without_grad: int = 0  # under no_grad
    runs_in_training: int = 0  # in training mode
    reached: int = 0  # backward calls whose graph contains its output
    rows: int = 0  # of all its outputs together
    output: Tensor | None = None  # a sketch of its last output, if it is a layer
    inputs: list[Tensor | None] = field(default_factory=list)  # the same, if it is outermost

    def own_parameters(self) -> list[Tensor]:
        """The parameters of the module itself, faster than `parameters(recurse=False)`."""
        return [held for held in vars(self.module)["_parameters"].values() if held is not None]


@dataclass(eq=False)
class Record:
    """Everything the rules may look at."""

    # The inventory:
    parameters: dict[int, Parameter] = field(default_factory=dict)
    optimizers: list[OptimizerSeen] = field(default_factory=list)
    modules: dict[int, ModuleSeen] = field(default_factory=dict)
    hidden: dict[int, str] = field(default_factory=dict)  # unregistered tensors: id -> where
    trained_elsewhere: set[int] = field(default_factory=set)  # ids in optimizers of other models
    averaged_by: dict[int, int] = field(
        default_factory=dict
    )  # id of a tensor -> of its DDP wrapper
    untied: list[tuple[str, str]] = field(default_factory=list)
    ignored_flags: list[str] = field(default_factory=list)  # modules with a `requires_grad`
    misspelled_flags: list[tuple[str, str]] = field(default_factory=list)  # parameter, attribute
    duplicates: set[str] = field(default_factory=set)
    # The observer:
    timeline: Timeline = field(default_factory=Timeline)
    execution: list[ModuleSeen] = field(default_factory=list)  # in order of their first run
    backwards: list[Backward] = field(default_factory=list)
    outsiders: dict[int, Outsider] = field(default_factory=dict)
    inputs: set[int] = field(default_factory=set)  # ids before the first backward, if trainable
    steps: list[Step] = field(default_factory=list)
    clips: list[Clip] = field(default_factory=list)
    first_non_finite: str | None = None
    non_finite_since: int | None = None
    non_finite_given: bool = False  # in the data, or before the first event
    grad_calls: int = 0  # torch.autograd.grad
    higher_grads: list[HigherGrad] = field(default_factory=list)
    scaler_used: bool = False
    error: str | None = None  # what ended the loop early
    unseen: list[str] = field(default_factory=list)  # what cannot be seen in this loop, and why
    compiled: bool = False  # a module that ran was compiled
    spread: bool = False  # over processes: parameters come and go within a forward
    all_optimizers_seen: bool = True  # False if one is no torch.optim.Optimizer

    @property
    def moved_by_hand(self) -> bool:
        """True if the loop moved parameters although no optimizer stepped."""
        stepped = any(optimizer.steps for optimizer in self.optimizers)
        return not stepped and any(p.moved_by_loop for p in self.parameters.values())

    def loss_before(self, step: Step) -> float | None:
        """The last loss before a step, None if no earlier backward had a scalar loss."""
        earlier = [b.loss for b in self.real_backwards if b.time < step.time and b.loss is not None]
        return earlier[-1] if earlier else None

    def steps_of(self, optimizer: OptimizerSeen) -> list[Step]:
        """The kept steps of one optimizer, in order."""
        return [step for step in self.steps if step.optimizer is optimizer]

    def readings_by_parameter(self) -> dict[int, list[Reading]]:
        """Every reading kept, in order, by the id of the tensor."""
        found: dict[int, list[Reading]] = defaultdict(list)
        for step in self.steps:
            for reading in step.readings:
                found[id(reading.parameter.tensor)].append(reading)
        return dict(found)

    @property
    def real_backwards(self) -> list[Backward]:
        """Backward calls on a loss with a graph."""
        return [b for b in self.backwards if b.root == "graph"]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return math.nan


def names_of(things: Iterable[Parameter | Reading]) -> tuple[str, ...]:
    """The names of parameters, or of the parameters that were read, once each."""
    parameters = (thing.parameter if isinstance(thing, Reading) else thing for thing in things)
    return tuple(dict.fromkeys(parameter.name for parameter in parameters))


def norms_around_edit(readings: Iterable[Reading]) -> tuple[float, float]:
    """Gradient norms as backward left them and as the step read them, where both are known."""
    both = [(r.raw, r.grad) for r in readings if r.raw is not None and r.grad is not None]
    return math.hypot(*(raw for raw, _ in both)), math.hypot(*(grad for _, grad in both))


def keep(items: list[Any], item: Any) -> None:
    """Append to a list of at most `MOST_KEPT` items: keep the first half and the latest."""
    items.append(item)
    if len(items) > MOST_KEPT:
        del items[MOST_KEPT // 2]
