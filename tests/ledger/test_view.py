"""The ledger's view: its slider picks a page."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

import pytest
from torch import Tensor
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets import Ledger, Recipe
from gradwidgets.ledger.page import pages
from tests.examples import double_problem

ADAM = Recipe(optimizer="Adam", lr=0.05, scale=0.1, updates=6)


def page(view: Ledger) -> dict[str, Any]:
    _, table = view.widget.children
    return table.page


def test_the_slider_picks_the_page() -> None:
    view = Ledger("moons", ADAM)
    written = list(pages("moons", ADAM))
    for update in (0, 3, 1, 5):
        view.update = update
        assert (view.update, page(view)) == (update, written[update])


def test_a_run_that_ends_early_shows_its_last_update() -> None:
    view = Ledger("bowl", Recipe(lr=1e6, updates=200))
    view.update = 199
    assert view.update < 199
    assert page(view)["caption"].endswith(f"update {view.update}")
    with pytest.raises(ValueError, match="update=200"):
        view.update = 200


class Failing:
    """The mean squared error; counts its calls, and fails at one of them."""

    def __init__(self, at: int) -> None:
        self.calls, self.at = 0, at

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.at:
            raise RuntimeError("out of ideas")
        return F.mse_loss(output, target)


def test_a_failure_is_said_on_the_page_after_the_last() -> None:
    view = Ledger(double_problem(loss=Failing(3)), Recipe(updates=9))
    view.update = 8
    assert "out of ideas" in page(view)["sentence"]
    assert page(view)["caption"] == "No table: update 2 failed"
    assert page(view)["rows"] == []
    view.update = 1
    assert page(view)["sentence"].startswith("Update 1, loss")


def test_on_an_event_loop_pages_are_written_ahead_until_the_view_is_closed() -> None:
    async def scenario(close_at: int) -> int:
        loss = Failing(at=0)
        view = Ledger(double_problem(loss=loss), Recipe(updates=40))
        while loss.calls < close_at:
            await asyncio.sleep(0)
        if close_at < 40:
            view.close()
            for _ in range(100):
                await asyncio.sleep(0)
        return loss.calls

    assert asyncio.run(asyncio.wait_for(scenario(40), 60)) == 40
    assert asyncio.run(asyncio.wait_for(scenario(5), 60)) < 40


def test_on_an_event_loop_the_slider_is_followed_beyond_what_is_written() -> None:
    async def scenario() -> dict[str, Any]:
        view = Ledger("line", ADAM)
        view.update = 5
        while not page(view)["caption"].endswith("update 5"):
            await asyncio.sleep(0)
        return page(view)

    expected = next(islice(pages("line", ADAM), 5, None))
    assert asyncio.run(asyncio.wait_for(scenario(), 60)) == expected


@pytest.mark.parametrize("recipe", [ADAM, Recipe(mask=0.5)])
def test_plain_text_is_deterministic_and_complete(recipe: Recipe) -> None:
    view = Ledger("moons", recipe)
    assert repr(view) == repr(Ledger("moons", recipe))
    assert view.static_view().words == repr(view)
    assert page(view)["sentence"] in repr(view)
    view.close()
