"""What a student's code reaches while it is graded: the table in INSTRUCTORS.md, tried out."""

import json
import os
import shutil

import pytest

pytest.importorskip("nbgrader", reason="the extra `homework` is not installed")
from tests.grading.test_cycle import COURSE, hand_in, run

PROBE = """
import json
import os
import pathlib
import sys

course = pathlib.Path(os.readlink(f"/proc/{os.getppid()}/cwd"))
seen = {
    "folder": sorted(os.listdir()),
    "beside": [name for name in ("torch_of_mine", "left") if name in sys.modules],
    "left by another": os.environ.get("LEFT_BEHIND"),
    "student": os.environ.get("GRADWIDGETS_STUDENT"),
    "secret": os.environ.get("GRADWIDGETS_SECRET"),
    "solutions": (course / "source/hw1/hw1.ipynb").is_file(),
    "others": sorted(path.name for path in (course / "submitted").iterdir()),
    "gradebook can be written": os.access(course / "gradebook.db", os.W_OK),
}
try:
    import torch_of_mine
except ModuleNotFoundError:
    seen["own file imported"] = False
os.environ["LEFT_BEHIND"] = seen["student"]
(course / f"{seen['student']}.json").write_text(json.dumps(seen))


def train_step(model, optimizer, loss, x, y):
    return 0.0
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What two students who look around have seen, by their names."""
    if not os.path.exists("/proc/self/cwd"):
        pytest.skip("the probe looks for the course in /proc, which Linux has")
    course = tmp_path_factory.mktemp("course")
    shutil.copy(COURSE / "nbgrader_config.py", course)
    shutil.copytree(COURSE / "source" / "hw1", course / "source" / "hw1")
    run(course, "nbgrader", "generate_assignment", "hw1")
    for student in ("ada", "bob"):
        files = {"torch_of_mine.py": "", "train-step": PROBE}
        hand_in(course, "hw1", student, files)
    run(course, "nbgrader", "autograde", "hw1")
    return {
        name: json.loads((course / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("ada", "bob")
    }


def test_code_reaches_all_that_the_account_can_so_the_account_must_be_isolated(seen):
    for found in seen.values():
        assert found["solutions"]
        assert found["gradebook can be written"]
        assert found["others"] == ["ada", "bob"]
        assert found["secret"] == os.environ.get(
            "GRADWIDGETS_SECRET", "a word of your own, new every term"
        )


def test_code_reaches_no_file_handed_in_and_no_process_of_another(seen):
    for student, found in seen.items():
        assert found["student"] == student
        assert found["folder"] == found["beside"] == []
        assert found["own file imported"] is False
        assert found["left by another"] is None
