"""CONTRIBUTING's recipe for a new edit, tried on a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def put_before(path: Path, line: str, text: str) -> None:
    """Insert a text before the one line that begins so."""
    before = path.read_text(encoding="utf-8")
    assert before.count(f"\n{line}") == 1, line
    path.write_text(before.replace(f"\n{line}", f"\n{text}{line}"), encoding="utf-8")


def with_the_edit(folder: Path, sweep: bool = True) -> None:
    """Copy the package there and do what CONTRIBUTING says, with the very lines that it shows."""
    shutil.copytree(ROOT / "gradwidgets", folder / "gradwidgets")
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("*An edit.*")[2]
    field, entry = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2]
    if not sweep:
        entry = entry[: entry.index("    def sweep")]
    core = folder / "gradwidgets" / "core"
    put_before(core / "recipe.py", "    accumulation_steps: int", field)
    put_before(core / "edit_table.py", "EDITS: ", f"{entry}\n\n")
    table = core / "edit_table.py"
    text = table.read_text(encoding="utf-8")
    table.write_text(
        text.replace("(ScaleEntry(), ", "(ScaleEntry(), SignEntry(), "), encoding="utf-8"
    )


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a folder, whose package goes before the project's own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_two_pieces_give_a_new_edit_to_everything(tmp_path: Path) -> None:
    with_the_edit(tmp_path)
    done = run(tmp_path, "-m", "tests.new_edit")
    assert done.returncode == 0, done.stderr
    parts = ("loop", "script", "sweep", "stepper", "ledger", "lab")
    assert done.stdout.split() == [f"check_{part}" for part in parts]


def test_the_package_as_it_is_does_not_have_it(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "tests.new_edit")
    assert "unexpected keyword argument 'sign'" in done.stderr


ONE_BY_ONE = """
import warnings
from gradwidgets import Recipe, sweep, train
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    histories = sweep("moons", Recipe(updates=3), "sign", [False, True])
print(*[warning.message for warning in caught])
for sign, history in zip([False, True], histories):
    assert (history.loss == train("moons", Recipe(updates=3, sign=sign)).loss).all()
"""


def test_an_edit_without_a_form_for_replicas_is_swept_one_by_one(tmp_path: Path) -> None:
    with_the_edit(tmp_path, sweep=False)
    done = run(tmp_path, "-c", ONE_BY_ONE)
    assert done.stdout == "sweep: one by one, because sign has no form for many replicas\n"
    assert done.returncode == 0, done.stderr
