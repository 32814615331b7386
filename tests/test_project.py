"""The project's own rules: its floors, its limits, its lists and its notebooks."""

from __future__ import annotations

import ast
import json
import re
import subprocess
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
PACKAGE = ROOT / "gradwidgets"
MODULES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
FLOORS = {"core": 0, "checkup": 0, "plots": 1, "widgets": 2, "lessons": 3}
LIBRARIES = {"core": {"torch", "numpy"}, "checkup": {"torch"}}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports_of(path: Path) -> Iterator[str]:
    """The full name of every module that a file imports, wherever in it."""
    inside = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(inside[: -node.level]) if node.level else ""
            module = ".".join(part for part in (start, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def floor_of(module: str) -> str | None:
    """The floor that a module of the package stands on."""
    parts = module.split(".")
    return parts[1] if parts[0] == "gradwidgets" and len(parts) > 1 else None


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_imports_only_point_down(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0]
    if here not in FLOORS:
        return  # the package's face may import from every floor
    for module in imports_of(path):
        if module.split(".")[0] != "gradwidgets":
            continue
        there = floor_of(module)
        assert there in FLOORS, f"{short(path)} imports {module}"
        beside = FLOORS[there] == FLOORS[here] and there != here
        assert FLOORS[there] <= FLOORS[here], f"{short(path)} imports {module}: that points up"
        assert not beside, f"{short(path)} imports {module}: these two stand side by side"


@pytest.mark.parametrize("floor", LIBRARIES)
def test_the_lowest_floor_imports_its_libraries_only(floor: str) -> None:
    for path in sorted((PACKAGE / floor).rglob("*.py")):
        roots = {module.split(".")[0] for module in imports_of(path)}
        foreign = roots - sys.stdlib_module_names - LIBRARIES[floor] - {"gradwidgets"}
        assert not foreign, f"{short(path)} imports {foreign}"


@pytest.mark.parametrize("floor", LIBRARIES)
def test_the_lowest_floor_loads_no_view(floor: str) -> None:
    program = f"""
import sys
import gradwidgets.{floor}
views = ("matplotlib", "ipywidgets", "IPython", "anywidget", "sklearn")
print([name for name in views if name in sys.modules])
"""
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[]\n"


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, signature included, docstring aside."""
    length = int(function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return length
    docstring = function.body[0]
    return length - (int(docstring.end_lineno or 0) - docstring.lineno + 1)


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_a_function_fits_one_screen_and_a_file_one_subject(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert body_length(node) <= 30, f"{node.name} has {body_length(node)} lines"


CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def test_the_oldest_versions_are_the_lower_bounds_of_pyproject() -> None:
    """All but torch, of which there is one for everybody: see constraints.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = sum(project["optional-dependencies"].values(), project["dependencies"])
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
