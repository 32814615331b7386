"""The project's own rules: its lists of dependencies and its notebooks."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parent.parent
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
    assert script.stat().st_mode & 0o111
    installed = re.findall(r"hub/\w+\.py", script.read_text(encoding="utf-8"))
    assert all((ROOT / name).is_file() for name in installed)
    assert "hub/ipython_config.py" in installed


def code_cells(path: Path) -> list[dict[str, Any]]:
    """The code cells of a notebook, without empty ones."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [c for c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip()]


def texts_of(cell: dict[str, Any]) -> Iterator[str]:
    """Everything in a cell's outputs that is text, embedded pictures and styles cut out."""
    for output in cell["outputs"]:
        yield "".join(output.get("text", ""))
        yield "\n".join(output.get("traceback", []))
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield re.sub(r"base64,[\w+/=]+|(?s:<style>.*?</style>)", "", "".join(data))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=short)
def test_a_notebook_is_run_from_top_to_bottom(path: Path) -> None:
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


VARYING = {
    "an address": r"\b0x[0-9a-fA-F]{4,}",
    "a path": r"(?<![\w<./:])/(?:\w[\w.-]*/)+[\w.-]+|\b[A-Z]:\\\\",
    "a time": r"\b\d{1,2}:\d{2}(?::\d{2})?\b|\b\d+(?:\.\d+)? ?(?:ms|µs|us|s|sec|seconds|minutes)\b",
}


@pytest.mark.parametrize("what", VARYING)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=short)
def test_no_output_holds_what_differs_between_machines(path: Path, what: str) -> None:
    for cell in code_cells(path):
        for text in texts_of(cell):
            found = re.search(VARYING[what], text)
            assert not found, f"{found and found[0]!r} in the output of {cell['source'][:2]}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=short)
def test_enough_cells_print_or_assert_to_prove_something(path: Path) -> None:
    cells = code_cells(path)
    proving = [c for c in cells if re.search(r"\bprint\(|^\s*assert\b", "".join(c["source"]), re.M)]
    assert 3 * len(proving) >= len(cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=short)
def test_a_notebook_is_small_enough_to_send(path: Path) -> None:
    assert path.stat().st_size <= 400_000


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("an address", "<function f at 0x7f3a12>"),
        ("a path", "File /home/me/lab.py, line 3"),
        ("a time", "finished in 0.43 s"),
        ("a time", "at 14:02:59"),
    ],
)
def test_the_patterns_find_what_they_should(what: str, text: str) -> None:
    assert re.search(VARYING[what], text)
    assert not re.search(VARYING[what], "loss 0.123, 200 updates, 12/34, </div></b>, mean +/- 2")
