"""`handout`: a lecture on paper, every slide and every scene with its picture."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from gradwidgets.components import StaticFallback, StaticView
from gradwidgets.core import not_allowed
from gradwidgets.lessons.predict import Predict
from gradwidgets.lessons.walkthrough import Walkthrough

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
@page {{ size: A4; margin: 16mm; }}
body {{ max-width: 46rem; margin: 1rem auto; padding: 0 1rem; }}
body {{ font: 1rem/1.4 system-ui, sans-serif; }}
article {{ margin: 0 0 1.6rem; break-inside: avoid; }}
h1, h2, h3 {{ margin: 0.6rem 0 0.3rem; line-height: 1.2; }}
h1 {{ font-size: 1.5rem; }}
h2, h3 {{ font-size: 1.15rem; }}
p, ul {{ margin: 0.3rem 0; }}
img {{ max-width: 100%; }}
pre {{ white-space: pre-wrap; }}
aside {{ margin: 0.4rem 0; padding-left: 0.8rem; border-left: 3px solid #0072b2; }}
aside {{ white-space: pre-line; }}
.anchor-link {{ display: none; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def handout(notebook: str | Path, notes: bool = False) -> str:
    """Run the notebook of a lecture and return it as one page of HTML, to be printed.

    The page holds each slide's text, each scene with its picture and what the lab says, and each
    question with its choices; cells that are on no slide are run and not shown. It needs no other
    file. Rendering text takes nbconvert, which comes with JupyterLab.

    Args:
        notebook: its file; the cells have the slide types of any slideshow in Jupyter.
        notes: add the speaker's notes, the minutes, and the outcome of each question.

    Raises:
        OSError: there is no such file.
        ValueError: it is not a notebook, it has no slides, or a cell fails.

    >>> handout("lecture.txt")
    Traceback (most recent call last):
    ValueError: notebook='lecture.txt' is not allowed; give the file of a notebook, .ipynb
    """
    path = Path(notebook)
    if path.suffix != ".ipynb":
        raise not_allowed("notebook", str(notebook), "the file of a notebook, .ipynb")
    cells = nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]
    if not any(cell.metadata.get("slideshow") for cell in cells):
        raise ValueError(f"{path} has no slides: no cell has a slide type")
    with _within(path.parent):
        body = "\n".join(f"<article>\n{part}\n</article>" for part in _parts(cells, notes))
    return PAGE.format(title=escape(path.stem.replace("_", " ")), body=body)


@contextmanager
def _within(folder: Path) -> Iterator[None]:
    """Make a folder the working one, as it is in a notebook that lies there."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _parts(cells: list[Any], notes: bool) -> Iterator[str]:
    """The parts that each cell adds to the page."""
    config = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell(config=config)  # type: ignore[no-untyped-call]
    for number, cell in enumerate(cells, 1):
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        if cell.cell_type == "code":
            value, said = _run(shell, cell.source, number)
            if kind not in ("skip", "notes"):
                yield from _shown(value, said, notes)
        elif cell.cell_type == "markdown" and kind == "notes":
            yield from _aside(_rendered(cell.source), notes)
        elif cell.cell_type == "markdown" and kind != "skip":
            yield _rendered(cell.source)


def _run(shell: InteractiveShell, source: str, number: int) -> tuple[Any, str]:
    """The value of a cell's last line, and what it prints.

    Raises:
        ValueError: it fails.
    """
    with capture_output() as captured:
        result = shell.run_cell(source)  # type: ignore[no-untyped-call]
    if error := result.error_before_exec or result.error_in_exec:
        raise ValueError(f"cell {number} fails: {type(error).__name__}: {error}") from error
    own = isinstance(result.result, StaticFallback)
    return result.result, "" if own else captured.stdout


def _rendered(markdown: str) -> str:
    from nbconvert.filters.markdown import markdown2html

    return str(markdown2html(markdown))


def _shown(value: Any, said: str, notes: bool) -> Iterator[str]:
    if isinstance(value, Walkthrough):
        yield from _scenes(value, notes)
    elif isinstance(value, Predict):
        yield _question(value, notes)
    elif isinstance(value, StaticFallback):
        yield _still(value.static_view())
    elif said:
        yield f"<pre>{escape(said)}</pre>"


def _scenes(walk: Walkthrough, notes: bool) -> Iterator[str]:
    for number, (scene, plan) in enumerate(zip(walk.scenes, walk.plan(), strict=True), 1):
        walk.number = number
        still = walk.lab.static_view()
        lines = [f"<h2>{_prose(scene.title)}</h2>", f"<p>{_prose(scene.text)}</p>", _still(still)]
        minutes = f"Minutes {plan['begins']:g} to {plan['ends']:g}. " if plan else ""
        yield "\n".join([*lines, *_aside(minutes + _prose(scene.notes), notes)])


def _question(asked: Predict, notes: bool) -> str:
    choices = "\n".join(f"<li>{_prose(choice)}</li>" for choice in asked.choices)
    lines = [f"<h2>{_prose(asked.question)}</h2>", f"<ul>\n{choices}\n</ul>"]
    outcome = _prose(asked.reveal(show=True)) if notes else ""
    return "\n".join([*lines, *_aside(outcome, notes)])


def _still(still: StaticView) -> str:
    data = base64.b64encode(still.png).decode()
    picture = (
        f'<img alt="{escape(still.alt)}" src="data:image/png;base64,{data}">\n' if data else ""
    )
    return f"{picture}<p>{escape(still.words)}</p>"


def _aside(html: str, wanted: bool) -> Iterator[str]:
    if wanted and html.strip():
        yield f"<aside>{html}</aside>"


def _prose(text: str) -> str:
    """HTML of a text in which words between backticks are code."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
