"""The cell that installs gradwidgets in Colab and Kaggle, and may change nothing else there."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lessons.notebooks import FOLDER, ROOT, code_cells, is_install
from tests.test_wheel import wheel  # noqa: F401, a fixture

PATHS = sorted([*FOLDER.glob("*.ipynb"), *FOLDER.glob("lectures/*.ipynb")])
HERE = ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")
SOURCE = code_cells(PATHS[0])[0].source


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the cell would have the shell do, neither in Colab nor in Kaggle yet."""
    said: list[str] = []
    shell = type("Shell", (), {"system": lambda _, line: said.append(line)})
    monkeypatch.setitem(__builtins__, "get_ipython", shell)
    for name in HERE:
        monkeypatch.delenv(name, raising=False)
    return said


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_stands_before_all_other_code_folded_away(path: Path) -> None:
    cell, *others = code_cells(path)
    assert is_install(cell)
    assert cell.source == SOURCE
    assert cell.metadata["jupyter"]["source_hidden"]  # JupyterLab, VS Code
    assert cell.metadata["cellView"] == "form"  # Colab, which shows what follows "# @title"
    assert cell.metadata["_kg_hide-input"]  # Kaggle
    assert not any(map(is_install, others))


def test_elsewhere_it_does_nothing(commands: list[str], capsys) -> None:
    exec(SOURCE, {})
    assert commands == []
    assert capsys.readouterr() == ("", "")


def names_in(requirements: list[str]) -> set[str]:
    """Those that every installation needs, none of an extra."""
    needed = [each for each in requirements if "extra ==" not in each]
    return {re.match(r"[\w.-]+", each)[0].lower() for each in needed}


@pytest.mark.parametrize("variable", HERE)
def test_in_colab_and_kaggle_it_installs_what_is_missing_and_no_more(
    commands: list[str], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "something")
    exec(SOURCE, {})
    install = shlex.split(commands[0])
    assert install[:2] == ["pip", "install"]
    assert "--no-deps" in install  # so that pip leaves alone what it is not told of
    assert not {"-U", "--upgrade", "--force-reinstall"} & set(install)
    given = {word for word in install[2:] if not word.startswith("-")}
    colab = (ROOT / "constraints-colab.txt").read_text(encoding="utf-8")
    theirs = {*re.findall(r"^[\w-]+", colab, re.MULTILINE), "torch", "typing-extensions"}
    needs = [importlib.metadata.requires(name) or [] for name in given]
    assert {"gradwidgets"} <= given
    assert set().union(*map(names_in, needs)) <= given | theirs


def test_pip_would_change_nothing_that_is_installed(
    commands: list[str],
    monkeypatch: pytest.MonkeyPatch,
    wheel: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """As pip itself says, here and under `make test-colab` with Colab's versions."""
    monkeypatch.setenv(HERE[0], "something")
    exec(SOURCE, {})
    words = shlex.split(commands[0])
    offline = ["--no-index", f"--find-links={wheel.parent}"]
    report = tmp_path / "report.json"
    dry = [*offline, "--dry-run", f"--report={report}"]
    subprocess.run([sys.executable, "-m", *words, *dry], check=True, timeout=300)
    changed = json.loads(report.read_text(encoding="utf-8"))["install"]
    assert {each["metadata"]["name"] for each in changed} <= {"gradwidgets"}
