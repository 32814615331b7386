"""Dropout and BatchNorm that train in evaluation mode."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIRST, SECOND, THIRD, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import classify, cnn, images, times, usual


@fault("eval-mode", source="fartashf/vsepp#4", written=WITH_RULES)
def validation_leaves_eval_mode(repaired: bool) -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def update():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            model(x)
        model.train(repaired)

    return Loop(model, optimizer, times(3, update))


@fault("eval-mode", source="ermongroup/ncsn#2", written=WITH_RULES)
def attention_in_eval_from_the_start(repaired: bool) -> Loop:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    model = nn.Sequential(layer, nn.Linear(8, 1)).train(repaired)
    x, y = torch.randn(4, 6, 8), torch.randn(4, 6, 1)
    return usual(model, optim.AdamW(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y), 2)


@fault("eval-mode", source="pytorch forum: eval after loading a checkpoint", written=FIRST)
def eval_after_loading(repaired: bool) -> Loop:
    model = nn.Sequential(nn.LSTM(5, 6, 2, dropout=0.3, batch_first=True))
    x, optimizer = torch.randn(4, 9, 5), optim.SGD(model.parameters(), lr=0.5)
    model.train(repaired)
    return usual(model, optimizer, lambda: model(x)[0].square().mean(), 1)


@fault("eval-mode", source="tk-rusch/coRNN#1", written=SECOND)
def test_in_the_middle(repaired: bool) -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.Adam(model.parameters(), 1e-3)

    def train():
        for step in range(6):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if step == 2:
                model.eval()
                model.train(repaired)

    return Loop(model, optimizer, train)


@fault("eval-mode", source="pytorch/tutorials#1624", written=SECOND)
def dropout_of_rnn_in_eval(repaired: bool) -> Loop:
    model = nn.GRU(4, 6, num_layers=2, dropout=0.2).train(repaired)
    x, optimizer = torch.randn(5, 3, 4), optim.Adam(model.parameters(), 1e-3)
    return usual(model, optimizer, lambda: model(x)[0].square().mean())


@fault("eval-mode", source="pytorch forum: only the head put back to train", written=THIRD)
def only_head_in_train_mode(repaired: bool) -> Loop:
    model = cnn()
    model.eval()
    (model if repaired else model[-1]).train()
    return classify(model, optim.Adam(model.parameters(), 1e-3))
