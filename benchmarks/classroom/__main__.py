"""`python -m benchmarks.classroom [learners]`: a class on a JupyterHub, into BENCHMARKS.md.

Everybody signs in at the same time, opens lesson 03 by an nbgitpuller link, runs it and moves a
slider. Fails unless each learner is shown what `train` gives.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.async_api import async_playwright

from benchmarks import page
from benchmarks.classroom import parts
from benchmarks.classroom.hub import link, running_hub
from benchmarks.classroom.learner import MOVES, seat
from benchmarks.classroom.memory import SIZES, Cost, costs, seconds

Costs = dict[str, list[Cost]]


async def hold_class(count: int, address: str) -> list[str]:
    """What a class of `count` waits for, and what it costs, as tables."""
    async with async_playwright() as playwright:
        learners = await seat(playwright, count)
        waits = {}
        waits["the open lesson, from its link"] = await asyncio.gather(
            *(one.sign_in(link(address)) for one in learners)
        )
        phases = {"lesson open": costs()}
        waits["all cells of the lesson"] = await asyncio.gather(*(one.run() for one in learners))
        phases["lesson run"], begun = costs(), time.monotonic()
        await asyncio.gather(*(one.move() for one in learners))
        lasted = time.monotonic() - begun
        phases[f"slider moved {MOVES} times"] = costs()
    waits["a new picture, from the key"] = [s for one in learners for s in one.pictures]
    waits["the right sentence, from the key"] = [s for one in learners for s in one.answers]
    return [*times(waits), "", *sizes(phases), "", work(*list(phases.values())[1:], lasted)]


def times(waits: dict[str, list[float]]) -> list[str]:
    """What learners wait for, as a table."""
    lines = ["| waiting for | times | median (s) | 95 % (s) | slowest (s) |"]
    lines.append("|---|--:|--:|--:|--:|")
    for name, each in waits.items():
        lines.append(f"| {name} | {len(each)} | {page.cells(each)} |")
    return lines


def sizes(phases: dict[str, Costs]) -> list[str]:
    """What a learner's two processes hold, as a table; the hub and its proxy at the end."""
    lines = ["| memory (MB), median | own (USS) | with its share (PSS) | whole (RSS) |"]
    lines.append("|---|--:|--:|--:|")
    rows = {}
    for kind in ("server", "kernel"):
        rows |= {f"{kind}, {when}": found[kind] for when, found in phases.items()}
    rows |= {kind: list(phases.values())[-1][kind] for kind in ("hub", "proxy")}
    for name, found in rows.items():
        middles = [statistics.median(getattr(cost, size) for cost in found) for size in SIZES]
        lines.append(f"| {name} | {' | '.join(f'{middle:.0f}' for middle in middles)} |")
    return lines


def work(before: Costs, after: Costs, lasted: float) -> str:
    """Who used the processor while sliders moved."""
    used = {kind: seconds(after[kind]) - seconds(before[kind]) for kind in after}
    moves = MOVES * len(after["kernel"])
    between = used["hub"] + used["proxy"]
    return (
        f"Sliders moved for {lasted:.0f} s. Of processor time, the kernels used "
        f"{used['kernel']:.0f} s ({used['kernel'] / moves:.2f} s for each move), the servers "
        f"{used['server']:.0f} s, the hub and its proxy {between:.0f} s, and the browsers, "
        f"on the same machine, {used['browser']:.0f} s."
    )


def main(learners: str = "8") -> None:
    """Hold a class and write the tables."""
    with tempfile.TemporaryDirectory() as folder, running_hub(Path(folder)) as address:
        lines = asyncio.run(hold_class(int(learners), address))
    opening = (
        f"Written by `make hub`: {learners} learners at the same time, each with lesson 03 in "
        "JupyterLab, in browsers on the same machine. All were shown what `train` gives."
    )
    lines = [opening, "", *lines, "", *parts.lines()]
    print(*lines, sep="\n")
    page.put("A class on a JupyterHub", lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
