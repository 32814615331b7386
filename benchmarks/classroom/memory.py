"""Memory and processor time of a class's processes, as Linux counts them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

import psutil

KINDS = {
    "kernel": "ipykernel_launcher",
    "server": "jupyterhub-singleuser",
    "proxy": "configurable-http-proxy",
    "hub": "-m jupyterhub",
    "class": "gradwidgets_notebooks",
    "browser": "chrom",
}
"""A word in the command line of each kind of process, the first that fits."""
SIZES = ("own", "share", "whole")


@dataclass(frozen=True)
class Cost:
    """What one process holds, in MB, and the processor time that it has used, in seconds.

    Args:
        own: what would be free if it ended (USS).
        share: the same, and its share of what it holds with others (PSS).
        whole: all that it has in memory (RSS).
        seconds: processor time, user and system, with that of children that have ended.
    """

    own: float
    share: float
    whole: float
    seconds: float


def costs() -> dict[str, list[Cost]]:
    """What each process below this one costs now, by its kind."""
    found: dict[str, list[Cost]] = {kind: [] for kind in KINDS}
    for process in psutil.Process(os.getpid()).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            command = " ".join(process.cmdline())
            kind = next((kind for kind, word in KINDS.items() if word in command), None)
            if kind:
                found[kind].append(cost(process))
    return found


def cost(process: psutil.Process) -> Cost:
    """What a process costs now."""
    held, used = process.memory_full_info(), process.cpu_times()
    sizes = [size / 2**20 for size in (held.uss, held.pss, held.rss)]
    ended = used.children_user + used.children_system
    return Cost(*sizes, used.user + used.system + ended)


def seconds(costs: list[Cost]) -> float:
    """Processor time of all together."""
    return sum(cost.seconds for cost in costs)
