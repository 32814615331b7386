"""`History`: what happened at every update of a run, as plain numpy arrays."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from gradwidgets.core.parameter_groups import Group, frozen_sentences, groups_of, rates_of
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.recorder import Array
from gradwidgets.core.schedules import has_schedule
from gradwidgets.core.verdict import early_stop, sentence

Stop = tuple[int, str]
"""An update, and why the run stopped there."""
PER_UPDATE = ("loss", "grad_norm", "edited_norm", "param_norm", "update_ratio")


@dataclass(frozen=True, eq=False)
class History:
    """A run, update by update: arrays with one row per update that was completed.

    A gradient that was None at an update counts as nothing in `grad_norm`, and is NaN in
    `grad_norms`. All arrays are float64.

    Args:
        problem: the problem's name.
        recipe: the settings of the run.
        names: the model's parameters, (P,).
        loss: (updates,) mean over the update's samples, before the update.
        grad_norms: (updates, P) norm of each gradient as accumulated.
        edited_norms: (updates, P) norm of each gradient after the edits.
        param_norms: (updates, P) norm of each parameter before the update.
        change_norms: (updates, P) norm of each parameter's change.
        parameters: values of small parameters by name, `(updates + 1, *shape)`: the start first;
            complex ones as real and imaginary parts, `(updates + 1, *shape, 2)`.
        held_out: (m, 2) rows of (updates done, the metric on the held-out data).
        stopped: None, or (update, why): "threshold", "patience", "diverged", "cancelled" or
            "failed". A run that diverged at update n has n rows: its loss, or a parameter, was
            no longer finite there.
        seconds: how long the training took.
        make_model: returns the trained model; None if there is none.
        metric: its name, such as "accuracy"; "" if nothing was measured.
        lost: (updates,) share of the elements whose step was lost to rounding: of those that the
            optimizer's step, made in float64 from the same numbers and the same state, would have
            moved, the share whose stored value stayed as it was; 0 where none would have moved.
            With a master copy its values are meant. With stochastic rounding this is chance, and
            made up for by elements that go too far. It is measured where `Recipe.dtype` is set
            or a parameter is bfloat16 or float16; (0,) elsewhere, with "float64", and with
            LBFGS.
        skipped: the updates whose step a `GradScaler` skipped, for a gradient was not finite: the
            parameters stayed as they were. `grad_norm` and `edited_norm` are infinite there.
        lrs: (updates, G) the learning rate of each parameter group in each update's step; NaN where
            the optimizer had fewer groups.

    >>> from gradwidgets import train
    >>> history = train("line", Recipe(updates=50))
    >>> history.loss.shape, history.grad_norms.shape, history.names
    ((50,), (50, 2), ('weight', 'bias'))
    >>> history.summary()
    'Still improving after 50 updates: the loss was ...
    """

    problem: str
    recipe: Recipe
    names: tuple[str, ...]
    loss: Array
    grad_norms: Array
    edited_norms: Array
    param_norms: Array
    change_norms: Array
    parameters: dict[str, Array]
    held_out: Array
    stopped: Stop | None
    seconds: float
    make_model: Callable[[], nn.Module] | None = None
    metric: str = ""
    lost: Array = field(default_factory=lambda: np.empty(0))
    skipped: tuple[int, ...] = ()
    lrs: Array = field(default_factory=lambda: np.empty((0, 1)))

    @cached_property
    def model(self) -> nn.Module | None:
        """The trained model, or None."""
        return self.make_model() if self.make_model else None

    @property
    def accuracy(self) -> Array:
        """(m, 2) the rows of `held_out` where the metric is accuracy, else (0, 2)."""
        return self.held_out if self.metric == "accuracy" else np.empty((0, 2))

    @property
    def updates(self) -> int:
        """The number of completed updates."""
        return len(self.loss)

    @property
    def ended(self) -> bool:
        """True if the run had ended, for whatever reason, when this history was taken."""
        return self.stopped is not None or self.updates >= self.recipe.updates

    @property
    def diverged(self) -> bool:
        """True if the run ended because its loss, or a parameter, was no longer finite."""
        return self.stopped is not None and self.stopped[1] == "diverged"

    @property
    def lr(self) -> Array:
        """(updates,) the learning rate of the first parameter group in each update's step."""
        return self.lrs[:, 0]

    @cached_property
    def group_lrs(self) -> dict[str, Array]:
        """(updates,) learning rates of each parameter group, by its name.

        The name is the pattern in `Recipe.groups`, or "the rest". Where an optimizer builds groups
        of its own it is "group 0", "group 1" and so on. A group that is left out has NaN.

        >>> from gradwidgets import train
        >>> history = train("moons", Recipe(lr=0.1, groups={"*bias": {"lr": 0.2}}, updates=3))
        >>> {name: lr.tolist() for name, lr in history.group_lrs.items()}
        {'the rest': [0.1, 0.1, 0.1], '*bias': [0.2, 0.2, 0.2]}
        """
        if not self.recipe.groups:
            return {f"group {n}": column for n, column in enumerate(self.lrs.T)}
        groups = self._groups()
        grouped = {name for group in groups for name in group.names}
        return rates_of(groups, not grouped.issuperset(self.names), self.lrs)

    @property
    def grad_norm(self) -> Array:
        """(updates,) joint norm of the gradients as accumulated."""
        return self._with_overflow(_joint(self.grad_norms))

    @property
    def edited_norm(self) -> Array:
        """(updates,) joint norm of the gradients after the edits."""
        return self._with_overflow(_joint(self.edited_norms))

    def _with_overflow(self, norms: Array) -> Array:
        """The norms; infinite where a scaler skipped a step, for NaN would count as no gradient."""
        norms[list(self.skipped)] = np.inf
        return norms

    @property
    def param_norm(self) -> Array:
        """(updates,) joint norm of the parameters before the update."""
        return _joint(self.param_norms)

    @property
    def update_ratio(self) -> Array:
        """(updates,) norm of the change / norm of the parameters; 0 where nothing moved."""
        return _ratio(_joint(self.change_norms), self.param_norm)

    @property
    def update_ratios(self) -> Array:
        """(updates, P) the same for each parameter; infinite where one leaves zero."""
        return _ratio(self.change_norms, self.param_norms)

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        arrays = [value for value in vars(self).values() if isinstance(value, np.ndarray)]
        return sum(array.nbytes for array in [*arrays, *self.parameters.values()])

    def summary(self) -> str:
        """One sentence to read aloud: the verdict (see `verdict`) and the figures behind it."""
        patience, planned = self.recipe.patience, self.recipe.updates
        if patience and self.stopped and self.stopped[1] == "patience":
            said = early_stop(self.held_out, self.metric, patience, self.loss, planned)
        else:
            said = sentence(self.loss, self.stopped, planned, self.grad_norm)
        if self.recipe.groups:
            said = " ".join([said, *self._frozen()])
        if count := len(self.skipped):
            steps = f"{count} step{'s' * (count > 1)}"
            said += f" GradScaler skipped {steps}: a gradient was not finite."
        return said

    def _frozen(self) -> list[str]:
        """A sentence on each group that was frozen."""
        norms = self.edited_norms.T, self.change_norms.T
        by_name = (dict(zip(self.names, each, strict=True)) for each in norms)
        return frozen_sentences(self._groups(), *by_name)

    def _groups(self) -> list[Group]:
        return groups_of(self.recipe.groups, self.recipe.lr, self.names, self.recipe.updates)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the model as plain lists, numbers and texts, ready for strict JSON.

        A number that is not finite is the text "nan", "inf" or "-inf", which `float` reads.
        """
        names = (spec.name for spec in fields(self) if spec.name != "make_model")
        values = {name: getattr(self, name) for name in names}
        values["recipe"] = repr(self.recipe)
        values["names"] = list(self.names)
        values["stopped"] = list(self.stopped) if self.stopped else None
        values["skipped"] = list(self.skipped)
        values["parameters"] = {n: _plain(array) for n, array in self.parameters.items()}
        values |= {name: getattr(self, name) for name in PER_UPDATE}
        return {name: _plain(value) for name, value in values.items()}

    def to_csv(self, path: str | Path | None = None) -> str:
        """One line per update: its number, loss and norms; written to `path` if there is one.

        With a schedule there is a column for the learning rate, "lr"; with several parameter groups
        there is one for each, such as `lr of *bias`, even without a schedule.
        With held-out data a last column is the metric after that update, empty where it was not
        measured: "held_out_accuracy", say. What was measured before the first update is not in it.
        Where `lost` was measured it is the very last.

        >>> from gradwidgets import train
        >>> train("digits", Recipe(updates=1)).to_csv().splitlines()[0]
        'update,loss,grad_norm,edited_norm,param_norm,update_ratio,held_out_accuracy'
        """
        columns = [range(self.updates), *(getattr(self, n).tolist() for n in PER_UPDATE)]
        header = ["update", *PER_UPDATE]
        if len(rates := self.group_lrs) > 1:
            columns += [lrs.tolist() for lrs in rates.values()]
            header += [f"lr of {name}" for name in rates]
        elif has_schedule(self.recipe):
            columns.append(self.lr.tolist())
            header.append("lr")
        if len(self.held_out):
            after = {int(count) - 1: value for count, value in self.held_out.tolist()}
            columns.append([after.get(update, "") for update in range(self.updates)])
            header.append(f"held_out_{self.metric}")
        if len(self.lost):
            columns.append(self.lost.tolist())
            header.append("lost")
        table = io.StringIO()
        rows = zip(*columns, strict=True)
        csv.writer(table, lineterminator="\n").writerows([header, *rows])
        if path is not None:
            Path(path).write_text(table.getvalue(), encoding="utf-8")
        return table.getvalue()


def end_of(stopped: Stop | None, change_norms: Array) -> Stop | None:
    """The end of a run as its history tells it.

    A last step that left no numbers has diverged, though no loss came after it to tell.

    >>> end_of(None, np.array([[0.1], [np.inf]]))
    (2, 'diverged')
    """
    failed = stopped is not None and stopped[1] == "failed"
    if failed or np.isfinite(change_norms[-1:]).all():
        return stopped
    return len(change_norms), "diverged"


def _plain(value: Any) -> Any:
    """Arrays as lists; numbers that JSON does not know as texts."""
    if isinstance(value, np.ndarray):
        listed = value.tolist()
        return listed if np.isfinite(value).all() else _plain(listed)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _joint(norms: Array) -> Array:
    """The norm of all parameters together, from the norm of each."""
    squares = np.where(np.isnan(norms), 0.0, norms) if norms.size else norms
    with np.errstate(over="ignore"):
        joint: Array = np.linalg.norm(squares, axis=1)
    return joint


def _ratio(change: Array, size: Array) -> Array:
    out = np.where(change > 0, np.inf, 0.0)
    with np.errstate(invalid="ignore"):  # infinite by infinite, where a run diverges
        np.divide(change, size, out=out, where=size > 0)
    return out
