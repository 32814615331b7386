"""Ordinary supervised loops that nothing is wrong with."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
import torch.utils.checkpoint
from torch import nn, optim

from tests.checkup.loops import Loop, cnn, healthy, images, mlp, regression, sequences, times, usual

TUTORIAL = "Why are PyTorch parameters not updating? (tutorial)"


@healthy(TUTORIAL)
def tutorial_linear_regression() -> Loop:
    model, x, y = nn.Linear(10, 1), torch.randn(64, 10), torch.randn(64, 1)
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y), 20)


@healthy(TUTORIAL)
def steep_line_with_large_targets() -> Loop:
    model, x = nn.Linear(1, 1), torch.rand(32, 1) * 2 - 1
    return usual(
        model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), 30 * x + 50), 10
    )


@healthy("pytorch docs: optimizers")
def every_ordinary_optimizer_in_turn() -> Loop:
    kinds = (optim.Adam, optim.AdamW, optim.Adamax, optim.NAdam, optim.RAdam, optim.RMSprop)
    models = [mlp() for _ in kinds]
    optimizers = [kind(m.parameters(), lr=1e-3) for kind, m in zip(kinds, models, strict=True)]
    x, y = regression()

    def update():
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(models, optimizers, times(3, update))


@healthy("pytorch docs: optimizers")
def rarer_optimizers_in_turn() -> Loop:
    kinds = (optim.Adagrad, optim.Adadelta, optim.ASGD, optim.Rprop, optim.Adafactor)
    models = [mlp() for _ in kinds]
    optimizers = [kind(m.parameters()) for kind, m in zip(kinds, models, strict=True)]
    x, y = regression()

    def update():
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(models, optimizers, times(3, update))


@healthy("wolny/pytorch-3dunet#53")
def convolution_with_validation_between() -> Loop:
    model, (x, y) = cnn(), images(16)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)

    def update():
        model.train()
        optimizer.zero_grad(set_to_none=False)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            F.cross_entropy(model(x), y)

    return Loop(model, optimizer, times(3, update))


@healthy("validation without no_grad is wasteful and harmless")
def validation_with_graph_that_is_dropped() -> Loop:
    model, (x, y) = cnn(), images(16)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        model.eval()
        F.cross_entropy(model(x), y).item()

    return Loop(model, optimizer, times(3, update))


@healthy("rll/deepul#12")
def cleared_between_loss_and_backward() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@healthy("pytorch/tutorials#2799")
def cleared_after_the_step() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(3, update))


@healthy("Gradient tutorial: p.grad = None instead of zero_grad")
def cleared_by_hand() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def update():
        for p in model.parameters():
            if p.grad is not None:
                p.grad.data.zero_()
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@healthy("Gradient tutorial: accumulation template")
def accumulation_over_four_batches() -> Loop:
    model, (x, y) = mlp(), regression(64)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    def train():
        optimizer.zero_grad()
        for index, (a, b) in enumerate(zip(x.split(8), y.split(8), strict=True)):
            (F.mse_loss(model(a), b) / 4).backward()
            if (index + 1) % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@healthy("Gradient tutorial: AMP template")
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


@healthy(
    "pytorch docs: the first AMP steps are skipped until the scale fits",
    single_precision="a GradScaler overflows in single precision only",
)
def scaler_that_skips_the_first_steps() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126, backoff_factor=0.25)

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()

    return Loop(model, optimizer, times(5, update))


@healthy("verl-project/verl#3674")
def warm_up_that_starts_at_zero() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 100))

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        scheduler.step()

    return Loop(model, optimizer, times(3, update))


@healthy("pytorch docs: schedulers")
def one_cycle_schedule() -> Loop:
    model, (x, y) = cnn(), images(16)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=20)

    def update():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        scheduler.step()

    return Loop(model, optimizer, times(20, update))


@healthy("pytorch docs: transfer learning, frozen backbone, head given")
def fine_tuning_the_head_only() -> Loop:
    model, (x, y) = cnn(), images()
    model.requires_grad_(False)
    model[-1] = nn.Linear(24, 4)
    model.eval()
    model[-1].train()
    optimizer = optim.SGD(model[-1].parameters(), lr=0.01)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y))


@healthy("JIA-Lab-research/PFENet#10")
def frozen_backbone_given_to_the_optimizer() -> Loop:
    backbone, head = cnn(8), nn.Linear(8, 4)
    backbone.requires_grad_(False).eval()
    model, (x, y) = nn.Sequential(backbone, head), images()
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.cross_entropy(model(x), y))


@healthy("pytorch/pytorch#9046")
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


@healthy("word_language_model example, pytorch/pytorch#1271")
def truncated_backpropagation_with_detach() -> Loop:
    table, rnn, out = nn.Embedding(20, 4), nn.LSTM(4, 8), nn.Linear(8, 20)
    model, text = nn.ModuleList([table, rnn, out]), torch.randint(20, (24, 4))
    optimizer = optim.SGD(model.parameters(), lr=1.0)

    def train():
        state = None
        for x, y in zip(text[:-1].split(6), text[1:].split(6), strict=True):
            optimizer.zero_grad()
            hidden, state = rnn(table(x), state)
            state = tuple(part.detach() for part in state)
            F.cross_entropy(out(hidden).flatten(0, 1), y.flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            optimizer.step()

    return Loop(model, optimizer, train)


@healthy("Attention is all you need, in torch.nn")
def transformer_encoder_with_cloned_layers() -> Loop:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.Embedding(20, 8), nn.TransformerEncoder(layer, 2), nn.Linear(8, 20))
    x, optimizer = sequences(), optim.AdamW(model.parameters(), lr=3e-4)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x).flatten(0, 1), x.flatten()))


@healthy("facebookresearch/lingua#74 (done right)")
def tied_embedding_and_output() -> Loop:
    table, out = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
    out.weight = table.weight
    model, x = nn.Sequential(table, nn.LayerNorm(8), out), sequences()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x).flatten(0, 1), x.flatten()))


@healthy("pytorch docs: sparse embeddings")
def sparse_embedding() -> Loop:
    model, x = nn.EmbeddingBag(50, 4, sparse=True), torch.randint(50, (8, 3))
    y, optimizer = torch.randn(8, 4), optim.SparseAdam(list(model.parameters()), lr=1e-2)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@healthy("pytorch/pytorch#7844")
def moved_to_double_after_the_optimizer() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    model.double()
    return usual(model, optimizer, lambda: F.mse_loss(model(x.double()), y.double()))


@healthy("pytorch docs: weight_norm")
def parametrised_weights() -> Loop:
    model, (x, y) = mlp(), regression()
    nn.utils.parametrizations.weight_norm(model[0])
    nn.utils.parametrizations.spectral_norm(model[2])
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y))


@healthy("pytorch docs: checkpoint")
def activation_checkpointing() -> Loop:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 8), mlp(8, 8, 8), nn.Linear(8, 1)

        def forward(self, x):
            hidden = torch.utils.checkpoint.checkpoint(self.b, self.a(x), use_reentrant=True)
            return self.c(torch.utils.checkpoint.checkpoint(self.b, hidden, use_reentrant=False))

    model, (x, y) = Deep(), regression()
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y))


@healthy("copies and checkpoints taken inside the loop")
def copies_taken_inside() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer, kept = optim.Adam(model.parameters(), lr=1e-3), []

    def update():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        kept.append((copy.deepcopy(model), copy.deepcopy(optimizer.state_dict())))

    return Loop(model, optimizer, times(3, update))


@healthy("zero-initialised head and residual branches")
def zero_initialised_head() -> Loop:
    model, (x, y) = mlp(), regression()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), y), 1)


@healthy("ill-conditioned but convergent")
def unnormalised_targets_with_adam() -> Loop:
    model, (x, y) = mlp(), regression()
    return usual(
        model, optim.Adam(model.parameters(), 1e-2), lambda: F.mse_loss(model(x), y * 300 + 500), 5
    )


@healthy("loss of several outputs of different shape")
def pairwise_distances_in_the_loss() -> Loop:
    model, x = mlp(out=1), torch.randn(12, 8)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    better = (torch.rand(12, 12) > 0.5).float()

    def loss():
        score = model(x)
        return F.binary_cross_entropy_with_logits(score - score.T, better)

    return usual(model, optimizer, loss)
