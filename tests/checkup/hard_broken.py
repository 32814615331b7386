"""Third set out of sample: broken loops chosen because the rules might miss them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, broken, cnn, fit, images, mlp, regression, usual


@broken("unregistered", source="pytorch/pytorch#666 (layers inside a plain object)")
def unseen_layers_inside_a_plain_object() -> Loop:
    class Helper:
        def __init__(self) -> None:
            self.linear = nn.Linear(8, 8)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.helper, self.out = Helper(), nn.Linear(8, 1)

        def forward(self, x):
            return self.out(torch.relu(self.helper.linear(x)))

    model = Net()
    return fit(model, optim.Adam(model.parameters(), 1e-3))


@broken("not-in-optimizer", "not-in-model", source="pytorch forum: layer made in forward")
def unseen_layer_made_in_every_forward() -> Loop:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            self.head = nn.Linear(8, 1)
            return self.head(torch.relu(self.body(x)))

    model = Net()
    return fit(model, optim.Adam(model.parameters(), 1e-3))


@broken("not-in-optimizer", source="pytorch forum: layer made in the first forward")
def unseen_layer_made_in_the_first_forward() -> Loop:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), None

        def forward(self, x):
            hidden = torch.relu(self.body(x))
            if self.head is None:
                self.head = nn.Linear(hidden.shape[1], 1)
            return self.head(hidden)

    model = Net()
    return fit(model, optim.SGD(model.parameters(), 0.01))


@broken("broadcast-loss", source="sunwuzhou03/reinforcement-learning-lab#1 (64, 1 and 64, 4)")
def unseen_one_value_for_four_targets() -> Loop:
    model, x, y = mlp(), torch.randn(64, 8), torch.randn(64, 4)
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y))


@broken("ascending", source="pytorch forum: one minus the loss")
def unseen_one_minus_the_loss() -> Loop:
    model, (x, y) = mlp(), regression()
    return usual(model, optim.SGD(model.parameters(), 1e-3), lambda: 1 - F.mse_loss(model(x), y))


@broken("ascending", source="pytorch forum: negated root mean squared error")
def unseen_negated_root_mean_square() -> Loop:
    model, (x, y) = mlp(), regression()
    return usual(
        model, optim.Adam(model.parameters(), 1e-3), lambda: -F.mse_loss(model(x), y).sqrt()
    )


@broken("cleared-before-step", source="pytorch/torchtitan#3575 (clipped before the step)")
def unseen_micro_batches_cleared_then_clipped() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.AdamW(model.parameters(), 1e-3)

    def train():
        for _ in range(2):
            for a, b in zip(x.split(8), y.split(8), strict=True):
                model.zero_grad()
                (F.mse_loss(model(a), b) / 4).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()

    return Loop(model, optimizer, train)


@broken("zero-gradient", source="pytorch forum: inputs normalised to zero")
def unseen_all_inputs_zero() -> Loop:
    model, y = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 1)), torch.randn(16, 1)
    x = torch.zeros(16, 8)
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), y))


@broken("eval-mode", source="pytorch forum: only the head put back to train")
def unseen_only_head_in_train_mode() -> Loop:
    model, (x, y) = cnn(), images()
    model.eval()
    model[-1].train()
    optimizer = optim.Adam(model.parameters(), 1e-3)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y))
