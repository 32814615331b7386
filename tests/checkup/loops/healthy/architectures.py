"""Layers and models that are built, called or stored in unusual ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
import torch.utils.checkpoint
from torch import nn, optim
from torch.nn.utils import prune

from tests.checkup.loops.collection import (
    FIFTH,
    FIRST,
    SECOND,
    SIXTH,
    THIRD,
    WITH_RULES,
    Loop,
    no_fault,
)
from tests.checkup.loops.parts import (
    Pyramid,
    fit,
    focal_losses,
    images,
    mlp,
    regression,
    sequences,
    usual,
)


@no_fault(source="pytorch docs: lazy modules", written=WITH_RULES)
def lazy_layers_made_in_the_first_forward() -> Loop:
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 1))
    return fit(model, optim.SGD(model.parameters(), 0.01), 4)


@no_fault(source="pytorch docs: pruning", written=WITH_RULES)
def pruned_layer() -> Loop:
    model = mlp()
    prune.l1_unstructured(model[0], "weight", 0.5)
    return fit(model, optim.SGD(model.parameters(), 0.01), 4)


@no_fault(source="pytorch forum: old weight_norm leaves a non-leaf attribute", written=WITH_RULES)
def old_weight_norm_after_a_forward() -> Loop:
    model, (x, y) = mlp(), regression()
    nn.utils.weight_norm(model[0])
    model(x)
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y))


@no_fault(source="pytorch docs: weight_norm", written=WITH_RULES)
def parametrised_weights() -> Loop:
    model = mlp()
    nn.utils.parametrizations.weight_norm(model[0])
    nn.utils.parametrizations.spectral_norm(model[2])
    return fit(model, optim.Adam(model.parameters(), 1e-3), 4)


@no_fault(source="facebookresearch/lingua#74 (done right)", written=WITH_RULES)
def tied_embedding_and_output() -> Loop:
    table, out = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
    out.weight = table.weight
    model, x = nn.Sequential(table, nn.LayerNorm(8), out), sequences()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x).flatten(0, 1), x.flatten()))


@no_fault(source="pytorch docs: sparse embeddings", written=WITH_RULES)
def sparse_embedding() -> Loop:
    model, x = nn.EmbeddingBag(50, 4, sparse=True), torch.randint(50, (8, 3))
    y, optimizer = torch.randn(8, 4), optim.SparseAdam(list(model.parameters()), lr=1e-2)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@no_fault(source="weight decay of a large embedding of which few rows are used", written=THIRD)
def large_embedding() -> Loop:
    model = nn.Sequential(nn.Embedding(3000, 16), nn.Flatten(), nn.Linear(64, 2))
    x, y = torch.randint(3000, (8, 4)), torch.randint(2, (8,))
    return usual(
        model, optim.AdamW(model.parameters(), 1e-3), lambda: F.cross_entropy(model(x), y), 5
    )


@no_fault(source="pytorch docs: checkpoint", written=WITH_RULES)
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


@no_fault(source="reentrant and plain checkpoints within one Transformer", written=SECOND)
def checkpointed_transformer() -> Loop:
    layers = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2))
    model = nn.ModuleDict({"table": nn.Embedding(20, 8), "layers": layers, "out": nn.Linear(8, 20)})
    x, optimizer = sequences(), optim.AdamW(model.parameters(), 3e-4)

    def loss():
        hidden = model["table"](x)
        for layer in layers:
            hidden = torch.utils.checkpoint.checkpoint(layer, hidden, use_reentrant=False)
        return F.cross_entropy(model["out"](hidden).flatten(0, 1), x.flatten())

    return usual(model, optimizer, loss, 3)


@no_fault(source="Attention is all you need, in torch.nn", written=WITH_RULES)
def transformer_encoder_with_cloned_layers() -> Loop:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.Embedding(20, 8), nn.TransformerEncoder(layer, 2), nn.Linear(8, 20))
    x, optimizer = sequences(), optim.AdamW(model.parameters(), lr=3e-4)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x).flatten(0, 1), x.flatten()))


@no_fault(source="torch.jit.script", written=THIRD)
def scripted_model() -> Loop:
    model = torch.jit.script(mlp())
    return fit(model, optim.Adam(model.parameters(), 1e-3), 4)


@no_fault(source="torch.compile with the eager backend", written=SECOND)
def compiled_model() -> Loop:
    model = mlp()
    compiled, (x, y) = torch.compile(model, backend="eager"), regression()
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(compiled(x), y), 3)


class Scaled(nn.Module):
    """A residual branch behind a gain that starts nearly closed."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.branch, self.gain = mlp(8, 16, 8), nn.Parameter(torch.full((8,), start))

    def forward(self, x):
        return x + self.gain * self.branch(x)


@no_fault(source="LayerScale of CaiT and ConvNeXt, one step watched", written=THIRD)
def layer_scale_single_step() -> Loop:
    model = nn.Sequential(Scaled(1e-6), Scaled(1e-6), nn.Linear(8, 1))
    return fit(model, optim.SGD(model.parameters(), 0.01), 1)


@no_fault(source="ReZero with SGD", written=THIRD)
def rezero() -> Loop:
    model = nn.Sequential(Scaled(0.0), Scaled(0.0), nn.Linear(8, 1))
    return fit(model, optim.SGD(model.parameters(), 0.01), 3)


@no_fault(source="deep residual network with zero-initialised gains", written=FIRST)
def residual_gains_at_zero() -> Loop:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.n, self.m = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
            nn.init.zeros_(self.m.weight)

        def forward(self, x):
            return F.relu(x + self.m(self.b(F.relu(self.n(self.a(x))))))

    model = nn.Sequential(nn.Conv2d(1, 4, 3), Block(), Block(), nn.Flatten(), nn.Linear(144, 4))
    x, y = images(6)
    return usual(
        model, optim.SGD(model.parameters(), 0.02), lambda: F.cross_entropy(model(x), y), 1
    )


@no_fault(source="zero-initialised head and residual branches", written=WITH_RULES)
def zero_initialised_head() -> Loop:
    model = mlp()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    return fit(model, optim.SGD(model.parameters(), 0.1), 1)


@no_fault(
    source="radial basis functions: distances between data and learned centres", written=THIRD
)
def distances_to_centres() -> Loop:
    class Radial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centres, self.out = nn.Parameter(torch.randn(10, 8)), nn.Linear(10, 1)

        def forward(self, x):
            return self.out((-(x[:, None] - self.centres).pow(2).sum(2) / 8).exp())

    model = Radial()
    return fit(model, optim.Adam(model.parameters(), 1e-3))


@no_fault(source="VQ-VAE: straight-through codes, codebook and commitment losses", written=THIRD)
def vector_quantisation() -> Loop:
    encoder, codes, decoder = nn.Linear(8, 4), nn.Embedding(6, 4), nn.Linear(4, 8)
    model, x = nn.ModuleList([encoder, codes, decoder]), torch.randn(32, 8)

    def loss():
        z = encoder(x)
        q = codes(torch.cdist(z, codes.weight).argmin(1))
        passed = z + (q - z).detach()
        return (
            F.mse_loss(decoder(passed), x) + F.mse_loss(q, z.detach()) + F.mse_loss(z, q.detach())
        )

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss, 5)


@no_fault(source="stochastic depth", written=WITH_RULES)
def layers_dropped_at_random() -> Loop:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks, self.out = nn.ModuleList([mlp(8, 8, 8) for _ in range(4)]), nn.Linear(8, 1)

        def forward(self, x):
            for block in self.blocks:
                if torch.rand(()) < 0.7:
                    x = x + block(x)
            return self.out(x)

    model, (x, y) = Residual(), regression()
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y), 10)


@no_fault(source="experts, one of which runs per step", written=WITH_RULES)
def experts_by_turns() -> Loop:
    experts = nn.ModuleList([mlp() for _ in range(3)])
    x, y = regression()
    optimizer, turn = optim.Adam(experts.parameters(), lr=1e-3), iter(range(100))
    return usual(experts, optimizer, lambda: F.mse_loss(experts[next(turn) % 3](x), y), 6)


class _Scaled(nn.Module):
    """A branch behind a gain for each channel, of a shape that broadcasts over images."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.GELU(), nn.Conv2d(6, 6, 1))
        self.gamma = nn.Parameter(torch.full((6, 1, 1), start))

    def forward(self, x):
        return x + self.gamma * self.branch(x)


@no_fault(source="ConvNeXt: a gain of shape (C, 1, 1) that begins at a millionth", written=FIFTH)
def gain_of_three_dimensions() -> Loop:
    model, (x, y) = nn.Sequential(nn.Conv2d(1, 6, 3), _Scaled(1e-6), _Scaled(1e-6)), images()
    optimizer = optim.AdamW(model.parameters(), 1e-6)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x).mean((2, 3)), y))


class Excited(nn.Module):
    """A residual branch with squeeze-and-excitation behind a gain that begins at zero."""

    def __init__(self, gain: float = 0.0) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)
        self.squeeze, self.excite = nn.Linear(16, 4), nn.Linear(4, 16)
        self.gain = nn.Parameter(torch.full((16,), gain))

    def forward(self, x):
        branch = self.second(self.first(x).relu()) * self.gain
        weights = self.excite(F.silu(self.squeeze(branch))).sigmoid()
        return x + branch * weights


@no_fault(source="NFNet: skip-init before squeeze-and-excitation, as in timm", written=FIFTH)
def gain_of_zero_before_excitation() -> Loop:
    model = nn.Sequential(nn.Linear(8, 16), *[Excited() for _ in range(4)], nn.Linear(16, 1))
    return fit(model, optim.AdamW(model.parameters(), 1e-3), 6)


@no_fault(source="LayerScale as a module of its own, which opens while watched", written=FIFTH)
def layer_scale_that_opens() -> Loop:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.full((16,), 1e-6))

        def forward(self, x):
            return x * self.gamma

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mlp, self.scale = mlp(16, 32, 16), Scale()

        def forward(self, x):
            return x + self.scale(self.mlp(self.scale(x)))

    model = nn.Sequential(nn.Linear(8, 16), *[Block() for _ in range(6)], nn.Linear(16, 1))
    return fit(model, optim.AdamW(model.parameters(), 1e-3), 6)


@no_fault(source="torchvision's RetinaNet: levels that no box hit", written=FIFTH)
def pyramid_with_empty_levels() -> Loop:
    model, x = Pyramid(levels=5), torch.randn(2, 3, 128, 128)
    optimizer = optim.AdamW(model.parameters(), 1e-4)
    return usual(model, optimizer, lambda: focal_losses(model(x), hit=(0,)), 3)


@no_fault(source="torchvision's RetinaNet: small boxes in every picture", written=FIFTH)
def pyramid_with_boxes_of_two_sizes() -> Loop:
    model, x = Pyramid(levels=4), torch.randn(2, 3, 64, 64)
    optimizer = optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    return usual(model, optimizer, lambda: focal_losses(model(x), hit=(0, 1)), 3)


@no_fault(source="mixture of experts with top-2 routing, two never chosen", written=SIXTH)
def experts_without_a_row() -> Loop:
    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router, self.out = nn.Linear(8, 6), nn.Linear(8, 1)
            self.experts = nn.ModuleList(mlp(8, 8, 8) for _ in range(6))
            self.router.bias.data[4:] -= 20

        def forward(self, x):
            weight, chosen = self.router(x).softmax(1).topk(2, 1)
            total = torch.zeros_like(x)
            for index, expert in enumerate(self.experts):
                rows, place = (chosen == index).nonzero(as_tuple=True)
                if len(rows):
                    total = total.index_add(0, rows, weight[rows, place, None] * expert(x[rows]))
            return self.out(total)

    model = Mixture()
    return fit(model, optim.Adam(model.parameters(), lr=1e-2), 6)
