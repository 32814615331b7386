"""Wiring: the tensors of model and optimizers, their flags, and where the graph ends."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from gradwidgets.checkup import anatomy
from gradwidgets.checkup import thresholds as limit
from gradwidgets.checkup.record import (
    ModuleSeen,
    OptimizerSeen,
    Outsider,
    Parameter,
    Record,
    Step,
    names_of,
    norms_around_edit,
)
from gradwidgets.checkup.report import Finding, counted


def _frozen(record: Record) -> set[int]:
    """Ids of tensors not trainable at any step, or, if no step read them, not trainable now."""
    readings = record.readings_by_parameter()
    trainable = {key for key in readings if any(r.requires_grad for r in readings[key])}
    return {
        key
        for key, parameter in record.parameters.items()
        if key not in trainable and (key in readings or not parameter.tensor.requires_grad)
    }


def frozen(record: Record) -> Iterator[Finding]:
    """An optimizer holds parameters with requires_grad False at every step."""
    never_trainable = _frozen(record)
    for optimizer in record.optimizers:
        held = optimizer.parameters
        still = [p for p in held if p.in_model and id(p.tensor) in never_trainable]
        if still and optimizer.given:
            everything = len(still) == len(held)
            yield Finding(
                "frozen",
                "error" if everything else "info",
                names_of(still),
                f"requires_grad is False at every step in {len(still)} of the "
                f"{counted(len(held), 'tensor')} of {optimizer.name}: no gradient comes, and "
                "nothing moves",
                "call .requires_grad_(True) on them if they should train; if not, leave them out "
                "of the optimizer to make that visible",
            )


def ignored_flag(record: Record) -> Iterator[Finding]:
    """`module.requires_grad = False` sets an attribute and freezes nothing."""
    if record.ignored_flags:
        yield Finding(
            "frozen",
            "warning",
            tuple(record.ignored_flags),
            "the module has an attribute requires_grad = False, which has no effect: its "
            "parameters still require grad",
            "call module.requires_grad_(False), which sets the flag of every parameter",
        )


def misspelled_flag(record: Record) -> Iterator[Finding]:
    """A parameter has an attribute that is almost named `requires_grad`."""
    if record.misspelled_flags:
        names, attributes = zip(*record.misspelled_flags, strict=True)
        yield Finding(
            "frozen",
            "warning",
            names,
            f"{attributes[0]} = False is an attribute that torch does not know: "
            f"{counted(len(names), 'parameter')} still require grad",
            "write requires_grad = False, or call module.requires_grad_(False)",
        )


def not_in_model(record: Record) -> Iterator[Finding]:
    """The optimizer holds tensors that are not, or no longer, in the model."""
    orphans = [
        p
        for p in record.parameters.values()
        if not p.in_model and (p.was_in_model or not p.ever_written)
        if any(optimizer.given for optimizer in p.optimizers)
    ]
    unheld = [p for p in _unheld(record) if p.in_model]
    if orphans and (unheld or record.real_backwards):
        lacking = f", and none holds {', '.join(names_of(unheld)[:3])}" if unheld else ""
        yield Finding(
            "not-in-model",
            "error" if unheld else "warning",
            names_of(orphans),
            f"an optimizer holds {counted(len(orphans), 'tensor')} not in the model{lacking}: "
            "the model was copied, rebuilt, or had layers replaced after the optimizer was made",
            "create the optimizer after the last change to the model",
        )


def _unheld(record: Record) -> list[Parameter]:
    return [p for p in record.parameters.values() if p.tensor.requires_grad and not p.optimizers]


def not_in_optimizer(record: Record) -> Iterator[Finding]:
    """A parameter requires grad and takes part in the loss, but no optimizer holds it."""
    if not record.all_optimizers_seen:
        return
    used = {key for b in record.real_backwards for key in b.leaves | b.reached}
    missing = [p for p in _unheld(record) if p.in_model and id(p.tensor) in used]
    missing = [p for p in missing if not p.moved_by_loop]
    if missing:
        yield Finding(
            "not-in-optimizer",
            "error",
            names_of(missing),
            f"the loss depends on {counted(len(missing), 'parameter')} with requires_grad True and "
            "in no param group, so that nothing ever moves there",
            "pass model.parameters(), or optimizer.add_param_group({'params': ...}); to freeze "
            "them on purpose, call .requires_grad_(False)",
        )


def left_out_by_criterion(record: Record) -> Iterator[Finding]:
    """A loss module has parameters of its own, which get a gradient and which no optimizer has."""
    if not record.all_optimizers_seen:
        return
    often = min(len(record.real_backwards), 2)
    alone = [o for o in _left_out(record) if o.beside and not o.in_network]
    names = tuple(outsider.name for outsider in alone if outsider.backwards >= often)
    if names and any(optimizer.steps for optimizer in record.optimizers):
        yield Finding(
            "not-in-optimizer",
            "warning",
            names,
            f"the loss depends on {counted(len(names), 'parameter')} outside of the model with "
            "requires_grad True, which gets a gradient and is in no optimizer: it never moves",
            "pass the loss module's parameters, too: [*model.parameters(), "
            "*criterion.parameters()]; to freeze them on purpose, call .requires_grad_(False)",
        )


def _left_out(record: Record) -> list[Outsider]:
    return [outsider for outsider in record.outsiders.values() if outsider.left_out]


def unregistered(record: Record) -> Iterator[Finding]:
    """A trainable tensor is an attribute of a module but not a registered parameter."""
    if not record.all_optimizers_seen:
        return
    used = {key for b in record.real_backwards for key in b.leaves}
    trained = {key for key, p in record.parameters.items() if p.optimizers}
    trained |= record.trained_elsewhere.union(*(one.held for one in record.optimizers))
    places = tuple(place for key, place in record.hidden.items() if key in used - trained)
    if places:
        yield Finding(
            "unregistered",
            "error",
            places,
            "the loss depends on tensors that hang on a module without being its parameters: "
            "model.parameters() does not list them, no optimizer gets them",
            "wrap tensors in nn.Parameter (the result itself, not a product of it) and lists of "
            "layers in nn.ModuleList, dicts in nn.ModuleDict",
        )


def detached(record: Record) -> Iterator[Finding]:
    """In model and optimizer, but never got a gradient: unused, or the graph is cut."""
    finished = [b for b in record.real_backwards if not b.failed]
    if not finished or record.spread:
        return
    never_trainable = _frozen(record)
    without = [
        parameter
        for key, parameter in record.parameters.items()
        if parameter.in_model and not parameter.ever_written and key not in never_trainable
        if any(_may_have_had_a_backward(optimizer, record) for optimizer in parameter.optimizers)
    ]
    ran = [p for p in without if any(module.runs for module in _owners(p, record))]
    idle = [p for p in without if p not in ran]
    if ran:
        yield _cut(ran, record)
    if idle:
        others = _another_model(idle, record)
        yield Finding(
            "detached",
            "info" if _are_not_chosen(idle, record) else "warning",
            names_of(idle),
            f"{counted(len(idle), 'parameter')} got no gradient in "
            f"{counted(len(finished), 'backward call')}: no module with these ran"
            + (f"; {others}" if others else ""),
            _CALL_THE_SAME
            if others
            else "call the module in forward (a module called by .forward or used only through its "
            "weights does not count as run), or remove it",
        )


def _are_not_chosen(idle: list[Parameter], record: Record) -> bool:
    """True if all are in experts: the data choose among several of a list, each for its rows."""
    rows: dict[tuple[str, type], list[int]] = defaultdict(list)
    for module in record.modules.values():
        if module.runs:
            rows[_place(module)].append(module.rows)
    routed = {place for place, numbers in rows.items() if len(set(numbers)) > 1}
    owners = [module for parameter in idle for module in _owners(parameter, record)]
    return all(_place(module) in routed for module in owners)


def _place(module: ModuleSeen) -> tuple[str, type]:
    """The name of a module without the numbers in it, and its class."""
    return re.sub(r"\b\d+\b", "#", module.name), type(module.module)


_CALL_THE_SAME = (
    "call the model whose parameters the optimizer has, or make the optimizer from the "
    "parameters of the one that is called"
)


def _another_model(without: list[Parameter], record: Record) -> str:
    """Say which parameters outside of the model got the gradients instead; "" if none did.

    If the loss depends on the model, too, they must have the shapes of those without gradient:
    it may rightly go through a network beside it.
    """
    others = [outsider for outsider in record.outsiders.values() if outsider.name]
    same = {tuple(p.tensor.shape) for p in without} <= {other.shape for other in others}
    names = sorted(other.name for other in others if same or not other.beside)
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"the loss trains another model: the gradients are in {', '.join(names[:3])}{more}, which "
        "no step has moved"
    )


def frozen_statistics(record: Record) -> Iterator[Finding]:
    """The running statistics of a wholly frozen part move on, because it is in training mode."""
    if not record.steps:
        return
    names = []
    for module in record.modules.values():
        if _is_frozen_part(module.module, record):
            inside = {id(part) for _, part in anatomy.within(module.module)}
            names += [m.name for k, m in record.modules.items() if k in inside and _moves_on(m)]
    if names:
        names = list(dict.fromkeys(names))
        yield Finding(
            "frozen-statistics",
            "warning",
            tuple(names),
            f"the running statistics of {counted(len(names), 'layer')} moved on in a part whose "
            "parameters are all frozen: requires_grad does not stop them, only eval mode does",
            "call .eval() on the frozen part after model.train()",
        )


def _is_frozen_part(module: nn.Module, record: Record) -> bool:
    """True for a part with matrices, of which no parameter is trained or moved by the loop."""
    tensors = [t for _, part in anatomy.within(module) for _, t in anatomy.own_parameters(part)]
    parameters = [record.parameters[id(t)] for t in tensors if id(t) in record.parameters]
    if not any(parameter.is_matrix for parameter in parameters):
        return False
    return not any(p.tensor.requires_grad or p.ever_written or p.moved for p in parameters)


def _moves_on(module: ModuleSeen) -> bool:
    own = vars(module.module)
    tracks = (
        isinstance(module.module, _NormBase) and own["_buffers"].get("running_mean") is not None
    )
    return tracks and own.get("momentum") != 0 and module.runs_in_training > 0


def _may_have_had_a_backward(optimizer: OptimizerSeen, record: Record) -> bool:
    """False if only other optimizers were active while the loop was watched."""
    if optimizer.steps or not any(other.steps for other in record.optimizers):
        return True
    return any(parameter.ever_written for parameter in optimizer.parameters)


def _owners(parameter: Parameter, record: Record) -> list[ModuleSeen]:
    return [
        module
        for module in record.modules.values()
        if any(held is parameter.tensor for held in module.own_parameters())
    ]


def _cut(parameters: list[Parameter], record: Record) -> Finding:
    reached = any(module.reached for module in record.execution)
    others = "" if reached else _another_model(parameters, record)
    return Finding(
        "detached",
        "error",
        names_of(parameters),
        f"{counted(len(parameters), 'parameter')} got no gradient although the forward ran: "
        + (others or _where_graph_ends(parameters, record)),
        _CALL_THE_SAME
        if others
        else "look for .detach(), .data, .item(), .numpy(), argmax, torch.tensor(...), no_grad or "
        "a torch.autograd.Function between these parameters and the loss",
    )


def _where_graph_ends(parameters: list[Parameter], record: Record) -> str:
    if any(id(p.tensor) in b.refused for p in parameters for b in record.backwards):
        return "an operation that they are given to returns None as their gradient"
    if any(id(p.tensor) in b.leaves for p in parameters for b in record.backwards):
        return "the loss depends on them, but backward was told to leave them out (inputs=...)"
    layers = [module for module in record.execution if module.owns_parameters]
    if layers and all(m.runs_without_grad == m.runs for m in layers if not m.reached):
        return "their forward ran under no_grad"
    for before, after in pairwise(layers):
        if not before.reached and after.reached:
            return f"the graph ends between {before.name} and {after.name}"
    if not any(module.reached for module in layers):
        shapes = {shape for b in record.real_backwards for shape in b.other_leaves}
        rebuilt = f" at a new tensor of shape {min(shapes)}" if shapes else ""
        return f"the graph ends{rebuilt} between the model's output and the loss"
    return "they are not used in forward, or their result is cut off"


def eval_mode(record: Record) -> Iterator[Finding]:
    """Dropout or running statistics were in eval mode in a forward used for training."""
    kept = [b for b in record.real_backwards if not b.cleared or b.applied]
    names = tuple(sorted({name for b in kept for name in b.eval_modules}))
    if names:
        times = sum(bool(b.eval_modules) for b in kept)
        yield Finding(
            "eval-mode",
            "warning",
            names,
            f"in {times} of {counted(len(kept), 'trained pass')} these were in eval mode: "
            "no dropout, and batch statistics neither used nor updated",
            "call model.train() before the training batches, again after each validation",
        )


def not_averaged(record: Record) -> Iterator[Finding]:
    """A step read gradients not averaged by DistributedDataParallel: the forward skipped it."""
    for optimizer in record.optimizers:
        steps = [step for step in record.steps_of(optimizer) if step.measured and step.read]
        alone = [names for step in steps if (names := _of_one_process(step, record))]
        if alone:
            yield Finding(
                "ranks-differ",
                "error",
                tuple(dict.fromkeys(name for names in alone for name in names)),
                f"{len(alone)} of {counted(len(steps), 'step')} of {optimizer.name} read gradients "
                "of this process alone: the forward did not go through DistributedDataParallel, "
                "which averages them only if it is called itself",
                "call the wrapper in every forward that is trained; the module inside it "
                "(ddp.module) is for state_dict() and for forwards under no_grad",
            )


def _of_one_process(step: Step, record: Record) -> list[str]:
    """Parameters whose gradient should be the mean over processes, and was not averaged.

    The wrapper averages all that is in .grad at the last backward. The loop may do it by hand.
    """
    last = max(step.read, key=lambda backward: backward.time)
    wrapper = record.averaged_by
    alone = [
        reading.parameter.name
        for reading in step.readings
        if (key := id(reading.parameter.tensor)) in last.leaves & wrapper.keys()
        if wrapper[key] not in last.parallel
    ]
    raw, read = norms_around_edit(step.readings)
    edited = not math.isclose(raw, read, rel_tol=limit.EDITED)
    return [] if edited and not record.clips else alone


def duplicate(record: Record) -> Iterator[Finding]:
    """An optimizer holds the same parameter twice."""
    if record.duplicates:
        yield Finding(
            "duplicate",
            "warning",
            tuple(sorted(record.duplicates)),
            "an optimizer holds the same parameter twice and updates it twice in every step",
            "pass each parameter once; model.parameters() already lists tied ones once",
        )


def equal_units(record: Record) -> Iterator[Finding]:
    """All units of a layer begin with the same weights, and get the same gradients."""
    readings = record.readings_by_parameter()
    names = [
        parameter.name
        for key, parameter in record.parameters.items()
        if parameter.alike and sum(r.alike for r in readings.get(key, [])) > 1
    ]
    if names:
        yield Finding(
            "duplicate",
            "warning",
            tuple(names),
            "the rows of these are the same, and get the same gradient: the units of the layer "
            "are copies of each other and stay so, like a single one",
            "begin with random weights, as torch's layers do by themselves; a constant is for "
            "biases and gains",
        )


def untied(record: Record) -> Iterator[Finding]:
    """Weights that were tied, or hold the same numbers, are separate parameters now."""
    for first, second in record.untied:
        yield Finding(
            "duplicate",
            "warning",
            (first, second),
            "two parameters hold the same numbers but are not the same object: a copy of a tied "
            "weight gets its own gradient and drifts away",
            "tie them by assigning the parameter itself, after copying or loading: "
            "decoder.weight = encoder.weight",
        )
