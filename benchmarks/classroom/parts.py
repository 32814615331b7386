"""Where a kernel's memory goes: one part after the other, in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

PARTS = {
    "Python and its kernel": "import ipykernel.kernelapp, IPython",
    "numpy": "import numpy",
    "torch": "import torch",
    "ipywidgets and anywidget": "import ipywidgets, anywidget",
    "matplotlib": "import matplotlib.figure, matplotlib.backends.backend_agg",
    "gradwidgets": "from gradwidgets import GradLab",
    "the first step of any optimizer": """
import torch
weight = torch.nn.Parameter(torch.ones(1))
weight.sum().backward()
torch.optim.SGD([weight]).step()
""",
    "a lab on moons": "GradLab('moons')",
    "a lab on digits": "GradLab('digits')",
    "scikit-learn, which that lab does without": "import sklearn.datasets",
}
"""What is done, and how."""

PROGRAM = """
import sys, psutil
from benchmarks.classroom.parts import PARTS
names = {}
for part in PARTS.values():
    exec(part, names)
    held = psutil.Process().memory_full_info()
    print(held.uss / 2**20, held.rss / 2**20)
"""


def lines() -> list[str]:
    """What each part adds, as a table."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    held = [tuple(map(float, line.split())) for line in run.stdout.splitlines()]
    table = ["| where a kernel's memory goes | adds, own (MB) | in all, own | in all, whole |"]
    table.append("|---|--:|--:|--:|")
    before = 0.0
    for part, (own, whole) in zip(PARTS, held, strict=True):
        table.append(f"| {part} | {own - before:.0f} | {own:.0f} | {whole:.0f} |")
        before = own
    return table
