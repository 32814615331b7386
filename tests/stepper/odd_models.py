"""Models with parts that are easy to forget when a run goes back, and recipes for them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gradwidgets.core import Recipe
from gradwidgets.core.optimizers import OPTIMIZERS
from gradwidgets.core.parameter_groups import FREEZE_BY
from tests.examples import SAMPLES, InTurn, double_problem, doubles
from tests.own_optimizers import Lion, Replacing, Twice, last_left_out, lion_and_sgd


def coupled_model() -> nn.Module:
    """Buffers, dropout and a parameter that no loss reaches."""
    model = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.3), nn.Linear(4, 2)
    ).double()
    model.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))
    return model


class Tied(nn.Module):
    """One weight under two names, one frozen, one that no loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(3, 3, bias=False).double()
        self.out = nn.Linear(3, 3, bias=False).double()
        self.out.weight = self.into.weight
        self.frozen = nn.Parameter(torch.ones(2, dtype=torch.float64), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.into(x).tanh())[:, :2] * self.frozen


def normed() -> nn.Module:
    """BatchNorm without a momentum of its own, whose running mean depends on a counter."""
    return nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=None), nn.Dropout(0.3), nn.Linear(4, 2)
    ).double()


class Bags(nn.Module):
    """Embeddings with sparse gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 2, sparse=True).double()

    def forward(self, words: Tensor) -> Tensor:
        return self.table(words).mean(1)


class Growing(nn.Module):
    """A buffer that becomes another tensor, of another size, at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2).double()
        self.register_buffer("seen", torch.zeros(0, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.layer(x)
        self.seen = torch.cat([self.seen, output.detach().mean().reshape(1)])
        return output * (1 + 0.01 * len(self.seen))


def spectral() -> nn.Module:
    """A parametrised weight, whose power iteration is a buffer."""
    return nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2).double()))


def matrix() -> nn.Module:
    """A weight of two dimensions, which every optimizer takes."""
    return nn.Linear(3, 2, bias=False).double()


def freeze_or_thaw_the_last(parameters: list[nn.Parameter]) -> None:
    """An edit that leaves something else than gradients behind."""
    parameters[-1].requires_grad_(not parameters[-1].requires_grad)


def words() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return torch.randint(0, 7, (SAMPLES, 3), generator=draw), doubles()[1]


COUPLED = double_problem(model=coupled_model)
BAGS = double_problem(model=Bags, data=words())
RECIPES = {
    "Adam": Recipe(optimizer="Adam", lr=0.05, scale=0.5, max_norm=0.2, batch_size=6),
    "momentum": Recipe(options={"momentum": 0.9}, accumulation_steps=3, clear="zero", l2=0.1),
    "never cleared": Recipe(
        optimizer="AdamW", accumulation_steps=2, batch_size=9, clear="never", average=False
    ),
    "amsgrad": Recipe(optimizer="AdamW", options={"amsgrad": True}, clear="never", l2=0.1),
    "nesterov": Recipe(lr=0.3, stop_below=0.5, options={"momentum": 0.5, "nesterov": True}),
    "LBFGS": Recipe(optimizer="LBFGS", lr=0.5, accumulation_steps=2, options={"max_iter": 3}),
    "strong Wolfe": Recipe(
        optimizer="LBFGS",
        options={"max_iter": 4, "history_size": 2, "line_search_fn": "strong_wolfe"},
    ),
}
SCHEDULED = {
    "cosine after a warm-up": Recipe(
        "AdamW", 0.05, schedule="cosine", warmup_steps=2, batch_size=6, updates=8
    ),
    "rate and momentum cycle, too often": Recipe(
        options={"momentum": 0.9},
        accumulation_steps=3,
        schedule="CyclicLR",
        schedule_options={"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 4},
        schedule_per="micro-batch",
    ),
    "warm-up of LBFGS": Recipe("LBFGS", 0.5, {"max_iter": 3}, warmup_steps=4),
}
MODELS = {
    "coupled": coupled_model,
    "tied": Tied,
    "normed": normed,
    "growing": Growing,
    "spectral": spectral,
    "in turn": InTurn,
}
CASES = {
    f"{model}, {recipe}": (double_problem(model=MODELS[model]), RECIPES[recipe])
    for model in MODELS
    for recipe in RECIPES
}
CASES |= {
    f"matrix, {name}": (double_problem(model=matrix), Recipe(optimizer=name, lr=0.01))
    for name in OPTIMIZERS
    if name != "SparseAdam"
}
CASES |= {f"coupled, {name}": (COUPLED, recipe) for name, recipe in SCHEDULED.items()}
CASES |= {
    f"sparse, {name}": (BAGS, Recipe(optimizer=name, lr=0.1))
    for name in ("SparseAdam", "SGD", "Adagrad")
}
CASES["sparse, never cleared"] = (BAGS, Recipe(clear="never", accumulation_steps=2))
OWN = {
    "Lion": Recipe(Lion, lr=0.02, options={"betas": (0.8, 0.9)}, batch_size=6),
    "replaces data": Recipe(Replacing, lr=0.3, accumulation_steps=2),
    "a closure": Recipe(Twice, lr=0.1, options={"ahead": 0.05}),
    "several": Recipe(lion_and_sgd, lr=0.02, options={"momentum": 0.9}),
    "left out": Recipe(last_left_out, lr=0.1, accumulation_steps=2),
}
CASES |= {f"own, {name}": (COUPLED, recipe) for name, recipe in OWN.items()}
CASES |= {
    f"groups, {by}": (
        COUPLED,
        Recipe(
            options={"momentum": 0.9},
            groups={"0.*": {"lr": 0.02, "frozen_until": 3, "freeze_by": by}},
            accumulation_steps=2,
        ),
    )
    for by in FREEZE_BY
}
CASES["an edit that freezes"] = (double_problem(), Recipe(edits=(freeze_or_thaw_the_last,)))
