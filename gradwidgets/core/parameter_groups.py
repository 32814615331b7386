"""Parameter groups: own settings for a part of the parameters, and phases in which it is frozen.

Four ways to freeze, and what each leaves running:

    requires_grad  `requires_grad_(False)`: no new gradient. `zero_grad()` makes `.grad` None, and
                   the optimizer skips the part; it goes on using a `.grad` that is kept, or zeros.
    left out       the optimizer does not have the part. Its gradients are still computed, and as
                   nothing clears them they add up, and count where all are clipped together.
    lr             its learning rate is 0: no change, but momentum and averages go on.
    gradient       zeros before the step: momentum and weight decay move the part all the same.

None of them stops BatchNorm's running averages: those belong to the forward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.core.optimizers import OPTIMIZERS, OptimizerKind, name_of, option_defaults
from gradwidgets.core.validate import Count, Number, OneOf, Rule, not_allowed

Rates = np.ndarray[Any, np.dtype[np.float64]]
Norms = Mapping[str, np.ndarray[Any, np.dtype[np.float64]]]
REST = "the rest"
"""The name of the parameters that are in no group."""
FREEZE_BY = ("requires_grad", "left out", "lr", "gradient")
"""The ways to freeze; the first is taken where none is given."""
RULES: dict[str, Rule] = {
    "lr": Number(0, optional=True),
    "weight_decay": Number(0, optional=True),
    "frozen_until": Count(0, optional=True),
    "frozen_from": Count(0, optional=True),
    "freeze_by": OneOf(FREEZE_BY),
}


@dataclass(frozen=True)
class Group:
    """A part of the parameters, and what is said of it.

    Args:
        pattern: of the names of its parameters.
        names: these names.
        settings: what the optimizer is told of it: "lr", "weight_decay".
        lr: its learning rate while it is not frozen.
        until: it is frozen before this update, or None.
        start: it is frozen from this update on, or None.
        by: the way, one of `FREEZE_BY`.

    >>> head = Group("2.*", ("2.weight",), {"lr": 0.5}, 0.5, until=3, start=8, by="lr")
    >>> [head.frozen(update) for update in (0, 2, 3, 7, 8)]
    [True, True, False, False, True]
    """

    pattern: str
    names: tuple[str, ...]
    settings: Mapping[str, float]
    lr: float
    until: int | None
    start: int | None
    by: str

    def frozen(self, update: int) -> bool:
        """Tell whether the group is frozen at an update."""
        early = self.until is not None and update < self.until
        return early or (self.start is not None and update >= self.start)

    @property
    def phases(self) -> str:
        """When and how it is frozen, in words."""
        times = (("until", self.until), ("from", self.start))
        spans = " and ".join(f"{word} update {at}" for word, at in times if at is not None)
        return f"frozen by {self.by} {spans}"

    def built_with(self) -> dict[str, float]:
        """The settings with which the optimizer is built."""
        hidden = self.by == "lr" and self.frozen(0)
        return {**self.settings, "lr": 0.0} if hidden else dict(self.settings)


@dataclass(frozen=True)
class Change:
    """A group that is frozen, or is so no longer, at the start of an update.

    Args:
        update: its number.
        group: the group.
        frozen: whether it is frozen from here on.
        index: its place in `optimizer.param_groups`; None where the optimizer does not have it.

    >>> part = Group("2.*", ("2.weight",), {}, 0.1, until=3, start=None, by="lr")
    >>> Change(3, part, frozen=False, index=1).group.frozen(3)
    False
    """

    update: int
    group: Group
    frozen: bool
    index: int | None


def checked_groups(
    groups: object, optimizer: OptimizerKind, options: Mapping[str, Any], lr: float
) -> dict[str, dict[str, Any]]:
    """Plain groups, in their order; what is None is left out.

    Raises:
        ValueError: a group's setting is unknown, not allowed, or nothing for this optimizer.

    >>> checked_groups({"*bias": {"lr": 1}}, "SGD", {}, 0.1)
    {'*bias': {'lr': 1.0}}
    """
    if not isinstance(groups, Mapping):
        wish = 'a dict such as {"*.bias": {"lr": 0.01}}'
        raise not_allowed("groups", groups, wish)
    plain = {}
    for pattern, given in groups.items():
        if not isinstance(pattern, str) or not pattern:
            raise not_allowed("a pattern of groups", pattern, 'one of names such as "*.bias"')
        plain[pattern] = _checked(f"groups[{pattern!r}]", given)
    if plain:
        _check_optimizer(plain, optimizer, options, lr)
    return plain


def _checked(name: str, given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise not_allowed(name, given, f"a dict with some of {', '.join(RULES)}")
    for key in given:
        if key not in RULES:
            raise not_allowed(f"{name}[{key!r}]", given[key], f"only {', '.join(RULES)}")
    checked = {key: RULES[key](f"{name}[{key!r}]", value) for key, value in given.items()}
    checked = {key: value for key, value in checked.items() if value is not None}
    if "freeze_by" not in checked and checked.get("frozen_until") == 0:
        del checked["frozen_until"]  # there is no update before
    until, start = checked.get("frozen_until"), checked.get("frozen_from")
    if "freeze_by" in checked and until is None and start is None:
        wish = "frozen_until or frozen_from with it: nothing is frozen otherwise"
        raise not_allowed(f"{name}['freeze_by']", checked["freeze_by"], wish)
    if until is not None and start is not None and start <= until:
        wish = f"an update after frozen_until={until}"
        raise not_allowed(f"{name}['frozen_from']", start, wish)
    return checked


def _check_optimizer(
    groups: Mapping[str, Mapping[str, Any]],
    optimizer: OptimizerKind,
    options: Mapping[str, Any],
    lr: float,
) -> None:
    kind: Any = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    own_name, shown = name_of(optimizer), dict(groups)
    if not isinstance(kind, type):
        wish = f"none: {own_name}(model, lr) builds groups of its own"
        raise not_allowed("groups", shown, wish)
    for pattern, given in groups.items():
        if "weight_decay" in given and "weight_decay" not in option_defaults(optimizer):
            name, value = f"groups[{pattern!r}]['weight_decay']", given["weight_decay"]
            raise not_allowed(name, value, f"none: {own_name} takes no weight_decay")
    one, other = (torch.zeros(1, 1, requires_grad=True) for _ in range(2))
    try:
        with torch.random.fork_rng(devices=[]):
            built = kind([{"params": [one]}, {"params": [other], "lr": lr}], lr=lr, **options)
    except Exception as error:
        raise not_allowed("groups", shown, f"none: {own_name} refuses them ({error})") from None
    if built.state and any(given.get("freeze_by") == "left out" for given in groups.values()):
        wish = f"another freeze_by than 'left out': {own_name} prepares parameters when it is built"
        raise not_allowed("groups", shown, wish)


def described_groups(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Each group of a recipe in a few words.

    >>> described_groups({"0.*": {"lr": 0.01, "frozen_until": 50}})
    ['group 0.*: lr 0.01, frozen until update 50 by requires_grad']
    """
    return [f"group {pattern}: {_described(given)}" for pattern, given in groups.items()]


def _described(given: Mapping[str, Any]) -> str:
    parts = [f"{name} {given[name]:g}" for name in ("lr", "weight_decay") if name in given]
    spans = {"frozen_until": "until", "frozen_from": "from"}
    frozen = [f"{word} update {given[name]}" for name, word in spans.items() if name in given]
    if frozen:
        parts.append(f"frozen {' and '.join(frozen)} by {given.get('freeze_by', FREEZE_BY[0])}")
    return ", ".join(parts) or "as the rest"


def groups_of(
    groups: Mapping[str, Mapping[str, Any]], lr: float, names: Iterable[str], updates: int
) -> list[Group]:
    """The groups of a model whose parameters have these names.

    Args:
        groups: those of the recipe.
        lr: the recipe's learning rate.
        names: of all parameters, in their order.
        updates: those of the run.

    Raises:
        ValueError: a pattern matches no parameter, or two patterns match the same; or at some
            update no parameter needs a gradient.

    >>> [part.names for part in groups_of({"*bias": {"lr": 1.0}}, 0.1, ["weight", "bias"], 9)]
    [('bias',)]
    """
    everyone, owner = list(names), dict[str, str]()
    found = []
    for pattern, given in groups.items():
        own = [name for name in everyone if fnmatchcase(name, pattern)]
        if not own:
            wish = f"patterns that match one of {everyone}"
            raise not_allowed("a pattern of Recipe.groups", pattern, wish)
        for name in own:
            if name in owner:
                wish = f"one group for each parameter: {owner[name]!r} matches {name!r}, too"
                raise not_allowed("a pattern of Recipe.groups", pattern, wish)
            owner[name] = pattern
        told = {key: given[key] for key in ("lr", "weight_decay") if key in given}
        found.append(
            Group(
                pattern,
                tuple(own),
                told,
                given.get("lr", lr),
                given.get("frozen_until"),
                given.get("frozen_from"),
                given.get("freeze_by", FREEZE_BY[0]),
            )
        )
    if len(owner) == len(everyone):
        _refuse_no_graph(found, updates)
    return found


def _refuse_no_graph(groups: Sequence[Group], updates: int) -> None:
    """Refuse groups of all parameters that are frozen together by "requires_grad"."""
    for at in sorted({0, *(t for group in groups for t in (group.until, group.start) if t)}):
        if at < updates and all(g.by == FREEZE_BY[0] and g.frozen(at) for g in groups):
            wish = f"a parameter that needs a gradient at update {at}: there is nothing to train"
            raise not_allowed("Recipe.groups", [group.pattern for group in groups], wish)


WITHOUT_CHANGE = {
    "left out": ": the optimizer does not have it, and does not clear its gradient",
    "lr": ": the optimizer reads the gradient, and steps with lr 0",
}
"""Why a part that has a gradient did not change, by the way in which it is frozen."""


def frozen_in_words(by: str, gradient: float | None, change: float, most: str = "") -> str:
    """Say which gradient and change a frozen part has: the four ways differ in that.

    Args:
        by: the way, one of `FREEZE_BY`.
        gradient: norm of the gradient before the step; None if there was none.
        change: norm of the change.
        most: stands before a norm, such as "up to ".

    >>> frozen_in_words("requires_grad", None, 0.0)
    'no gradient and no change'
    >>> frozen_in_words("gradient", 0.0, 0.125)
    'a gradient of zero, but momentum or weight decay made a change of 0.125'
    """
    says = "no gradient"
    if gradient is not None:
        says = f"a gradient of norm {most}{gradient:.3g}" if gradient else "a gradient of zero"
    if not change:
        but = ", but" if gradient is not None else " and"
        return f"{says}{but} no change{WITHOUT_CHANGE.get(by, '')}"
    return f"{says}, but momentum or weight decay made a change of {most}{change:.3g}"


def frozen_sentences(groups: Iterable[Group], gradients: Norms, changes: Norms) -> list[str]:
    """A sentence on each group that was frozen at some of the updates of a run.

    Args:
        groups: those of the model.
        gradients: by name of the parameter, (updates,) norms of what the optimizer read; NaN is
            no gradient.
        changes: the same of the changes.

    >>> import numpy as np
    >>> part = Group("2.*", ("2.weight",), {}, 0.1, until=2, start=None, by="lr")
    >>> gradients, changes = {"2.weight": np.array([3, 4, 1])}, {"2.weight": np.array([0, 0, 0.1])}
    >>> frozen_sentences([part], gradients, changes)
    ['2.* was frozen by lr until update 2: a gradient of norm up to 4, but no change: ...']
    """
    said = []
    for group in groups:
        frozen = [at for at in range(len(changes[group.names[0]])) if group.frozen(at)]
        if not frozen:
            continue
        read, moved = (
            np.stack([norms[name][frozen] for name in group.names])
            for norms in (gradients, changes)
        )
        gradient = None if np.isnan(read).all() else _largest(read)
        words = frozen_in_words(group.by, gradient, _largest(moved), "up to ")
        said.append(f"{group.pattern} was {group.phases}: {words}.")
    return said


def _largest(norms: Any) -> float:
    """The largest joint norm of several parameters at one update, from (parameters, updates)."""
    return float(np.linalg.norm(np.nan_to_num(norms), axis=0).max())


def may_lack_gradients(groups: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether some parameter has no gradient at times: one frozen by "requires_grad".

    >>> may_lack_gradients({"*bias": {"frozen_until": 3}})
    True
    """
    times = ("frozen_until", "frozen_from")
    return any(
        given.get("freeze_by", FREEZE_BY[0]) == "requires_grad"
        and any(map(given.__contains__, times))
        for given in groups.values()
    )


def at_first(groups: Sequence[Group]) -> list[Group]:
    """The groups with which the optimizer is built: those that are not left out at update 0.

    >>> at_first([Group("2.*", ("2.weight",), {}, 0.1, until=3, start=None, by="left out")])
    []
    """
    return [group for group in groups if not (group.by == "left out" and group.frozen(0))]


def changes_of(groups: Sequence[Group], rest: bool) -> list[Change]:
    """Everything that is frozen or unfrozen during a run, in its order.

    Args:
        groups: those of the model.
        rest: whether there are parameters in no group; they are the optimizer's first group then.

    >>> head = Group("2.*", ("2.weight",), {}, 0.1, until=3, start=None, by="left out")
    >>> [(change.update, change.frozen, change.index) for change in changes_of([head], rest=True)]
    [(3, False, None)]
    """
    order = [""] * rest + [group.pattern for group in at_first(groups)]
    times = {at for group in groups for at in (group.until, group.start) if at}
    found = []
    for update in sorted(times):
        for group in groups:
            frozen = group.frozen(update)
            if group.by == "gradient" or frozen == group.frozen(update - 1):
                continue
            index = order.index(group.pattern) if group.pattern in order else None
            found.append(Change(update, group, frozen, index))
            if group.by == "left out":
                (order.remove if frozen else order.append)(group.pattern)
    return found


def rates_of(groups: Sequence[Group], rest: bool, lrs: Rates) -> dict[str, Rates]:
    """The learning rates of each group, by its pattern; those in no group are "the rest".

    Args:
        groups: those of the model.
        rest: whether there are parameters in no group; they are the optimizer's first group then.
        lrs: (updates, G) the rates of `optimizer.param_groups` in each update's step.

    Returns:
        For each group (updates,) rates, NaN while it is left out of the optimizer.

    >>> head = Group("2.*", ("2.weight",), {}, 0.5, until=1, start=None, by="left out")
    >>> rates = rates_of([head], rest=True, lrs=np.array([[0.1, np.nan], [0.1, 0.5]]))
    >>> {name: lr.tolist() for name, lr in rates.items()}
    {'the rest': [0.1, 0.1], '2.*': [nan, 0.5]}
    """
    order = [REST] * rest + [group.pattern for group in at_first(groups)]
    everyone = [REST] * rest + [group.pattern for group in groups]
    rates = {name: np.full(len(lrs), np.nan) for name in everyone}
    changes = [change for change in changes_of(groups, rest) if change.group.by == "left out"]
    times = sorted({0, *(change.update for change in changes)})
    for begin, end in pairwise([*times, None]):
        for change in changes:
            if change.update == begin and change.index is None:
                order.append(change.group.pattern)
            elif change.update == begin and change.index is not None:
                del order[change.index]
        for name, column in zip(order, lrs.T, strict=False):  # those left out have no column
            rates[name][begin:end] = column[begin:end]
    return rates


class Phases:
    """Freezes and unfreezes the groups of a run.

    Args:
        groups: those of the model.
        model: the model.

    >>> model = nn.Linear(2, 1)
    >>> bias = Group("bias", ("bias",), {}, 0.1, until=1, start=None, by="requires_grad")
    >>> phases = Phases([bias], model)
    >>> optimizer = torch.optim.SGD(phases.param_groups(), lr=0.1)
    >>> model.bias.requires_grad
    False
    >>> phases.begin(1, optimizer)
    >>> model.bias.requires_grad
    True
    """

    def __init__(self, groups: Sequence[Group], model: nn.Module) -> None:
        self._groups = groups
        self._update = 0
        self._of = {g.pattern: [model.get_parameter(name) for name in g.names] for g in groups}
        grouped = {p for own in self._of.values() for p in own}
        self._rest = [p for p in model.parameters() if p not in grouped]
        self._changes = changes_of(groups, rest=bool(self._rest))

    def param_groups(self) -> list[dict[str, Any]]:
        """The groups that the optimizer is built with; some need no gradient at first.

        Raises:
            ValueError: all parameters are left out.
        """
        for group in self._groups:
            if group.by == "requires_grad" and group.frozen(0):
                self._require(group, False)
        rest = [{"params": self._rest}] if self._rest else []
        own = [{"params": self._of[g.pattern], **g.built_with()} for g in at_first(self._groups)]
        if not rest and not own:
            patterns = [group.pattern for group in self._groups]
            raise not_allowed(
                "Recipe.groups", patterns, "a parameter that is not left out at first"
            )
        return [*rest, *own]

    def begin(self, update: int, optimizer: Optimizer) -> None:
        """Make the changes of an update, at its start."""
        self._update = update
        for change in self._changes:
            if change.update == update:
                self._make(change, optimizer)

    def _make(self, change: Change, optimizer: Optimizer) -> None:
        group, at = change.group, change.index
        if group.by == "requires_grad":
            self._require(group, not change.frozen)
        elif at is None:
            optimizer.add_param_group({"params": self._of[group.pattern], **group.settings})
        elif group.by == "left out":
            del optimizer.param_groups[at]
        else:
            optimizer.param_groups[at]["lr"] = 0.0 if change.frozen else group.lr

    def _require(self, group: Group, gradient: bool) -> None:
        for p in self._of[group.pattern]:
            p.requires_grad_(gradient)

    def zero(self, _: Sequence[Tensor] = ()) -> None:
        """Zero the gradients of the groups that are frozen so, as the last of the edits."""
        for group in self._groups:
            if group.by == "gradient" and group.frozen(self._update):
                for p in self._of[group.pattern]:
                    if p.grad is not None:
                        p.grad.zero_()

    @property
    def zeroing(self) -> bool:
        """True if gradients of some group are zeroed."""
        return any(group.by == "gradient" for group in self._groups)
