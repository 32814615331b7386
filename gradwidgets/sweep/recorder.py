"""Record what happens to every replica of a sweep: the same figures as of a single run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gradwidgets.core import SNAPSHOT_ELEMENTS, Array

BLOCK = 32
"""Updates whose rows are kept before they become norms: few, so that no slice takes long."""
BLOCK_ELEMENTS = 1_000_000
"""Elements of one kind kept before they become norms, at most (larger sweeps: shorter blocks)."""
KINDS = ("raw", "edited", "parameter", "change")


@dataclass(frozen=True)
class Figures:
    """The record of one replica: four norms (updates, parameters), and snapshots."""

    raw: Array
    edited: Array
    parameter: Array
    change: Array
    snapshots: list[Array | None]
    """(updates + 1, elements) of each parameter, or None where it is too large."""


class SweepRecorder:
    """Gradients and parameters of all replicas, update by update.

    Args:
        values: (R, elements) the parameters of each replica in a row.
        sizes: the elements of each parameter.
        updates: how many are expected, which decides what fits in memory: a parameter's history
            is kept if it has at most `SNAPSHOT_ELEMENTS` elements in all replicas together.
        edited: whether gradients are edited at all; if not, they are recorded once.
        snapshots: whether the histories of small parameters are kept.
    """

    def __init__(
        self,
        values: Tensor,
        sizes: Sequence[int],
        updates: int,
        edited: bool,
        snapshots: bool = True,
    ) -> None:
        self._now = values.detach()
        self._sizes = list(sizes)
        self._size = max(1, min(BLOCK, updates, BLOCK_ELEMENTS // max(1, values.numel())))
        self._values = self._now.new_empty((self._size + 1, *values.shape))
        self._raw = torch.empty_like(self._values)
        self._edited = torch.empty_like(self._values) if edited else self._raw
        self._values[0] = self._now
        self._filled = 0
        self._done = 0
        self._norms: dict[str, list[Tensor]] = {name: [] for name in KINDS}
        limit = SNAPSHOT_ELEMENTS // (len(values) * (updates + 1)) if snapshots else 0
        self._snapshots: list[list[Array] | None] = [
            [np.empty((updates + 1, size)) for _ in values] if size <= limit else None
            for size in self._sizes
        ]

    def raw(self, gradients: Tensor) -> None:
        """Record the gradients (R, elements) as accumulated."""
        self._raw[self._filled] = gradients

    def edited(self, gradients: Tensor) -> None:
        """Record the gradients after the edits."""
        if self._edited is not self._raw:
            self._edited[self._filled] = gradients

    def stepped(self) -> None:
        """Record the parameters after the step; the row is complete."""
        self._filled += 1
        self._values[self._filled] = self._now
        if self._filled == self._size:
            self._flush()

    def figures(self, rows: Sequence[int]) -> list[Figures]:
        """The record of each replica in the first `rows` of its updates."""
        self._flush()
        self._keep(self._now.unsqueeze(0))
        empty = self._now.new_empty((0, len(rows), len(self._sizes)), dtype=torch.float64)
        norms = {name: torch.cat([empty, *parts]).numpy() for name, parts in self._norms.items()}
        return [
            Figures(
                **{name: values[:n, replica].copy() for name, values in norms.items()},
                snapshots=[
                    None if kept is None else _first(n + 1, kept[replica])
                    for kept in self._snapshots
                ],
            )
            for replica, n in enumerate(rows)
        ]

    def _flush(self) -> None:
        count, self._filled = self._filled, 0
        if not count:
            return
        values, after = self._values[:count], self._values[1 : count + 1]
        blocks = (self._raw[:count], self._edited[:count], values, after - values)
        for name, block in zip(KINDS, blocks, strict=True):
            self._norms[name].append(self._norms_of(block))
        self._keep(values)
        self._done += count
        self._values[0] = self._now

    def _keep(self, values: Tensor) -> None:
        """Write values (rows, R, elements) into the history of each small parameter."""
        where = slice(self._done, self._done + len(values))
        for part, kept in zip(self._parts(values), self._snapshots, strict=True):
            if kept is not None:
                rows = part.cpu().numpy()
                for replica, history in enumerate(kept):
                    history[where] = rows[:, replica]

    def _norms_of(self, block: Tensor) -> Tensor:
        parts = self._parts(block)
        norms = [torch.linalg.vector_norm(part, dim=2, dtype=torch.float64) for part in parts]
        return torch.stack(norms, dim=2).cpu()

    def _parts(self, block: Tensor) -> tuple[Tensor, ...]:
        return torch.split(block, self._sizes, dim=2)


def _first(count: int, rows: Array) -> Array:
    """The first rows, in memory of their own unless they are all."""
    return rows if len(rows) == count else rows[:count].copy()
