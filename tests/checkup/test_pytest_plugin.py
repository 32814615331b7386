"""The fixture `checkup`: a test whose loop is broken fails, and pytest starts without torch."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

TESTS = """
import sys
import pytest

def test_first_nothing_is_loaded():
    assert not {"torch", "gradwidgets"} & sys.modules.keys()

def loop(checkup, clear, **options):
    import torch
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, **options) as report:
        for _ in range(3):
            if clear:
                optimizer.zero_grad()
            model(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
    assert report.steps == 3

def test_healthy(checkup):
    loop(checkup, clear=True)

def test_broken(checkup):
    loop(checkup, clear=False)

def test_ignored(checkup):
    loop(checkup, clear=False, ignore={"not-cleared"})

def test_own_error(checkup):
    import torch
    with checkup(torch.nn.Linear(3, 1)):
        raise KeyError("own")
"""


def test_a_broken_loop_fails_its_test(tmp_path: Path) -> None:
    (tmp_path / "test_loops.py").write_text(TESTS, encoding="utf-8")
    installed = any(one.value == "gradwidgets_pytest" for one in entry_points(group="pytest11"))
    load = [] if installed else ["-p", "gradwidgets_pytest"]
    root = str(Path(__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--tb=line", *load],
        cwd=tmp_path,
        env={"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in found.stdout.splitlines() if line.startswith(("PASSED", "FAILED"))]
    said = {line.split("::")[1].split(" ")[0]: line for line in lines}
    assert said.keys() == {
        "test_first_nothing_is_loaded",
        "test_healthy",
        "test_broken",
        "test_ignored",
        "test_own_error",
    }
    failed = {name for name, line in said.items() if line.startswith("FAILED")}
    assert failed == {"test_broken", "test_own_error"}, found.stdout
    assert "AssertionError: checkup: not-cleared" in said["test_broken"]
    assert "KeyError: 'own'" in said["test_own_error"]
