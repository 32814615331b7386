"""What the docstrings promise: an example for every public name, run here, in plain English."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import gradwidgets

PACKAGE = Path(gradwidgets.__file__).parent
BESIDE = [
    PACKAGE.with_name(f"gradwidgets_{name}")
    for name in ("class", "homework", "notebooks", "worker")
]
FILES = sorted(path for folder in (PACKAGE, *BESIDE) for path in folder.rglob("*.py"))
FACES = [
    "gradwidgets",
    "gradwidgets_class",
    "gradwidgets_homework",
    "gradwidgets_notebooks",
    *(f"gradwidgets.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")),
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def short(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


def public() -> Iterator[tuple[str, object]]:
    """Every function and class that a face offers, by the name of the face that it stands in."""
    for face in FACES:
        module = importlib.import_module(face)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                yield f"{face}.{name}", thing


PUBLIC = dict(public())


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(PUBLIC[name]) or ""), f"{name} has no example"


@pytest.mark.parametrize("path", FILES, ids=short)
def test_examples_do_what_they_say(path: Path, tmp_path: Path, monkeypatch) -> None:
    if ">>> " not in path.read_text(encoding="utf-8"):
        return
    monkeypatch.chdir(tmp_path)
    dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    module = importlib.import_module(dotted.removesuffix(".__init__"))
    assert doctest.testmod(module, optionflags=FLAGS).failed == 0


PRIVATE_WORDS = re.compile(r"\b(in hand|anew)\b")
"""Words of ours that a reader whose first language is English would not expect."""


@pytest.mark.parametrize("path", FILES, ids=short)
def test_a_docstring_says_what_a_thing_does_or_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not PRIVATE_WORDS.findall(text)
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, kinds) and (said := ast.get_docstring(node)):
            opening = said.split()[0]
            assert opening not in ("What", "Which", "Whether", "How", "Why"), said.splitlines()[0]
