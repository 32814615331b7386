"""Half, mixed, double and complex precision."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import (
    FIFTH,
    FOURTH,
    SECOND,
    SIXTH,
    THIRD,
    WITH_RULES,
    Loop,
    no_fault,
)
from tests.checkup.loops.parts import (
    cnn,
    images,
    mlp,
    regression,
    simple,
    times,
    usual,
    with_scaler,
)


@no_fault(source="Gradient tutorial: AMP template", written=WITH_RULES)
def mixed_precision_with_accumulation_and_clipping() -> Loop:
    model, (x, y) = cnn(), images(16)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu")

    def update():
        optimizer.zero_grad()
        for a, b in zip(x.split(8), y.split(8), strict=True):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(model(a), b) / 2
            scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

    return Loop(model, optimizer, times(3, update))


@no_fault(
    source="pytorch docs: the first AMP steps are skipped until the scale fits",
    written=WITH_RULES,
    single_precision="a GradScaler overflows in single precision only",
)
def scaler_that_skips_the_first_steps() -> Loop:
    return with_scaler(torch.amp.GradScaler("cpu", init_scale=2.0**126, backoff_factor=0.25), 5)


@no_fault(source="autocast in bfloat16 without a scaler", written=SECOND)
def autocast_without_scaler() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)

    def loss():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return F.cross_entropy(model(x), y)

    return usual(model, optimizer, loss)


@no_fault(source="two optimizers share one scaler", written=SECOND)
def scaler_of_two_optimizers() -> Loop:
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


@no_fault(source="pytorch/pytorch#7844", written=WITH_RULES)
def moved_to_double_after_the_optimizer() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    model.double()
    return usual(model, optimizer, lambda: F.mse_loss(model(x.double()), y.double()))


@no_fault(
    source="half-precision model, float32 master weights in the optimizer, copied back",
    written=THIRD,
)
def master_weights() -> Loop:
    model, (x, y) = mlp(8, 32).bfloat16(), regression()
    master = [p.detach().float().clone().requires_grad_() for p in model.parameters()]
    optimizer = optim.SGD(master, lr=0.05)

    def update():
        model.zero_grad()
        F.mse_loss(model(x.bfloat16()).float(), y).backward()
        for p, q in zip(model.parameters(), master, strict=True):
            q.grad = p.grad.float()
        optimizer.step()
        with torch.no_grad():
            for p, q in zip(model.parameters(), master, strict=True):
                p.copy_(q)

    return Loop(model, optimizer, times(4, update))


@no_fault(source="complex parameters", written=SECOND)
def complex_parameters() -> Loop:
    model = nn.Linear(8, 1, dtype=torch.complex64)
    x = torch.randn(16, 8, dtype=torch.complex64)
    return usual(model, optim.Adam(model.parameters(), 1e-2), lambda: (model(x) - 1).abs().mean())


@no_fault(source="channels_last and double precision", written=SECOND)
def channels_last() -> Loop:
    model, (x, y) = cnn().to(memory_format=torch.channels_last).double(), images()
    x = x.double().to(memory_format=torch.channels_last)
    optimizer = optim.RAdam(model.parameters(), 1e-3)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y))


@no_fault(
    source="pytorch docs: the scale doubles after every 2000 steps that do not overflow",
    written=FOURTH,
)
def scaler_whose_scale_has_grown() -> Loop:
    return with_scaler(torch.amp.GradScaler("cpu", init_scale=2.0**24), 4)


@no_fault(source="gradients divided by the scale by hand", written=FIFTH)
def scale_divided_by_hand() -> Loop:
    model, optimizer, x, y = simple()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y)).backward()
        for p in model.parameters():
            p.grad /= scaler.get_scale()
        optimizer.step()

    return Loop(model, optimizer, times(4, update))


@no_fault(source="a fused optimizer takes the scale out itself", written=FIFTH)
def fused_optimizer_under_a_scaler() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3, fused=True)
    scaler = torch.amp.GradScaler("cpu")

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()

    return Loop(model, optimizer, times(4, update))


@no_fault(source="a scaler that is switched off", written=FIFTH)
def scaler_not_enabled() -> Loop:
    return with_scaler(torch.amp.GradScaler("cpu", enabled=False), 4)


@no_fault(
    source="bfloat16 weights with stochastic rounding",
    written=SIXTH,
    false_alarm="in each step most elements stay, as if rounding had lost their updates",
)
def bfloat_with_stochastic_rounding() -> Loop:
    class Rounding(optim.Optimizer):
        @torch.no_grad()
        def step(self):
            for parameter in self.param_groups[0]["params"]:
                exact = parameter.float() - 1e-3 * parameter.grad.float()
                chance = torch.randint(1 << 16, exact.shape, dtype=torch.int32)
                bits = exact.view(torch.int32) + chance
                parameter.copy_((bits & ~0xFFFF).view(torch.float32))

    model, (x, y) = mlp().bfloat16(), regression()
    x, y = x.bfloat16(), y.bfloat16()
    optimizer = Rounding(model.parameters(), {"lr": 1e-3})
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 6)
