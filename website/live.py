"""What a notebook's widgets are, found by running the cells that make them.

`python -m website.live NOTEBOOK FOLDER` runs, in their order, the cells of a notebook that end in
a widget and the cells that these need. It writes `widgets.json` into the folder, with what a page
needs of each widget by the id of its cell, and the labs as files.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch

from gradwidgets import GradLab, Predict, Scene, Walkthrough
from gradwidgets.lessons.claims import Cell, read_cells, source_of
from gradwidgets.lessons.needed_cells import needed_cells
from website.labs import save_lab, title_of
from website.traces import Traced, save_trace

ROOT = Path(__file__).parents[1]
REFERENCES = ROOT / "tests" / "lessons" / "references"
VIEW = "application/vnd.jupyter.widget-view+json"
LAST = "_last_value_of_the_cell"
FILE = "widgets.json"
TIMEOUT = 1800
"""Seconds in which a notebook's widgets are made, or the build fails; usual are some minutes."""
LONGEST_FIRST = ("13_schedules", "16_batch_and_bits", "00_start_here", "12_beyond_one_process")
"""Notebooks that are begun before others, so that no processor waits for them at the end."""

Widget = dict[str, Any]
"""What a page needs of a widget: its kind, and what that kind holds."""


def outputs_of(notebook: Path) -> dict[str, list[dict[str, Any]]]:
    """The outputs of each cell by its id, as nbval compares them."""
    file = REFERENCES / f"{notebook.stem}.json"
    if not file.is_file():
        return {}
    outputs: dict[str, list[dict[str, Any]]] = json.loads(file.read_text(encoding="utf-8"))
    return outputs


def widget_cells(notebook: Path) -> list[str]:
    """The ids of the cells that show a widget."""
    return [
        cell
        for cell, outputs in outputs_of(notebook).items()
        if any(VIEW in output.get("data", {}) for output in outputs)
    ]


def widgets_of(notebooks: Sequence[Path], kept: Path, processes: int = 2) -> dict[Path, Path]:
    """For each notebook the folder with its widgets; made anew only where something has changed.

    Args:
        notebooks: the files.
        kept: where folders of earlier builds are.
        processes: how many notebooks are run side by side.

    Raises:
        RuntimeError: a notebook's cells failed, with what Python said; or they took too long.
    """
    folders = {path: kept / f"{path.stem}-{_content_of(path)}" for path in notebooks}
    missing = [path for path in notebooks if not (folders[path] / FILE).is_file()]
    missing.sort(key=lambda path: [*LONGEST_FIRST, path.stem].index(path.stem))
    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(lambda path: _run_apart(path, folders[path]), missing))
    return folders


def _content_of(notebook: Path) -> str:
    """The digest of all on which its widgets depend."""
    return hashlib.sha256(code_digest().encode() + notebook.read_bytes()).hexdigest()[:16]


@cache
def code_digest() -> str:
    """The digest of the package's files, of the site's that make widgets, and of torch."""
    digest = hashlib.sha256(torch.__version__.encode())
    package = [path for path in (ROOT / "gradwidgets").rglob("*") if path.suffix != ".pyc"]
    here = Path(__file__)
    others = here.with_name("labs.py"), here.with_name("inside.py")
    site = [here, *others, *here.with_name("traces").glob("*.*")]
    for path in sorted(filter(Path.is_file, [*package, *site])):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _run_apart(notebook: Path, folder: Path) -> None:
    """Run the cells in a process of their own: they change torch's settings."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "website.live", str(notebook), str(folder)]
    env = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "GRADWIDGETS_PROGRESS": "",
        "PYTHONPATH": str(ROOT),
    }
    try:
        ended = subprocess.run(
            words, cwd=notebook.parent, env=env, capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired as late:
        raise RuntimeError(f"{notebook.name} was not done after {TIMEOUT} s") from late
    if ended.returncode:
        raise RuntimeError(f"{notebook.name} failed:\n{ended.stdout}{ended.stderr}")


def make(notebook: Path, folder: Path) -> None:
    """Run the cells, and write what a page needs of their widgets."""
    space: dict[str, Any] = {"__name__": "__main__"}
    shown = widget_cells(notebook)
    found = {}
    for cell in needed_cells(read_cells(notebook), shown) if shown else ():
        value = _value_of(cell, space)
        if cell["id"] in shown:
            place = folder, notebook.stem, cell["id"]
            found[cell["id"]] = _described(value, partial(_lab, *place), partial(_trace, *place))
    text = json.dumps(found, indent=1, ensure_ascii=False)
    (folder / FILE).write_text(text, encoding="utf-8")


def _value_of(cell: Cell, space: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, as at a prompt."""
    tree = ast.parse(source_of(cell))
    if isinstance(last := tree.body[-1], ast.Expr):
        value = ast.Assign([ast.Name(LAST, ast.Store())], last.value)
        tree.body[-1] = ast.fix_missing_locations(ast.copy_location(value, last))
    exec(compile(tree, f"<{cell['id']}>", "exec"), space)
    return space.pop(LAST, None)


def _described(
    value: object, lab: Callable[[GradLab], Widget], trace: Callable[[Traced], Widget]
) -> Widget:
    if isinstance(value, Predict):
        return {"kind": "question", **question(value)}
    if isinstance(value, GradLab):
        return {"kind": "lab", **lab(value)}
    if isinstance(value, Walkthrough):
        return {
            "kind": "walkthrough",
            "lab": lab(value.lab),
            "scenes": list(map(_scene, value.scenes)),
        }
    if isinstance(value, Traced):
        return {"kind": "trace", **trace(value)}
    return {"kind": type(value).__name__}


def question(asked: Predict) -> Widget:
    """What is asked, and, apart from it, what each of the choices is answered with."""
    asked.commit(asked.choices[0])
    first = dict(asked.shown)
    right = asked.choices[first["answer"]]
    sentence = first["verdict"].partition(f"The experiment says: {right}. ")[2]
    reasons = dict(zip(asked.choices, first["why"], strict=True))
    answers = [first]
    for choice in asked.choices[1:]:  # the experiment runs once
        twin = Predict(asked.question, asked.choices, lambda: (right, sentence), reasons)
        twin.commit(choice)
        answers.append({**twin.shown, "experiment": first["experiment"]})
    return {"question": asked.question, "choices": list(asked.choices), "answers": answers}


def _lab(folder: Path, lesson: str, cell: str, lab: GradLab) -> Widget:
    name = f"{lesson}-{cell}.html"
    save_lab(lab, folder / name)
    return {"file": name, "title": title_of(lab)}


def _trace(folder: Path, lesson: str, cell: str, widget: Traced) -> Widget:
    name = f"{lesson}-{cell}.html"
    return {"file": name, "title": save_trace(widget, folder / name)}


def _scene(scene: Scene) -> Widget:
    changes = ", ".join(f"{name} = {value!r}" for name, value in scene.recipe.items())
    return {"title": scene.title, "text": scene.text, "notes": scene.notes, "settings": changes}


if __name__ == "__main__":
    mpl.use("agg")
    make(Path(sys.argv[1]), Path(sys.argv[2]))
