"""The machine for a large class follows from smaller ones; the arithmetic is done here by hand."""

from __future__ import annotations

import pytest

from benchmarks.classroom import large


def phase(learners: int, spent: dict[str, float], kept: dict[str, float]) -> large.Phase:
    """Every learner spends, and holds, the same; the hub and the rest hold what they hold."""
    used = {kind: learners * spent.get(kind, 0.0) for kind in (*large.MACHINE, large.CLIENT)}
    own = {kind: learners * kept[kind] for kind in ("server", "kernel")}
    return large.Phase([1.0] * learners, used, {**dict.fromkeys(large.MACHINE, 100.0), **own})


def held(learners: int) -> large.Class:
    """A class on a machine that nothing disturbs."""
    start = phase(
        learners, {"server": 3.0, "hub": 0.5, large.CLIENT: 0.5}, {"server": 100, "kernel": 0}
    )
    spent = {"server": 1.0, "kernel": 7.0, "hub": 0.25, "proxy": 0.25, large.CLIENT: 1.5}
    lesson = phase(learners, spent, {"server": 124, "kernel": 300})
    return large.Class(learners, start, lesson, lesson, [1.0], [0.5], [0.25])


def test_time_is_the_work_shared_by_the_cores() -> None:
    before = [held(4), held(6)]
    assert large.expected(before, 40, "servers", 2) == pytest.approx(4.0 * 40 / 2)
    assert large.expected(before, 40, "lesson", 4) == pytest.approx(10.0 * 40 / 4)


def test_memory_grows_by_a_learner() -> None:
    assert large.held([held(4)], 512, "lesson") == pytest.approx(212 + 300 / 1024)


BROWSED = {"server": 6.5, "kernel": 7.0, "hub": 1.0, "proxy": 0.5, "class": 0.0}
"""By hand: 2.5 s of the server, 0.25 s of the hub and 0.25 s of the proxy more than without."""


@pytest.mark.parametrize("learners", [30, 120, 500])
def test_pages_count_and_the_browsers_themselves_do_not(learners: int) -> None:
    pages = large.besides([held(10)], BROWSED)
    assert pages == {"server": 2.5, "hub": 0.25, "proxy": 0.25}
    cores, memory, hub = large.machine([held(10)], pages, learners)
    assert cores == -(-learners * (12 + 3) // large.GOAL)
    assert memory == pytest.approx((424 * learners + 300) / 1024)
    assert hub == pytest.approx(1.0 * learners)


def test_tables_show_what_was_computed_beside_what_was_measured() -> None:
    classes = [held(5), held(10), large.Class(120, held(120).servers)]
    said = large.lines(classes, BROWSED, 2)
    assert "| 10 | the server | 1.00 | 1.00 | 1.00 | 20 |" in said
    assert "| 120 | the server | 1.00 | 1.00 | 1.00 | 240 |" in said
    assert "| 120 | 15 | 50 | 60 | 120 |" in said
