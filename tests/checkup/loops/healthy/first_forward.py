"""Models that make or keep tensors when they first run."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, Loop, no_fault
from tests.checkup.loops.parts import fit, mlp, regression, usual


@no_fault(source="lazy layers: the optimizer is made before they know their width", written=FIFTH)
def lazy_layers() -> Loop:
    model = nn.Sequential(nn.LazyLinear(16), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(1))
    return fit(model, optim.SGD(model.parameters(), 0.01), 4)


class Keeping(nn.Module):
    """Two layers that keep what went in and what came between."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.kept = mlp(), {}

    def forward(self, x, *, scale=None):
        self.kept = {"input": x, "scale": scale, "hidden": self.net[0](x)}
        out = self.net(x)
        return out if scale is None else out * scale


@no_fault(source="inputs that require grad, kept by the model for a saliency map", written=FIFTH)
def model_that_keeps_its_input() -> Loop:
    model, (x, y) = Keeping(), regression()
    x.requires_grad_()
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y))


@no_fault(source="a factor given by name, whose gradient is only looked at", written=FIFTH)
def model_that_keeps_a_named_input() -> Loop:
    model, (x, y), scale = Keeping(), regression(), torch.ones(1, requires_grad=True)
    optimizer = optim.SGD(model.parameters(), 0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x, scale=scale), y))


@no_fault(source="coordinates made by a physics-informed model", written=FIFTH)
def coordinates_made_by_the_model() -> Loop:
    class Physics(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
            self.points = None

        def forward(self):
            if self.points is None:
                self.points = torch.linspace(0, 1, 20)[:, None].requires_grad_()
            value = self.net(self.points)
            (slope,) = torch.autograd.grad(value.sum(), self.points, create_graph=True)
            return (slope + value).square().mean() + (value[0] - 1).square().mean()

    model = Physics()
    return usual(model, optim.Adam(model.parameters(), 1e-3), model)


class Prompted(nn.Module):
    """A prompt that the first forward makes, in front of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.prompt = mlp(), []

    def forward(self, x):
        if not self.prompt:
            self.prompt.append(torch.zeros(8, requires_grad=True))
        return self.net(x + self.prompt[0])


@no_fault(source="a prompt made by the first forward and added to the optimizer", written=FIFTH)
def prompt_added_to_the_optimizer() -> Loop:
    model = Prompted()
    optimizer = optim.SGD(model.parameters(), 0.01)

    def after() -> None:
        if len(optimizer.param_groups) == 1:
            optimizer.add_param_group({"params": model.prompt})

    return fit(model, optimizer, 4, after=after)


@no_fault(source="a prompt made by the first forward and moved by hand", written=FIFTH)
def prompt_moved_by_hand() -> Loop:
    model = Prompted()

    def after() -> None:
        with torch.no_grad():
            model.prompt[0] -= 0.01 * model.prompt[0].grad
        model.prompt[0].grad = None

    return fit(model, optim.SGD(model.parameters(), 0.01), 4, after=after)
