"""Gradients that add up from step to step."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, SIXTH, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import (
    LanguageModel,
    Tagger,
    classify,
    cnn,
    gan,
    mlp,
    predict_themselves,
    regression,
    sequences,
    simple,
    tagging,
    times,
    usual,
)


@fault("not-cleared", source="zero_grad and its necessity (tutorial)", written=WITH_RULES)
def linear_model_never_cleared(repaired: bool) -> Loop:
    model, x, y = nn.Linear(10, 2), torch.randn(1, 10), torch.tensor([[1.0, 0.0]])
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 3, clear=repaired)


@fault("not-cleared", source="What zero_grad is for (tutorial)", written=WITH_RULES)
def accumulates_unintentionally(repaired: bool) -> Loop:
    model, x, y = nn.Linear(10, 2), torch.randn(1, 10), torch.tensor([[1.0, 0.0]])
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(model, optimizer, lambda: nn.MSELoss()(model(x), y), 3, clear=repaired)


@fault(
    "not-cleared", source="Why are PyTorch parameters not updating? (tutorial)", written=WITH_RULES
)
def missing_zero_grad(repaired: bool) -> Loop:
    model = nn.Linear(10, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def loss():
        return F.mse_loss(model(torch.randn(64, 10)), torch.randn(64, 1))

    return usual(model, optimizer, loss, 100, clear=repaired)


@fault("not-cleared", source="salesforce/corr_based_prediction#1", written=WITH_RULES)
def cleared_once_per_epoch(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def epoch():
        optimizer.zero_grad()
        for a, b in zip(x.split(8), y.split(8), strict=True):
            if repaired:
                optimizer.zero_grad()
            F.mse_loss(model(a), b).backward()
            optimizer.step()

    return Loop(model, optimizer, times(2, epoch))


@fault("not-cleared", source="meta-pytorch/torchforge#71", written=WITH_RULES)
def adam_and_clipping_without_clearing(repaired: bool) -> Loop:
    model = cnn()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def clip():
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    return classify(model, optimizer, 2, clear=repaired, edit=clip)


@fault("not-cleared", source="ajbrock/BigGAN-PyTorch#25", written=WITH_RULES)
def discriminator_never_cleared(repaired: bool) -> Loop:
    return gan(3, clear_critic=repaired)


@fault("not-cleared", source="pytorch forum: LBFGS closure without zero_grad", written=WITH_RULES)
def closure_that_does_not_clear(repaired: bool) -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.LBFGS(model.parameters(), lr=0.05, max_iter=5)

    def closure():
        if repaired:
            optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    return Loop(model, optimizer, times(2, lambda: optimizer.step(closure)))


@fault("not-cleared", source="pytorch/pytorch#47175", written=WITH_RULES)
def zero_grad_without_parentheses(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(momentum=0.9)

    def update():
        optimizer.zero_grad() if repaired else optimizer.zero_grad
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(5, update))


@fault("not-cleared", source="pytorch forum: another model's zero_grad", written=WITH_RULES)
def only_one_layer_cleared(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        (model if repaired else model[0]).zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(2, update))


@fault("not-cleared", source="wanyunchong in yastrebksv/TennisCourtDetector#7", written=FIRST)
def language_model_not_cleared(repaired: bool) -> Loop:
    model, x = LanguageModel(), sequences(5, 7, 30)
    optimizer = optim.RMSprop(model.parameters(), lr=1e-4)
    return usual(model, optimizer, lambda: predict_themselves(model, x), 18, clear=repaired)


@fault("not-cleared", source="karpathy/llm.c#548", written=SECOND)
def tagger_never_cleared(repaired: bool) -> Loop:
    model = Tagger()
    return tagging(model, optim.Adagrad(model.parameters(), 0.01), clear=repaired)


@fault(
    "not-cleared", source="pytorch forum: zero_grad of a detached copy of the list", written=SECOND
)
def grads_cleared_on_copies(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        for p in model.parameters():
            if p.grad is not None:
                (p.grad if repaired else p.grad.clone()).zero_()
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(4, update))


@fault("not-cleared", source="pytorch forum: accumulation that never clears", written=SECOND)
def accumulation_without_clear(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.AdamW, 1e-3)

    def update():
        if repaired:
            optimizer.zero_grad()
        for a, b in zip(x.split(16), y.split(16), strict=True):
            (F.mse_loss(model(a), b) / 2).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault(
    "not-cleared",
    source="common report: infinite gradients stay, and the scaler skips every step",
    written=FIFTH,
    single_precision="a GradScaler overflows in single precision only",
)
def infinity_never_cleared(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.Adam)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=0.25)

    def update():
        if repaired:
            optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()

    return Loop(model, optimizer, times(6, update))


@fault("not-cleared", source="common report: total_loss += loss, retain_graph=True", written=SIXTH)
def losses_added_up_over_steps(repaired: bool) -> Loop:
    model, (x, y) = nn.Linear(8, 1), regression()
    optimizer = optim.SGD(model.parameters(), lr=1e-2)

    def train():
        total = torch.zeros(())
        for a, b in zip(x.split(8), y.split(8), strict=True):
            optimizer.zero_grad()
            loss = F.mse_loss(model(a), b)
            total = loss if repaired else total + loss
            total.backward(retain_graph=True)
            optimizer.step()

    return Loop(model, optimizer, train)
