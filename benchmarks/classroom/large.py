"""`python -m benchmarks.classroom.large learners ...`: large classes, into BENCHMARKS.md.

Learners have no browsers here, but do what a page does. Everybody starts a server at the same
moment; when all are ready, everybody fetches lesson 03, starts a kernel, runs the lesson and moves
its first slider; then a tenth of the class drags. A class whose kernels do not fit into this
machine's memory only starts its servers. Fails unless each learner is shown what `train` gives.

From several classes follows what a larger one needs, and how far to believe it. Three learners with
browsers say what a page takes of servers, hub and proxy besides.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
from playwright.async_api import async_playwright

from benchmarks import page
from benchmarks.classroom.headless import Headless
from benchmarks.classroom.hub import NOTEBOOK, PULL, link, running_hub
from benchmarks.classroom.learner import seat
from benchmarks.classroom.memory import costs, seconds
from benchmarks.classroom.shown import FIELD, sentences

SERVER, KERNEL = 150, 300
"""MB that a learner's processes take at most, by BENCHMARKS.md: to see whether a class fits."""
MOVES = 20
"""Of each learner who drags: the next one as soon as the last is answered."""
GOAL = 120
"""Seconds within which everybody's first slider shall have answered."""
PLANNED = (30, 120, 500)
"""Learners of the classes for which the machine is computed."""
GUARANTEE = 0.5
"""GB for each learner: `mem_guarantee` of hub/jupyterhub_config.py."""
BROWSERS = 3
"""Learners with a browser, by whom a page's share is measured."""
MACHINE = ("server", "kernel", "hub", "proxy", "class")
CLIENT = "learners"
"""Kinds of processes: those of the hub's machine, and this one, which stands for all browsers."""

OPENING = f"""\
Written by `make hub-large`: learners without browsers, on the hub's own machine, who do what a page
does. Everybody starts a server at the same moment. When all servers are ready, everybody fetches
lesson 03, starts a kernel, runs all cells and moves the first slider. Then a tenth of the class
moves it {MOVES} times, each time as soon as the kernel has answered. All were told what `train`
gives. (A page often shows a move's picture sooner, for it has been prepared. That is left out.)

Beside what was measured stands what the smaller classes, those held whole, let one expect. Time:
what a learner takes of the processors, times the learners, divided by the cores. Memory: each
learner takes as much again.
"""
NOT_WHOLE = """\
Of the class of {learners} only the servers were started: with its kernels it would need
{memory:.0f} GB, and this machine has {present:.0f} GB.
"""
PLAN = f"""\
Computed, not measured: the machine for a class that starts at the same moment, if {GOAL} seconds
later everybody's first slider shall have answered. Each learner takes what one took above in the
largest class that did the same, and what a browser's page takes besides: {{each:.1f}} s of a core
like these, and {{memory:.0f}} MB. Cores: that time, times the learners, divided by {GOAL} s.
Guaranteed is what `hub/jupyterhub_config.py` promises. The hub is one process: if it works for more
than {GOAL} s, everybody waits for that, whatever the cores. While a tenth of the class drags, a
tenth of a core for each learner is the most that its kernels can use, for each computes on one;
above it was {{share:.2f}}.
"""


@dataclass(frozen=True)
class Phase:
    """A part of a class.

    Args:
        waits: how long each learner waited, in seconds.
        used: processor time of all processes, by their kind, in seconds.
        held: memory of all processes at the end, by their kind, in MB; what several share is
            divided among them (PSS).
    """

    waits: list[float]
    used: dict[str, float]
    held: dict[str, float]


@dataclass(frozen=True)
class Class:
    """A class that was held.

    Args:
        learners: how many.
        servers: until all servers were ready.
        lesson: from then until everybody's first slider had answered.
        drag: while a tenth dragged.
        ran: when each learner's lesson had run, in seconds after `servers`.
        first: how long each learner's first move took, in seconds.
        answers: how long the moves of the learners who dragged took, in seconds.
    """

    learners: int
    servers: Phase
    lesson: Phase | None = None
    drag: Phase | None = None
    ran: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)


class Learner(Headless):
    """A learner who does lesson 03 and moves its first slider.

    Args:
        address: of the hub.
        name: of the user; their moves depend on it.
        sentences: what must stand under the lab, by the text of the slider.

    Attributes:
        ran: how long it took until the lesson had run, in seconds.
        answers: how long the kernel took for each move, in seconds.
    """

    def __init__(self, address: str, name: str, sentences: dict[str, str]) -> None:
        super().__init__(address, name)
        self.ran = 0.0
        self.answers: list[float] = []
        self._sentences = sentences
        self._draw = random.Random(name)
        self._slider = self._screen = ""
        self._index, self._moved_at = 0, 0.0

    async def do_lesson(self) -> None:
        """Fetch the lesson, run all of its cells, and move the first slider once."""
        begun = time.monotonic()
        pulled = await self.ask_server("GET", f"git-pull/api?{urlencode(PULL)}")
        assert b'"finished"' in pulled, pulled.decode()[-1000:]
        notebook = json.loads(await self.ask_server("GET", f"api/contents/{NOTEBOOK}"))
        await self.start_kernel(NOTEBOOK)
        for cell in notebook["content"]["cells"]:
            if cell["cell_type"] == "code":
                await self.run(cell["source"])
        self.ran = time.monotonic() - begun
        screens = self.widgets("answered", "sentence")
        for screen in screens:
            await self.tell(screen, {"method": "custom", "content": {"kind": "shown"}})
        self._screen = screens[0]
        sliders = self.widgets("moved_at", "index")
        self._slider = next(one for one in sliders if self.states[one]["name"] == FIELD)
        self._index = self.states[self._slider]["index"]
        await self._set(focused=True)
        await self.move()

    async def drag(self) -> None:
        """Move the slider again and again, each time as soon as the last move is answered."""
        for _ in range(MOVES):
            await self.move()

    async def move(self) -> None:
        """Move the slider by one stop, and wait for the kernel's answer.

        Raises:
            AssertionError: the learner is shown anything else than `train` gives.
        """
        texts = self.states[self._slider]["texts"]
        steps = {self._index - 1, self._index + 1} & {*range(len(texts))}
        self._index = self._draw.choice(sorted(steps))
        self._moved_at = max(1000 * time.time(), self._moved_at + 1)
        right = self._sentences[texts[self._index]]
        begun = time.monotonic()
        await self._set(index=self._index, moved_at=self._moved_at)
        try:
            await asyncio.wait_for(self._answered(right), GOAL)
        except asyncio.TimeoutError:
            shown = self.states[self._screen]["sentence"]
            raise AssertionError(f"{self.name} is shown {shown!r} instead of {right!r}") from None
        self.answers.append(time.monotonic() - begun)

    async def _answered(self, right: str) -> None:
        screen = self.states[self._screen]
        while screen["answered"] < self._moved_at or screen["sentence"] != right:
            await self.hear()

    async def _set(self, **state: Any) -> None:
        await self.tell(self._slider, {"method": "update", "state": state, "buffer_paths": []})


async def hold(learners: int, address: str, whole: bool) -> Class:
    """A class; not whole, it only starts its servers."""
    known = sentences()
    people = [Learner(address, f"learner{number}", known) for number in range(1, learners + 1)]
    servers = await phase([one.start_server() for one in people])
    if not whole:
        return Class(learners, servers)
    try:
        lesson = await phase([one.do_lesson() for one in people])
        first = [one.answers.pop() for one in people]
        drag = await phase([one.drag() for one in people[: math.ceil(learners / 10)]])
    finally:
        for one in people:
            one.close()
    answers = [answer for one in people for answer in one.answers]
    ran = [one.ran for one in people]
    return Class(learners, servers, lesson, drag, ran, first, answers)


async def browse(address: str) -> dict[str, float]:
    """Processor time of a learner with a browser until the lesson has run, by kind of process."""
    async with async_playwright() as playwright:
        people = await seat(playwright, BROWSERS)
        opened = await phase([one.sign_in(link(address)) for one in people])
        ran = await phase([one.run() for one in people])
    return {kind: (opened.used[kind] + ran.used[kind]) / BROWSERS for kind in MACHINE}


async def phase(work: Sequence[Awaitable[object]]) -> Phase:
    """All of it at the same time, measured."""

    async def wait(one: Awaitable[object]) -> float:
        begun = time.monotonic()
        await one
        return time.monotonic() - begun

    before, client = costs(), time.process_time()
    waits = await asyncio.gather(*map(wait, work))
    client, after = time.process_time() - client, costs()
    used = {kind: seconds(found) - seconds(before[kind]) for kind, found in after.items()}
    held = {kind: sum(cost.share for cost in found) for kind, found in after.items()}
    return Phase(waits, used | {CLIENT: client}, held)


def each(classes: Sequence[Class], which: str) -> float:
    """Processor time of one learner in a phase, in seconds, the learner's own process included."""
    phases = [(one.learners, getattr(one, which)) for one in classes]
    return sum(sum(part.used.values()) for _, part in phases) / sum(many for many, _ in phases)


def expected(classes: Sequence[Class], learners: int, which: str, cores: int) -> float:
    """Seconds that a phase of a larger class takes if the processors alone hold it up."""
    return each(classes, which) * learners / cores


def held(classes: Sequence[Class], learners: int, which: str) -> float:
    """GB that a larger class holds: each learner as much, and the hub and proxy as now."""
    one = largest(classes, which)
    memory = getattr(one, which).held
    theirs = memory["server"] + memory["kernel"]
    return (theirs / one.learners * learners + sum(memory.values()) - theirs) / 1024


def largest(classes: Sequence[Class], which: str) -> Class:
    """The largest class that had this phase."""
    return max((one for one in classes if getattr(one, which)), key=lambda one: one.learners)


def spent(classes: Sequence[Class], *kinds: str) -> float:
    """Processor time of a learner until the first answer, in processes of these kinds."""
    total = 0.0
    for which in ("servers", "lesson"):
        one = largest(classes, which)
        total += sum(getattr(one, which).used[kind] for kind in kinds) / one.learners
    return total


def besides(classes: Sequence[Class], browsed: dict[str, float]) -> dict[str, float]:
    """Processor time that a page takes besides, by kind: to sign in, to load JupyterLab."""
    kinds = ("server", "hub", "proxy")
    return {kind: max(browsed[kind] - spent(classes, kind), 0.0) for kind in kinds}


def machine(
    classes: Sequence[Class], pages: dict[str, float], learners: int
) -> tuple[int, float, float]:
    """Cores, GB, and seconds of the hub that so many learners need."""
    cores = math.ceil((spent(classes, *MACHINE) + sum(pages.values())) * learners / GOAL)
    hub = spent(classes, "hub") + pages["hub"]
    return cores, held(classes, learners, "lesson"), hub * learners


def lines(classes: Sequence[Class], browsed: dict[str, float], cores: int) -> list[str]:
    """The classes as tables, and what larger ones need."""
    pages = besides(classes, browsed)
    said = [OPENING, *times(classes, cores), "", *work(classes, pages), "", *sizes(classes)]
    for one in classes:
        if not one.lesson:
            memory = held(classes, one.learners, "lesson")
            present = psutil.virtual_memory().total / 2**30
            told = NOT_WHOLE.format(learners=one.learners, memory=memory, present=present)
            said += ["", told.rstrip()]
    return [*said, "", *plans(classes, pages)]


def times(classes: Sequence[Class], cores: int) -> list[str]:
    """How long learners waited, beside what the smaller classes let one expect."""
    rows = ["| learners | waiting for | median (s) | 95 % (s) | slowest (s) | computed (s) |"]
    rows.append("|--:|---|--:|--:|--:|--:|")

    def add(many: int, what: str, waits: list[float], computed: str = "") -> None:
        rows.append(f"| {many} | {what} | {page.cells(waits)} | {computed} |")

    for at, one in enumerate(classes):
        before, many = [each for each in classes[:at] if each.lesson], one.learners
        said = {
            which: f"{expected(before, many, which, cores):.0f}" if before else ""
            for which in ("servers", "lesson")
        }
        add(many, "the server", one.servers.waits, said["servers"])
        if one.lesson:
            add(many, "the lesson, fetched and run, from there", one.ran)
            add(many, "the first slider's answer, from there", one.lesson.waits, said["lesson"])
            add(many, "this answer, from the move", one.first)
            add(many, f"an answer while {math.ceil(many / 10)} drag, from the move", one.answers)
    return rows


def work(classes: Sequence[Class], pages: dict[str, float]) -> list[str]:
    """Processor time of each learner, by who spent it."""
    kinds = (*MACHINE, CLIENT)
    rows = [f"| processor time (s) | {' | '.join(kinds)} |", "|---" + "|--:" * len(kinds) + "|"]
    for one in classes:
        parts = [("each server's start", one.servers, one.learners)]
        if one.lesson and one.drag:
            parts.append(("each lesson, to the first answer", one.lesson, one.learners))
            parts.append(("each move while a tenth drags", one.drag, len(one.answers)))
        for what, part, many in parts:
            said = " | ".join(f"{part.used[kind] / many:.2f}" for kind in kinds)
            rows.append(f"| {what}, of {one.learners} | {said} |")
    said = " | ".join(f"{pages[kind]:.2f}" if kind in pages else "" for kind in kinds)
    return [*rows, f"| a browser's page besides, of {BROWSERS} | {said} |"]


def sizes(classes: Sequence[Class]) -> list[str]:
    """Memory of all processes, beside what the smaller classes let one expect."""
    rows = ["| learners | memory (GB) | servers | kernels | hub | proxy | all | computed |"]
    rows.append("|--:|---|--:|--:|--:|--:|--:|--:|")
    for at, one in enumerate(classes):
        before = [each for each in classes[:at] if each.lesson]
        for which in ("servers", "lesson"):
            if (part := getattr(one, which)) is None:
                continue
            figures = [part.held[kind] / 1024 for kind in ("server", "kernel", "hub", "proxy")]
            figures.append(sum(part.held.values()) / 1024)
            computed = f"{held(before, one.learners, which):.2f}" if before else ""
            when = {"servers": "servers ready", "lesson": "first slider answered"}[which]
            said = " | ".join(f"{figure:.2f}" for figure in figures)
            rows.append(f"| {one.learners} | {when} | {said} | {computed} |")
    return rows


def plans(classes: Sequence[Class], pages: dict[str, float]) -> list[str]:
    """The machine that a class needs."""
    each = spent(classes, *MACHINE) + sum(pages.values())
    memory = 1024 * (held(classes, 2, "lesson") - held(classes, 1, "lesson"))
    rows = ["| learners | cores | memory (GB) | guaranteed (GB) | the hub works (s) |"]
    rows.append("|--:|--:|--:|--:|--:|")
    for many in PLANNED:
        cores, needed, hub = machine(classes, pages, many)
        rows.append(f"| {many} | {cores} | {needed:.0f} | {GUARANTEE * many:.0f} | {hub:.0f} |")
    return [PLAN.format(each=each, memory=memory, share=each / GOAL), *rows]


def fits(learners: int, each: float) -> bool:
    """Tell whether so many times so many MB are free."""
    return learners * each < psutil.virtual_memory().available / 2**20


def main(*sizes: str) -> None:
    """Hold the classes, the smallest first, and write the tables."""
    if not fits(most := max(map(int, sizes)), SERVER):
        sys.exit(f"{most} servers do not fit into the memory that is free")
    with tempfile.TemporaryDirectory() as folder, running_hub(Path(folder)) as address:
        browsed = asyncio.run(browse(address))
    classes: list[Class] = []
    for learners in sorted(map(int, sizes)):
        whole = fits(learners, SERVER + KERNEL)
        with tempfile.TemporaryDirectory() as folder, running_hub(Path(folder)) as address:
            classes.append(asyncio.run(hold(learners, address, whole)))
        print(*times(classes, os.cpu_count() or 1), "", sep="\n", flush=True)
    said = lines(classes, browsed, os.cpu_count() or 1)
    print(*said, sep="\n")
    page.put("A large class on a JupyterHub", said)


if __name__ == "__main__":
    main(*sys.argv[1:])
