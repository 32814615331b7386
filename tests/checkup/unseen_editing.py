"""Second set out of sample, healthy: gradients that the loop or the graph edits."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, cnn, healthy, images, mlp, regression, times, usual


def _edited(edit, count=4, kind=optim.SGD):
    model, (x, y) = cnn(), images(12)
    optimizer = kind(model.parameters(), lr=0.01)

    def update():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        for p in model.parameters():
            edit(p)
        optimizer.step()

    return Loop(model, optimizer, times(count, update))


@healthy("Yonghongwei/Gradient-Centralization")
def unseen_centralised_gradients() -> Loop:
    def centralise(p):
        if p.dim() > 1:
            p.grad.sub_(p.grad.mean(dim=tuple(range(1, p.dim())), keepdim=True))

    return _edited(centralise)


@healthy("sign descent through the gradient")
def unseen_sign_of_the_gradient() -> Loop:
    return _edited(lambda p: p.grad.sign_(), kind=optim.Adam)


@healthy("normalised gradients, assigned")
def unseen_normalised_gradients() -> Loop:
    return _edited(lambda p: setattr(p, "grad", p.grad / (p.grad.norm() + 1e-8)), 1)


@healthy("annealed gradient noise")
def unseen_gradient_noise() -> Loop:
    return _edited(lambda p: p.grad.add_(torch.randn_like(p) * 0.01), 9)


@healthy("tensor hooks that halve and clamp the gradient")
def unseen_tensor_hooks() -> Loop:
    model, (x, y) = mlp(), regression()
    for p in model.parameters():
        p.register_hook(lambda g: (0.5 * g).clamp(-1, 1))
    return usual(model, optim.SGD(model.parameters(), 0.05), lambda: F.mse_loss(model(x), y))


@healthy("gradient reversal layer in domain adaptation")
def unseen_gradient_reversal() -> Loop:
    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(_ctx, g):
            return -0.3 * g

    body, label, domain = mlp(out=6), nn.Linear(6, 1), nn.Linear(6, 1)
    model, (x, y) = nn.ModuleList([body, label, domain]), regression()
    side = (torch.rand(32, 1) > 0.5).float()

    def loss():
        code = body(x)
        adversary = F.binary_cross_entropy_with_logits(domain(Reverse.apply(code)), side)
        return F.mse_loss(label(code), y) + adversary

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss)


@healthy("straight-through estimator in quantisation-aware training")
def unseen_straight_through() -> Loop:
    class Quantised(nn.Linear):
        def forward(self, x):
            rounded = (self.weight * 8).round() / 8
            return F.linear(x, self.weight + (rounded - self.weight).detach(), self.bias)

    model, (x, y) = nn.Sequential(Quantised(8, 8), nn.ReLU(), Quantised(8, 1)), regression()
    return usual(model, optim.SGD(model.parameters(), 0.05), lambda: F.mse_loss(model(x), y))


@healthy("updates by hand from torch.autograd.grad, no optimizer stepped")
def unseen_manual_updates() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), 0.01)

    def train():
        for step in range(4):
            slopes = torch.autograd.grad(F.mse_loss(model(x), y), list(model.parameters()))
            for p, g in zip(model.parameters(), slopes, strict=True):
                p.grad = g if step % 2 else 0.5 * g
            optimizer.step()

    return Loop(model, optimizer, train)


@healthy("two losses on one graph with retain_graph")
def unseen_two_losses_retained() -> Loop:
    model, (x, y) = mlp(out=2), regression()
    optimizer = optim.AdamW(model.parameters(), 1e-3)

    def update():
        optimizer.zero_grad()
        out = model(x)
        F.mse_loss(out[:, :1], y).backward(retain_graph=True)
        F.l1_loss(out[:, 1:], y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@healthy("GradNorm and balancing: autograd.grad beside backward")
def unseen_adaptive_weight() -> Loop:
    model, (x, y) = mlp(out=2), regression()
    optimizer = optim.Adam(model.parameters(), 1e-3)

    def loss():
        out, last = model(x), model[2].weight
        a, b = F.mse_loss(out[:, :1], y), out[:, 1:].square().mean()
        sizes = [torch.autograd.grad(part, last, retain_graph=True)[0].norm() for part in (a, b)]
        return a + (sizes[0] / (sizes[1] + 1e-4)).clamp(0, 10).detach() * b

    return usual(model, optimizer, loss, 5)
