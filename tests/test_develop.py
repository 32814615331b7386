"""`develop.py` and `make`: the same commands, each with what it needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import develop
from tests.test_project import ROOT


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What is run, as words; nothing is."""
    done: list[str] = []

    def run(words: list[object], env: dict[str, str] | None = None, **_: object) -> None:
        threads = f"[{env.get('OMP_NUM_THREADS', '')}] " if env else ""
        done.append(threads + " ".join(map(str, words)))

    monkeypatch.setattr(develop, "ROOT", tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    unset = {*develop.SETTINGS, "OMP_NUM_THREADS"}
    bare = {name: value for name, value in os.environ.items() if name not in unset}
    monkeypatch.setattr(os, "environ", bare)
    (tmp_path / "pyproject.toml").touch()
    for name in (".venv", ".venv-oldest"):
        (tmp_path / name).mkdir()
    return done


def test_the_documents_name_only_commands_that_there_are() -> None:
    for page in ROOT.glob("*.md"):
        named = re.findall(r"`(?:make|python develop\.py) ([^`]*)`", page.read_text("utf-8"))
        words = {word for line in named for word in line.split("=")[0].split()}
        words = {word for word in words if word.islower()}
        assert words <= {*develop.COMMANDS, "help"}, page.name


def test_a_command_installs_what_it_needs_once(runs: list[str]) -> None:
    assert develop.main(["lint", "types", "PIP_ARGS=--pre"]) == 0
    venv, install, *rest = runs
    assert venv == f"{sys.executable} -m venv {develop.ROOT / '.venv'}"
    assert "-m pip install --quiet --pre -c constraints.txt -e .[dev]" in install
    assert [line.split(" -m ")[1] for line in rest] == [
        "ruff check .",
        "ruff format --check .",
        "mypy",
    ]


def test_the_oldest_versions_have_an_environment_of_their_own(runs: list[str]) -> None:
    develop.main(["test-oldest", "lint"])
    home = str(develop.ROOT / ".venv-oldest")
    in_it = [line for line in runs if home in line]
    assert "-c constraints.txt -c constraints-oldest.txt" in in_it[1]
    assert ["[1]" in line for line in in_it[2:]] == [False, True, True]  # the browser's has threads
    assert runs[-1].endswith("ruff format --check .")
    assert home not in runs[-1]


def test_a_command_that_fails_ends_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(3, "ruff")

    monkeypatch.setattr(develop, "environment", lambda _: Path(sys.executable))
    monkeypatch.setattr(subprocess, "run", fail)
    assert develop.main(["test"]) == 3


def test_a_word_that_is_no_command_runs_nothing(runs: list[str], capsys) -> None:
    assert develop.main(["lint", "tets"]) == 1
    assert runs == []
    assert "test-float64" in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="there is no make")
def test_make_has_the_same_commands() -> None:
    dry = ["make", "-n", "-C", str(ROOT), *develop.COMMANDS]
    said = subprocess.run(dry, capture_output=True, text=True, check=True).stdout
    lines = [line for line in said.splitlines() if "develop.py" in line]
    assert lines == [f"python3 develop.py {name}" for name in develop.COMMANDS]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the names of this one's files, in a commit."""
    names = ["README.md", "environment.yml", "postBuild", "pyproject.toml", "hub/README.md"]
    names += ["gradwidgets/__init__.py", "notebooks/00_start_here.ipynb", "tests/test_develop.py"]
    names += ["notebooks/homework/hw1.ipynb", "notebooks/homework/solutions.locked", "develop.py"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    monkeypatch.setattr(develop, "ROOT", tmp_path)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "nobody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "nobody@example.org")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        develop.git(*words)
    return tmp_path


def test_the_branch_course_holds_what_students_get_and_no_history(repository: Path) -> None:
    (repository / "README.md").write_text("in work", encoding="utf-8")
    assert develop.main(["course-branch"]) == 0
    assert develop.git("ls-tree", "-r", "--name-only", "course").splitlines() == [
        "README.md",
        "environment.yml",
        "gradwidgets/__init__.py",
        "hub/README.md",
        "notebooks/00_start_here.ipynb",
        "notebooks/homework/hw1.ipynb",
        "postBuild",
        "pyproject.toml",
    ]
    assert develop.git("rev-list", "--count", "course") == "1"
    assert develop.git("show", "course:README.md") == "README.md"
    assert develop.git("status", "--porcelain") == "M README.md"


def test_the_branch_course_grows_so_that_a_copy_can_follow(repository: Path) -> None:
    develop.main(["course-branch", "course-branch"])
    first = develop.git("rev-parse", "course")
    (repository / "tests/test_develop.py").write_text("another", encoding="utf-8")
    develop.git("commit", "-q", "-a", "-m", "a test")
    develop.main(["course-branch"])
    assert develop.git("rev-parse", "course") == first
    develop.git("rm", "-q", "hub/README.md")
    develop.git("commit", "-q", "-m", "a file of the students' goes")
    develop.main(["course-branch"])
    assert develop.git("rev-parse", "course^") == first
    assert "hub/README.md" not in develop.git("ls-tree", "-r", "--name-only", "course")


def test_the_branch_course_of_this_repository_can_be_installed() -> None:
    """Whatever pyproject.toml puts into the wheel begins as the names of the branch do."""
    taken = re.findall(r'"/([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert taken
    assert all(name.startswith(develop.STUDENTS) for name in taken)
