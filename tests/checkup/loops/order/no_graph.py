"""Losses from which no backward call reaches the model."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import (
    classify,
    cnn,
    fit,
    mlp,
    predict_themselves,
    sequences,
    simple,
    usual,
)


@fault("no-graph", source="ronghuaiyang/arcface-pytorch#56", written=WITH_RULES)
def requires_grad_set_on_the_loss(repaired: bool) -> Loop:
    model = mlp()

    def criterion(out, y):
        value = F.mse_loss(out if repaired else out.detach(), y)
        if not repaired:
            value.requires_grad = True
        return value

    return fit(model, optim.SGD(model.parameters(), lr=0.1), 4, criterion)


@fault("no-graph", source="dangfangshuo in speechbrain/speechbrain#735", written=WITH_RULES)
def loss_wrapped_in_a_variable(repaired: bool) -> Loop:
    model = mlp()

    def criterion(out, y):
        loss = F.mse_loss(out, y)
        return (loss if repaired else torch.tensor(loss.item(), requires_grad=True)) / 2

    return fit(model, optim.Adam(model.parameters()), 1, criterion)


@fault("no-graph", source="kevinzakka/pytorch-goodies#11", written=WITH_RULES)
def loss_of_predicted_classes(repaired: bool) -> Loop:
    model = cnn()

    def criterion(out, y):
        return F.cross_entropy(out, y) if repaired else (out.argmax(1) == y).float().mean()

    return classify(model, optim.SGD(model.parameters(), lr=0.1), 1, criterion)


@fault("no-graph", source="pytorch forum: training inside no_grad", written=WITH_RULES)
def forward_under_no_grad(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def loss():
        with torch.set_grad_enabled(repaired):
            return F.mse_loss(model(x), y)

    return usual(model, optimizer, loss)


@fault("no-graph", source="MorvanZhou/PyTorch-Tutorial#57", written=WITH_RULES)
def hidden_state_carried_with_its_graph(repaired: bool) -> Loop:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.rnn, self.out = nn.Embedding(20, 4), nn.RNN(4, 8), nn.Linear(8, 20)
            self.hidden = None

        def forward(self, x):
            out, hidden = self.rnn(self.table(x), self.hidden)
            self.hidden = hidden.detach() if repaired else hidden
            return self.out(out)

    model, x = Recurrent(), sequences()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return usual(model, optimizer, lambda: predict_themselves(model, x))


@fault("no-graph", source="YunShen66666 in shoutOutYangJie/FaceID-GAN#5", written=WITH_RULES)
def two_losses_through_one_freed_graph(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        out = model(x)
        F.mse_loss(out, y).backward(retain_graph=repaired)
        out.abs().mean().backward()
        optimizer.step()

    return Loop(model, optimizer, update)


@fault("no-graph", source="pytorch forum: loss built from numpy", written=SECOND)
def loss_from_numpy(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def loss():
        if repaired:
            return ((model(x) - y) ** 2).mean()
        error = ((model(x).detach().numpy() - y.numpy()) ** 2).mean()
        return torch.tensor(float(error), requires_grad=True)

    return usual(model, optimizer, loss, 2)


@fault("no-graph", source="pytorch forum: inference_mode around the forward", written=SECOND)
def features_under_no_grad_wrapper(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    wrapper = torch.enable_grad() if repaired else torch.no_grad()
    forward = wrapper(lambda: F.mse_loss(model(x), y))
    return usual(model, optimizer, lambda: forward().requires_grad_(), 3)


@fault("no-graph", source="pytorch forum: LSTM state kept between batches", written=SECOND)
def lstm_state_not_detached(repaired: bool) -> Loop:
    rnn, state = nn.LSTM(4, 4), None
    optimizer = optim.SGD(rnn.parameters(), 0.1)

    def loss():
        nonlocal state
        out, state = rnn(torch.randn(5, 2, 4), state)
        if repaired:
            state = tuple(part.detach() for part in state)
        return out.square().mean()

    return usual(rnn, optimizer, loss, 2)
