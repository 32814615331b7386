"""Second set out of sample: broken order of clear, forward, backward and step."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, Tagger, broken, sequences, simple, times, usual


@broken("not-cleared", source="karpathy/llm.c#548")
def unseen_tagger_never_cleared() -> Loop:
    model, x, y = Tagger(), sequences(), torch.randint(5, (8, 10))
    optimizer = optim.Adagrad(model.parameters(), 0.01)

    def update():
        F.cross_entropy(model(x).transpose(1, 2), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("not-cleared", source="pytorch forum: zero_grad of a detached copy of the list")
def unseen_grads_cleared_on_copies() -> Loop:
    model, optimizer, x, y = simple()

    def update():
        for p in model.parameters():
            if p.grad is not None:
                p.grad.clone().zero_()
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(4, update))


@broken("not-cleared", source="pytorch forum: accumulation that never clears")
def unseen_accumulation_without_clear() -> Loop:
    model, optimizer, x, y = simple(optim.AdamW, 1e-3)

    def update():
        for a, b in zip(x.split(16), y.split(16), strict=True):
            (F.mse_loss(model(a), b) / 2).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("cleared-before-step", source="ZiqiaoPeng/DualTalk#9")
def unseen_cleared_before_every_backward() -> Loop:
    model, optimizer, x, y = simple(optim.Adam, 1e-3)

    def train():
        for i in range(8):
            optimizer.zero_grad()
            F.mse_loss(model(x[i : i + 4]), y[i : i + 4]).backward()
            if i % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@broken("cleared-before-step", source="gaozhihan/PreDiff#32")
def unseen_clear_outside_of_the_condition() -> Loop:
    model, optimizer, x, y = simple()

    def train():
        for i in range(9):
            (F.mse_loss(model(x), y) / 3).backward()
            if i % 3 == 2:
                nn.utils.clip_grad_value_(model.parameters(), 0.5)
                optimizer.step()
            optimizer.zero_grad(set_to_none=False)

    return Loop(model, optimizer, train)


@broken("no-backward", source="pytorch forum: loss.backward without parentheses")
def unseen_backward_without_parentheses() -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward  # noqa: B018
        optimizer.step()

    return Loop(model, optimizer, times(2, update))


@broken("no-step", source="spro/practical-pytorch#21 (step in a branch never taken)")
def unseen_step_in_a_branch_never_taken() -> Loop:
    model, optimizer, x, y = simple()

    def train():
        for i in range(1, 4):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            if i % 10 == 0:
                optimizer.step()

    return Loop(model, optimizer, train)


@broken("no-step", source="pytorch forum: scaler.update without scaler.step")
def unseen_scaler_never_steps() -> Loop:
    model, optimizer, x, y = simple()
    scaler = torch.amp.GradScaler("cpu")

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y)).backward()

    return Loop(model, optimizer, times(3, update))


@broken("step-before-backward", source="pytorch forum: step at the top of the loop")
def unseen_step_at_the_top() -> Loop:
    model, optimizer, x, y = simple(optim.Adam, 1e-3)

    def update():
        out = model(x)
        optimizer.step()
        optimizer.zero_grad()
        F.mse_loss(out, y).backward()

    return Loop(model, optimizer, times(4, update))


@broken("step-twice", source="Lightning-AI/pytorch-lightning#20215 (manual and automatic)")
def unseen_step_after_the_scaler_stepped() -> Loop:
    model, optimizer, x, y = simple()
    scaler = torch.amp.GradScaler("cpu")

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("no-graph", source="pytorch forum: loss built from numpy")
def unseen_loss_from_numpy() -> Loop:
    model, optimizer, x, y = simple()

    def loss():
        error = ((model(x).detach().numpy() - y.numpy()) ** 2).mean()
        return torch.tensor(float(error), requires_grad=True)

    return usual(model, optimizer, loss, 2)


@broken("no-graph", source="pytorch forum: inference_mode around the forward")
def unseen_features_under_no_grad_wrapper() -> Loop:
    model, optimizer, x, y = simple()
    forward = torch.no_grad()(lambda: F.mse_loss(model(x), y))
    return usual(model, optimizer, lambda: forward().requires_grad_(), 3)


@broken("no-graph", source="pytorch forum: LSTM state kept between batches")
def unseen_lstm_state_not_detached() -> Loop:
    rnn, state = nn.LSTM(4, 4), [None]
    optimizer = optim.SGD(rnn.parameters(), 0.1)

    def loss():
        out, state[0] = rnn(torch.randn(5, 2, 4), state[0])
        return out.square().mean()

    return usual(rnn, optimizer, loss, 2)


@broken(
    "amp-skipping",
    source="pytorch forum: loss infinite in half precision",
    single_precision="a GradScaler overflows in single precision only",
)
def unseen_infinite_gradient_under_scaler() -> Loop:
    model, optimizer, x, y = simple()
    scaler = torch.amp.GradScaler("cpu")

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y) * 1e38).backward()
        scaler.step(optimizer)
        scaler.update()

    return Loop(model, optimizer, times(4, update))
