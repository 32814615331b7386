"""Record what happens to gradients and parameters, without slowing the loop it watches.

Rows are kept as they arrive, gradients by reference where nothing writes to them again, and
are turned into norms a block at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

BLOCK = 256
"""Updates whose rows are kept before they become norms, at most."""
BLOCK_ELEMENTS = 2_000_000
"""Elements of one kind kept before they become norms, at most (larger models: shorter blocks)."""
SNAPSHOT_ELEMENTS = 2_000_000
"""A parameter's whole history is kept if it has at most this many elements over all updates."""

View = Tensor | np.ndarray[Any, Any]
Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass
class Norms:
    """Norms of each parameter, blocks of shape (updates, parameters), float64."""

    raw: list[Tensor] = field(default_factory=list)
    edited: list[Tensor] = field(default_factory=list)
    parameter: list[Tensor] = field(default_factory=list)
    change: list[Tensor] = field(default_factory=list)


class Copies:
    """Room for the values of some tensors at successive updates: one row each."""

    def __init__(self, like: Sequence[Tensor], count: int) -> None:
        self.blocks = [t.new_empty((count, *t.shape)) for t in like]
        self._views: list[Any] = [_view(block) for block in self.blocks]
        self.filled = 0

    def write(self, values: Sequence[View | None]) -> None:
        """Copy `values` into the next row; a missing one leaves NaN."""
        row = self.filled
        for view, value in zip(self._views, values, strict=True):
            view[row] = torch.nan if value is None else value
        self.filled += 1

    def take_norms(self) -> Tensor:
        """2-norms of the rows, shape (rows, tensors); the rows are free again."""
        count, self.filled = self.filled, 0
        return _norms(block[:count] for block in self.blocks)


class References:
    """Like `Copies`, for tensors that nothing writes to again: keeps references, not copies."""

    def __init__(self, like: Sequence[Tensor]) -> None:
        self._like = like
        self._rows: list[Sequence[Tensor | None]] = []

    def write(self, tensors: Sequence[Tensor | None]) -> None:
        """Keep `tensors` as the next row; a missing one counts as NaN."""
        self._rows.append(tensors)

    def take_norms(self) -> Tensor:
        """2-norms of the rows, shape (rows, tensors); the rows are released."""
        rows, self._rows = self._rows, []
        columns = zip(*rows, strict=True)
        return _norms(
            torch.stack([_dense(tensor, like) for tensor in column])
            for column, like in zip(columns, self._like, strict=True)
        )


def as_numbers(tensor: Tensor) -> Tensor:
    """A tensor as dense real numbers: real and imaginary parts have a last dimension of 2.

    >>> as_numbers(torch.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    dense = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    return torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense


def _view(tensor: Tensor) -> View:
    """The form that is quickest to copy: a numpy view of CPU memory, or the tensor itself."""
    in_numpy = tensor.dtype in (torch.float32, torch.float64) and tensor.device.type == "cpu"
    return tensor.numpy() if in_numpy else tensor


def _dense(tensor: Tensor | None, like: Tensor) -> Tensor:
    return torch.full_like(like, torch.nan) if tensor is None else as_numbers(tensor)


def _norms(blocks: Iterable[Tensor]) -> Tensor:
    flat = [block.unsqueeze(-1).flatten(1) for block in blocks]
    norms = [torch.linalg.vector_norm(block, dim=1, dtype=torch.float64).cpu() for block in flat]
    return torch.stack(norms, dim=1)


def _changes(rows: Tensor) -> Tensor:
    """The differences of successive rows; those of 16-bit numbers are exact in float32."""
    wide = rows.float() if rows.element_size() == 2 else rows
    return wide[1:] - wide[:-1]


class Recorder:
    """Writes down gradients before and after the edits, and parameters around the step.

    Args:
        parameters: the model's parameters, in order.
        updates: how many updates are expected, which decides what fits in memory.
        edited: whether gradients are edited at all; if not, they are recorded once.
        fresh: every update's gradients are new tensors, and nothing but an edit changes them.
        replaced: a step may put another tensor into `p.data`.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        updates: int,
        edited: bool,
        fresh: bool,
        replaced: bool = False,
    ) -> None:
        self._live = list(parameters)
        self._replaced = replaced
        self._look()
        elements = max(1, sum(p.numel() for p in self.parameters))
        self._size = max(1, min(BLOCK, updates, BLOCK_ELEMENTS // elements))
        self._edited = self._gradients(fresh) if edited else None
        self._raw = self._gradients(fresh and not edited)
        self._values = Copies(self.parameters, self._size + 1)
        kept = [p.numel() * (updates + 1) <= SNAPSHOT_ELEMENTS for p in self.parameters]
        # Room for all at once: small tensors made one by one, between large ones that are freed,
        # would keep the allocator from using that memory again.
        self._snapshots = [
            p.new_empty((updates + 1, *p.shape), device="cpu") if small else None
            for p, small in zip(self.parameters, kept, strict=True)
        ]
        self._taken = 0
        self._norms = Norms()
        self._values.write(self._views)

    def _look(self) -> None:
        self.parameters = [as_numbers(p) for p in self._live]
        self._views = [_view(p) for p in self.parameters]

    def _gradients(self, by_reference: bool) -> Copies | References:
        like = self.parameters
        return References(like) if by_reference else Copies(like, self._size)

    def raw(self) -> None:
        """Record the gradients as accumulated."""
        self._write(self._raw)

    def edited(self) -> None:
        """Record the gradients after the edits."""
        if self._edited:
            self._write(self._edited)

    def _write(self, rows: Copies | References) -> None:
        gradients = [p.grad for p in self._live]
        if isinstance(rows, References):
            rows.write(gradients)
        else:
            rows.write([None if g is None else _view(as_numbers(g)) for g in gradients])

    def stepped(self) -> None:
        """Record the parameters after the step; the row is complete."""
        if self._replaced:
            self._look()
        self._values.write(self._views)
        if self._values.filled > self._size:
            self.flush()

    def flush(self) -> None:
        """Turn the rows into norms and snapshots."""
        count = self._values.filled - 1
        if not count:
            return
        raw = self._raw.take_norms()[:count]  # a step that failed left a row without its parameters
        blocks = self._values.blocks
        self._norms.raw.append(raw)
        self._norms.edited.append(self._edited.take_norms()[:count] if self._edited else raw)
        self._norms.parameter.append(_norms(block[:count] for block in blocks))
        self._norms.change.append(_norms(_changes(block[: count + 1]) for block in blocks))
        taken, self._taken = self._taken, self._taken + count
        for snapshots, block in zip(self._snapshots, blocks, strict=True):
            if snapshots is not None:
                snapshots[taken : self._taken] = block[:count]
            block[0] = block[count]
        self._values.filled = 1

    def norms(self) -> dict[str, Array]:
        """Norms so far, each (updates, parameters): raw, edited, parameter and change."""
        self.flush()
        width = len(self.parameters)
        return {
            kind: torch.cat([torch.empty(0, width, dtype=torch.float64), *blocks]).numpy()
            for kind, blocks in vars(self._norms).items()
        }

    def snapshots(self) -> list[Array | None]:
        """Each parameter's values so far, (updates + 1, *shape), or None where it is too large."""
        self.flush()
        return [
            None
            if before is None
            else torch.cat([before[: self._taken], now.unsqueeze(0).cpu()]).double().numpy()
            for before, now in zip(self._snapshots, self.parameters, strict=True)
        ]
