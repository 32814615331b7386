"""Loops whose gradients, updates or losses have the wrong size, sign or shape."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, broken, cnn, images, mlp, regression, times, usual


@broken("zero-gradient", source="common report: round() in the path")
def rounded_output() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x).round(), y))


@broken("zero-gradient", source="Understanding and Mitigating PyTorch Dead ReLU Problem (page)")
def dead_relu() -> Loop:
    model, (x, y) = mlp(), regression()
    nn.init.constant_(model[0].bias, -50.0)
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y), 2)


@broken("zero-gradient", source="Weight Initialization (page): all weights zero")
def all_zero_initialisation() -> Loop:
    model, (x, y) = mlp(), regression()
    for p in model.parameters():
        nn.init.zeros_(p)
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), y), 3)


@broken("zero-gradient", source="ultralytics/yolov3#191")
def cross_entropy_of_a_single_class() -> Loop:
    model, x, y = mlp(out=1), torch.randn(16, 8), torch.zeros(16, dtype=torch.long)
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.cross_entropy(model(x), y))


@broken("zero-gradient", source="pytorch forum: softmax over the wrong dimension")
def softmax_over_a_dimension_of_one() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    return usual(model, optimizer, lambda: F.mse_loss(model(x).softmax(1), y), 1)


@broken("zero-gradient", source="pytorch forum: sign activation")
def sign_in_the_middle() -> Loop:
    class Binary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            return self.b(torch.sign(self.a(x)))

    model, (x, y) = Binary(), regression()
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y))


@broken("non-finite", source="pytorch/pytorch#2421")
def gradient_of_a_zero_norm() -> Loop:
    model, (x, y) = mlp(), regression()

    def loss():
        return F.mse_loss(model(x), y) + (model[0].weight * 0).pow(2).sum().sqrt()

    return usual(model, optim.SGD(model.parameters(), lr=0.01), loss)


@broken("non-finite", source="common report: NaN in the inputs")
def nan_in_the_data() -> Loop:
    model, (x, y) = cnn(), images()
    x[3, 0, 2, 2] = math.nan
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.cross_entropy(model(x), y))


@broken("non-finite", source="horenbergerb/BernoulliDiffusion#15")
def log_of_a_zero_probability() -> Loop:
    model, x = mlp(out=3), torch.randn(16, 8) * 1e3
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(model, optimizer, lambda: -(model(x).softmax(1)[:, 0].log()).mean(), 1)


@broken("non-finite", source="pytorch forum: every key masked")
def attention_over_nothing() -> Loop:
    model = nn.MultiheadAttention(8, 2, batch_first=True)
    x, mask = torch.randn(2, 4, 8), torch.ones(2, 4, dtype=torch.bool)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(
        model, optimizer, lambda: model(x, x, x, key_padding_mask=mask)[0].pow(2).mean(), 2
    )


@broken("exploding", "non-finite", source="pytorch/pytorch#2769")
def recurrent_weights_too_large() -> Loop:
    model = nn.RNN(4, 16, nonlinearity="relu", batch_first=True)
    nn.init.normal_(model.weight_hh_l0, std=1.0)
    x, y = torch.randn(8, 40, 4), torch.randn(8, 40, 16)
    optimizer = optim.SGD(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: F.mse_loss(model(x)[0], y), 3)


@broken("exploding", source="pytorch/pytorch#2623")
def deep_network_with_unit_variance_weights() -> Loop:
    layers: list[nn.Module] = []
    for _ in range(8):
        layers += [nn.Linear(64, 64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 1))
    for p in model.parameters():
        nn.init.normal_(p, std=1.0)
    x, y = torch.randn(16, 64), torch.randn(16, 1)
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y), 1)


@broken("vanishing", source="common report: ten sigmoid layers")
def ten_sigmoid_layers() -> Loop:
    layers: list[nn.Module] = []
    for width in (8, *[16] * 9):
        layers += [nn.Linear(width, 16), nn.Sigmoid()]
    model, (x, y) = nn.Sequential(*layers, nn.Linear(16, 1)), regression()
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), y))


@broken("vanishing", source="Data Science Handbook, Trainability (page)")
def thirty_plain_relu_layers() -> Loop:
    layers: list[nn.Module] = []
    for _ in range(30):
        layers += [nn.Linear(16, 16), nn.ReLU()]
    model, (x, y) = nn.Sequential(*layers, nn.Linear(16, 1)), regression(features=16)
    return usual(model, optim.Adam(model.parameters(), 1e-4), lambda: F.mse_loss(model(x), y), 2)


@broken("update-too-small", source="common report: lr 1e-9 in float32")
def learning_rate_below_rounding() -> Loop:
    model, (x, y) = mlp(), regression()
    return usual(model, optim.SGD(model.parameters(), 1e-9), lambda: F.mse_loss(model(x), y))


@broken("update-too-small", source="pytorch/ao#1124")
def updates_lost_in_bfloat16() -> Loop:
    model, (x, y) = mlp(16, 64).bfloat16(), regression(64, 16)
    x, y = x.bfloat16(), y.bfloat16()
    return usual(model, optim.AdamW(model.parameters(), 1e-5), lambda: F.mse_loss(model(x), y))


@broken("update-too-small", source="pytorch forum: scheduler stepped per batch")
def learning_rate_decayed_per_batch() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-12)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] *= 0.9

    return Loop(model, optimizer, times(6, update))


@broken("update-too-large", "exploding", "non-finite", source="YellowFin_Pytorch#1")
def learning_rate_of_five() -> Loop:
    model, (x, y) = mlp(), regression()
    return usual(model, optim.SGD(model.parameters(), 5.0), lambda: F.mse_loss(model(x), y))


@broken("update-too-large", source="pytorch forum: Adam with lr 10")
def adam_with_a_huge_learning_rate() -> Loop:
    model, (x, y) = cnn(), images()
    return usual(model, optim.Adam(model.parameters(), 10.0), lambda: F.cross_entropy(model(x), y))


@broken("update-too-large", source="pytorch forum: lr typed as 100 in a single step")
def one_step_with_learning_rate_hundred() -> Loop:
    model, (x, y) = mlp(), regression()
    return usual(model, optim.AdamW(model.parameters(), 100.0), lambda: F.mse_loss(model(x), y), 1)


@broken("zero-lr", source="common report: lr 0")
def learning_rate_zero() -> Loop:
    model, (x, y) = mlp(), regression()
    return usual(model, optim.SGD(model.parameters(), lr=0.0), lambda: F.mse_loss(model(x), y))


@broken("zero-lr", source="Project-MONAI/tutorials#630")
def warm_up_scheduled_per_epoch() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: epoch / 10)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@broken("zero-lr", source="pytorch forum: one group's lr is 0")
def group_with_learning_rate_zero() -> Loop:
    model, (x, y) = mlp(), regression()
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}]
    return usual(model, optim.SGD(groups, lr=0.01), lambda: F.mse_loss(model(x), y))


@broken("broadcast-loss", source="deepset-ai/FARM#229")
def targets_without_the_last_dimension() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y.squeeze(1)))


@broken("broadcast-loss", source="pytorch/pytorch#16045")
def squared_difference_written_out() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: ((model(x).squeeze() - y) ** 2).mean(), 1)


@broken("broadcast-loss", source="jiwei0921/CoNet#3")
def depth_map_without_channel() -> Loop:
    model, x, y = nn.Conv2d(3, 1, 3, padding=1), torch.randn(2, 3, 8, 8), torch.randn(2, 8, 8)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(model, optimizer, lambda: F.smooth_l1_loss(model(x), y, reduction="sum"))


@broken("ascending", source="common report: maximize=True")
def maximize_left_on() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.001, maximize=True)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 2)


@broken("ascending", source="fla-org/flash-linear-attention#1073 (negated twice)")
def negated_cross_entropy() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: -F.cross_entropy(model(x), y))


@broken("ascending", source="KanishJebaMathewM/Truxify#11885 (minus forgotten)")
def log_likelihood_minimised() -> Loop:
    model, x, y = mlp(out=4), torch.randn(16, 8), torch.randint(4, (16,))

    def loss():
        return F.log_softmax(model(x), 1).gather(1, y[:, None]).mean()

    return usual(model, optim.SGD(model.parameters(), lr=0.01), loss)


@broken("clipped-away", source="common report: max_norm 1e-6")
def clipped_to_a_millionth() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("clipped-away", source="milesial/Pytorch-UNet#468")
def clipped_before_unscaling() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")

    def update():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

    return Loop(model, optimizer, times(3, update))
