"""The project's own rules: its lists of dependencies and its notebooks."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from pathlib import Path

import pytest

import gradwidgets

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parent.parent
PROGRAMS = sorted(
    path for path in ROOT.rglob("*.py") if not path.relative_to(ROOT).parts[0].startswith(".")
)
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def test_the_oldest_versions_are_the_lower_bounds_of_pyproject() -> None:
    """All but torch, of which there is one for everybody (see constraints.txt), and `frameworks`,
    which takes the newest of each.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert not re.search("[<>=]", "".join(extras.pop("frameworks")))
    asked = sum(extras.values(), project["dependencies"])
    bounds = {requirement.replace(">=", "==") for requirement in asked}
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if "==" in line} == {
        bound for bound in bounds if not bound.startswith("torch==")
    }


def test_environment_yml_holds_the_dependencies_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {
        f"python{project['requires-python']}",
        *project["dependencies"],
        *project["optional-dependencies"]["lab"],
    }
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^  - ([\w.-]+)(>=.*)$", text, flags=re.MULTILINE)
    assert {CONDA_NAMES.get(name, name) + version for name, version in listed} == wanted
    assert "  - pip:\n      - -e .\n" in text
    assert "channels:\n  - conda-forge\n" in text


def test_repo2docker_can_run_what_follows_the_environment() -> None:
    script = ROOT / "postBuild"
    assert os.name == "nt" or script.stat().st_mode & 0o111
    installed = re.findall(r"hub/\w+\.py", script.read_text(encoding="utf-8"))
    assert all((ROOT / name).is_file() for name in installed)
    assert "hub/ipython_config.py" in installed


@pytest.mark.parametrize("path", PROGRAMS, ids=short)
def test_a_text_file_is_opened_with_its_encoding(path: Path) -> None:
    """Windows would take another one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            last = getattr(node.args[-1], "value", None) if node.args else None
            needs = name in ("read_text", "write_text") or (
                name == "open" and last in ("r", "w", "a")
            )
            said = "utf-8" in [last, *(getattr(k.value, "value", None) for k in node.keywords)]
            assert said or not needs, f"line {node.lineno}"


def test_the_version_is_the_same_everywhere() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("CITATION.cff", "CHANGELOG.md")]
    found = [re.search(r"^(?:version: |## \[)([\d.]+)", text, re.MULTILINE) for text in texts]
    assert [match and match[1] for match in found] == [gradwidgets.__version__] * 2


def test_every_python_that_is_promised_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert project["requires-python"] == f">={named[0]}"
    workflow = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    assert f"python: {json.dumps(named)}" in workflow


@pytest.mark.parametrize("path", NOTEBOOKS, ids=short)
def test_a_notebook_is_small_enough_to_send(path: Path) -> None:
    assert path.stat().st_size <= 400_000


def test_learners_are_sent_to_the_branch_that_holds_no_solutions() -> None:
    hub = (ROOT / "hub" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"git-pull\?repo=REPOSITORY&(\w+=\w+)&", hub) == ["branch=course"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "git clone" not in readme
    assert "ADDRESS@course" in readme
