"""Parameters that are listed twice, or that are two where they should be one."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import SECOND, SIXTH, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import (
    Tagger,
    TwoTables,
    classes,
    fit,
    mlp,
    sequences,
    tagging,
    usual,
)


@fault("duplicate", source="pytorch/pytorch#188346", written=WITH_RULES)
def tie_lost_in_loading(repaired: bool) -> Loop:
    model, x = TwoTables(), sequences()
    model.tie()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state, assign=not repaired)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: model.loss(x))


@fault(
    "duplicate",
    source="pytorch/pytorch#40967 (same parameter twice in a group)",
    written=WITH_RULES,
)
def parameters_listed_twice(repaired: bool) -> Loop:
    model = mlp()
    again = [] if repaired else model[2].parameters()
    return fit(model, optim.SGD([*model.parameters(), *again], lr=0.01), 4)


@fault("duplicate", source="pytorch/pytorch#40967 (tied weight listed by hand)", written=SECOND)
def tied_weight_listed_twice(repaired: bool) -> Loop:
    model = Tagger()
    again = [] if repaired else [model.table.weight]
    return tagging(model, optim.SGD([*again, *model.parameters()], 0.1))


@fault("duplicate", source="Weight Initialization (page): all weights equal", written=SIXTH)
def all_weights_the_same_constant(repaired: bool) -> Loop:
    model, (x, y) = mlp(out=3), classes()
    if not repaired:
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.1)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y), 8)
