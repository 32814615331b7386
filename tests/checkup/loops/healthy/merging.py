"""Gradients merged from several backward calls or models."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import mlp, regression, times, usual


def _tasks():
    model, (x, y) = mlp(out=3), regression()
    return model, lambda task: F.mse_loss(model(x)[:, task], y[:, 0])


def _project(grads):
    """Each task's gradient without what conflicts with the others, summed."""
    merged = [g.clone() for g in grads]
    for g in merged:
        for other in grads:
            dot = torch.dot(g.flatten(), other.flatten())
            if dot < 0:
                g -= dot / other.norm() ** 2 * other
    return torch.stack(merged).sum(0)


def _surgery(set_to_none, write):
    model, loss = _tasks()
    optimizer = optim.Adam(model.parameters(), 1e-3)

    def update():
        kept = []
        for task in range(3):
            optimizer.zero_grad(set_to_none=set_to_none)
            loss(task).backward()
            kept.append([p.grad.clone() for p in model.parameters()])
        for p, *grads in zip(model.parameters(), *kept, strict=True):
            write(p, _project(grads))
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="WeiChengTseng/Pytorch-PCGrad: p.grad = merged", written=SECOND)
def surgery_assigned() -> Loop:
    return _surgery(True, lambda p, g: setattr(p, "grad", g))


@no_fault(source="gradient surgery, copied into the gradient with a smaller norm", written=SECOND)
def surgery_copied() -> Loop:
    return _surgery(True, lambda p, g: p.grad.copy_(g * 0.1))


@no_fault(source="gradient surgery with .data and zeroed gradients", written=SECOND)
def surgery_copied_into_zeros() -> Loop:
    return _surgery(False, lambda p, g: p.grad.data.copy_(g / 30))


@no_fault(source="PCGrad: one backward per task, gradients merged by hand", written=WITH_RULES)
def projected_conflicting_gradients() -> Loop:
    model, (x, y) = mlp(out=2), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        kept = []
        for task in range(2):
            optimizer.zero_grad()
            F.mse_loss(model(x)[:, task], y[:, 0]).backward()
            kept.append([p.grad.clone() for p in model.parameters()])
        for p, first, second in zip(model.parameters(), *kept, strict=True):
            p.grad = first + second
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(
    source="CAGrad: the average of the tasks' gradients, much smaller than the last", written=SECOND
)
def average_of_tasks() -> Loop:
    model, loss = _tasks()
    optimizer = optim.SGD(model.parameters(), 0.01)

    def update():
        total = [torch.zeros_like(p) for p in model.parameters()]
        for task in range(3):
            model.zero_grad()
            loss(task).backward()
            for sum_, p in zip(total, model.parameters(), strict=True):
                sum_ += p.grad
        with torch.no_grad():
            for sum_, p in zip(total, model.parameters(), strict=True):
                p.grad.zero_().add_(sum_, alpha=0.01)
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="GradNorm and balancing: autograd.grad beside backward", written=SECOND)
def adaptive_weight() -> Loop:
    model, (x, y) = mlp(out=2), regression()
    optimizer = optim.Adam(model.parameters(), 1e-3)

    def loss():
        out, last = model(x), model[2].weight
        a, b = F.mse_loss(out[:, :1], y), out[:, 1:].square().mean()
        sizes = [torch.autograd.grad(part, last, retain_graph=True)[0].norm() for part in (a, b)]
        return a + (sizes[0] / (sizes[1] + 1e-4)).clamp(0, 10).detach() * b

    return usual(model, optimizer, loss, 5)


@no_fault(
    source="data parallel by hand: replicas' gradients averaged into the first", written=SECOND
)
def replicas_averaged() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), 0.01)

    def update():
        replicas = [copy.deepcopy(model) for _ in range(2)]
        for replica, a, b in zip(replicas, x.split(16), y.split(16), strict=True):
            replica.zero_grad()
            F.mse_loss(replica(a), b).backward()
        for p, *others in zip(model.parameters(), *(r.parameters() for r in replicas), strict=True):
            p.grad = sum(q.grad for q in others) / 2
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


def _worker(shared, worker, optimizer, write, watched):
    x, y = regression()

    def update():
        worker.load_state_dict(shared.state_dict())
        worker.zero_grad()
        F.mse_loss(worker(x), y).backward()
        for p, q in zip(shared.parameters(), worker.parameters(), strict=True):
            write(p, q)
        optimizer.step()

    return Loop(watched, optimizer, times(3, update))


@no_fault(source="ikostrikov/pytorch-a3c: shared._grad = worker.grad", written=SECOND)
def asynchronous_worker() -> Loop:
    shared, worker = mlp(), mlp()
    optimizer = optim.RMSprop(shared.parameters(), 1e-3)
    return _worker(shared, worker, optimizer, lambda p, q: setattr(p, "grad", q.grad), shared)


@no_fault(source="worker's gradients copied, both models watched", written=SECOND)
def worker_watched_too() -> Loop:
    shared, worker = mlp(), mlp()
    optimizer = optim.Adam(shared.parameters(), 1e-3)

    def write(p, q):
        p.grad = q.grad.clone()

    return _worker(shared, worker, optimizer, write, [shared, worker])


@no_fault(
    source="DP-SGD by hand: one backward a sample, clipped, summed, noise added", written=SECOND
)
def private_training() -> Loop:
    model, (x, y) = mlp(), regression(8)
    optimizer = optim.SGD(model.parameters(), 0.05)

    def update():
        total = [torch.zeros_like(p) for p in model.parameters()]
        for i in range(8):
            model.zero_grad()
            F.mse_loss(model(x[i]), y[i]).backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            assert norm >= 0
            for sum_, p in zip(total, model.parameters(), strict=True):
                sum_ += p.grad
        for sum_, p in zip(total, model.parameters(), strict=True):
            p.grad.copy_((sum_ + 0.1 * torch.randn_like(p)) / 8)
        optimizer.step()

    return Loop(model, optimizer, times(2, update))
