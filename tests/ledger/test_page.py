"""The ledger's pages: their figures are those of the record, and their notes are true."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradwidgets.core import Recipe, problems
from gradwidgets.ledger.page import pages
from gradwidgets.ledger.record import record_updates
from tests.examples import double_problem

ADAM = Recipe(optimizer="Adam", lr=0.05, scale=0.1)
Page = dict[str, Any]


def page(recipe: Recipe, update: int = 0) -> Page:
    return next(islice(pages("moons", recipe), update, None))


def column(page: Page, name: str) -> list[dict[str, Any]]:
    at = [each["name"] for each in page["columns"]].index(name)
    return [row["cells"][at] for row in page["rows"]]


def notes(recipe: Recipe, update: int = 0) -> str:
    return " ".join(page(recipe, update)["notes"])


@pytest.mark.parametrize("update", [0, 3])
def test_the_figures_are_those_of_the_record(update: int) -> None:
    shown, record = page(ADAM, update), next(islice(record_updates("moons", ADAM), update, None))
    everyone = (record.joint, *record.parameters)
    assert [row["name"] for row in shown["rows"]] == [each.name for each in everyone]
    for name in ("accumulated", "scaled", "change"):
        expected = [f"{each.norms[name]:.3g}" for each in everyone]
        assert [each["text"] for each in column(shown, name)] == expected
    assert {each["text"] for each in column(shown, "masked")} == {"off"}


def test_adam_cancels_a_scale_and_sgd_does_not() -> None:
    assert "Adam cancels a constant scale" in notes(ADAM)
    assert "they differ by 90.0%" in notes(Recipe(scale=0.1))


def changes(page: Page) -> tuple[float, dict[str, float]]:
    """The bars of the change of all parameters: this run's, then each other's by its name."""
    shown = column(page, "change")[0]
    return shown["bar"], {text.split(" ", 1)[1]: bar for text, bar in shown["beside"]}


def test_the_change_without_the_scale_stands_beside_it() -> None:
    near = pytest.approx(1, rel=1e-3)
    assert changes(page(ADAM)) == (near, {"without scale": near})
    assert changes(page(Recipe(scale=0.1))) == (pytest.approx(0.1), {"without scale": 1.0})
    assert column(page(Recipe()), "change")[0]["beside"] == []


def by_hand(update: int, penalty_last: bool) -> Tensor:
    """Plain SGD with a penalty and clipping, written out: the change of all parameters."""
    problem = problems.get("moons")
    x, y = problem.batches()
    torch.manual_seed(0)
    model = problem.build()
    ps = list(model.parameters())
    for _ in range(update + 1):
        before = torch.cat([p.detach().flatten().clone() for p in ps])
        for p, g in zip(ps, torch.autograd.grad(problem.loss(model(x), y), ps), strict=True):
            p.grad = g if penalty_last else g + 0.5 * p.detach()
        torch.nn.utils.clip_grad_norm_(ps, 0.1)
        with torch.no_grad():
            for p in ps:
                p -= 0.1 * (p.grad + 0.5 * p if penalty_last else p.grad)
    return torch.cat([p.detach().flatten() for p in ps]) - before


@pytest.mark.parametrize("update", [0, 4])
def test_the_penalty_before_and_after_clipping_stand_side_by_side(update: int) -> None:
    recipe = Recipe(l2=0.5, max_norm=0.1)
    first, last = by_hand(update, False), by_hand(update, True)
    bar, others = changes(page(recipe, update))
    assert bar == pytest.approx(float(first.norm() / last.norm()), rel=1e-4)
    assert others == {"penalty last": 1.0}
    apart = float((first - last).norm() / last.norm())
    said = f"would be {last.norm():.3g}, not {first.norm():.3g}: they differ by {apart:.1%}"
    assert said in notes(recipe, update)


def test_without_clipping_anything_the_order_makes_no_difference() -> None:
    same = "With the penalty after clipping the change would be the same"
    assert same in notes(Recipe(l2=0.5, max_norm=100.0))
    assert "penalty after" not in notes(Recipe(l2=0.5))


def test_a_penalty_moves_masked_elements() -> None:
    assert "gives masked elements a gradient" in notes(Recipe(mask=0.5, l1=0.1))


def test_masked_elements_that_move_are_noticed() -> None:
    decayed = Recipe(mask=0.5, options={"weight_decay": 0.1})
    assert [each["mark"] for each in column(page(decayed), "moved at zero")] == ["notice"] * 5
    assert "50% of the elements moved" in notes(decayed)
    assert "elements moved" not in notes(Recipe(mask=0.5))


def test_gradients_that_are_never_cleared_are_carried() -> None:
    never = Recipe(clear="never")
    assert "not empty" not in notes(never)
    assert "`.grad` was not empty" in notes(never, 1)
    assert column(page(never, 1), "carried")[0]["mark"] == "notice"


def test_bars_are_shares_of_the_longest_gradient_of_their_row() -> None:
    shown = page(Recipe(scale=0.25))
    assert column(shown, "accumulated")[0]["bar"] == 1.0
    assert column(shown, "scaled")[0]["bar"] == pytest.approx(0.25, rel=1e-5)


class Half(nn.Module):
    """One parameter that the loss reaches and one that it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Parameter(torch.ones(2, dtype=torch.float64))
        self.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :2] * self.used


def test_no_gradient_is_not_the_same_as_not_a_number() -> None:
    def spoil(parameters: list[nn.Parameter]) -> None:
        parameters[0].grad.fill_(float("nan"))

    recipe = Recipe(edits=(spoil,), accumulation_steps=4)
    shown = next(pages(double_problem(model=Half), recipe))
    _, used, unused = column(shown, "edited")
    assert (used["text"], unused["text"]) == ("nan", "None")
    _, used, unused = column(shown, "raw")
    assert used["text"].startswith("4 of ")
    assert unused["text"] == "None"


def test_without_a_learning_rate_there_is_no_step() -> None:
    assert {each["text"] for each in column(page(Recipe(lr=0.0)), "step")} == {"-"}
