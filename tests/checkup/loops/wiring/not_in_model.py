"""Optimizers that hold other parameters than the model that is trained."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIRST, SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import (
    Autoencoder,
    Tagger,
    TwoTables,
    cnn,
    elbo,
    fit,
    images,
    mlp,
    optimizer_made,
    regression,
    sequences,
    tagging,
    usual,
)


@fault("not-in-model", source="spro/practical-pytorch#9", written=WITH_RULES)
def model_made_twice(repaired: bool) -> Loop:
    first = mlp()
    optimizer = optim.SGD(first.parameters(), lr=0.005)
    return fit(first if repaired else mlp(), optimizer, 4)


@fault("not-in-model", source="pytorch forum: new head after the optimizer", written=WITH_RULES)
def head_replaced_after_optimizer(repaired: bool) -> Loop:
    model, (x, y) = cnn(10), images(classes=3)
    optimizer = optimizer_made(
        lambda: optim.Adam(model.parameters(), lr=1e-3),
        lambda: model.__setitem__(-1, nn.Linear(24, 3)),
        after=repaired,
    )
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y), 1)


@fault(
    "not-in-model",
    source="pytorch forum: optimizer of the original, training the copy",
    written=WITH_RULES,
)
def deep_copy_trained(repaired: bool) -> Loop:
    original = mlp()
    optimizer = optim.AdamW(original.parameters())
    return fit(original if repaired else copy.deepcopy(original), optimizer, 2)


@fault("not-in-model", source="pytorch/pytorch#188346", written=WITH_RULES)
def loaded_with_assign_after_optimizer(repaired: bool) -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state, assign=not repaired)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@fault("not-in-model", "duplicate", source="facebookresearch/lingua#74", written=WITH_RULES)
def tied_after_the_optimizer(repaired: bool) -> Loop:
    model, x = TwoTables(), sequences()
    optimizer = optimizer_made(
        lambda: optim.Adam(model.parameters(), lr=1e-3), model.tie, after=repaired
    )
    return usual(model, optimizer, lambda: model.loss(x))


@fault("not-in-model", source="huggingface/accelerate#1204 (meta device)", written=WITH_RULES)
def optimizer_of_a_model_without_storage(repaired: bool) -> Loop:
    with torch.device("meta"):
        model = mlp()
    x, y = regression()

    def materialise():
        model.to_empty(device="cpu")
        for p in model.parameters():
            nn.init.normal_(p, std=0.1)

    optimizer = optimizer_made(
        lambda: optim.SGD(model.parameters(), lr=0.01), materialise, after=repaired
    )
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@fault(
    "not-in-model",
    source="pytorch forum: weight_norm applied after the optimizer",
    written=WITH_RULES,
)
def parametrised_after_the_optimizer(repaired: bool) -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optimizer_made(
        lambda: optim.SGD(model.parameters(), lr=0.01),
        lambda: nn.utils.weight_norm(model[0]),
        after=repaired,
    )
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y))


@fault("not-in-model", source="pytorch forum: layer reinitialised by assignment", written=FIRST)
def weight_replaced(repaired: bool) -> Loop:
    model, x = Autoencoder(), torch.randn(10, 12)
    optimizer = optimizer_made(
        lambda: optim.NAdam(model.parameters(), lr=1e-3),
        lambda: setattr(model.decoder, "weight", nn.Parameter(torch.randn(12, 4) * 0.1)),
        after=repaired,
    )
    return usual(model, optimizer, lambda: elbo(model, x), 5)


@fault(
    "not-in-model", source="huggingface resize_token_embeddings after the optimizer", written=SECOND
)
def embedding_resized(repaired: bool) -> Loop:
    model = Tagger()

    def resize():
        table = nn.Embedding(25, 8)
        table.weight.data[:20] = model.table.weight.data
        model.table = table

    optimizer = optimizer_made(
        lambda: optim.AdamW(model.parameters(), 1e-3), resize, after=repaired
    )
    return tagging(model, optimizer)


@fault("not-in-model", source="pytorch forum: parametrization registered late", written=SECOND)
def weight_norm_after_the_optimizer(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optimizer_made(
        lambda: optim.SGD(model.parameters(), 0.01),
        lambda: nn.utils.parametrizations.weight_norm(model[0]),
        after=repaired,
    )
    return fit(model, optimizer)


@fault(
    "not-in-model", source="pytorch forum: EMA copy trained instead of the model", written=SECOND
)
def best_model_reloaded_by_copy(repaired: bool) -> Loop:
    holder = nn.ModuleDict({"net": mlp()})
    optimizer = optim.Adam(holder.parameters(), 1e-3)
    best = copy.deepcopy(holder["net"])
    if repaired:
        holder["net"].load_state_dict(best.state_dict())
    else:
        holder["net"] = best
    x, y = regression()
    return usual(holder, optimizer, lambda: F.l1_loss(holder["net"](x), y), 1)
