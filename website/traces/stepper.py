"""The trace of a stepper: some updates, line by line, as written and with the usual slips."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from gradwidgets import Stepper
from gradwidgets.components import Choice
from gradwidgets.core import Control
from gradwidgets.stepper.page import page_text
from gradwidgets.stepper.program import Program, moved_down, moved_up, repeated, switched
from website.traces.record import Place, Trace, states_of

LINES = 3
"""Updates at the start of a run that are kept line by line."""
RUN = 10
"""Updates that can be run from any line of these."""
CLEAR, BACKWARD, CLIP, STEP = ".zero_grad(", ".backward(", "clip_grad_", ".step("
ABOVE, BELOW = range(-99, 0), range(1, 99)
AS_WRITTEN, BY_HAND = "as written", "moved by hand"
NOTE = (
    f"Here the first {LINES} updates can be executed line by line, and {RUN} at once. The lines "
    "that clear, go backward, clip and step can be moved; after the first update that begins the "
    "run again. In the notebook you can change any line at any update, and the run goes on."
)

Change = tuple[str, int]
CHANGES: dict[Change, Callable[[Program, int], Program]] = {
    ("switch", 0): switched,
    ("move", -1): moved_up,
    ("move", 1): moved_down,
    ("repeat", 0): repeated,
}
"""What a reader can do to a line: the action, and by how many places it moves the line."""
Way = list[tuple[Change, int]]
"""Changes one after the other, each with the index of its line."""


@dataclass(frozen=True)
class Stop:
    """A place of one run.

    Args:
        update: the number of the update, from 0.
        index: the line that is next; the number of lines at the update's end.
        finished: whether it is the update's end.
        page: what the stepper shows.
    """

    update: int
    index: int
    finished: bool
    page: dict[str, Any]

    @property
    def over(self) -> bool:
        """True if nothing follows."""
        return bool(self.page["over"])


def trace_stepper(shown: Stepper) -> Trace:
    """The first updates of a stepper's loop, as written and with the usual slips.

    The place after a change of the lines is the stepper's own as long as it is in the first
    update; later it is the start of the run.
    """
    stepper = Stepper(shown.engine.problem, shown.engine.recipe)
    written = stepper.engine.statements
    runs = {program: list(_stops(stepper, way)) for program, way in ways_of(written).items()}
    begins = dict(zip(runs, accumulate(map(len, runs.values()), initial=0), strict=False))
    names = slips(written)
    control = Control("lines", "Run", "As written, or with a slip.", tuple(names), slider=False)
    lists = {name: Choice(control, name) for name in (*names, BY_HAND)}
    of_program = {program: name for name, program in names.items()}
    places = []
    for program, stops in runs.items():
        chosen = states_of([lists[of_program.get(program, BY_HAND)]])
        others = _neighbours(program, written, runs)
        for at, stop in enumerate(stops):
            moves = {_message(*said): begins[program] + to for said, to in _moves(stops, at)}
            for message, other in others.items():
                moves[message] = begins[other] + _same_place(stop, runs[other])
            places.append(Place([*chosen, {"page": stop.page}], moves))
    name, still = stepper.engine.problem.name, page_text(places[0].states[1]["page"])
    for widget in (*lists.values(), stepper):
        widget.close()
    return Trace(f"Stepper: {name}", NOTE, still, [Choice, Stepper], places)


def ways_of(written: Program) -> dict[Program, Way]:
    """Each order of the lines that a page has, and what is done to the written one to get it."""
    found: dict[Program, Way] = {written: []}
    for line in (CLEAR, BACKWARD, CLIP, STEP):
        for change in (("move", -1), ("move", 1)):
            for program, way in _moved(written, line, change):
                found.setdefault(program, way)
    for line, change in ((CLEAR, ("switch", 0)), (STEP, ("repeat", 0))):
        if (index := index_of(written, line)) is not None:
            found[CHANGES[change](written, index)] = [(change, index)]
    return found


def slips(written: Program) -> dict[str, Program]:
    """The written lines and the usual slips in them, by name; those that the loop can have."""

    def first(line: str, by: int, other: str, apart: range) -> Program | None:
        """The first place of a line that is so many lines below the other, of those it moves to."""
        for program, _ in _moved(written, line, ("move", by)):
            at, of = index_of(program, line), index_of(program, other)
            if at is not None and of is not None and at - of in apart:
                return program
        return None

    def changed(line: str, change: Callable[[Program, int], Program]) -> Program | None:
        index = index_of(written, line)
        return None if index is None else change(written, index)

    found = {
        AS_WRITTEN: written,
        "no zero_grad()": changed(CLEAR, switched),
        "step() before backward()": first(STEP, -1, BACKWARD, ABOVE),
        "zero_grad() between backward() and step()": first(CLEAR, 1, STEP, range(-1, 0)),
        "step() twice": changed(STEP, repeated),
        "clipping before backward()": first(CLIP, -1, BACKWARD, ABOVE),
        "clipping after step()": first(CLIP, 1, STEP, BELOW),
    }
    return {name: program for name, program in found.items() if program is not None}


def index_of(program: Program, line: str) -> int | None:
    """The first statement that holds a text, or None."""
    return next((i for i, statement in enumerate(program) if line in statement.text), None)


def _moved(written: Program, line: str, change: Change) -> Iterator[tuple[Program, Way]]:
    """The programs with one line moved one place, two places, and so on."""
    program, way = written, Way()
    while (index := index_of(program, line)) is not None:
        before, program = program, CHANGES[change](program, index)
        if program == before:
            return
        way = [*way, (change, index)]
        yield program, way


def _stops(stepper: Stepper, way: Way) -> Iterator[Stop]:
    """The places of one run: its first updates line by line, and then some ends of updates."""
    stepper.act("reset")
    for (action, by), index in way:
        stepper.act(action, index, *([by] if action == "move" else []))
    stepper.act("restart")
    here = _stop(stepper)
    while here.update < LINES:
        yield here
        if here.over:
            return
        stepper.act("next")
        here = _stop(stepper)
    while here.update < RUN + LINES - 1 and not here.over:
        stepper.act("finish")
        here = _stop(stepper)
        if here.update >= RUN - 1 or here.over:
            yield here


def _stop(stepper: Stepper) -> Stop:
    shot, lines = stepper.engine.snapshot, stepper.engine.statements
    return Stop(shot.update, shot.index, shot.index >= len(lines), stepper.page)


def _moves(stops: Sequence[Stop], at: int) -> Iterator[tuple[tuple[str, int, int], int]]:
    """What leads from one place of a run to another: (action, key, number), and which place."""
    stop = stops[at]
    if at:
        yield ("restart", -1, 0), 0
    if at and stop.update < LINES:
        yield ("previous", -1, 0), at - 1
    if stop.over:
        return
    if at + 1 < len(stops) and stops[at + 1].update < LINES:
        yield ("next", -1, 0), at + 1
    for updates in range(1, RUN + LINES):
        end = _end(stops, stop.update + stop.finished + updates - 1)
        if end is not None:
            yield ("run", -1, updates), end
            if updates == 1:
                yield ("finish", -1, 0), end


def _end(stops: Sequence[Stop], update: int) -> int | None:
    """Where a run to the end of an update leads; None if that place was not kept."""
    for number, stop in enumerate(stops):
        if (stop.over and stop.update <= update) or (stop.finished and stop.update == update):
            return number
    return None


def _neighbours(
    program: Program, written: Program, runs: dict[Program, list[Stop]]
) -> dict[str, Program]:
    """The programs that a change of one line leads to, of those that were run."""
    found = {} if program == written else {_message("reset", -1, 0): written}
    for (action, by), change in CHANGES.items():
        for index, statement in enumerate(program):
            other = change(program, index)
            if other != program and other in runs:
                found[_message(action, statement.key, by)] = other
    return found


def _same_place(stop: Stop, others: Sequence[Stop]) -> int:
    """Where the lines are changed: in the first update the same line is next, later the start."""
    if stop.update:
        return 0
    fits = (n for n, other in enumerate(others) if other.index >= stop.index or other.over)
    ends = (n for n, other in enumerate(others) if other.finished or other.over)
    return next(ends if stop.finished else fits)


def _message(action: str, key: int, number: int) -> str:
    """What the stepper's JavaScript sends, as it writes it."""
    said: dict[str, Any] = {"action": action}
    if key >= 0:
        said["key"] = key
    if number:
        said["number"] = number
    return json.dumps(said, separators=(",", ":"))
