"""A run, a program, a sweep, a stepper, a ledger and a lab with the edit that CONTRIBUTING adds.

A program, not a test: `test_adding_an_edit.py` runs it on a copy of the package that has the edit.
Prints the names of what it has checked.
"""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets import GradLab, Ledger, Recipe, problems, script, sweep, train
from gradwidgets.ledger.record import record_updates
from gradwidgets.stepper.program import program_of

RECIPE = Recipe(updates=8, lr=0.01, scale=0.5, sign=True, l2=0.1)
UNSIGNED = RECIPE.replace(sign=False)


def by_hand() -> list[float]:
    """The loop on the half-moons: the sign is taken after the scale and before the penalty."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = problems.moons.batches()
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss.item())
        for p in model.parameters():
            p.grad = torch.add(torch.sign(p.grad * 0.5), p.detach(), alpha=0.1)
        optimizer.step()
    return losses


def check_loop() -> None:
    assert train("moons", RECIPE).loss.tolist() == by_hand()
    assert train("moons", UNSIGNED).loss.tolist() != by_hand()
    assert Recipe.from_json(RECIPE.to_json()) == RECIPE


def check_script() -> None:
    names: dict[str, list[float]] = {}
    with contextlib.redirect_stdout(None):
        exec(script("moons", RECIPE), names)
    assert names["losses"] == by_hand()


def check_sweep() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = sweep("moons", UNSIGNED, "sign", [False, True])
        lrs = sweep("moons", RECIPE, "lr", [0.01, 0.02])
    np.testing.assert_allclose(both[0].loss, train("moons", UNSIGNED).loss, rtol=1e-4)
    for history in (both[1], lrs[0]):
        np.testing.assert_allclose(history.loss, by_hand(), rtol=1e-4)


def check_stepper() -> None:
    (statement,) = [s for s in program_of("moons", RECIPE) if "sign" in s.settings]
    assert statement.text == "for p in model.parameters():  # sign\n    p.grad.sign_()"


def check_ledger() -> None:
    written = next(record_updates("moons", RECIPE))
    assert written.active == ("scaled", "signed", "penalised")
    for row in written.parameters:
        assert np.array_equal(row.gradient("signed"), np.sign(row.gradient("scaled")))
        expected = row.gradient("signed") + 0.1 * row.before
        np.testing.assert_allclose(row.gradient("penalised"), expected, rtol=1e-5)
    shown = Ledger("moons", RECIPE)
    assert "signed" in str(shown)
    shown.close()


def check_lab() -> None:
    lab = GradLab("moons", show=("sign",), recipe=UNSIGNED)
    assert lab.history.loss.tolist() == train("moons", UNSIGNED).loss.tolist()
    lab.controls["sign"].value = True
    assert lab.history.loss.tolist() == by_hand()
    lab.close()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for check in (check_loop, check_script, check_sweep, check_stepper, check_ledger, check_lab):
        check()
        print(check.__name__)
