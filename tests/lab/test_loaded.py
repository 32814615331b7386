"""What a lab brings into memory: each learner of a class has a kernel of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

UNUSED = ("sklearn", "scipy", "pandas", "networkx", "matplotlib.pyplot", "tensorboard")


@pytest.mark.parametrize("problem", ["moons", "digits"])
def test_a_lab_loads_no_library_that_it_does_not_use(problem: str) -> None:
    program = f"""
import sys
from gradwidgets import GradLab
GradLab({problem!r})
print([name for name in {UNUSED} if name in sys.modules])
"""
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[]\n"
