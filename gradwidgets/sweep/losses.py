"""The losses that are known to give a replica the bits of a run of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F  # noqa: N812

from gradwidgets.core import problems
from gradwidgets.sweep.exact import ELEMENTS_OF_FUNCTIONS, NotExactError, exactly

VECTOR = 16
"""Numbers in a processor's longest vectors."""


class Losses(NamedTuple):
    """The losses of all replicas on one micro-batch.

    Args:
        each: (R, samples) with a gradient.
        weight: (R, samples) what of each goes into the replica's gradient.
        value: (R,) each replica's mean.
    """

    each: Tensor
    weight: Tensor
    value: Tensor


KnownLoss = Callable[[Tensor, Tensor, int], Losses]
"""Takes the outputs (R, N, ...), the targets (R, N, ...) and what the mean is divided by."""


class _Squares(Function):
    """Squared differences; backward multiplies as `mse_loss` does: (2 / N * difference) * g."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, target: Tensor) -> Tensor:
        difference = output - target
        ctx.save_for_backward(difference)
        return difference * difference

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return difference * (2.0 / difference[0].numel()) * gradient, None


def squared(output: Tensor, target: Tensor, share: int) -> Losses:
    """`F.mse_loss`."""
    if output.shape != target.shape:
        raise NotExactError("mse_loss would broadcast")
    squares: Tensor = _Squares.apply(output, target)  # type: ignore[no-untyped-call]
    each = squares.flatten(1)
    value = exactly("mean", lambda e: e.mean(1), lambda e: e.mean(), each.detach())
    return Losses(each, torch.full_like(each, 1.0 / share), value)


class _LogSoftmax(Function):
    """`F.log_softmax` of (R, N, classes) over the classes."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        def alone(rows: Tensor) -> Tensor:
            return F.log_softmax(rows, 1)

        def together(rows: Tensor) -> Tensor:
            return alone(rows.flatten(0, 1)).view(rows.shape)

        def in_columns(rows: Tensor) -> Tensor:
            return _of_columns(F.log_softmax(_in_columns(rows), 0), rows)

        ways = in_columns, together
        out = exactly("log_softmax", ways, alone, scores, elements=ELEMENTS_OF_FUNCTIONS)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        back = torch.ops.aten._log_softmax_backward_data

        def alone(gradient: Tensor, out: Tensor) -> Tensor:
            return back(gradient, out, 1, out.dtype)  # type: ignore[no-any-return]

        def together(gradient: Tensor, out: Tensor) -> Tensor:
            return alone(gradient.flatten(0, 1), out.flatten(0, 1)).view(out.shape)

        def in_columns(gradient: Tensor, out: Tensor) -> Tensor:
            found = back(_in_columns(gradient), _in_columns(out), 0, out.dtype)
            return _of_columns(found, out)

        name, ways = "log_softmax backward", (in_columns, together)
        return exactly(name, ways, alone, gradient, out, elements=ELEMENTS_OF_FUNCTIONS)


def _in_columns(rows: Tensor) -> Tensor:
    """(R, N, classes) as (classes, R * N and a rest), contiguous: over few classes much quicker.

    There is a rest of zeros because a vector that is not full is computed in another way.
    """
    count = rows.shape[0] * rows.shape[1]
    columns = rows.new_zeros(rows.shape[2], -(-count // VECTOR) * VECTOR)
    columns[:, :count] = rows.reshape(count, -1).t()
    return columns


def _of_columns(columns: Tensor, like: Tensor) -> Tensor:
    count = like.shape[0] * like.shape[1]
    return columns[:, :count].t().contiguous().view(like.shape)


def cross_entropy(output: Tensor, target: Tensor, share: int) -> Losses:
    """`F.cross_entropy` of (R, N, classes) and (R, N) classes."""
    if output.ndim != 3 or target.shape != output.shape[:2] or target.dtype != torch.long:
        raise NotExactError("cross_entropy of other shapes than (N, classes) and (N,)")
    flat = target.reshape(-1)
    logarithms: Tensor = _LogSoftmax.apply(output)  # type: ignore[no-untyped-call]
    each = F.nll_loss(logarithms.flatten(0, 1), flat, reduction="none")
    each = each.view(target.shape)
    if bool((target < 0).any()):
        raise NotExactError("cross_entropy of targets that are left out")
    value = exactly("nll", _nll_together, _nll_alone, each.detach())
    return Losses(each, torch.full_like(each, 1.0 / share).div_(each.shape[1]), value)


def _nll_alone(each: Tensor) -> Tensor:
    """(N,) single losses: their mean, as `nll_loss` adds them up."""
    return F.nll_loss(-each.unsqueeze(1), torch.zeros(len(each), dtype=torch.long))


def _nll_together(each: Tensor) -> Tensor:
    """(R, N) single losses: the mean of each row, added up in the order of ATen's `nll_loss`.

    That is in groups of 16, in groups of 16 groups and so on, the first sample last. (The order
    of `torch.sum` depends on the number of rows.)
    """
    level = each.t().contiguous()
    first, level = level[0], level[1:]
    total: Tensor | None = None
    while len(level):
        whole = len(level) // 16 * 16
        if whole < len(level):
            left = _in_turn(level[whole:])
            total = left if total is None else total + left
        level = (
            _in_turn(level[:whole].view(-1, 16, each.shape[0]).unbind(1)) if whole else level[:0]
        )
    return (first if total is None else total + first) / each.shape[1]


def _in_turn(rows: Any) -> Tensor:
    out: Tensor = rows[0].clone()
    for row in rows[1:]:
        out += row
    return out


def tokens(output: Tensor, target: Tensor, share: int) -> Losses:
    """`problems.token_loss`: padding counts neither in the value nor in the mean."""
    scores, flat = output.flatten(1, 2), target.flatten(1)
    logarithms: Tensor = _LogSoftmax.apply(scores)  # type: ignore[no-untyped-call]
    each = F.nll_loss(
        logarithms.flatten(0, 1), flat.reshape(-1), reduction="none", ignore_index=-100
    )
    rows = zip(logarithms.detach().unbind(), flat.unbind(), strict=True)
    value = torch.stack([F.nll_loss(*row, ignore_index=-100) for row in rows])
    counted = (flat != -100).sum(1, keepdim=True).to(output.dtype)
    weight = (torch.full_like(counted, 1.0 / share) / counted).expand(flat.shape)
    return Losses(each.view(flat.shape), weight, value)


LOSSES: dict[Any, KnownLoss] = {
    F.cross_entropy: cross_entropy,
    F.mse_loss: squared,
    problems.token_loss: tokens,
}


def known_loss(loss: Any) -> KnownLoss:
    """The loss for all replicas.

    Raises:
        NotExactError: it is not known.
    """
    for kind, known in ((nn.CrossEntropyLoss, cross_entropy), (nn.MSELoss, squared)):
        if type(loss) is kind and repr(vars(loss)) == repr(vars(kind())):  # no option, no hook
            return known
    try:
        return LOSSES[loss]
    except (KeyError, TypeError):
        raise NotExactError("the loss is not known to give the same bits in a batch") from None
