"""What a ledger holds: plain arrays for each parameter, and figures drawn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.core import EDITS, Array

STAGES = ("accumulated", *(entry.stage for entry in EDITS), "edited")
"""The stages of a gradient, in their order; the optimizer reads the last."""
Values = Array
Gradients = list[Values | None]
NONE: Array = np.empty(0)


@dataclass(frozen=True, eq=False)
class Row:
    """What happened to one parameter in one update. All arrays are float64, of its shape.

    Args:
        name: the parameter's name.
        carried: what `.grad` held after clearing; None as `.grad` was.
        raw: what each micro-batch's `backward()` added to `.grad`; None where it added nothing.
            With `average` it is already divided by the number of micro-batches, as its loss is.
        stages: `.grad` after each stage that there was; see `gradient` for all of `STAGES`.
        before: the parameter before the update.
        after: the parameter after it.
        state_before: what the optimizer kept of it before, by its own names.
        state: the same after. LBFGS keeps everything with the first parameter.
        lr: the learning rate of its group after the update.
    """

    name: str
    carried: Values | None
    raw: tuple[Values | None, ...]
    stages: Mapping[str, Values | None]
    before: Values = field(default_factory=lambda: NONE)
    after: Values = field(default_factory=lambda: NONE)
    state_before: Mapping[str, Values] = field(default_factory=dict)
    state: Mapping[str, Values] = field(default_factory=dict)
    lr: float = float("nan")

    def gradient(self, stage: str = "edited") -> Values | None:
        """`.grad` after a stage of `STAGES`; one without an edit leaves it as it was.

        Raises:
            ValueError: there is no such stage.
        """
        passed = STAGES[: STAGES.index(stage) + 1]
        return next(self.stages[name] for name in reversed(passed) if name in self.stages)

    @property
    def read(self) -> Values | None:
        """The gradient as the optimizer read it; None if it left the parameter alone."""
        return self.gradient()

    @property
    def change(self) -> Values:
        """After minus before."""
        return self.after - self.before

    @property
    def step(self) -> Values:
        """The change as a gradient: what plain SGD with this `lr` would have had to read."""
        return -self.change / self.lr if self.lr else np.full_like(self.change, np.nan)

    @property
    def norms(self) -> dict[str, float]:
        """2-norm of each column, "carried" and `STAGES` to "step" and "change"; NaN for None."""
        columns = {"carried": self.carried} | {stage: self.gradient(stage) for stage in STAGES}
        columns |= {"step": self.step, "change": self.change}
        return {name: _norm(values) for name, values in columns.items()}

    @property
    def raw_norms(self) -> tuple[float, ...]:
        """2-norm of what each micro-batch added."""
        return tuple(_norm(values) for values in self.raw)

    @property
    def moved_without_gradient(self) -> float:
        """Share of the elements that moved though the optimizer read a gradient of zero."""
        moved = self.change != 0
        zero = np.ones_like(moved) if self.read is None else self.read == 0
        return float((moved & zero).mean()) if moved.size else 0.0

    @property
    def angle(self) -> float:
        """Degrees between the gradient read and the change: 180 is straight downhill.

        NaN if either is zero or there is no gradient.
        """
        return _angle(self.read, self.change)


@dataclass(frozen=True, eq=False)
class Ledger:
    """One update, parameter by parameter.

    Args:
        update: its number, from 0.
        loss: the mean over its samples, before the update.
        active: the stages at which the recipe edits.
        rows: one per parameter, in the model's order.
    """

    update: int
    loss: float
    active: tuple[str, ...]
    rows: tuple[Row, ...]

    def __getitem__(self, name: str) -> Row:
        """The row of the parameter of that name.

        Raises:
            KeyError: there is none.
        """
        return {row.name: row for row in self.rows}[name]

    @property
    def norms(self) -> dict[str, float]:
        """Joint 2-norm of each column over all parameters; a None counts as nothing."""
        columns = [row.norms for row in self.rows]
        return {
            name: float(np.sqrt(np.nansum([norms[name] ** 2 for norms in columns])))
            for name in columns[0]
        }

    @property
    def angle(self) -> float:
        """Degrees between all gradients together, as read, and the change of all parameters."""
        pairs = [
            (row.read.ravel(), row.change.ravel()) for row in self.rows if row.read is not None
        ]
        if not pairs:
            return float("nan")
        read, change = (np.concatenate(column) for column in zip(*pairs, strict=True))
        return _angle(read, change)

    @property
    def moved_without_gradient(self) -> float:
        """Share of all elements that moved though the optimizer read a gradient of zero."""
        shares = [row.moved_without_gradient * row.change.size for row in self.rows]
        return sum(shares) / max(1, sum(row.change.size for row in self.rows))

    def difference(self, other: Ledger) -> float:
        """Relative L2 difference of the changes from those of another ledger, the reference."""
        pairs = [(self[row.name].change, row.change) for row in other.rows]
        apart = np.sqrt(sum(float(((one - two) ** 2).sum()) for one, two in pairs))
        return relative(apart, other.norms["change"])


def relative(apart: float, reference: float) -> float:
    """A distance as a share of a reference; 0 if both are 0, infinite if only the latter is."""
    if reference == 0:
        return 0.0 if apart == 0 else float("inf")
    return float(apart / reference)


def copied(tensor: Tensor) -> Values:
    """A tensor as a float64 array of its own."""
    dense = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    values: Values = dense.double().cpu().numpy().copy()
    return values


def state_of(optimizer: Optimizer, parameter: nn.Parameter) -> dict[str, Values]:
    """The numbers and tensors that an optimizer keeps of a parameter."""
    kept = optimizer.state.get(parameter, {})
    return {
        str(name): copied(value) if isinstance(value, Tensor) else np.array(float(value))
        for name, value in kept.items()
        if isinstance(value, (Tensor, int, float))
    }


def _norm(values: Values | None) -> float:
    return float("nan") if values is None else float(np.linalg.norm(values))


def _angle(one: Values | None, other: Values) -> float:
    if one is None:
        return float("nan")
    lengths = _norm(one) * _norm(other)
    if not lengths > 0:
        return float("nan")
    cosine = float((one * other).sum()) / lengths
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
