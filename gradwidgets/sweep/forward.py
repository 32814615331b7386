"""Forward and loss of many replicas of a model at once.

Replicas are one leading dimension. Any model goes through `torch.func`; a plain stack of linear
layers and activations, as the built-in perceptrons are, through matrix products written out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Loss, evaluating

Pieces = Mapping[str, Tensor]
"""Each parameter of the model by name, its replicas first: (R, *shape)."""


class Forward(Protocol):
    """A model as a sweep uses it."""

    def losses(self, pieces: Pieces, x: Any, y: Any, own: bool) -> Tensor:
        """(R,) the loss of each replica; `own`: every replica has its own samples, (R, ...)."""

    def right(self, pieces: Pieces, x: Any, y: Any) -> Tensor:
        """(R,) the share of samples that each replica classifies correctly, in eval mode."""


def forward_of(model: nn.Module, loss: Loss) -> Forward:
    """The quickest forward that fits a model and its loss."""
    if is_layered(model) and loss in LAYERED_LOSSES:
        return Layered(model, loss)
    return Mapped(model, loss)


class Mapped:
    """Any model: `torch.vmap` over `functional_call`, as torch.func's guide to ensembles has it."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        self.model = model
        self.loss = loss

    def losses(self, pieces: Pieces, x: Any, y: Any, own: bool) -> Tensor:
        """(R,) the loss of each replica."""

        def loss_of(one: Pieces, x: Any, y: Any) -> Tensor:
            return self.loss(functional_call(self.model, dict(one), (x,)), y)

        data = 0 if own else None
        mapped = torch.vmap(loss_of, in_dims=(0, data, data), randomness="same")
        losses: Tensor = mapped(dict(pieces), x, y)
        return losses.flatten()

    def right(self, pieces: Pieces, x: Any, y: Any) -> Tensor:
        """(R,) the share of samples that each replica classifies correctly, in eval mode."""

        def outputs_of(one: Pieces) -> Any:
            return functional_call(self.model, dict(one), (x,))

        with evaluating(self.model):
            outputs = torch.vmap(outputs_of)(dict(pieces))
        return _share_right(outputs.argmax(2), y)


class Layered:
    """A stack of linear layers and activations, samples last: (R, features, samples).

    With the samples last, a bias is added along rows, and the first product of shared samples is
    a single matrix product for all replicas.
    """

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        self.layers = [(name, layer) for name, layer in model.named_children()]
        self.loss = LAYERED_LOSSES[loss]

    def losses(self, pieces: Pieces, x: Any, y: Any, own: bool) -> Tensor:
        """(R,) the loss of each replica."""
        outputs = self._outputs(pieces, x.mT)
        return self.loss(outputs, y if own else y.expand(len(outputs), *y.shape))

    def right(self, pieces: Pieces, x: Any, y: Any) -> Tensor:
        """(R,) the share of samples that each replica classifies correctly."""
        return _share_right(self._outputs(pieces, x.mT).argmax(1), y)

    def _outputs(self, pieces: Pieces, h: Tensor) -> Tensor:
        for name, layer in self.layers:
            if isinstance(layer, nn.Linear):
                h = _linear(pieces[f"{name}.weight"], pieces.get(f"{name}.bias"), h)
            else:
                h = ACTIVATIONS[type(layer)](h)
        return h


class _Tanh(torch.autograd.Function):
    """tanh(x) = 2 sigmoid(2x) - 1: the same to rounding, and several times faster on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.mul(2).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        gradient: Tensor = torch.ops.aten.tanh_backward(gradients[0], y)
        return gradient


def _linear(weight: Tensor, bias: Tensor | None, h: Tensor) -> Tensor:
    """A linear layer: weight (R, out, in) times h, (R, in, samples) or (in, samples) for all."""
    replicas, out, features = weight.shape
    if h.ndim == 2:
        h = (weight.reshape(replicas * out, features) @ h).view(replicas, out, -1)
        return h if bias is None else h + bias.unsqueeze(2)
    return weight @ h if bias is None else torch.baddbmm(bias.unsqueeze(2), weight, h)


def _cross_entropy(outputs: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(outputs, y, reduction="none").mean(1)


def _mse(outputs: Tensor, y: Tensor) -> Tensor:
    return (outputs - y.mT).square().mean((1, 2))


def _share_right(predicted: Tensor, y: Tensor) -> Tensor:
    return (predicted == y).double().flatten(1).mean(1)


ACTIVATIONS: Mapping[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.Identity: lambda x: x,
    nn.ReLU: torch.relu,
    nn.Sigmoid: torch.sigmoid,
    nn.Tanh: _Tanh.apply,
}
LAYERED_LOSSES: Mapping[Any, Callable[[Tensor, Tensor], Tensor]] = {
    F.cross_entropy: _cross_entropy,
    F.mse_loss: _mse,
}


def is_layered(model: nn.Module) -> bool:
    """Tell whether a model is a plain `nn.Sequential` of `nn.Linear` and activations known here."""
    layers: Sequence[nn.Module] = list(model.children())
    known = {nn.Linear, *ACTIVATIONS}
    plain = type(model) is nn.Sequential and all(type(layer) in known for layer in layers)
    watched = any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    return plain and not watched and isinstance(layers[0], nn.Linear) if layers else False
