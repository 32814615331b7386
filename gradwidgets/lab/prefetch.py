"""Prepare what the learner may ask for next: train the runs, and draw their pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradwidgets.components import Slider, Steps
from gradwidgets.core import History, Problem, Recipe, Run
from gradwidgets.lab.controls import Controls
from gradwidgets.lab.results import Results
from gradwidgets.lab.screen import Move
from gradwidgets.plots import outcome_bars
from gradwidgets.sweep import FEW, Sweep

SHORT = 0.01
"""Seconds of a step: a newer event waits no longer than this and what cannot be cut, one update."""
SLOW = 5 * SHORT
"""Seconds of an update from which nothing is prepared, and no further update is made to see why."""
MEMORY = 256_000_000
"""Bytes that what is prepared may take while it is trained."""
COPIES = 10
"""Times the memory of a model that training it takes: gradients, optimizer, records."""
NEIGHBOURS = 6
"""Stops of the active slider that are trained where each needs a run of its own."""
FIRST = 7
"""Stops of the active slider that are drawn before one move of every other slider."""


@dataclass(frozen=True)
class Cost:
    """One update of a run alone: its seconds, and the bytes that it takes.

    >>> Cost(seconds=0.001, bytes=10_000_000).replicas
    10
    >>> Cost(seconds=0.001, bytes=100_000_000).replicas
    2
    >>> Cost(seconds=0.1, bytes=1000).replicas
    0
    """

    seconds: float
    bytes: int

    @property
    def replicas(self) -> int:
        """Replicas whose updates fit `SHORT` and `MEMORY` even if they save nothing together."""
        return min(int(SHORT / self.seconds), MEMORY // self.bytes)


def measured(problem: Problem, recipe: Recipe) -> Generator[float | None, None, Cost]:
    """Make an update of a run alone, then three short slices of it; returns what an update costs.

    It is the quickest of them: one by itself, after a pause, takes twice as long as among others.

    Args:
        problem: what is trained.
        recipe: the settings.
    """
    kept = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    run = Run(problem, recipe)
    yield None
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run.advance(updates=1)
    each = [run.seconds]  # the first may have to load and to compile
    for _ in range(3):  # others may keep the processor busy meanwhile
        yield None
        end = run.seconds + SHORT
        while run.seconds < end and not run.done:
            begun = run.seconds
            run.advance(updates=1)
            each.append(run.seconds - begun)
    return Cost(max(min(each), 1e-6), COPIES * size_of(run.model) + kept)


def size_of(model: nn.Module) -> int:
    """Bytes of a model's parameters.

    >>> size_of(nn.Linear(2, 3))
    36
    """
    return sum(p.numel() * p.element_size() for p in model.parameters())


def trained(
    problem: Problem,
    recipes: Sequence[Recipe],
    replicas: int | None = None,
    alone: int | None = None,
    snapshots: bool = False,
) -> Generator[float | None, None, list[History]]:
    """Train several recipes, a short slice at each step; returns the histories of those that end.

    It ends where the model or the loss fails: a lab reports that when the run is asked for.

    Args:
        problem: what is trained.
        recipes: the settings.
        replicas: train at most so many together; None takes what fits the cache.
        alone: train only so many, the first ones, where they must be trained one by one; None
            trains them all.
        snapshots: whether the histories need `parameters`.
    """
    if not recipes:
        return []
    sweep = Sweep(problem, recipes, snapshots, replicas, alone)
    try:
        while not sweep.done:
            yield None
            sweep.advance(seconds=SHORT)
    except Exception:  # the learner's own model may raise anything
        pass
    return [history for history in sweep.histories() if history.ended and not failed(history)]


def failed(history: History) -> bool:
    """Tell whether a run ended by an exception."""
    return history.stopped is not None and history.stopped[1] == "failed"


class Prefetcher:
    """Trains the range of the active slider, then one move of every other, and draws them.

    Args:
        problem: what is trained.
        controls: the lab's.
        results: where histories are kept.
        snapshots: whether pictures need `History.parameters`.
        draw: draws the picture that a move leads to, for later: given the move and the recipe,
            whose outcome is known.
    """

    def __init__(
        self,
        problem: Problem,
        controls: Controls,
        results: Results,
        snapshots: bool,
        draw: Callable[[Move, Recipe], Steps],
    ) -> None:
        self._problem, self._controls, self._results = problem, controls, results
        self._snapshots = snapshots
        self._draw = draw
        self._active = ""
        self._slow = False
        self._costs: dict[Hashable, Cost] = {}
        self._stops: dict[str, tuple[Any, ...]] = {}

    def activate(self, name: str) -> None:
        """Let the slider of that name, if there is one, be the one whose range is prepared."""
        if self._controls.slider(name) and name != self._active:
            if slider := self._controls.slider(self._active):
                slider.clear_bars()  # they were for another recipe
            self._active = name

    def fits(self, slider: Slider) -> bool:
        """True if a slider has the stops for which pictures were drawn: it may get another."""
        return self._stops.get(slider.name) == slider.stops

    def steps(self, answer: History | None) -> Steps:
        """The active slider's runs and bars, the others' runs, then all pictures.

        Args:
            answer: the run that was asked for, if there is one; it shows how slow an update is.
        """
        self._slow = answer is not None and answer.seconds > SLOW * max(answer.updates, 1)
        self._stops = {name: slider.stops for name, slider in self._controls.sliders.items()}
        moves: dict[Move, Recipe] = {}
        if slider := self._controls.slider(self._active):
            self._mark(slider)
            nearest = sorted(range(len(slider.stops)), key=lambda stop: abs(stop - slider.index))
            moves = self._controls.moves(slider.name, nearest)
            yield from self._train(moves, NEIGHBOURS)
            self._mark(slider)
        others = self._controls.one_move_away()
        yield from self._train(others, 0)
        first = dict(list(moves.items())[:FIRST])
        for move, recipe in {**first, **others, **moves}.items():
            yield None
            yield from self._draw(move, recipe)

    def _train(self, moves: Mapping[Move, Recipe], alone: int) -> Steps:
        """Train what fits, after one run alone has been measured."""
        unknown = self._results.missing(list(moves.values()))
        if not unknown or self._slow:
            return
        replicas = (yield from self._cost(unknown[0])).replicas
        if replicas < FEW:
            unknown, replicas = unknown[: alone if replicas else 0], 1
        histories = yield from trained(self._problem, unknown, replicas, alone, self._snapshots)
        self._results.keep(histories, swept=True)

    def _cost(self, recipe: Recipe) -> Generator[float | None, None, Cost]:
        """Measure an update, once for all settings on which its cost depends most."""
        kind = recipe.optimizer, recipe.batch_size, recipe.accumulation_steps
        if kind not in self._costs:
            try:
                self._costs[kind] = yield from measured(self._problem, recipe)
            except Exception:  # the learner's own model may raise anything
                return Cost(math.inf, MEMORY)
        return self._costs[kind]

    def _mark(self, slider: Slider) -> None:
        """Draw under the slider what is known of its range."""
        recipes = [self._controls.recipe_at(slider.name, stop) for stop in slider.stops]
        known = [self._results.history(recipe) if recipe else None for recipe in recipes]
        found = outcome_bars(slider.texts, known)
        with slider.hold_sync():
            slider.bars, slider.bars_text = found.bars, found.text
