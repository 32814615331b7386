"""Parts that are not trained, on purpose."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, THIRD, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import classify, cnn, fit, images, mlp, regression, times, usual


@no_fault(source="pytorch docs: transfer learning, frozen backbone, head given", written=WITH_RULES)
def fine_tuning_the_head_only() -> Loop:
    model = cnn()
    model.requires_grad_(False)
    model[-1] = nn.Linear(24, 4)
    model.eval()
    model[-1].train()
    optimizer = optim.SGD(model[-1].parameters(), lr=0.01)
    return classify(model, optimizer)


@no_fault(source="JIA-Lab-research/PFENet#10", written=WITH_RULES)
def frozen_backbone_given_to_the_optimizer() -> Loop:
    backbone, head = cnn(8), nn.Linear(8, 4)
    backbone.requires_grad_(False).eval()
    model = nn.Sequential(backbone, head)
    return classify(model, optim.Adam(model.parameters(), 1e-3))


@no_fault(source="pytorch/pytorch#9046", written=WITH_RULES)
def gradual_unfreezing() -> Loop:
    model, (x, y) = mlp(), regression()
    model[0].requires_grad_(False)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def train():
        for step in range(4):
            model[0].requires_grad_(step > 1)
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(model, optimizer, train)


@no_fault(
    source="fine-tuning with BatchNorm held in eval mode on purpose, its parameters frozen",
    written=SECOND,
)
def frozen_batch_norm() -> Loop:
    model = cnn()
    model[1].eval().requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    return classify(model, optim.SGD(trained, 0.01))


class LowRank(nn.Module):
    """A frozen layer and a trainable low-rank correction that starts at zero."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(2, layer.in_features))
        self.b = nn.Parameter(torch.zeros(layer.out_features, 2))

    def forward(self, x):
        return self.layer(x) + x @ self.a.T @ self.b.T


@no_fault(source="LoRA, cloneofsimo/lora#263", written=WITH_RULES)
def low_rank_adapters_in_one_step() -> Loop:
    model = mlp()
    model[0], model[2] = LowRank(model[0]), LowRank(model[2])
    trainable = [p for p in model.parameters() if p.requires_grad]
    return fit(model, optim.AdamW(trainable, 1e-3), 1)


@no_fault(source="LoRA, cloneofsimo/lora#263", written=WITH_RULES)
def low_rank_adapters() -> Loop:
    model = mlp()
    model[0], model[2] = LowRank(model[0]), LowRank(model[2])
    return fit(model, optim.AdamW(model.parameters(), 1e-3))


@no_fault(source="distillation with a frozen teacher inside the model", written=FIRST)
def distillation() -> Loop:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.student = nn.Linear(8, 5)
            self.teacher = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 5)).requires_grad_(False)

        def forward(self, x):
            self.teacher.eval()
            return self.student(x).log_softmax(1), self.teacher(x).softmax(1)

    model, x = Pair(), torch.randn(24, 8)
    optimizer = optim.RMSprop([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    return usual(model, optimizer, lambda: F.kl_div(*model(x), reduction="batchmean"), 5)


@no_fault(
    source="style transfer: a frozen network in eval mode, the image is trained", written=WITH_RULES
)
def image_trained_through_a_frozen_network() -> Loop:
    network = cnn().eval().requires_grad_(False)

    class Image(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pixels = nn.Parameter(torch.randn(1, 1, 8, 8))

        def forward(self):
            return network(self.pixels)

    model = Image()
    return usual(model, optim.Adam(model.parameters(), 0.05), lambda: model().pow(2).mean(), 6)


@no_fault(source="style transfer: an image beside the model, LBFGS", written=THIRD)
def image_beside_a_frozen_model() -> Loop:
    network = cnn().eval().requires_grad_(False)
    pixels = torch.randn(1, 1, 8, 8, requires_grad=True)
    optimizer = optim.LBFGS([pixels], max_iter=4)

    def closure():
        optimizer.zero_grad()
        loss = network(pixels).pow(2).mean()
        loss.backward()
        return loss

    return Loop(network, optimizer, times(3, lambda: optimizer.step(closure)))


@no_fault(
    source="mixture of experts with top-1 routing, one expert never chosen here", written=SECOND
)
def unused_expert() -> Loop:
    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.experts = nn.Linear(8, 3), nn.ModuleList(mlp() for _ in range(3))

        def forward(self, x):
            chance = self.gate(x).softmax(1)
            parts = [chance[:, i : i + 1] * self.experts[i](x) for i in range(2)]
            return sum(parts) + 0 * self.experts[2](x)

    model = Mixture()
    model.experts[2].requires_grad_(False)
    return fit(model, optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-3))


@no_fault(source="a teacher in training mode whose weights follow the student", written=FIFTH)
def teacher_that_follows_in_training_mode() -> Loop:
    student, (x, _) = cnn(), images()
    teacher = copy.deepcopy(student).requires_grad_(False)
    optimizer = optim.SGD(student.parameters(), lr=0.05)

    def loss():
        with torch.no_grad():
            aim = teacher(x)
        return F.mse_loss(student(x), aim + 0.1)

    def after():
        for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast.detach(), 0.1)

    return usual([student, teacher], optimizer, loss, after=after)


@no_fault(source="normalisation frozen, its statistics not", written=FIFTH)
def affine_of_batch_norm_frozen() -> Loop:
    model = cnn()
    model[1].requires_grad_(False)
    return classify(model, optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01))
