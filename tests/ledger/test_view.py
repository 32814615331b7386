"""The ledger's view: its figures are those of the core, and its notes are true."""

import asyncio

import pytest
import torch

from gradwidgets import Ledger, Recipe, problems
from gradwidgets.ledger.record import ledger

ADAM = Recipe(optimizer="Adam", lr=0.05, scale=0.1, updates=6)


def page(view):
    return view._table.page


def column(view, name):
    at = [each["name"] for each in page(view)["columns"]].index(name)
    return [row["cells"][at] for row in page(view)["rows"]]


def notes(view):
    return " ".join(page(view)["notes"])


@pytest.mark.parametrize("update", [0, 3])
def test_the_figures_are_those_of_the_core(update):
    view = Ledger("moons", ADAM)
    view.update = update
    written = ledger("moons", ADAM, update)
    for name in ("accumulated", "scaled", "change"):
        expected = [written.norms[name], *(row.norms[name] for row in written.rows)]
        assert [each["text"] for each in column(view, name)] == [f"{x:.3g}" for x in expected]
    assert {each["text"] for each in column(view, "masked")} == {"off"}


def test_adam_cancels_a_scale_and_sgd_does_not():
    assert "Adam cancels a constant scale" in notes(Ledger("moons", ADAM))
    assert "they differ by 90.0%" in notes(Ledger("moons", Recipe(scale=0.1)))


def changes(view):
    """The bars of the change of all parameters: this run's, then each other's by its name."""
    shown = column(view, "change")[0]
    return shown["bar"], {text.split(" ", 1)[1]: bar for text, bar in shown["beside"]}


def test_the_change_without_the_scale_stands_beside_it():
    assert changes(Ledger("moons", ADAM)) == (
        pytest.approx(1, rel=1e-3),
        {"without scale": pytest.approx(1, rel=1e-3)},
    )
    assert changes(Ledger("moons", Recipe(scale=0.1))) == (
        pytest.approx(0.1),
        {"without scale": 1.0},
    )
    assert column(Ledger("moons", Recipe()), "change")[0]["beside"] == []


def by_hand(update, penalty_last):
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
def test_the_penalty_before_and_after_clipping_stand_side_by_side(update):
    view = Ledger("moons", Recipe(l2=0.5, max_norm=0.1, updates=9))
    view.update = update
    first, last = by_hand(update, False), by_hand(update, True)
    bar, others = changes(view)
    assert bar == pytest.approx(float(first.norm() / last.norm()), rel=1e-4)
    assert others == {"penalty last": 1.0}
    apart = float((first - last).norm() / last.norm())
    said = f"would be {last.norm():.3g}, not {first.norm():.3g}: they differ by {apart:.1%}"
    assert said in notes(view)


def test_without_clipping_anything_the_order_makes_no_difference():
    view = Ledger("moons", Recipe(l2=0.5, max_norm=100.0))
    assert "With the penalty after clipping the change would be the same" in notes(view)
    assert "penalty" not in notes(Ledger("moons", Recipe(l2=0.5)))


def test_a_penalty_moves_masked_elements():
    assert "gives masked elements a gradient" in notes(Ledger("moons", Recipe(mask=0.5, l1=0.1)))


def test_masked_elements_that_move_are_noticed():
    decayed = Recipe(mask=0.5, options={"weight_decay": 0.1})
    view = Ledger("moons", decayed)
    assert [each["mark"] for each in column(view, "moved at zero")] == ["notice"] * 5
    assert "50% of the elements moved" in notes(view)
    assert "elements moved" not in notes(Ledger("moons", Recipe(mask=0.5)))


def test_gradients_that_are_never_cleared_are_carried():
    view = Ledger("moons", Recipe(clear="never", updates=3))
    assert "not empty" not in notes(view)
    view.update = 1
    assert "`.grad` was not empty" in notes(view)
    assert column(view, "carried")[0]["mark"] == "notice"


def test_none_is_shown_as_none():
    assert column(Ledger("moons", ADAM), "carried")[1]["text"] == "None"


def test_bars_are_shares_of_the_longest_gradient_of_their_row():
    view = Ledger("moons", Recipe(scale=0.25))
    assert column(view, "accumulated")[0]["bar"] == 1.0
    assert column(view, "scaled")[0]["bar"] == pytest.approx(0.25, rel=1e-5)


def test_a_run_that_ends_early_shows_its_last_update():
    view = Ledger("bowl", Recipe(lr=1e6, updates=200))
    view.update = 199
    assert view.update < 199
    assert page(view)["caption"].endswith(f"update {view.update}")
    with pytest.raises(ValueError, match="update=200"):
        view.update = 200


def test_on_an_event_loop_pages_are_written_ahead():
    async def wait():
        view = Ledger("line", ADAM)
        for _ in range(200):
            await asyncio.sleep(0.01)
            if len(view._pages) == 6:
                break
        view.update = 5
        await asyncio.sleep(0.01)
        return page(view)["caption"]

    assert asyncio.run(wait()).endswith("update 5")


def test_plain_text_is_deterministic_and_complete():
    view = Ledger("moons", ADAM)
    assert repr(view) == repr(Ledger("moons", ADAM))
    assert view.static_view().words == repr(view)
    assert page(view)["sentence"] in repr(view)
    view.close()
