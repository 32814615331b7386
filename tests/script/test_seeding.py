"""Models, losses, data and metrics may draw from NumPy's and Python's generators, too."""

from __future__ import annotations

import random
from random import gauss
from typing import Any

import numpy as np
import numpy.random as draws
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Problem, Recipe, train
from gradwidgets.script import script
from gradwidgets.script.seeding import other_generators
from gradwidgets.stepper.engine import StepperEngine

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = (X[:, 0] > 0).long()


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


class ByNumpy(Plain):
    """Adds noise in eval mode as well."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x + 0.1 * np.random.rand())  # type: ignore[no-any-return]


class ByPython(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x + 0.1 * random.random())  # type: ignore[no-any-return]


class ByParts(Plain):
    """Of both, by names that are no module's."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x + gauss(0, 0.1) + draws.normal(0, 0.1))  # type: ignore[no-any-return]


def noisy_metric(output: Tensor, target: Tensor) -> float:
    from random import uniform

    return float(F.cross_entropy(output, target)) + uniform(0, 0.1)


def noisy_loss(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target) * (1 + 0.1 * np.random.rand())


def noisy_data() -> tuple[Tensor, Tensor]:
    x = torch.from_numpy(np.random.randn(30, 3))
    return x, (x[:, 0] > 0).long()


CASES: dict[str, dict[str, Any]] = {
    "a model, by NumPy": {"model": ByNumpy},
    "a model, by Python": {"model": ByPython},
    "a model, by parts of modules": {"model": ByParts},
    "a metric": {"metric": noisy_metric, "better": "lower"},
    "a loss": {"loss": noisy_loss},
    "data": {"data": noisy_data},
    "nothing": {},
}


@pytest.mark.parametrize("seed", [3, 2**40 + 1])
@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("case", CASES)
def test_a_program_draws_what_train_draws(case: str, patience: int | None, seed: int) -> None:
    parts: dict[str, Any] = {"model": Plain, "data": (X[:30], Y[:30]), "loss": F.cross_entropy}
    problem = Problem("noisy", **{**parts, "held_out": (X[30:], Y[30:]), **CASES[case]})
    recipe = Recipe(lr=0.5, updates=30, patience=patience, batch_size=8, seed=seed)
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    history = train(problem, recipe)
    engine = StepperEngine(problem, recipe)
    assert engine.run(recipe.updates).failure is None
    program = script(problem, recipe)
    assert ("metric(" in program) == (case == "a metric" and patience is not None)
    after = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    assert after == before
    if case == "nothing":
        assert "numpy" not in program
        assert "import random" not in program
    names: dict[str, Any] = {"x": X[:30], "y": Y[:30], "held_x": X[30:], "held_y": Y[30:]}
    random.seed(7)
    np.random.seed(7)
    with torch.random.fork_rng():
        exec(program, names)
    assert names["losses"] == history.loss.tolist()
    assert engine.workspace.names["losses"] == history.loss.tolist()


@pytest.mark.parametrize(
    ("imports", "text", "expected"),
    [
        ("import random as dice", "f = dice.random", [("random", "dice", "")]),
        ("from random import random", "f = random()", [("random", "python_random", "import")]),
        ("", "def f():\n    import random", [("random", "random", "import random")]),
        ("", "def f():\n    import numpy\n    numpy.random.rand()", [("numpy", "np", "import")]),
        ("from numpy import random", "random.rand()", [("numpy", "np", "import numpy as np")]),
        ("from numpy.random import rand", "rand()", [("numpy", "np", "import numpy as np")]),
        ("import numpy", "numpy.random.rand()", [("numpy", "numpy", "")]),
        ("import numpy as np", "np.ones(3)", []),
        ("import torch", "torch.random.manual_seed(3)", []),
    ],
)
def test_what_a_text_draws_from_is_found(imports: str, text: str, expected: list[Any]) -> None:
    found = other_generators([imports], [text])
    assert len(found) == len(expected)
    for each, (module, name, imported) in zip(found, expected, strict=True):
        assert (each.module, each.name) == (module, name)
        assert each.imported.startswith(imported)
        assert bool(each.imported) == bool(imported)
