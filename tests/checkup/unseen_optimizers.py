"""Second set out of sample, healthy: optimizers, schedules and precisions."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
import torch.utils.checkpoint
from torch import nn, optim

from tests.checkup.loops import Loop, cnn, fit, healthy, images, mlp, regression, times, usual


class Lookahead:
    """A wrapper around another optimizer that pulls fast weights back to slow ones."""

    def __init__(self, inner):
        self.optimizer, self.count = inner, 0
        self.slow = [p.detach().clone() for g in inner.param_groups for p in g["params"]]

    def zero_grad(self):
        self.optimizer.zero_grad()

    def step(self):
        self.optimizer.step()
        self.count += 1
        if self.count % 3 == 0:
            held = [p for g in self.optimizer.param_groups for p in g["params"]]
            for slow, p in zip(self.slow, held, strict=True):
                slow.lerp_(p.detach(), 0.5)
                p.data.copy_(slow)


@healthy("Lookahead as a wrapper with an attribute optimizer")
def unseen_lookahead_wrapper() -> Loop:
    model = mlp()
    return fit(model, Lookahead(optim.Adam(model.parameters(), 1e-3)), 7)


@healthy("pytorch docs: foreach, fused, capturable and differentiable options")
def unseen_optimizer_implementations() -> Loop:
    options = ({"foreach": True}, {"fused": True}, {"foreach": False, "amsgrad": True})
    models = [mlp() for _ in options]
    optimizers = [
        optim.AdamW(m.parameters(), 1e-3, **o) for m, o in zip(models, options, strict=True)
    ]
    x, y = regression()

    def update():
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(models, optimizers, times(3, update))


@healthy("pytorch docs: Muon for matrices, AdamW for the rest")
def unseen_muon_and_adam() -> Loop:
    model = mlp()
    second = optim.AdamW([p for p in model.parameters() if p.ndim != 2], 1e-3)
    kind = getattr(optim, "Muon", optim.SGD)
    first = kind([p for p in model.parameters() if p.ndim == 2], lr=0.02)
    x, y = regression()

    def update():
        model.zero_grad()
        F.mse_loss(model(x), y).backward()
        first.step()
        second.step()

    return Loop(model, [first, second], times(3, update))


@healthy("Rprop, Adadelta and ASGD for one step each")
def unseen_rare_optimizers_once() -> Loop:
    models = [mlp() for _ in range(3)]
    kinds = (optim.Rprop, optim.Adadelta, optim.ASGD)
    optimizers = [kind(m.parameters()) for kind, m in zip(kinds, models, strict=True)]
    x, y = regression()

    def train():
        for model, optimizer in zip(models, optimizers, strict=True):
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(models, optimizers, train)


@healthy("a group's lr is 0 for the first steps only")
def unseen_group_that_starts_later() -> Loop:
    model, (x, y) = mlp(), regression()
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}]
    optimizer = optim.SGD(groups, lr=0.01)

    def train():
        for step in range(6):
            if step == 3:
                optimizer.param_groups[0]["lr"] = 0.001
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(model, optimizer, train)


@healthy("linear warm-up from zero, watched for a single step")
def unseen_warm_up_single_step() -> Loop:
    model = mlp()
    optimizer = optim.Adam(model.parameters(), lr=3e-4)
    scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / 4000)
    loop = fit(model, optimizer, 1)
    return Loop(model, optimizer, lambda: (loop.train(), scheduler.step()))


@healthy("autocast in bfloat16 without a scaler")
def unseen_autocast_without_scaler() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)

    def loss():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return F.cross_entropy(model(x), y)

    return usual(model, optimizer, loss)


@healthy("two optimizers share one scaler")
def unseen_scaler_of_two_optimizers() -> Loop:
    body, head, (x, y) = mlp(out=4), nn.Linear(4, 1), regression()
    first, second = optim.Adam(body.parameters(), 1e-3), optim.SGD(head.parameters(), 0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024)

    def update():
        first.zero_grad()
        second.zero_grad()
        scaler.scale(F.mse_loss(head(body(x)), y)).backward()
        for optimizer in (first, second):
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
        scaler.update()

    return Loop([body, head], [first, second], times(3, update))


@healthy("accumulation with the leftover batches stepped at the end")
def unseen_accumulation_with_leftover() -> Loop:
    model, (x, y) = mlp(), regression(44)
    optimizer = optim.SGD(model.parameters(), 0.01)

    def train():
        batches = list(zip(x.split(4), y.split(4), strict=True))
        for i, (a, b) in enumerate(batches, 1):
            (F.mse_loss(model(a), b) / 4).backward()
            if i % 4 == 0 or i == len(batches):
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)
