"""Newest wins, nothing queues, whatever thread a request comes from."""

import asyncio
import threading
import time

from gradwidgets import GradLab, Recipe, train

LONG = Recipe(lr=0.5, updates=2000)


async def settle(lab):
    while lab._work.results.history(lab.recipe) is None:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


def trained(lab):
    return [recipe.scale for recipe in lab._work.results._exact]


def test_a_change_returns_at_once_and_is_answered_later():
    async def scenario():
        lab = GradLab("moons", recipe=Recipe(updates=20))
        lab.controls["scale"].value = 2.0
        assert lab._work.results.history(lab.recipe) is None
        await settle(lab)
        assert lab._work.results.history(lab.recipe).loss.tolist() == expected.loss.tolist()
        assert lab._screen.sentence.startswith(expected.summary())

    expected = train("moons", Recipe(updates=20, scale=2.0))
    asyncio.run(scenario())


def test_a_newer_value_takes_the_place_of_a_run_under_way():
    async def scenario():
        lab = GradLab("moons", recipe=LONG.replace(updates=10))
        lab.recipe = LONG
        for scale in (2.0, 2.5, 3.2, 4.0):
            lab.controls["scale"].value = scale
            await asyncio.sleep(0.03)
        lab.recipe = LONG.replace(updates=10, scale=5.0)
        await settle(lab)
        assert trained(lab) == [1.0, 5.0]
        assert lab.recipe.scale == 5.0

    asyncio.run(scenario())


def test_a_request_from_another_thread_is_carried_out_on_the_loop():
    async def scenario():
        lab = GradLab("moons", recipe=Recipe(updates=20))
        seen = []
        lab._screen.observe(lambda _: seen.append(threading.current_thread()), "sentence")
        hand = threading.Thread(target=lambda: setattr(lab.controls["scale"], "value", 3.2))
        hand.start()
        hand.join()
        await settle(lab)
        assert seen == [threading.main_thread()]

    asyncio.run(scenario())


def test_asking_for_the_history_does_not_wait_for_the_loop():
    async def scenario():
        lab = GradLab("moons", recipe=Recipe(updates=20))
        lab.controls["scale"].value = 2.0
        assert lab.history.recipe.scale == 2.0
        assert lab.summary.startswith(lab.history.summary())

    asyncio.run(scenario())


def test_a_long_run_shows_progress_and_can_be_cancelled():
    async def scenario():
        lab = GradLab("moons", recipe=Recipe(updates=10))
        shares = []
        lab._screen.observe(lambda change: shares.append(change["new"]), "progress")
        lab.recipe = Recipe(updates=1_000_000)
        said, drawn = lab._screen.sentence, lab._screen.png
        while not shares or lab._screen.png == drawn:
            await asyncio.sleep(0.02)
        assert lab._screen.sentence == said  # a verdict waits for the end of its run
        lab._screen._received(None, {"kind": "cancel"}, [])
        begun = time.monotonic()
        while lab._screen.progress >= 0:
            await asyncio.sleep(0.02)
        assert time.monotonic() - begun < 60
        assert "Cancelled after" in lab._screen.sentence
        assert lab._work.results.history(lab.recipe).stopped[1] == "cancelled"
        lab.recipe = Recipe(updates=20)
        assert lab.history.updates == 20

    asyncio.run(scenario())


def test_a_slow_first_run_does_not_keep_the_lab_from_the_screen(monkeypatch):
    monkeypatch.setattr("gradwidgets.lab.lab.PATIENCE", 0.1)

    async def scenario():
        begun = time.monotonic()
        lab = GradLab("moons", recipe=Recipe(updates=100_000))
        still = lab.static_view()
        assert time.monotonic() - begun < 20
        assert still.png
        assert "updates: the loss went from" in still.words
        assert 0 <= lab._screen.progress < 1
        seen = lab._screen.progress
        while lab._screen.progress == seen:
            await asyncio.sleep(0.02)  # it goes on
        lab.cancel()
        while lab._screen.progress >= 0:
            await asyncio.sleep(0.02)
        assert "Cancelled after" in lab._screen.sentence
        lab.close()

    asyncio.run(scenario())
