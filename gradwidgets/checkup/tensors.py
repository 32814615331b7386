"""Norms of tensors, and copies of a few elements, without changing the tensors.

A copy of every parameter would be the largest cost of a watch, in time and in memory. Norms of
changes are estimated from evenly spaced elements instead: exactly for up to `SAMPLED` elements,
within about two per cent beyond, which is enough: thresholds are orders of magnitude apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gradwidgets.checkup.thresholds import ROUNDING, SAME, SAMPLED, SKETCHED

HALVES = (torch.float16, torch.bfloat16)


def local(tensor: Tensor) -> Tensor:
    """The tensor itself; of a DTensor, which is spread over processes, the part of this one.

    Anything computed from the whole would be waited for by all processes.
    """
    if type(tensor) in (Tensor, nn.Parameter):
        return tensor
    part = getattr(tensor, "_local_tensor", None)
    return part if isinstance(part, Tensor) else tensor


def norms(tensors: Sequence[Tensor]) -> list[float]:
    """Euclidean norms, with one transfer for each device and dtype."""
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = defaultdict(list)
    for position, tensor in enumerate(tensors):
        groups[tensor.device, tensor.dtype].append(position)
    result = [0.0] * len(tensors)
    for (device, dtype), positions in groups.items():
        if device.type == "meta":
            continue  # without storage there is nothing to measure
        # Half precision overflows when squared, so its norm is taken in float32.
        wide = torch.float32 if dtype in HALVES else None
        stored = [_values(tensors[position]) for position in positions]
        found = torch.stack(torch._foreach_norm(stored, 2, wide)).tolist()
        if len(groups) == 1:
            return found
        for position, value in zip(positions, found, strict=True):
            result[position] = value
    return result


def _values(tensor: Tensor) -> Tensor:
    """The stored numbers of a dense or sparse tensor, without a graph."""
    tensor = local(tensor)
    if tensor.requires_grad:
        tensor = tensor.detach()
    return tensor.coalesce().values() if tensor.is_sparse else tensor


def sketch(tensor: Tensor) -> Tensor | None:
    """A tensor that tells later, without synchronising, if all elements of another are finite.

    Its elements if they are few, otherwise their sum; None for anything but a dense, non-empty
    tensor of floating-point numbers.
    """
    if tensor.layout != torch.strided or not tensor.is_floating_point():
        return None
    values = local(tensor).detach()
    size = values.numel()
    if size <= SKETCHED:
        return values if size else None
    return values.sum(dtype=torch.float32 if values.dtype in HALVES else None)


def all_finite(sketches: Sequence[Tensor | None]) -> bool:
    """True unless one of the tensors that were sketched holds NaN or infinity."""
    return all(map(math.isfinite, norms([one for one in sketches if one is not None])))


def address(tensor: Tensor) -> int | None:
    """The memory address of a dense tensor; None for a sparse one, which has several."""
    tensor = local(tensor)
    return tensor.data_ptr() if tensor.layout == torch.strided else None


class Sample:
    """Evenly spaced elements of a tensor, or the rows touched by its row-sparse gradient.

    Args:
        tensor: The tensor to remember.
        gradient: Its gradient, if a step is about to read it.
        most: About how many elements are kept.
    """

    def __init__(self, tensor: Tensor, gradient: Tensor | None = None, most: int = SAMPLED):
        self._tensor = tensor = local(tensor)
        gradient = None if gradient is None else local(gradient)
        self._rows: Tensor | None = None
        if gradient is not None and gradient.is_sparse and gradient.sparse_dim() == 1:
            self._rows = gradient.detach().coalesce().indices()[0]
        self._stride = _stride(tensor, most)
        self.before = self._of(tensor).clone()

    def _of(self, tensor: Tensor) -> Tensor:
        tensor = local(tensor).detach()
        if self._rows is not None:
            return tensor[self._rows]
        flat = tensor.reshape(-1)
        return flat if self._stride == 1 else flat[:: self._stride]

    def of(self, gradient: Tensor) -> Tensor | None:
        """The same elements of a dense gradient; None for another."""
        dense = self._rows is None and gradient.layout == torch.strided
        return self._of(gradient) if dense else None

    @property
    def scale(self) -> float:
        """Estimated norm of the whole over that of the sample; untouched rows do not move."""
        if self._rows is not None or not self.before.numel():
            return 1.0
        return math.sqrt(self._tensor.numel() / self.before.numel())

    def now(self) -> Tensor:
        """The same elements at this moment."""
        return self._of(self._tensor)

    def has_moved(self) -> bool:
        """True if any of them has changed."""
        return not self.before.is_meta and not torch.equal(self.before, self.now())

    def pushed(self, gradient: Tensor) -> Tensor:
        """For each sampled element, True if its gradient is not zero."""
        if self._rows is not None:
            return torch.ones_like(self.before, dtype=torch.bool)
        return self._of(gradient) != 0


@torch.no_grad()
def nonzero(tensor: Tensor) -> Tensor | None:
    """Tell the sampled elements of a dense gradient that are not zero; None without one.

    A hook may have masked it before it could be seen. Zeros that are whole rows or columns come by
    themselves (units that are off, words that do not occur); others are taken for a mask.
    """
    gradient = None if tensor.grad is None else local(tensor.grad)
    if gradient is None or gradient.layout != torch.strided or gradient.is_meta:
        return None
    found = gradient != 0 if tensor._backward_hooks else None
    if found is not None and gradient.dim() > 1:
        flat = found.flatten(1)
        gradient = flat | (flat.any(1, keepdim=True) & flat.any(0, keepdim=True))
    return gradient.reshape(-1)[:: _stride(local(tensor), SAMPLED)] != 0


@torch.no_grad()
def has_equal_rows(tensor: Tensor | None) -> bool:
    """True for a matrix or a kernel of several rows that are the same, and not all zero.

    Two rows hardly ever are, so mostly no more than these are read.
    """
    tensor = None if tensor is None else local(tensor).detach()
    if tensor is None or tensor.layout != torch.strided or tensor.is_meta or tensor.is_complex():
        return False
    if tensor.dim() < 2 or len(tensor) < 2 or not tensor[0].numel():
        return False
    return _are_same(tensor[:2]) and _are_same(tensor) and bool(tensor.any())


def _are_same(rows: Tensor) -> bool:
    size = float(rows.abs().max())
    return math.isfinite(size) and float((rows - rows[:1]).abs().max()) <= SAME * size


def _stride(tensor: Tensor, most: int) -> int:
    """Distance between sampled elements, coprime to the width so that all columns are sampled."""
    stride = tensor.numel() // most
    if stride <= 1:
        return 1
    width = tensor.shape[-1] if tensor.dim() else 1
    while math.gcd(stride, width) > 1:
        stride += 1
    return stride


def changes(samples: list[Sample]) -> list[float]:
    """Norms of each tensor's change since its sample was taken.

    The samples are overwritten by the differences.
    """
    for sample in samples:
        sample.before.sub_(sample.now())
    found = norms([sample.before for sample in samples])
    return [sample.scale * norm for sample, norm in zip(samples, found, strict=True)]


def elements(tensor: Tensor, most: int) -> Tensor | None:
    """A copy of evenly spaced elements; None for a sparse tensor."""
    tensor = local(tensor)
    if tensor.layout != torch.strided:
        return None
    kept = Sample(tensor, most=most).before
    return torch.view_as_real(kept).double() if kept.is_complex() else kept.double()


def adds_something(before: Tensor, after: Tensor | None) -> bool:
    """True if a tensor was changed other than by scaling, clipping or masking.

    Those flip no sign and, apart from one common factor, enlarge no element.
    """
    if after is None or before.shape != after.shape:
        return True
    factor = max(1.0, float(after.norm() / before.norm())) if before.any() else 1.0
    enlarged = after.abs() > factor * (1 + ROUNDING) * before.abs()
    return bool((enlarged | (after * before < 0)).any())
