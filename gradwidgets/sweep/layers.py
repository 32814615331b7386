"""The layers of PyTorch that are known to give a replica the bits of a run of its own.

Data has the replicas first: (R, samples, ...). A layer is a function of its module (any replica),
of `own`, which gives the replicas' parameter or buffer of a name, (R, *shape), and of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F  # noqa: N812

from gradwidgets.core import problems
from gradwidgets.sweep.exact import ELEMENTS_OF_FUNCTIONS, NotExactError, exactly, is_shared

Own = Callable[[str], Tensor]
Layer = Callable[[Any, Own, Tensor], Tensor]


@torch.enable_grad()
def _input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    """Autograd's own, whose product depends on the shapes."""
    x = gradient.new_zeros(len(gradient), weight.shape[1], requires_grad=True)
    return torch.autograd.grad(F.linear(x, weight), x, gradient)[0]


@torch.enable_grad()
def _weight_gradient(gradient: Tensor, x: Tensor) -> Tensor:
    """Autograd's own, whose product depends on the shapes."""
    weight = x.new_zeros(gradient.shape[1], x.shape[1], requires_grad=True)
    return torch.autograd.grad(F.linear(x, weight), weight, gradient)[0]


class _Linear(Function):
    """`F.linear`; the gradients are products in the order in which autograd writes them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        if bias is None:
            return exactly("product", _bmm, F.linear, x, weight)
        return exactly("linear", _baddbmm, F.linear, x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        return (
            exactly("linear input", torch.bmm, _input_gradient, gradient, weight)
            if ctx.needs_input_grad[0]
            else None,
            exactly("linear weight", _weight_ways(gradient, x), _weight_gradient, gradient, x),
            _summed(gradient) if ctx.has_bias else None,
        )


def _bmm(x: Tensor, weight: Tensor) -> Tensor:
    return torch.bmm(x, weight.mT)


def _bmm_of_transposed(gradient: Tensor, x: Tensor) -> Tensor:
    return torch.bmm(gradient.mT, x)


def _bmm_transposed(gradient: Tensor, x: Tensor) -> Tensor:
    return torch.bmm(x.mT, gradient).mT


def _weight_ways(gradient: Tensor, x: Tensor) -> tuple[Callable[[Tensor, Tensor], Tensor], ...]:
    """The quicker one first: up to six times as quick where a row has few elements."""
    if x.shape[2] < gradient.shape[2]:
        return (_bmm_transposed, _bmm_of_transposed)
    return (_bmm_of_transposed,)


def _baddbmm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)


def _summed(gradient: Tensor) -> Tensor:
    """(R, n, m) added up over n."""
    out: Tensor = exactly("sum", lambda g: g.sum(1), lambda g: g.sum(0), gradient)
    return out


class _AddBias(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor) -> Tensor:  # noqa: ARG004
        return x + bias.unsqueeze(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG004
        return gradient, _summed(gradient)


def linear(module: nn.Linear, own: Own, x: Tensor) -> Tensor:
    """(R, N, ..., in) to (R, N, ..., out)."""
    rows = x if x.ndim == 3 else x.flatten(1, -2)
    bias = own("bias") if "bias" in dict(module.named_parameters()) else None
    out: Tensor = _Linear.apply(rows, own("weight"), bias)  # type: ignore[no-untyped-call]
    return out if x.ndim == 3 else out.view(*x.shape[:-1], -1)


class _Pointwise(Function):
    """A function of each element; the ends of a tensor may be computed in another way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: nn.Module) -> Tensor:
        ctx.save_for_backward(x)
        ctx.function = function
        out: Tensor = exactly(repr(function), function, function, x, elements=ELEMENTS_OF_FUNCTIONS)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,), function = ctx.saved_tensors, ctx.function

        def back(x: Tensor, gradient: Tensor) -> Tensor:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(function(x), x, gradient)[0]

        name = f"{function!r} backward"
        return exactly(name, back, back, x, gradient, elements=ELEMENTS_OF_FUNCTIONS), None


def pointwise(module: nn.Module, own: Own, x: Tensor) -> Tensor:  # noqa: ARG001
    """An activation with arithmetic of its own."""
    out: Tensor = _Pointwise.apply(x, module)  # type: ignore[no-untyped-call]
    return out


def plain(module: nn.Module, own: Own, x: Tensor) -> Tensor:  # noqa: ARG001
    """An activation with the same bits wherever an element stands."""
    return module(x)  # type: ignore[no-any-return]


def flatten(module: nn.Flatten, own: Own, x: Tensor) -> Tensor:  # noqa: ARG001
    """All dimensions of a sample in one, or some of them."""
    first, last = (dim + 1 if dim >= 0 else dim for dim in (module.start_dim, module.end_dim))
    return x.flatten(first, last)


def unflatten(module: nn.Unflatten, own: Own, x: Tensor) -> Tensor:  # noqa: ARG001
    """One dimension of a sample as several."""
    dim, size = int(module.dim), tuple(module.unflattened_size)
    out: Tensor = x.unflatten(dim + 1 if dim >= 0 else dim, size)  # type: ignore[no-untyped-call]
    return out


# ------------------------------------------------------------------------------ convolutions
def _as_channels(x: Tensor) -> Tensor:
    """(R, N, C, H, W) as (N, R * C, H, W)."""
    return x.transpose(0, 1).flatten(1, 2)


def _as_replicas(x: Tensor, count: int) -> Tensor:
    """(N, R * C, H, W) as (R, N, C, H, W)."""
    return x.view(len(x), count, -1, *x.shape[2:]).transpose(0, 1)


class _Convolution(Function):
    """`F.conv2d`: one convolution for a shared batch, or one with a group for each replica."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, how: dict[str, Any]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how, ctx.has_bias = how, bias is not None

        def together(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            flat = None if bias is None else bias.flatten()
            one = (x[0], 1) if is_shared(x) else (_as_channels(x), len(weight))
            out = F.conv2d(one[0], weight.flatten(0, 1), flat, groups=one[1], **how)
            return _as_replicas(out, len(weight))

        def alone(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            return F.conv2d(x, weight, bias, **how)

        operands = (x, weight) if bias is None else (x, weight, bias)
        return exactly(f"conv2d {how}", together, alone, *operands)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), how, has_bias = ctx.saved_tensors, ctx.how, ctx.has_bias

        def back(
            g: Tensor, x: Tensor, w: Tensor, groups: int, wanted: list[bool]
        ) -> tuple[Tensor | None, ...]:
            biases = [len(w)] if has_bias else None
            return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
                g,
                x,
                w,
                biases,
                how["stride"],
                how["padding"],
                how["dilation"],
                False,
                [0, 0],
                groups,
                wanted,
            )

        of_weights = [False, True, has_bias]

        def weights_together(g: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
            one = (x[0], 1) if is_shared(x) else (_as_channels(x), len(w))
            _, of_weight, of_bias = back(
                _as_channels(g), one[0], w.flatten(0, 1), one[1], of_weights
            )
            assert of_weight is not None
            parts = [of_weight.view_as(w)]
            return tuple(parts if of_bias is None else [*parts, of_bias.view(w.shape[:2])])

        def weights_alone(g: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
            return tuple(part for part in back(g, x, w, 1, of_weights) if part is not None)

        def input_together(g: Tensor, x: Tensor, w: Tensor) -> Tensor:
            found = back(
                _as_channels(g), _as_channels(x), w.flatten(0, 1), len(w), [True, False, False]
            )
            assert found[0] is not None
            return _as_replicas(found[0], len(w))

        def input_alone(g: Tensor, x: Tensor, w: Tensor) -> Tensor:
            found = back(g, x, w, 1, [True, False, False])[0]
            assert found is not None
            return found

        gradient = gradient.contiguous()
        of_input = None
        if ctx.needs_input_grad[0]:
            of_input = exactly(
                f"conv2d {how} input", input_together, input_alone, gradient, x, weight
            )
        kind = f"conv2d {how} {has_bias} weights"
        parts = exactly(kind, weights_together, weights_alone, gradient, x, weight)
        return of_input, parts[0], parts[1] if has_bias else None, None


def convolution(module: nn.Conv2d, own: Own, x: Tensor) -> Tensor:
    """(R, N, C, H, W) to (R, N, out, H', W')."""
    how = {name: list(getattr(module, name)) for name in ("stride", "padding", "dilation")}
    bias = own("bias") if "bias" in dict(module.named_parameters()) else None
    out: Tensor = _Convolution.apply(x, own("weight"), bias, how)  # type: ignore[no-untyped-call]
    return out


def batch_norm(module: nn.BatchNorm2d, own: Own, x: Tensor) -> Tensor:
    """Each channel of each replica on its own; the running statistics move in training."""
    if x.shape[-1] * x.shape[-2] == 1:  # PyTorch takes another kernel, which sums in another order
        raise NotExactError("a BatchNorm2d of one pixel has other bits in a batch of replicas")
    if module.training:
        own("num_batches_tracked").add_(1)
    out = F.batch_norm(
        _as_channels(x),
        own("running_mean").view(-1),  # moved in place
        own("running_var").view(-1),
        own("weight").flatten(),
        own("bias").flatten(),
        module.training,
        module.momentum or 0.0,
        module.eps,
    )
    return _as_replicas(out, len(x))


class _MaxOfSquares(Function):
    """`F.max_pool2d` over windows of 2 x 2 apart; the first of equal values has the gradient.

    The winner of each window is found without a branch for each element, which PyTorch's own
    takes: it is right at random, and a wrong guess costs a processor more than all the rest.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        left, right = x[..., ::2], x[..., 1::2]
        rows = torch.maximum(left, right)
        top, bottom = rows[..., ::2, :], rows[..., 1::2, :]
        if x.requires_grad:
            is_right, is_bottom = right > left, bottom > top
            in_top, in_bottom = is_right[..., ::2, :], is_right[..., 1::2, :]
            column = in_top ^ (is_bottom & (in_top ^ in_bottom))  # of the row that wins
            height, width = x.shape[-2:]
            corner = torch.arange(height * width, device=x.device).view(height, width)[::2, ::2]
            ctx.save_for_backward(x, (corner + column).add_(is_bottom, alpha=width))
        return torch.maximum(top, bottom)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, winners = ctx.saved_tensors
        flat = [each.flatten(0, -4) for each in (gradient, x, winners)]
        back = torch.ops.aten.max_pool2d_with_indices_backward
        how = ([2, 2], [2, 2], [0, 0], [1, 1], False)
        return back(flat[0], flat[1], *how, flat[2]).view_as(x)  # type: ignore[no-any-return]


def max_pool(module: nn.MaxPool2d, own: Own, x: Tensor) -> Tensor:
    """Each channel on its own."""
    squares = all(_pair(size) == (2, 2) for size in (module.kernel_size, module.stride))
    plain = not any(_pair(module.padding)) and _pair(module.dilation) == (1, 1)
    if squares and plain and not (x.shape[-2] % 2 or x.shape[-1] % 2):
        out: Tensor = _MaxOfSquares.apply(x)  # type: ignore[no-untyped-call]
        return out
    return pool(module, own, x)


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def pool(module: nn.Module, own: Own, x: Tensor) -> Tensor:  # noqa: ARG001
    """Each channel on its own."""
    return _as_replicas(module(_as_channels(x)), len(x))


# ------------------------------------------------------------------------------ sequences
def embedding(module: nn.Embedding, own: Own, x: Tensor) -> Tensor:
    """(R, N, T) indices to (R, N, T, d): one table, replica after replica."""
    table = own("weight")
    if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < table.shape[1]:
        raise NotExactError("an index of the Embedding is out of range")  # of another's rows
    first = torch.arange(len(table), device=x.device).view(-1, *[1] * (x.ndim - 1)) * table.shape[1]
    out = F.embedding(x + first, table.flatten(0, 1))
    if module.padding_idx is not None:
        padding = (x == module.padding_idx).unsqueeze(-1)
        out = torch.where(padding, out.detach(), out)  # no gradient, as with padding_idx
    return out


def gru(module: nn.GRU, own: Own, x: Tensor) -> Tensor:  # noqa: ARG001
    """(R, N, T, d) to (R, N, T, hidden): ATen's cell, operation by operation, in its order.

    In place on the chunks, as there: sigmoid computes the ends of a row in another way.
    """
    count, samples, steps, _ = x.shape
    rows = x.transpose(1, 2).reshape(count, steps * samples, -1)
    weights = (own("weight_ih_l0"), own("weight_hh_l0"), own("bias_ih_l0"), own("bias_hh_l0"))
    gates = _AddBias.apply(_Linear.apply(rows, weights[0], None), weights[2])  # type: ignore[no-untyped-call]
    hidden = x.new_zeros(count, samples, weights[1].shape[2])
    outputs = []
    for gate in gates.view(count, steps, samples, -1).unbind(1):
        in_reset, in_update, in_new = gate.unsafe_chunk(3, -1)
        of_hidden = _Linear.apply(hidden, weights[1], weights[3])  # type: ignore[no-untyped-call]
        to_reset, to_update, to_new = of_hidden.unsafe_chunk(3, -1)
        reset, update = to_reset.add_(in_reset).sigmoid_(), to_update.add_(in_update).sigmoid_()
        new = in_new.add(to_new.mul_(reset)).tanh_()
        hidden = (hidden - new).mul_(update).add_(new)
        outputs.append(hidden)
    return torch.stack(outputs, 2)


LAYERS: dict[type[nn.Module], Layer] = {
    nn.Linear: linear,
    nn.Tanh: plain,
    nn.ReLU: plain,
    nn.LeakyReLU: plain,
    nn.Identity: plain,
    nn.Sigmoid: pointwise,
    nn.GELU: pointwise,
    nn.SiLU: pointwise,
    nn.ELU: pointwise,
    nn.Softplus: pointwise,
    nn.Flatten: flatten,
    nn.Unflatten: unflatten,
    nn.Conv2d: convolution,
    nn.BatchNorm2d: batch_norm,
    nn.MaxPool2d: max_pool,
    nn.AvgPool2d: pool,
    nn.AdaptiveAvgPool2d: pool,
    nn.Embedding: embedding,
    nn.GRU: gru,
}
"""The known layers. Another one: a function here, and its module in `tests/sweep`."""

CHAINS: dict[type[nn.Module], tuple[str, ...]] = {
    problems.TokenModel: ("embedding", "recurrent", "head")
}
"""Models that are no `nn.Sequential`, but pass their input through these modules in this order."""


def layers_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers that a model passes its input through, by the names of their modules.

    Raises:
        NotExactError: the model is no chain of known layers; names the module.
    """
    found = list(_chain("", model))
    for name, module in found:
        if problem := _unknown(module):
            where = f"{name!r}" if name else "the model"
            raise NotExactError(f"{where} is {problem}")
    return found


def _chain(name: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    if type(module) is nn.Sequential:
        parts = list(module._modules)  # a module that stands there twice is run twice
    elif type(module) in CHAINS:
        parts = list(CHAINS[type(module)])
    else:
        return [(name, module)]
    if _is_changed(module):
        return [(name, module)]
    below = [_chain(f"{name}.{part}" if name else part, getattr(module, part)) for part in parts]
    return [layer for chain in below for layer in chain]


def _unknown(module: nn.Module) -> str:
    """Return why a module is not known to give the same bits; "" if it is."""
    kind = type(module).__name__
    if type(module) not in LAYERS:
        return f"a {kind}, which is not known to give the same bits in a batch of replicas"
    if _is_changed(module):
        return f"a {kind} with hooks, a parametrization or a forward of its own"
    if isinstance(module, nn.Conv2d) and (
        module.groups > 1 or module.padding_mode != "zeros" or isinstance(module.padding, str)
    ):
        return "a Conv2d with groups, or with a padding other than a number of zeros"
    if isinstance(module, nn.BatchNorm2d) and not (
        module.affine and module.track_running_stats and module.momentum is not None
    ):
        return "a BatchNorm2d without weights, statistics or momentum"
    if isinstance(module, nn.Embedding) and (
        module.max_norm is not None or module.sparse or module.scale_grad_by_freq
    ):
        return "an Embedding with max_norm, or with sparse or scaled gradients"
    if isinstance(module, nn.GRU) and (
        module.num_layers > 1 or module.bidirectional or not (module.bias and module.batch_first)
    ):
        return "a GRU with several layers or directions, without bias or without batch_first"
    return ""


def _is_changed(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    own = vars(module)
    return any(hooks) or bool(module._backward_pre_hooks) or "forward" in own
