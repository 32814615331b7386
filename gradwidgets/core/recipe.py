"""`Recipe`: every setting of the training loop, each with its default, its rule and its control."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gradwidgets.core.control import STRENGTHS, Control, linear, logarithmic
from gradwidgets.core.edits import MASK_KINDS, Edit
from gradwidgets.core.optimizers import OneOptimizer, OptimizerKind, checked_options, name_of
from gradwidgets.core.parameter_groups import checked_groups
from gradwidgets.core.schedules import SHAPES, ScheduleName, checked_schedule_options, try_schedule
from gradwidgets.core.validate import Count, Edits, Flag, Number, OneOf, Rule, Text, not_allowed

_Default = TypeVar("_Default")

STORAGE = ("float64", "float32", "bfloat16", "float16")
"""Values of `Recipe.dtype` that cast model and data: names of torch's own."""
DTYPES = (*STORAGE, "bfloat16 autocast", "float16 autocast")
ROUNDINGS = ("nearest", "stochastic", "master copy")


def _setting(default: _Default, rule: Rule, control: Control | None = None) -> _Default:
    return field(default=default, metadata={"rule": rule, "control": control})


def _check_json(name: str, value: Mapping[str, Any]) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise not_allowed(name, value, "numbers, flags, texts and None only") from None


@dataclass(frozen=True)
class Recipe:
    """Every setting of one training run. Equal recipes give equal runs.

    Args:
        optimizer: the name of a class in `torch.optim`; or a class of your own, made as
            `cls(params, lr=lr, **options)`; or a function `(model, lr, **options)` that returns
            an optimizer, or a list of them, each of which clears and steps in turn.
        lr: its learning rate.
        options: its other keyword arguments, such as `{"momentum": 0.9}`.
        schedule: how `lr` changes in the run: "constant", "linear" (down to 0), "cosine" (down to
            0), "one-cycle" (up to `lr` and down), "step" (a tenth after each third), or the name
            of a class in `torch.optim.lr_scheduler`. "ReduceLROnPlateau" follows the metric on
            held-out data.
        schedule_options: the schedule's keyword arguments, such as `{"eta_min": 0.01}`. Those that
            are functions cannot be saved as JSON.
        warmup_steps: updates in which the learning rate rises in equal steps, before it is `lr` for
            the first time. With "one-cycle" they are its way up.
        schedule_per: when the scheduler is stepped: after each "update", or after each
            "micro-batch", a common mistake by which a schedule ends `accumulation_steps` times
            too soon.
        scale: factor on every gradient.
        mask: fraction of each tensor's elements whose gradient is zeroed.
        mask_kind: "first", "random", "unit" (see `Mask`), or a pattern of parameter names such
            as "*.bias" or "0.*": then the leading elements of the matching parameters only.
        l1: strength of the L1 penalty that is added to the gradient.
        l2: strength of the L2 penalty that is added to the gradient.
        max_norm: joint norm to which gradients are clipped; None does not clip.
        accumulation_steps: micro-batches whose gradients add up before one update.
        average: divide each micro-batch's loss by `accumulation_steps`, whatever its size. This
            changes the gradients alone: the loss that a history holds is the mean over samples, or
            with `reduction="sum"` the sum.
        clear: what happens to `.grad` before an update: "none" (`zero_grad()`), "zero"
            (`zero_grad(set_to_none=False)`) or "never".
        batch_size: samples per update, drawn without replacement; None takes them all, in order.
        updates: number of optimizer steps.
        stop_below: stop after the first update whose loss is below this.
        patience: stop after so many measurements of the metric on held-out data (`Problem.metric`,
            measured about 20 times in a run) without a better value; None never does. The model
            is then that of the last update, not of the best.
        dtype: the precision, on the CPU. None leaves model and data as they are. "float64",
            "float32", "bfloat16" and "float16" store every parameter and buffer so, and cast
            floating x and y to it. "bfloat16 autocast" and "float16 autocast" leave what is stored
            alone and compute forward and loss under `torch.autocast`; the latter with a
            `torch.amp.GradScaler`. See `gradwidgets.core.precision`.
        rounding: how a step is stored in parameters of bfloat16 or float16; others are not
            concerned. "nearest": the optimizer steps them. "stochastic": the step is made in
            float32, and its result is rounded up or down at random, so that it is right on
            average. "master copy": the optimizer steps a float32 copy that lasts, and each time
            its rounded values become the parameters.
        seed: fixes the start, the batches, dropout and random masks.
        groups: own settings of parts of the parameters, by a pattern of their names as for
            `mask_kind`: `{"0.*": {"lr": 0.01, "weight_decay": 0.0, "frozen_until": 50}}`. A part is
            frozen before the update `frozen_until` and from the update `frozen_from` on, by
            `freeze_by`: "requires_grad" (the default), "left out" (of the optimizer), "lr" (0) or
            "gradient" (zeroed before the step). No parameter may match two patterns; those that
            match none form the first group.
        edits: further callables on the list of parameters, made after the built-in four.

    Raises:
        ValueError: a value is not allowed; names the field, the value and what would be right.

    >>> recipe = Recipe(lr=0.5, scale=2.0)
    >>> recipe.replace(scale=1.0)
    Recipe(lr=0.5)
    >>> Recipe(mask=2)
    Traceback (most recent call last):
    ValueError: mask=2 is not allowed; give a finite number from 0 to 1
    """

    optimizer: OptimizerKind = _setting(  # noqa: RUF009, the kind is as immutable as a text
        "SGD",
        OneOptimizer(),
        Control(
            "optimizer",
            "Optimizer",
            "The torch.optim class that turns gradients into steps.",
            ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS"),
            slider=False,
        ),
    )
    lr: float = _setting(
        0.1,
        Number(0),
        Control(
            "learning rate",
            "Optimizer",
            "lr: how far a step goes.",
            logarithmic(1e-4, 10.0),
            short="lr",
        ),
    )
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    schedule: str = _setting(
        "constant",
        ScheduleName(),
        Control(
            "schedule",
            "Optimizer",
            "How the learning rate changes in the run.",
            tuple(SHAPES),
            slider=False,
        ),
    )
    schedule_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    warmup_steps: int = _setting(
        0,
        Count(0),
        Control(
            "warm-up",
            "Optimizer",
            "warmup_steps: updates in which the learning rate rises to lr.",
            (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200),
        ),
    )
    schedule_per: str = _setting(
        "update",
        OneOf(("update", "micro-batch")),
        Control(
            "schedule steps per",
            "Optimizer",
            "When the scheduler is stepped: after each update, or, by mistake, each micro-batch.",
            ("update", "micro-batch"),
            slider=False,
            short="schedule per",
        ),
    )
    scale: float = _setting(
        1.0,
        Number(),
        Control(
            "scale", "Gradient", "Multiplies every gradient.", (0.0, *logarithmic(1e-3, 100.0))
        ),
    )
    mask: float = _setting(
        0.0,
        Number(0, 1),
        Control(
            "mask",
            "Gradient",
            "Share of each tensor's gradient that is set to zero.",
            linear(0.0, 1.0, 0.05),
        ),
    )
    mask_kind: str = _setting(
        "first",
        Text('"first", "random", "unit" or a pattern of parameter names such as "*.bias"'),
        Control(
            "masked part",
            "Gradient",
            "Which elements the mask hides.",
            (*MASK_KINDS, "*bias", "*weight"),
            slider=False,
        ),
    )
    l1: float = _setting(
        0.0,
        Number(0),
        Control(
            "L1 penalty", "Penalty", "Adds l1 * sign(p) to every gradient.", STRENGTHS, short="l1"
        ),
    )
    l2: float = _setting(
        0.0,
        Number(0),
        Control("L2 penalty", "Penalty", "Adds l2 * p to every gradient.", STRENGTHS, short="l2"),
    )
    max_norm: float | None = _setting(
        None,
        Number(0, above=True, optional=True),
        Control(
            "clip at norm",
            "Gradient",
            "max_norm: the largest joint norm of the gradients.",
            (*logarithmic(1e-3, 100.0, 5), None),
            short="clip",
        ),
    )
    accumulation_steps: int = _setting(
        1,
        Count(1, 2**31 - 1),  # `Tensor.chunk` overflows near 2**63
        Control(
            "accumulation steps",
            "Accumulation",
            "Micro-batches whose gradients add up before one step.",
            (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32),
            short="accumulate",
        ),
    )
    average: bool = _setting(
        True,
        Flag(),
        Control(
            "divide the loss",
            "Accumulation",
            "Divide each micro-batch's loss by the number of accumulation steps.",
            (False, True),
        ),
    )
    clear: str = _setting(
        "none",
        OneOf(("none", "zero", "never")),
        Control(
            "clear",
            "Accumulation",
            "What zero_grad() does before an update: it sets every .grad to None, fills it with "
            "zeros, or is never called.",
            ("none", "zero", "never"),
            slider=False,
            names={"none": "to None", "zero": "to zeros"},
        ),
    )
    batch_size: int | None = _setting(
        None,
        Count(optional=True),
        Control(
            "batch size",
            "Run",
            "Samples per update.",
            (4, 8, 16, 32, 64, 128, 256, None),
            names={None: "all"},
            short="batch",
        ),
    )
    updates: int = _setting(
        200,
        Count(),
        Control(
            "updates",
            "Run",
            "Optimizer steps in one run.",
            (10, 20, 50, 100, 200, 300, 500, 1000, 2000),
        ),
    )
    stop_below: float | None = _setting(
        None,
        Number(optional=True),
        Control(
            "stop below",
            "Run",
            "End the run below this loss.",
            (None, *logarithmic(1e-4, 1.0, 5)),
            names={None: "never"},
        ),
    )
    patience: int | None = _setting(
        None,
        Count(optional=True),
        Control(
            "patience",
            "Run",
            "Stop after so many measurements on held-out data without a better value.",
            (1, 2, 3, 4, 5, 6, 8, 10, None),
            names={None: "never stop"},
        ),
    )
    dtype: str | None = _setting(
        None,
        OneOf(DTYPES, optional=True),
        Control(
            "precision",
            "Precision",
            "How parameters are stored, and what forward and backward compute in.",
            (None, *DTYPES),
            slider=False,
            names={None: "as built", "float16 autocast": "float16 autocast + GradScaler"},
        ),
    )
    rounding: str = _setting(
        "nearest",
        OneOf(ROUNDINGS),
        Control(
            "rounding",
            "Precision",
            "How a step is stored in parameters of bfloat16 or float16.",
            ROUNDINGS,
            slider=False,
        ),
    )
    seed: int = _setting(
        0,
        Count(0, 2**63 - 1),
        Control(
            "seed", "Run", "Fixes the start, the batches and every random draw.", tuple(range(21))
        ),
    )
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    edits: tuple[Edit, ...] = _setting((), Edits())

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            if "rule" in spec.metadata:
                checked = spec.metadata["rule"](spec.name, getattr(self, spec.name))
                object.__setattr__(self, spec.name, checked)
        options = checked_options(self.optimizer, self.options, self.lr)
        object.__setattr__(self, "options", options)
        groups = checked_groups(self.groups, self.optimizer, options, self.lr)
        object.__setattr__(self, "groups", groups)
        if groups and (self.dtype is not None or self.rounding != "nearest"):
            raise not_allowed("groups", groups, "none together with dtype or rounding")
        object.__setattr__(self, "schedule_options", checked_schedule_options(self))
        try_schedule(self)

    def replace(self, **changes: Any) -> Recipe:
        """This recipe with some fields changed.

        Raises:
            ValueError: a name is no field of `Recipe`, or a value is not allowed.
        """
        known = [spec.name for spec in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(f"{name!r} is no field of Recipe; the fields are {known}")
        return dataclasses.replace(self, **changes)

    def changes(self) -> dict[str, Any]:
        """The fields that differ from the defaults, in their order."""
        start = type(self)()
        return {
            spec.name: getattr(self, spec.name)
            for spec in dataclasses.fields(self)
            if getattr(self, spec.name) != getattr(start, spec.name)
        }

    def __repr__(self) -> str:
        shown = {name: repr(value) for name, value in self.changes().items()}
        if not isinstance(self.optimizer, str):
            shown["optimizer"] = name_of(self.optimizer)  # as one would write it
        return f"Recipe({', '.join(f'{name}={text}' for name, text in shown.items())})"

    def to_json(self) -> str:
        """This recipe as JSON text that `from_json` reads back to an equal recipe.

        Raises:
            ValueError: the recipe has `edits`, an optimizer of its own, or an option that JSON
                cannot hold, such as a function.
        """
        if not isinstance(self.optimizer, str):
            wish = "the name of a class in torch.optim: JSON cannot hold callables"
            raise not_allowed("optimizer", self.optimizer, wish)
        if self.edits:
            raise not_allowed("edits", self.edits, "none: JSON cannot hold callables")
        values = {spec.name: getattr(self, spec.name) for spec in dataclasses.fields(self)}
        del values["edits"]
        for name in ("options", "schedule_options"):
            _check_json(name, values[name])
        return json.dumps(values, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote. Missing fields take their defaults.

        Raises:
            ValueError: the text is no JSON object of a recipe's fields and allowed values.
        """
        try:
            values = json.loads(text)
        except (ValueError, TypeError, RecursionError) as problem:
            raise ValueError(f"not the JSON of a Recipe: {problem}") from None
        if not isinstance(values, dict) or "edits" in values:
            raise not_allowed("Recipe.from_json(text)", text, "what to_json() wrote")
        return cls().replace(**values)
