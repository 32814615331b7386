"""Second set out of sample, healthy: gradients that the loop itself edits, merges or moves."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from collection import Loop, cnn, healthy, images, mlp, regression, times, usual
from torch import nn, optim
from torch.func import functional_call, grad, vmap


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


@healthy("WeiChengTseng/Pytorch-PCGrad: p.grad = merged")
def unseen_surgery_assigned() -> Loop:
    return _surgery(True, lambda p, g: setattr(p, "grad", g))


@healthy("gradient surgery, copied into the gradient with a smaller norm")
def unseen_surgery_copied() -> Loop:
    return _surgery(True, lambda p, g: p.grad.copy_(g * 0.1))


@healthy("gradient surgery with .data and zeroed gradients")
def unseen_surgery_copied_into_zeros() -> Loop:
    return _surgery(False, lambda p, g: p.grad.data.copy_(g / 30))


@healthy("CAGrad: the average of the tasks' gradients, much smaller than the last")
def unseen_average_of_tasks() -> Loop:
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


@healthy("data parallel by hand: replicas' gradients averaged into the first")
def unseen_replicas_averaged() -> Loop:
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


@healthy("ikostrikov/pytorch-a3c: shared._grad = worker.grad")
def unseen_asynchronous_worker() -> Loop:
    shared, worker = mlp(), mlp()
    optimizer = optim.RMSprop(shared.parameters(), 1e-3)
    return _worker(shared, worker, optimizer, lambda p, q: setattr(p, "grad", q.grad), shared)


@healthy("worker's gradients copied, both models watched")
def unseen_worker_watched_too() -> Loop:
    shared, worker = mlp(), mlp()
    optimizer = optim.Adam(shared.parameters(), 1e-3)

    def write(p, q):
        p.grad = q.grad.clone()

    return _worker(shared, worker, optimizer, write, [shared, worker])


@healthy("DP-SGD by hand: one backward a sample, clipped, summed, noise added")
def unseen_private_training() -> Loop:
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


@healthy("per-sample gradients by torch.func, assigned")
def unseen_per_sample_gradients() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), 1e-3)

    def one(weights, a, b):
        return F.mse_loss(functional_call(model, weights, a), b)

    def update():
        weights = {name: p.detach() for name, p in model.named_parameters()}
        slopes = vmap(grad(one), (None, 0, 0))(weights, x, y)
        for name, p in model.named_parameters():
            p.grad = slopes[name].mean(0)
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(2, update))


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
