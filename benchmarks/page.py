"""BENCHMARKS.md: the project's account of its speed, one section for each kind of figure."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch

PATH = Path(__file__).parents[1] / "BENCHMARKS.md"
TOP = """# How fast it is

Written by `make bench`. Every line compares two ways of doing the same thing, measured in turn in
one run, so that a busy machine slows both alike; read the ratios.

Sweeps have the bits of runs alone. That costs: right up to rounding only, 51 values of `scale` on
`moons` took 0.10 of one by one and `spirals` 0.22; with the same bits they take 0.17 and 0.31 (in
processor time, 100 updates). It is worth it: near the border of stability rounding grows, and 6 of
51 stops had another verdict than `train`.
"""


def put(title: str, lines: Sequence[str]) -> None:
    """Replace a section, or add it, and say what it was measured on."""
    text = PATH.read_text(encoding="utf-8") if PATH.exists() else TOP
    top, *sections = text.split("\n## ")
    kept = {section.partition("\n")[0]: section for section in sections}
    body = "\n".join([*lines, "", machine()])
    kept[title] = f"{title}\n\n{body}"
    parts = [part.strip() + "\n" for part in [top, *kept.values()]]
    PATH.write_text("\n## ".join(parts), encoding="utf-8")


def cells(waits: Sequence[float]) -> str:
    """Median, 95 % and the slowest of some seconds, as three cells of a table."""
    late = sorted(waits)[math.ceil(0.95 * len(waits)) - 1]
    return " | ".join(f"{each:.2f}" for each in (statistics.median(waits), late, max(waits)))


def machine() -> str:
    """What the figures depend on, but no name of the machine."""
    load = os.getloadavg()[0]
    cores = f"{os.cpu_count()} cores, load {load:.1f} at the end"
    return f"Python {platform.python_version()}, torch {torch.__version__}, {cores}."
