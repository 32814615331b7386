"""The locked homework, opened for the tests: notebooks with solutions, and functions to try.

`python -m tests.homework.opened unlock` opens it in `homework-open`, to be changed;
`python -m tests.homework.opened lock` locks it again, and writes what students get.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from gradwidgets_homework import files_of, lock, unlock

WORD = "clear, forward, backward, step"
"""Opens `notebooks/homework/solutions.locked`. It is no secret: it keeps solutions from being met
by accident. INSTRUCTORS.md says what that is worth, and how a class gets a word of its own."""

ROOT = Path(__file__).parents[2]
HOMEWORK = ROOT / "notebooks" / "homework"
ARCHIVE = HOMEWORK / "solutions.locked"
OPEN = ROOT / "homework-open"
"""Where a maintainer changes it; git ignores this folder."""
CLEAR = ("nbgrader_config.py", "course.toml", "INSTRUCTORS.md")


def write(folder: Path) -> Path:
    """Open the homework in a new folder, which is a course for nbgrader then."""
    for name, content in unlock(ARCHIVE.read_bytes(), WORD).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name in CLEAR:
        shutil.copy(HOMEWORK / name, folder)
    return folder


@cache
def opened() -> Path:
    """The folder in which it is open for this run of the tests."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write(folder)


def locked(name: str) -> ModuleType:
    """A module of functions to try: right ones, or wrong ones that show what is right."""
    spec = spec_from_file_location(f"locked_{name}", opened() / "tests" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def released(course: Path) -> dict[str, bytes]:
    """The notebooks that nbgrader releases from a course's sources, by their names."""
    homes = {f"JUPYTER_{name}_DIR": str(course / ".home") for name in ("CONFIG", "DATA", "RUNTIME")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    env = {**os.environ, **homes, "PATH": path, "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-m", "nbgrader", "generate_assignment", "--assignment=*"]
    subprocess.run(run, cwd=course, env=env, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in sorted(course.glob("release/*/*.ipynb"))}


def main(step: str) -> None:
    """Open the homework, or lock it."""
    if step == "unlock":
        OPEN.mkdir()
        print(f"open in {write(OPEN)}; afterwards: python develop.py homework-lock")
        return
    files = files_of(OPEN)
    if not ARCHIVE.exists() or unlock(ARCHIVE.read_bytes(), WORD) != files:
        ARCHIVE.write_bytes(lock(files, WORD))
    with tempfile.TemporaryDirectory() as folder:
        for name, content in released(write(Path(folder))).items():
            (HOMEWORK / name).write_bytes(content)
    shutil.rmtree(OPEN)
    print(f"locked: {', '.join(files)}")


if __name__ == "__main__":
    main(sys.argv[1])
