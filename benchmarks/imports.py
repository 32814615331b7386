"""`import gradwidgets` against the libraries that it stands on, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from benchmarks.measure import Row


def rows() -> Iterator[Row]:
    """The whole package against its three large dependencies; the core against torch."""
    yield Row(
        "import gradwidgets, the lab included",
        partial(fresh, "from gradwidgets import GradLab"),
        partial(fresh, "import torch, ipywidgets, matplotlib"),
        pairs=12,
        target=1.15,
    )
    yield Row(
        "import gradwidgets.core",
        partial(fresh, "import gradwidgets.core"),
        partial(fresh, "import torch"),
        pairs=12,
    )


def fresh(program: str) -> None:
    """Run a program in an interpreter of its own."""
    subprocess.run([sys.executable, "-c", program], check=True)
