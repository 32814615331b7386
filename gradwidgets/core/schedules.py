"""Learning-rate schedules: the schedulers of `torch.optim.lr_scheduler`, and how to build one.

Every class there is known by its name. The shapes "linear", "cosine", "one-cycle" and "step" are
some of these classes, with options that are worked out from the length of the run.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any, Protocol

import torch
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from gradwidgets.core.optimizers import OPTIMIZERS, plain_option
from gradwidgets.core.validate import not_allowed

CHAINS = ("SequentialLR", "ChainedScheduler")
"""Schedulers that are made of other schedulers."""
SCHEDULERS: dict[str, type[LRScheduler]] = {
    name: kind
    for name, kind in vars(lr_scheduler).items()
    if inspect.isclass(kind)
    and issubclass(kind, LRScheduler)
    and name not in (*CHAINS, "LRScheduler", "_LRScheduler")
}
"""Every scheduler class of `torch.optim.lr_scheduler` that takes an optimizer and plain options."""
SHAPES = {
    "constant": "",
    "linear": "LinearLR",
    "cosine": "CosineAnnealingLR",
    "one-cycle": "OneCycleLR",
    "step": "StepLR",
}
"""The built-in shapes, and the class of each; "constant" needs none."""
PLATEAU = "ReduceLROnPlateau"
"""The scheduler that is stepped with the metric on held-out data."""
WITHOUT_WARMUP = {
    "OneCycleLR": "it begins with a warm-up of its own: see pct_start, or take 'one-cycle'",
    "CyclicLR": "it sets the learning rate from its first step on: see base_lr and step_size_up",
    PLATEAU: "PyTorch's SequentialLR cannot hold a scheduler that is stepped with a metric",
}
"""Classes that no warm-up can be put before, and why."""
HigherIsBetter = Callable[[], bool | None]
THIRDS = 3
"""The shape "step" holds the learning rate for this share of the run before it falls again."""


class Scheduled(Protocol):
    """The settings of a recipe that its schedule depends on."""

    @property
    def optimizer(self) -> Any: ...  # noqa: D102

    @property
    def lr(self) -> float: ...  # noqa: D102

    @property
    def options(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def schedule(self) -> str: ...  # noqa: D102

    @property
    def schedule_options(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def warmup_steps(self) -> int: ...  # noqa: D102

    @property
    def schedule_per(self) -> str: ...  # noqa: D102

    @property
    def accumulation_steps(self) -> int: ...  # noqa: D102

    @property
    def updates(self) -> int: ...  # noqa: D102

    @property
    def groups(self) -> Mapping[str, Mapping[str, Any]]: ...  # noqa: D102


@dataclass(frozen=True)
class ScheduleName:
    """A built-in shape, or the name of a class in `torch.optim.lr_scheduler`.

    >>> ScheduleName()("schedule", "cosine")
    'cosine'
    >>> ScheduleName()("schedule", "SequentialLR")
    Traceback (most recent call last):
    ValueError: schedule='SequentialLR' is not allowed; give one schedule: this one is made of ...
    """

    def __call__(self, name: str, value: object) -> str:
        """Return `value`, or raise ValueError."""
        if isinstance(value, str) and value in CHAINS:
            wish = (
                "one schedule: this one is made of others; warmup_steps puts a warm-up before one"
            )
            raise not_allowed(name, value, wish)
        if not isinstance(value, str) or value not in (*SHAPES, *SCHEDULERS):
            raise not_allowed(name, value, "one of " + ", ".join(map(repr, (*SHAPES, *SCHEDULERS))))
        return value


@dataclass(frozen=True)
class Part:
    """A scheduler: the name of its class in `torch.optim.lr_scheduler`, and its options.

    >>> Part("StepLR", {"step_size": 30}).name
    'StepLR'
    """

    name: str
    options: Mapping[str, Any]


def has_schedule(recipe: Scheduled) -> bool:
    """Tell whether a recipe's learning rate changes in the run.

    >>> from gradwidgets import Recipe
    >>> has_schedule(Recipe()), has_schedule(Recipe(warmup_steps=5))
    (False, True)
    """
    return recipe.schedule != "constant" or recipe.warmup_steps > 0


def stepped_at(recipe: Scheduled) -> str:
    """Tell when a recipe's scheduler is stepped; "" where there is none.

    "update": after `optimizer.step()`. "micro-batch": after each `backward()`. "measurement": when
    the metric on held-out data has been measured. A single micro-batch is the update.

    >>> from gradwidgets import Recipe
    >>> stepped_at(Recipe(schedule="cosine", schedule_per="micro-batch", accumulation_steps=4))
    'micro-batch'
    """
    if not has_schedule(recipe):
        return ""
    if recipe.schedule == PLATEAU:
        return "measurement"
    return recipe.schedule_per if recipe.accumulation_steps > 1 else "update"


def no_metric() -> bool | None:
    """Tell nothing of a metric: there is no held-out data."""
    return None


def parts_of(
    recipe: Scheduled, lrs: Sequence[float], higher_is_better: HigherIsBetter = no_metric
) -> tuple[Part, ...]:
    """The schedulers of a recipe, in the order in which they follow each other.

    Args:
        recipe: the settings.
        lrs: the learning rate of each parameter group.
        higher_is_better: tells whether more of the metric on held-out data is better; None if
            there is no such data. Asked only where the schedule depends on it.

    Raises:
        ValueError: `ReduceLROnPlateau` without a metric to follow.

    >>> from gradwidgets import Recipe
    >>> for part in parts_of(Recipe(schedule="cosine", updates=100, warmup_steps=10), [0.1]):
    ...     print(part.name, part.options["T_max"] if part.name[0] == "C" else "")
    LinearLR
    CosineAnnealingLR 90
    """
    name, steps = recipe.schedule, recipe.warmup_steps
    higher = higher_is_better() if name == PLATEAU else False
    if higher is None:
        wish = "it to a problem with held_out data: it follows the metric on them"
        raise not_allowed("schedule", name, wish)
    parts = []
    if steps and name != "one-cycle":
        parts.append(Part("LinearLR", {"start_factor": 1 / (steps + 1), "total_iters": steps}))
    if name != "constant":
        options = {**_worked_out(recipe, lrs, higher), **recipe.schedule_options}
        parts.append(Part(SHAPES.get(name, name), options))
    return tuple(parts)


def _worked_out(recipe: Scheduled, lrs: Sequence[float], higher: bool) -> dict[str, Any]:
    """The options that a shape takes from the rest of the recipe."""
    left = max(1, recipe.updates - recipe.warmup_steps)
    if recipe.schedule == "linear":
        return {"start_factor": 1.0, "end_factor": 0.0, "total_iters": left}
    if recipe.schedule == "cosine":
        return {"T_max": left}
    if recipe.schedule == "step":
        return {"step_size": math.ceil(left / THIRDS), "gamma": 0.1}
    if recipe.schedule == "one-cycle":
        return _one_cycle(recipe, lrs)
    return {"mode": "max"} if higher else {}


def _one_cycle(recipe: Scheduled, lrs: Sequence[float]) -> dict[str, Any]:
    """Up to the recipe's lr and down again; the warm-up is the way up. Momentum stays as it is.

    `OneCycleLR` divides by zero where the way up, or down, has no step.
    """
    peak = min(recipe.warmup_steps + 1, recipe.updates - 1)
    rising = {"pct_start": peak / recipe.updates} if recipe.warmup_steps and peak > 1 else {}
    max_lr = lrs[0] if len(lrs) == 1 else list(lrs)
    return {"max_lr": max_lr, "total_steps": recipe.updates, **rising, "cycle_momentum": False}


def lrs_of(optimizers: Sequence[Optimizer]) -> list[float]:
    """The learning rates of all parameter groups; NaN where an optimizer keeps none there.

    >>> lrs_of([torch.optim.SGD([torch.ones(1)], lr=0.1)])
    [0.1]
    """
    return [
        float(group.get("lr", math.nan))
        for optimizer in optimizers
        for group in optimizer.param_groups
    ]


def one_optimizer_wanted(recipe: Scheduled) -> ValueError:
    """The error for a schedule where a recipe's function builds several optimizers.

    >>> from gradwidgets import Recipe
    >>> str(one_optimizer_wanted(Recipe(schedule="cosine")))
    "schedule='cosine' is not allowed; give 'constant' and no warm-up where there are several ...
    """
    wish = "'constant' and no warm-up where there are several optimizers: a scheduler changes one"
    return not_allowed("schedule", recipe.schedule, wish)


def build_scheduler(
    optimizer: Optimizer | list[Optimizer],
    recipe: Scheduled,
    higher_is_better: HigherIsBetter = no_metric,
) -> LRScheduler | None:
    """The scheduler of a recipe on this optimizer, or None where the learning rate is constant.

    Args:
        optimizer: as it was built from the recipe; its first learning rate is set.
        recipe: the settings.
        higher_is_better: as for `parts_of`.

    Raises:
        ValueError: `ReduceLROnPlateau` has no metric to follow, there are several optimizers, or
            one whose parameter groups hold no lr; or the class does not take the options.

    >>> from gradwidgets import Recipe
    >>> optimizer = torch.optim.SGD([torch.ones(1)], lr=0.1)
    >>> scheduler = build_scheduler(optimizer, Recipe(warmup_steps=4))
    >>> round(optimizer.param_groups[0]["lr"], 6)
    0.02
    """
    if not has_schedule(recipe):
        return None
    if isinstance(optimizer, list):
        raise one_optimizer_wanted(recipe)
    lrs = lrs_of([optimizer])
    if any(map(math.isnan, lrs)):
        wish = f"'constant' with {type(optimizer).__name__}, whose param_groups hold no 'lr'"
        raise not_allowed("schedule", recipe.schedule, wish)
    parts = parts_of(recipe, lrs, higher_is_better)
    try:
        built = [
            SCHEDULERS[part.name](optimizer, **copy.deepcopy(dict(part.options))) for part in parts
        ]
    except Exception as error:
        raise _not_taken(recipe, error) from error
    if len(built) == 2:
        return lr_scheduler.SequentialLR(optimizer, built, milestones=[recipe.warmup_steps])
    return built[0]


def still_optimizer(recipe: Scheduled) -> Optimizer:
    """The optimizer of a recipe, which is a class, on one parameter; its step moves nothing.

    A scheduler changes its learning rate as that of any other.

    >>> from gradwidgets import Recipe
    >>> still_optimizer(Recipe(lr=0.5)).param_groups[0]["lr"]
    0.5
    """
    kind: Any = recipe.optimizer
    make: Any = OPTIMIZERS[kind] if isinstance(kind, str) else kind
    with torch.random.fork_rng(devices=[], enabled=not isinstance(kind, str)):
        parameter = torch.zeros(1, 1, requires_grad=True)
        optimizer: Optimizer = make([parameter], lr=recipe.lr, **recipe.options)
    optimizer.step = MethodType(_no_step, optimizer)  # type: ignore[method-assign]
    return optimizer


def _no_step(*_: object) -> None:
    """Do nothing: not even what is hooked on every optimizer's step."""


def schedule_option_names(schedule: str) -> tuple[str, ...]:
    """The keyword arguments that a schedule takes.

    >>> schedule_option_names("cosine")
    ('T_max', 'eta_min')
    """
    if schedule == "constant":
        return ()
    known = inspect.signature(SCHEDULERS[SHAPES.get(schedule, schedule)]).parameters
    return tuple(name for name in known if name not in ("optimizer", "last_epoch", "verbose"))


def checked_schedule_options(recipe: Scheduled) -> dict[str, Any]:
    """Plain options that a recipe's schedule takes, tried out on the class itself.

    Raises:
        ValueError: an option is unknown to the schedule, or its value is not allowed; or the
            schedule does not go together with other settings.
    """
    name, given = recipe.schedule, recipe.schedule_options
    known = schedule_option_names(name)
    if not isinstance(given, Mapping):
        raise not_allowed("schedule_options", given, f"a dict of keyword arguments of {name!r}")
    for option, value in given.items():
        if option not in known:
            wish = f"{name!r} only: {', '.join(known)}" if known else "none: 'constant' takes none"
            raise not_allowed(f"schedule_options[{option!r}]", value, wish)
    _check_company(recipe)
    return {str(option): _plain(option, value) for option, value in given.items()}


def _check_company(recipe: Scheduled) -> None:
    """Raise where the schedule does not go together with the other settings."""
    name = recipe.schedule
    if recipe.warmup_steps and name in WITHOUT_WARMUP:
        wish = f"0 with {name}: {WITHOUT_WARMUP[name]}"
        raise not_allowed("warmup_steps", recipe.warmup_steps, wish)
    ways = {group.get("freeze_by") for group in recipe.groups.values()}
    if has_schedule(recipe) and not ways.isdisjoint(("lr", "left out")):
        wish = "groups frozen by 'requires_grad' or 'gradient' where there is a schedule: a "
        wish += "scheduler sets the lr of each group, and of those that it began with"
        raise not_allowed("groups", dict(recipe.groups), wish)
    if name == PLATEAU and recipe.schedule_per != "update":
        wish = f"'update' with {name}, which is stepped when the metric has been measured"
        raise not_allowed("schedule_per", recipe.schedule_per, wish)


def _plain(option: str, value: Any) -> Any:
    """An option as it is kept: a function, or several, stay as they are."""
    functions = value if isinstance(value, (list, tuple)) and value else (value,)
    if all(callable(each) and not isinstance(each, type) for each in functions):
        return tuple(value) if isinstance(value, (list, tuple)) else value
    return plain_option(f"schedule_options[{option!r}]", value)


def try_schedule(recipe: Scheduled) -> None:
    """Step a recipe's scheduler once or twice, on an optimizer that moves nothing.

    Raises:
        ValueError: the class does not take the options.
    """
    ours = isinstance(recipe.optimizer, str) and recipe.schedule in SHAPES
    if (ours and not recipe.schedule_options) or inspect.isroutine(recipe.optimizer):
        return  # what is worked out is known to go, and a function needs its model
    if not has_schedule(recipe):
        return
    metric: tuple[Any, ...] = (1.0,) if recipe.schedule == PLATEAU else ()
    try:
        optimizer = still_optimizer(recipe)
    except Exception:
        return  # no run has such an optimizer; it says why
    scheduler = build_scheduler(optimizer, recipe, lambda: False)
    assert scheduler is not None
    try:
        for _ in range(min(2, recipe.updates)):
            optimizer.step()
            scheduler.step(*metric)
    except Exception as error:
        raise _not_taken(recipe, error) from None


def _not_taken(recipe: Scheduled, error: Exception) -> ValueError:
    wish = f"what {recipe.schedule!r} takes ({error})"
    return not_allowed("schedule_options", recipe.schedule_options, wish)
