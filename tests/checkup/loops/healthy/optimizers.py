"""Optimizers of every kind, wrapped, combined and in succession."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIRST, FOURTH, SECOND, THIRD, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import Tagger, fit, in_turn, mlp, regression, sequences, times


@no_fault(source="pytorch docs: optimizers", written=WITH_RULES)
def every_ordinary_optimizer_in_turn() -> Loop:
    kinds = (optim.Adam, optim.AdamW, optim.Adamax, optim.NAdam, optim.RAdam, optim.RMSprop)
    models = [mlp() for _ in kinds]
    optimizers = [kind(m.parameters(), lr=1e-3) for kind, m in zip(kinds, models, strict=True)]
    return in_turn(models, optimizers)


@no_fault(source="pytorch docs: optimizers", written=WITH_RULES)
def rarer_optimizers_in_turn() -> Loop:
    kinds = (optim.Adagrad, optim.Adadelta, optim.ASGD, optim.Rprop, optim.Adafactor)
    models = [mlp() for _ in kinds]
    optimizers = [kind(m.parameters()) for kind, m in zip(kinds, models, strict=True)]
    return in_turn(models, optimizers)


@no_fault(
    source="pytorch docs: foreach, fused, capturable and differentiable options", written=SECOND
)
def optimizer_implementations() -> Loop:
    options = ({"foreach": True}, {"fused": True}, {"foreach": False, "amsgrad": True})
    models = [mlp() for _ in options]
    optimizers = [
        optim.AdamW(m.parameters(), 1e-3, **o) for m, o in zip(models, options, strict=True)
    ]
    return in_turn(models, optimizers)


@no_fault(source="Rprop, Adadelta and ASGD for one step each", written=SECOND)
def rare_optimizers_once() -> Loop:
    models = [mlp() for _ in range(3)]
    kinds = (optim.Rprop, optim.Adadelta, optim.ASGD)
    optimizers = [kind(m.parameters()) for kind, m in zip(kinds, models, strict=True)]
    x, y = regression()

    def train():
        for model, optimizer in zip(models, optimizers, strict=True):
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(models, optimizers, train)


@no_fault(source="pytorch docs: LBFGS", written=WITH_RULES)
def lbfgs_with_closure() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.LBFGS(model.parameters(), lr=0.5, max_iter=6, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    return Loop(model, optimizer, times(3, lambda: optimizer.step(closure)))


@no_fault(source="pytorch docs: any optimizer takes a closure", written=WITH_RULES)
def adam_with_closure_over_two_batches() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def closure():
        optimizer.zero_grad()
        for a, b in zip(x.split(16), y.split(16), strict=True):
            (F.mse_loss(model(a), b) / 2).backward()

    return Loop(model, optimizer, times(3, lambda: optimizer.step(closure)))


@no_fault(source="Lightning: a manual step passes a closure that does nothing", written=FOURTH)
def closure_after_backward() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step(lambda: loss)

    return Loop(model, optimizer, times(4, update))


@no_fault(source="Lightning: accumulation, the last batch in a closure", written=FOURTH)
def last_micro_batch_in_a_closure() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def backward(part: int) -> torch.Tensor:
        loss = F.mse_loss(model(x[part::4]), y[part::4]) / 4
        loss.backward()
        return loss

    def update():
        optimizer.zero_grad()
        for part in range(3):
            backward(part)
        optimizer.step(lambda: backward(3))

    return Loop(model, optimizer, times(4, update))


class Probing(optim.SGD):
    """Halves its lr until the closure's loss falls, as a line search does."""

    def step(self, closure):
        before = [p.detach().clone() for p in self.param_groups[0]["params"]]
        first = closure().item()
        for _ in range(5):
            for p, start in zip(self.param_groups[0]["params"], before, strict=True):
                p.data = start - self.param_groups[0]["lr"] * p.grad
            with torch.no_grad():
                if closure().item() < first:
                    break
            self.param_groups[0]["lr"] /= 2


@no_fault(source="backtracking line search: its probes have no backward", written=FOURTH)
def line_search_with_probes() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = Probing(model.parameters(), lr=0.5)

    def update():
        def closure():
            loss = F.mse_loss(model(x), y)
            if torch.is_grad_enabled():
                optimizer.zero_grad()
                loss.backward()
            return loss

        optimizer.step(closure)

    return Loop(model, optimizer, times(4, update))


@no_fault(source="converged linear regression with LBFGS", written=FIRST)
def converged_least_squares() -> Loop:
    model, (x, y) = nn.Linear(8, 1).double(), regression(100)
    optimizer = optim.LBFGS(model.parameters(), max_iter=30)

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x.double()), y.double())
        loss.backward()
        return loss

    return Loop(model, optimizer, times(6, lambda: optimizer.step(closure)))


@no_fault(source="two optimizers on one loss", written=FIRST)
def two_optimizers_one_loss() -> Loop:
    model, (x, y) = nn.Sequential(nn.Linear(8, 40), nn.SiLU(), nn.Linear(40, 1)), regression(50)
    first = optim.Adagrad(model[0].parameters(), lr=0.02)
    second = optim.SGD(model[2].parameters(), lr=0.01)

    def update():
        model.zero_grad()
        F.huber_loss(model(x), y).backward()
        second.step()
        first.step()

    return Loop(model, [first, second], times(9, update))


@no_fault(source="pytorch docs: Muon for matrices, AdamW for the rest", written=SECOND)
def muon_and_adam() -> Loop:
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


@no_fault(source="Lookahead as a wrapper with an attribute optimizer", written=SECOND)
def lookahead_wrapper() -> Loop:
    model = mlp()
    return fit(model, Lookahead(optim.Adam(model.parameters(), 1e-3)), 7)


@no_fault(source="lookahead: slow weights outside of the optimizer", written=FIRST)
def lookahead() -> Loop:
    model, (x, y) = nn.Linear(8, 1), regression()
    slow, optimizer = copy.deepcopy(model), optim.Adam(model.parameters(), lr=0.02)

    def update():
        for _ in range(5):
            optimizer.zero_grad()
            F.l1_loss(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            for p, q in zip(model.parameters(), slow.parameters(), strict=True):
                p.copy_(q.lerp_(p, 0.5))

    return Loop(model, optimizer, times(3, update))


class Sharpness(optim.Optimizer):
    """Sharpness-aware minimisation in two steps around a base optimizer."""

    def __init__(self, parameters, base, rho=0.05, **options):
        super().__init__(parameters, {"rho": rho, **options})
        self.base = base(self.param_groups, **options)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def first_step(self):
        held = [p for group in self.param_groups for p in group["params"]]
        scale = 0.05 / torch.stack([p.grad.norm() for p in held]).norm()
        for p in held:
            self.state[p]["moved"] = p.grad * scale
            p.add_(self.state[p]["moved"])
        self.zero_grad()

    @torch.no_grad()
    def second_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(self.state[p]["moved"])
        self.base.step()
        self.zero_grad()


@no_fault(source="davda54/sam#8", written=WITH_RULES)
def sharpness_aware_minimisation() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = Sharpness(model.parameters(), optim.SGD, lr=0.01, momentum=0.9)

    def update():
        F.mse_loss(model(x), y).backward()
        optimizer.first_step()
        F.mse_loss(model(x), y).backward()
        optimizer.second_step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="SAM written in the loop, with .data", written=WITH_RULES)
def sharpness_aware_by_hand() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        F.mse_loss(model(x), y).backward()
        moves = [0.05 * p.grad / (p.grad.norm() + 1e-8) for p in model.parameters()]
        for p, move in zip(model.parameters(), moves, strict=True):
            p.data.add_(move)
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        for p, move in zip(model.parameters(), moves, strict=True):
            p.data.sub_(move)
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(3, update))


@no_fault(
    source="optimizer step inside backward, one optimizer per parameter (tutorial)",
    written=WITH_RULES,
)
def optimizer_step_in_backward() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizers = {p: optim.Adam([p], lr=1e-3) for p in model.parameters()}

    def hook(p):
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(hook)
    return Loop(
        model, list(optimizers.values()), times(3, lambda: F.mse_loss(model(x), y).backward())
    )


@no_fault(source="optimizer made anew in every epoch", written=WITH_RULES)
def optimizer_recreated_inside() -> Loop:
    model, (x, y) = mlp(), regression()

    def update():
        fresh = optim.SGD(model.parameters(), lr=0.01)
        fresh.zero_grad()
        F.mse_loss(model(x), y).backward()
        fresh.step()

    return Loop(model, optim.SGD(model.parameters(), lr=0.01), times(3, update))


@no_fault(source="SWATS: Adam first, SGD later, on the same parameters", written=THIRD)
def optimizers_in_succession() -> Loop:
    model, (x, y) = mlp(), regression()
    first, second = optim.Adam(model.parameters(), 1e-3), optim.SGD(model.parameters(), 0.01)

    def train():
        for step in range(6):
            optimizer = first if step < 4 else second
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(model, [first, second], train)


class Signs(optim.Optimizer):
    """Descends by the sign of the gradient; it has no learning rate."""

    def __init__(self, parameters):
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(1e-3 * p.grad.sign())


@no_fault(source="an optimizer of one's own, without lr", written=WITH_RULES)
def optimizer_without_learning_rate() -> Loop:
    model = mlp()
    return fit(model, Signs(model.parameters()), 4)


@no_fault(source="AdaHessian: backward with create_graph, curvature by Hutchinson", written=THIRD)
def second_order_optimizer() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward(create_graph=True)
        held = list(model.parameters())
        signs = [torch.randint_like(p, 2) * 2 - 1 for p in held]
        curves = torch.autograd.grad([p.grad for p in held], held, signs, allow_unused=True)
        for p, z, h in zip(held, signs, curves, strict=True):
            h = torch.zeros_like(p) if h is None else h
            p.grad = (p.grad / ((h * z).abs() + 1)).detach()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="sequence tagger with padding, SparseAdam for its table", written=SECOND)
def sparse_table_and_dense_rest() -> Loop:
    model, x, y = Tagger(), sequences(), torch.randint(5, (8, 10))
    model.table = nn.Embedding(20, 8, sparse=True)
    sparse = optim.SparseAdam(list(model.table.parameters()), 1e-3)
    dense = optim.Adam([p for n, p in model.named_parameters() if "table" not in n], 1e-3)

    def update():
        model.zero_grad()
        F.cross_entropy(model(x).transpose(1, 2), y).backward()
        sparse.step()
        dense.step()

    return Loop(model, [sparse, dense], times(3, update))
