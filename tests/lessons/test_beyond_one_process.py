"""Lesson 12: the program that it hands out runs under torchrun as a file of its own, and ends."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lessons.notebooks import FOLDER, read

RUNS = 10


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Runs the program with so many processes."""
    (text,) = (
        cell.source
        for cell in read(FOLDER / "12_beyond_one_process.ipynb").cells
        if cell.id == "take"
    )
    folder = tmp_path_factory.mktemp("train")
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    (folder / "train.py").write_text(program, encoding="utf-8")
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(processes):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={processes}", "train.py"]
        return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)

    return start


def losses(done):
    return [float(loss) for loss in re.findall(r"^update \d+: loss (\S+)$", done.stdout, re.M)]


def test_the_program_ends_cleanly_each_time(started):
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(started, [2] * RUNS))
    for done in runs:
        assert done.returncode == 0, done.stderr
        assert "terminate called" not in done.stderr
        assert len(losses(done)) == 20
    assert len({done.stdout for done in runs}) == 1


def test_three_unequal_shares_give_the_losses_of_one_process(started):
    alone, three = started(1), started(3)
    assert len(losses(alone)) == 20
    assert losses(three) == pytest.approx(losses(alone), abs=2e-4)
