"""Real workers: honest people get their points whatever their style, and hostile ones no more."""

import json
import socket
from pathlib import Path

import pytest

from gradwidgets import grading
from tests.grading.hostile import DESERVED, HOSTILE
from tests.grading.kernel import QUICK, Kernel, points_of
from tests.grading.styles import APART, IMPORTS, STEP, TOGETHER

HW1 = ("train_step", "loop_a", "loop_b", "loop_c")


@pytest.fixture(scope="module")
def kernel():
    with Kernel(grading.Limits()) as kernel:
        kernel.run(IMPORTS, "import numpy as np")
        yield kernel


@pytest.mark.parametrize("style", TOGETHER)
def test_a_style_of_writing_costs_nothing(kernel, style):
    task, cell = TOGETHER[style]
    assert kernel.run(f"globals().pop({task!r}, None);", cell)["error"] is None
    assert kernel.points(task) == grading.TASKS[task].points


@pytest.mark.parametrize("style", APART)
def test_a_setting_of_the_notebook_costs_nothing(style):
    points, report = points_of([IMPORTS, *APART[style]], ["train_step"], limits=grading.Limits())
    assert points == {"train_step": 5.0}, str(report)


def test_a_file_that_was_handed_in_can_be_imported():
    files = {"helpers.py": (IMPORTS + STEP).encode(), "data/x.txt": b"1"}
    cells = ["from helpers import train_step\nprint(open('data/x.txt').read())"]
    points, report = points_of(cells, ["train_step"], files)
    assert points == {"train_step": 5.0}
    assert report.runs[0].output == "1\n"


def test_a_file_that_was_not_handed_in_is_named():
    cells = ["from helpers import train_step"]
    points, report = points_of(cells, ["train_step"])
    assert points == {"train_step": 0.0}
    said = report.results[0].verdicts[0].sentence
    assert "There is no function `train_step`." in said
    assert "neither a package `helpers` here nor a file helpers.py" in said


@pytest.mark.parametrize("name", HOSTILE)
def test_everybody_gets_what_they_deserve(name):
    points, report = points_of([IMPORTS, *HOSTILE[name]], HW1)
    for task in HW1:
        assert points[task] == DESERVED.get(name, {}).get(task, 0.0), str(report)
    assert all(len(run.output) < 11_000 for run in report.runs)
    assert str(report).replace("\n", "").replace("\t", "").isprintable()


SWALLOWS = """
import time
def loop_a(model, optimizer, loss, batches):
    while True:
        try:
            time.sleep(0.1)
            raise RuntimeError
        except:
            pass
"""


def test_an_endless_function_costs_that_function_only():
    loop = "def loop_{}(model, optimizer, loss, batches):\n    for x, y in batches: train_step("
    loop += "model, optimizer, loss, x, y)"
    cells = [IMPORTS, STEP, SWALLOWS, loop.format("b")]
    points, report = points_of(cells, HW1[:3])
    assert points == {"train_step": 5.0, "loop_a": 0.0, "loop_b": 2.0}
    assert "It did not end within" in report.results[1].verdicts[0].sentence


def test_an_endless_cell_costs_that_cell_only():
    endless = "while True:\n    try: pass\n    except: pass"
    points, report = points_of([IMPORTS, endless, STEP], ["train_step"])
    assert points == {"train_step": 5.0}
    assert "It did not end within" in report.runs[1].error


def test_an_endless_notebook_ends():
    limits = grading.Limits(cell=2.0, question=2.0, notebook=3.0)
    points, report = points_of(["while True: pass"] * 9 + [STEP], ["train_step"], limits=limits)
    assert points == {"train_step": 0.0}
    assert "more than 3 seconds in all" in report.results[0].verdicts[0].sentence


LOOKS_AROUND = """
import json, os, pathlib, socket, sys
seen = {
    "folder": sorted(os.listdir()),
    "secret": "word" in str(os.environ) + pathlib.Path("/proc/self/environ").read_text(),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "root": sorted(os.listdir("/")),
    "course": os.path.exists(COURSE),
    "judge": os.path.exists(JUDGE),
    "written": [],
}
for folder in ("/", "/usr", sys.prefix, "/etc", "/dev"):
    try:
        pathlib.Path(folder, "mine").write_text("mine")
        seen["written"].append(folder)
    except OSError:
        pass
try:
    socket.create_connection(("127.0.0.1", PORT), timeout=5)
    seen["network"] = True
except OSError:
    seen["network"] = False
print(json.dumps(seen))
"""


@pytest.mark.skipif(grading.isolation() != "bubblewrap", reason="there is no bubblewrap here")
def test_the_sandbox_holds_nothing_but_python(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADWIDGETS_SECRET", "word")
    (tmp_path / "gradebook.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as server, Kernel() as kernel:
        names = {
            "COURSE": str(tmp_path / "gradebook.db"),
            "JUDGE": str(Path(grading.__file__).with_name("numpy_oracle.py")),
            "PORT": server.getsockname()[1],
        }
        given = "\n".join(f"{name} = {value!r}" for name, value in names.items())
        seen = json.loads(kernel.run(given, LOOKS_AROUND)["output"])
    assert seen["folder"] == seen["written"] == []
    assert not seen["secret"]
    assert not seen["course"]
    assert not seen["judge"]
    assert not seen["network"]
    assert seen["processes"] <= 3


SHARES = """
import mmap
kept = []
while len(kept) < 100:
    kept.append(mmap.mmap(-1, 10**9))
    print(len(kept))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells what is mapped")
def test_memory_that_is_shared_is_limited_too():
    with Kernel(QUICK) as kernel:
        said = kernel.run(SHARES)
    assert "Cannot allocate memory" in said["error"]
    assert len(said["output"].split()) < 5


def test_what_a_cell_puts_out_is_cut():
    with Kernel(QUICK) as kernel:
        said = kernel.run("print('x' * 50_000_000)")["output"]
    assert len(said) < 10_100
    assert said.endswith("(cut after 10000 characters)\n")
