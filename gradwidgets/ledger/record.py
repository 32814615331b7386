"""Record the path of each gradient in one update, from `backward()` to the parameter's change.

    raw, one per micro-batch -> accumulated -> scaled -> masked -> penalised -> clipped -> edited
    -> the optimizer's step -> the change of the parameter

The update is made by `train`'s own loop: between its edits stand others that copy `.grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.core import (
    EDITS,
    Array,
    Edit,
    Precision,
    Problem,
    Recipe,
    Run,
    as_numbers,
    kept_of,
)

STAGES = ("accumulated", *(entry.stage for entry in EDITS), "edited")
"""The stages of a gradient, in their order; the optimizer reads the last."""


@dataclass(frozen=True, eq=False)
class ParameterRecord:
    """One parameter in one update. All arrays are float64, of its shape.

    Args:
        name: the parameter's name.
        carried: `.grad` after clearing; None as `.grad` was.
        raw: the gradient that each micro-batch's `backward()` added to `.grad`; None where it
            added nothing. With `average` it is already divided by the number of micro-batches.
            Under a `GradScaler` it is divided by its factor here; `carried` holds no factor.
        stages: `.grad` after each stage that the update has; see `gradient` for all of `STAGES`.
        before: the parameter before the update.
        after: the parameter after it.
        state_before: the optimizer's state of it before the update, by the optimizer's names.
        state_after: the same after. LBFGS keeps everything with the first parameter.
        lr: its learning rate in this update's step, NaN where the optimizer has none; of all
            together one an element.
    """

    name: str
    carried: Array | None
    raw: tuple[Array | None, ...]
    stages: Mapping[str, Array | None]
    before: Array
    after: Array
    state_before: Mapping[str, Array]
    state_after: Mapping[str, Array]
    lr: float | Array

    def gradient(self, stage: str = "edited") -> Array | None:
        """`.grad` after a stage of `STAGES`; a stage without an edit leaves it as it was.

        Raises:
            ValueError: there is no such stage.
        """
        passed = STAGES[: STAGES.index(stage) + 1]
        return next(self.stages[name] for name in reversed(passed) if name in self.stages)

    @property
    def read(self) -> Array | None:
        """The gradient as the optimizer read it; None if it left the parameter alone."""
        return self.gradient()

    @property
    def change(self) -> Array:
        """After minus before."""
        return self.after - self.before

    @property
    def step(self) -> Array:
        """The gradient with which plain SGD of this `lr` makes the same change; NaN for lr 0."""
        return -self.change / np.where(self.lr == 0, np.nan, self.lr)

    @cached_property
    def norms(self) -> dict[str, float]:
        """2-norm of each column, "carried" and `STAGES` to "step" and "change"; NaN for None."""
        columns = {"carried": self.carried} | {stage: self.gradient(stage) for stage in STAGES}
        columns |= {"step": self.step, "change": self.change}
        return {name: norm(values) for name, values in columns.items()}

    @property
    def moved_without_gradient(self) -> float:
        """Share of the elements that moved though the optimizer read a gradient of zero."""
        moved = self.change != 0
        zero = True if self.read is None else self.read == 0
        return float((moved & zero).mean()) if moved.size else 0.0

    @property
    def angle(self) -> float:
        """Degrees between the gradient read and the change: 180 is straight downhill.

        NaN if either is zero or there is no gradient.
        """
        lengths = norm(self.read) * norm(self.change)
        if self.read is None or not lengths > 0:
            return float("nan")
        cosine = float((self.read * self.change).sum()) / lengths
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


@dataclass(frozen=True, eq=False)
class UpdateRecord:
    """One update, parameter by parameter.

    Args:
        update: its number, from 0.
        loss: the mean over its samples, before the update.
        active: the stages at which the recipe edits.
        parameters: one record per parameter, in the model's order.
    """

    update: int
    loss: float
    active: tuple[str, ...]
    parameters: tuple[ParameterRecord, ...]

    def __getitem__(self, name: str) -> ParameterRecord:
        """The record of the parameter of that name.

        Raises:
            KeyError: there is none.
        """
        return {each.name: each for each in self.parameters}[name]

    @cached_property
    def joint(self) -> ParameterRecord:
        """All parameters as one vector, without `raw`: its norms are joint norms; None is zeros."""
        every = self.parameters

        def vector(values: Sequence[Array | None]) -> Array:
            pairs = zip(values, every, strict=True)
            return np.concatenate(
                [np.zeros(p.before.size) if v is None else v.ravel() for v, p in pairs]
            )

        return ParameterRecord(
            name="all together",
            carried=vector([p.carried for p in every]),
            raw=(),
            stages={stage: vector([p.stages[stage] for p in every]) for stage in every[0].stages},
            before=vector([p.before for p in every]),
            after=vector([p.after for p in every]),
            state_before={},
            state_after={},
            lr=np.concatenate([np.full(p.before.size, p.lr) for p in every]),
        )

    def difference(self, other: UpdateRecord) -> float:
        """Relative L2 difference of the change from that of another record, the reference.

        0 if neither changes anything, infinite if only this one does.
        """
        apart = norm(self.joint.change - other.joint.change)
        reference = other.joint.norms["change"]
        if reference == 0:
            return 0.0 if apart == 0 else float("inf")
        return apart / reference


def norm(values: Array | None) -> float:
    """The 2-norm of an array; NaN for None."""
    return float("nan") if values is None else float(np.linalg.norm(values))


def record_updates(problem: Problem | str, recipe: Recipe | None = None) -> Iterator[UpdateRecord]:
    """Train, and record every update.

    Raises:
        TrainingError: the model or the loss failed.

    >>> first, *_ = record_updates("line", Recipe(scale=0.1, mask=0.5))
    >>> first.active
    ('scaled', 'masked')
    >>> round(first["weight"].norms["scaled"] / first["weight"].norms["accumulated"], 6)
    0.1
    """
    run = Run(problem, recipe)
    while (record := _record_next(run)) is not None:
        yield record


def _record_next(run: Run) -> UpdateRecord | None:
    """Make one update and record it; None if the run makes no further update."""
    update, edits = len(run.losses), run.edits
    before, state_before = _values(run.model), _states(run.precision.stepped, run.optimizers)
    copies = _Copies(run.model, run.precision)
    run.edits = copies.between(edits)
    try:
        run.advance(updates=1)
    finally:
        run.edits = edits
        copies.remove_hooks()
    if len(run.losses) == update:
        return None
    rates = _rates(run, update)
    after, state_after = _values(run.model), _states(run.precision.stepped, run.optimizers)
    parameters = [
        ParameterRecord(
            name=name,
            carried=copies.carried[i],
            raw=tuple(micro_batch[i] for micro_batch in copies.raw),
            stages={stage: gradients[i] for stage, gradients in copies.stages.items()},
            before=before[i],
            after=after[i],
            state_before=state_before[i],
            state_after=state_after[i],
            lr=rates[i],
        )
        for i, (name, _) in enumerate(run.model.named_parameters())
    ]
    active = tuple(dict.fromkeys(stage for stage, _ in edits))
    return UpdateRecord(update, run.losses[-1], active, tuple(parameters))


Gradients = list[Array | None]
"""Copies of all parameters' `.grad`."""


class _Copies:
    """Copies of the gradients of one update; an optimizer may evaluate often: of the first time."""

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        self._precision = precision
        self.carried: Gradients = []
        self.raw: list[Gradients] = []
        self.stages: dict[str, Gradients] = {}
        self._parameters = list(model.parameters())
        self._hooks = [model.register_forward_pre_hook(self._begin_micro_batch)]
        for i, p in enumerate(self._parameters):
            if p.requires_grad:
                self._hooks.append(p.register_hook(self._adder(i)))  # type: ignore[no-untyped-call]

    def remove_hooks(self) -> None:
        """Leave the model as it was found."""
        for hook in self._hooks:
            hook.remove()

    def between(self, edits: Sequence[tuple[str, Edit]]) -> list[tuple[str, Edit]]:
        """The edits, each with its stage, and a copier before them and after each stage."""
        copied = [("accumulated", self._copier("accumulated"))]
        for stage, part in groupby(edits, key=lambda pair: pair[0]):
            copied += [*part, (stage, self._copier(stage))]
        return copied

    def _copier(self, stage: str) -> Edit:
        def copy(_: object) -> None:
            if stage not in self.stages:
                self.stages[stage] = self._gradients()

        return copy

    def _begin_micro_batch(self, *_: object) -> None:
        if self.stages:
            return
        if not self.raw:
            self.carried = self._gradients()
        self.raw.append([None] * len(self._parameters))

    def _adder(self, index: int) -> Callable[[Tensor], None]:
        def hook(gradient: Tensor) -> None:
            if not self.stages:
                self.raw[-1][index] = _copied(gradient) / self._precision.scale

        return hook

    def _gradients(self) -> Gradients:
        return [None if p.grad is None else _copied(p.grad) for p in self._parameters]


def _copied(tensor: Tensor) -> Array:
    """A tensor as a float64 array of its own."""
    values: Array = as_numbers(tensor).double().cpu().numpy().copy()
    return values


def _values(model: nn.Module) -> list[Array]:
    return [_copied(p) for p in model.parameters()]


def _rates(run: Run, update: int) -> list[float]:
    """The rate at which each parameter was stepped; NaN where no optimizer has it, or says none."""
    groups = [group for optimizer in run.optimizers for group in optimizer.param_groups]
    pairs = zip(groups, run.lrs[update], strict=True)
    rates = {id(p): lr for group, lr in pairs for p in group["params"]}
    return [rates.get(id(p), float("nan")) for p in run.precision.stepped.parameters()]


def _states(model: nn.Module, optimizers: Sequence[Optimizer]) -> list[dict[str, Array]]:
    """The numbers and tensors that the optimizers keep of each parameter."""
    return [
        {
            str(name): _copied(value) if isinstance(value, Tensor) else np.array(float(value))
            for name, value in kept_of(p, optimizers).items()
            if isinstance(value, (Tensor, int, float))
        }
        for p in model.parameters()
    ]
