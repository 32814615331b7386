"""Gradients that the loop or the graph edits."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, SIXTH, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import cnn, fit, images, mlp, regression, simple, times, usual


def _one_edited_step(edit: Callable[[nn.Parameter], object]) -> Loop:
    model, x, y = nn.Linear(10, 1), torch.randn(1, 10), torch.randn(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        loss = nn.MSELoss()(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        for p in model.parameters():
            edit(p)
        optimizer.step()

    return Loop(model, optimizer, update)


@no_fault(source="Scaling, masking and penalising gradients (tutorial)", written=WITH_RULES)
def gradient_scaled_by_half() -> Loop:
    return _one_edited_step(lambda p: p.grad.data.mul_(0.5))


@no_fault(source="Scaling, masking and penalising gradients (tutorial)", written=WITH_RULES)
def first_half_masked() -> Loop:
    return _one_edited_step(lambda p: p.grad.data[: len(p.grad) // 2].zero_())


@no_fault(source="Scaling, masking and penalising gradients (tutorial)", written=WITH_RULES)
def penalty_added() -> Loop:
    return _one_edited_step(lambda p: p.grad.data.add_(0.01 * p.data))


@no_fault(source="gradient noise and weight decay by hand", written=FIRST)
def noise_added_to_gradients() -> Loop:
    model = nn.Sequential(nn.Linear(8, 9), nn.ELU(), nn.Linear(9, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.02)

    def add():
        for p in model.parameters():
            p.grad.data.add_(0.01 * p.data + 0.01 * torch.randn_like(p))

    return fit(model, optimizer, 7, edit=add)


@no_fault(source="half of the units masked in the gradient", written=FIRST)
def masked_gradient() -> Loop:
    model = nn.Linear(8, 1)

    def mask():
        model.weight.grad[:, :4] = 0
        model.bias.grad = None

    return fit(model, optim.SGD(model.parameters(), lr=0.05), 4, edit=mask)


def _edited(edit, count=4, kind=optim.SGD):
    model, (x, y) = cnn(), images(12)
    optimizer = kind(model.parameters(), lr=0.01)

    def edit_all():
        for p in model.parameters():
            edit(p)

    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y), count, edit=edit_all)


@no_fault(source="Yonghongwei/Gradient-Centralization", written=SECOND)
def centralised_gradients() -> Loop:
    def centralise(p):
        if p.dim() > 1:
            p.grad.sub_(p.grad.mean(dim=tuple(range(1, p.dim())), keepdim=True))

    return _edited(centralise)


@no_fault(source="sign descent through the gradient", written=SECOND)
def sign_of_the_gradient() -> Loop:
    return _edited(lambda p: p.grad.sign_(), kind=optim.Adam)


@no_fault(source="normalised gradients, assigned", written=SECOND)
def normalised_gradients() -> Loop:
    return _edited(lambda p: setattr(p, "grad", p.grad / (p.grad.norm() + 1e-8)), 1)


@no_fault(source="annealed gradient noise", written=SECOND)
def gradient_noise() -> Loop:
    return _edited(lambda p: p.grad.add_(torch.randn_like(p) * 0.01), 9)


@no_fault(source="tensor hooks that halve and clamp the gradient", written=SECOND)
def tensor_hooks() -> Loop:
    model = mlp()
    for p in model.parameters():
        p.register_hook(lambda g: (0.5 * g).clamp(-1, 1))
    return fit(model, optim.SGD(model.parameters(), 0.05), 4)


@no_fault(source="straight-through estimator in quantisation-aware training", written=SECOND)
def straight_through() -> Loop:
    class Quantised(nn.Linear):
        def forward(self, x):
            rounded = (self.weight * 8).round() / 8
            return F.linear(x, self.weight + (rounded - self.weight).detach(), self.bias)

    model = nn.Sequential(Quantised(8, 8), nn.ReLU(), Quantised(8, 1))
    return fit(model, optim.SGD(model.parameters(), 0.05), 4)


@no_fault(source="the norm is logged after the step, and before it clipped", written=FIFTH)
def norm_logged_after_the_step() -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        for p in model.parameters():
            nn.utils.clip_grad_norm_(p, 0.5)
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    return Loop(model, optimizer, times(4, update))


@no_fault(source="the norm is only measured", written=FIFTH)
def norm_only_measured() -> Loop:
    model, optimizer, x, y = simple()

    def update():
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
        optimizer.zero_grad()

    return Loop(model, optimizer, times(4, update))


@no_fault(source="gradients computed by autograd.grad, then clipped", written=FIFTH)
def assigned_and_clipped() -> Loop:
    model, optimizer, x, y = simple()
    held = list(model.parameters())

    def update():
        for p, g in zip(held, torch.autograd.grad(F.mse_loss(model(x), y), held), strict=True):
            p.grad = g
        nn.utils.clip_grad_norm_(held, 0.5)
        optimizer.step()

    return Loop(model, optimizer, times(4, update))


@no_fault(source="gradients dropped at random, another part in each step", written=FIFTH)
def gradients_dropped_at_random() -> Loop:
    model = mlp()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    def edit():
        for p in model.parameters():
            p.grad.mul_((torch.rand_like(p) > 0.5).float())

    return fit(model, optimizer, 10, edit=edit)


@no_fault(source="a fixed mask, and an optimizer that remembers nothing", written=FIFTH)
def fixed_mask_without_momentum() -> Loop:
    model = mlp()

    def edit():
        model[0].weight.grad[:, ::2] = 0

    return fit(model, optim.SGD(model.parameters(), lr=0.01), 6, edit=edit)


@no_fault(source="wandb.watch: hooks that only look; words that do not occur", written=FIFTH)
def hooks_that_only_look() -> Loop:
    model = nn.Sequential(
        nn.Embedding(40, 6), nn.Flatten(), nn.Linear(18, 16), nn.ReLU(), nn.Linear(16, 1)
    )
    x, y, norms = torch.randint(9, (8, 3)), torch.randn(8, 1), []
    for p in model.parameters():
        p.register_hook(lambda gradient: norms.append(float(gradient.norm())))
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 6)


@no_fault(source="stochastic gradient Langevin dynamics: noise after each step", written=SIXTH)
def noise_added_to_the_weights() -> Loop:
    model, (x, y), lr = mlp(), regression(), 1e-4

    @torch.no_grad()
    def noise():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=(2 * lr) ** 0.5)

    optimizer = optim.SGD(model.parameters(), lr=lr)
    return usual(model, optimizer, lambda: 10 * (model(x) - y).square().sum(), 8, after=noise)
