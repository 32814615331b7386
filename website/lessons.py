"""The notebooks as pages: their own text and code, with live pieces where they have widgets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from website import markup, wording
from website.address import Addresses
from website.labs import frame
from website.live import FILE, Widget, outputs_of

INSTALL = "install"
"""The cell that installs the package in Colab and Kaggle: nobody who reads a page needs it."""
EXPLAINED = "<summary>What happened</summary>"
IN_PYTHON = (
    "The check needs Python: open the lesson in one of these places, write your lines there, and "
    "run the cell."
)
COLAB = (
    "On Colab run <code>%pip install &quot;git+{}@course&quot;</code> in a cell of your own first. "
)
RUN_ALREADY = (
    "On this page every cell has been run already: what it puts out stands below it. In the "
    "notebook you run them yourself, with Shift and Enter."
)
JUPYTER = (
    "<em>Your own JupyterLab</em> is one that <code>gradwidgets lab</code> has started on this "
    "machine."
)
NOT_LIVE = "This is how it looks at first. In the notebook it is live."


@dataclass
class Book:
    """A notebook on its way to a page.

    Args:
        notebook: the file.
        path: its place in the repository.
        page: the page's name, such as "lessons/00_start_here".
        pages: the page of each notebook, by its name.
        addresses: what is known of public places.
        widgets: what a page needs of each widget, by the id of its cell.
        outputs: the outputs of each cell.
        open_question: if a question has been asked that no text has explained yet.
    """

    notebook: Path
    path: str
    page: str
    pages: Mapping[str, str]
    addresses: Addresses
    widgets: dict[str, Widget] = field(default_factory=dict)
    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    open_question: bool = False


def write(book: Book, folder: Path, source: Path, site: Path) -> None:
    """Write the source of a page, and put its labs and its notebook into the site.

    Args:
        book: the notebook.
        folder: where its widgets are; see `live.widgets_of`.
        source: the folder of all pages' sources.
        site: the folder of the site.
    """
    book.widgets = json.loads((folder / FILE).read_text(encoding="utf-8"))
    book.outputs = outputs_of(book.notebook)
    copied(book.notebook, site / "downloads")
    for lab in folder.glob("*.html"):
        copied(lab, site / "labs")
    original = nbformat.read(book.notebook, as_version=4)
    original.cells = [new for cell in original.cells for new in _cells(book, cell)]
    original.metadata = {"kernelspec": original.metadata["kernelspec"]}
    path = source / f"{book.page}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(original, path)


def copied(file: Path, folder: Path) -> None:
    """Copy a file into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)


def _cells(book: Book, cell: NotebookNode) -> Iterator[NotebookNode]:
    """The cells of the page for one of the notebook."""
    if cell.metadata.get("slideshow", {}).get("slide_type") == "skip":
        return  # for the lecturer, and on no slide
    if cell.id == INSTALL:
        return
    if cell.cell_type == "markdown":
        yield from _text(book, cell)
        return
    yield _html(markup.anchor(cell.id), f"at-{cell.id}")
    yield _code(book, cell)


def _text(book: Book, cell: NotebookNode) -> Iterator[NotebookNode]:
    if EXPLAINED in cell.source:
        book.open_question = False
    told = wording.on_the_page(cell.source, (book.notebook.stem, cell.id))
    cell.source = markup.linked(told, book.page, book.pages)
    head, line, rest = cell.source.partition("\n")
    if not head.startswith("# "):
        yield cell
        return
    row = markup.launch_row(book.addresses, book.path, book.page)
    note = f'<p class="gw-note">{RUN_ALREADY} {JUPYTER}</p>'
    cell.source = f"{head}\n\n{row}{note}\n{line}{rest}"
    yield cell


def _html(text: str, name: str) -> NotebookNode:
    cell: NotebookNode = new_markdown_cell(text, id=name)
    return cell


def _code(book: Book, cell: NotebookNode) -> NotebookNode:
    """A cell of code with what a reader sees below it."""
    widget = book.widgets.get(cell.id)
    tags = []
    if widget and widget["kind"] in ("question", "walkthrough"):
        tags = ["remove-input"]
        book.open_question |= widget["kind"] == "question"
    elif cell.metadata.get("jupyter", {}).get("source_hidden"):
        tags = ["hide-input"]
    html = _below(book, cell, widget)
    data = {"text/html": html}
    cell.outputs = [new_output("display_data", data)] if html else []
    cell.metadata = {"tags": tags}
    return cell


def _below(book: Book, cell: NotebookNode, widget: Widget | None) -> str:
    if "exercise" in cell.metadata.get("tags", []):
        return _exercise(book, cell.id)
    outputs = book.outputs.get(cell.id, [])
    if widget is None:
        return markup.output(markup.printed(outputs), book.open_question)
    # the first output of a widget is how it looks where no widgets can live
    said = markup.printed([each for each in outputs if each["output_type"] == "stream"])
    return markup.output(said, book.open_question) + _widget(book, cell.id, widget, outputs)


def _widget(book: Book, cell: str, widget: Widget, outputs: list[dict[str, Any]]) -> str:
    labs = markup.relative("labs", book.page)
    match widget["kind"]:
        case "question":
            return markup.question(f"{book.notebook.stem}.{cell}", widget)
        case "lab" | "trace":
            return frame(widget["title"], f"{labs}/{widget['file']}")
        case "walkthrough":
            lab = widget["lab"]
            scenes = "".join(map(_scene, widget["scenes"]))
            shown = frame(lab["title"], f"{labs}/{lab['file']}")
            return f'{shown}<ol class="gw-scenes">{scenes}</ol>'
    still = [each for each in outputs if each["output_type"] != "stream"]
    return markup.output(markup.printed(still)) + f'<p class="gw-note">{NOT_LIVE}</p>'


def _scene(scene: Mapping[str, str]) -> str:
    """A scene of a lecture: what the room sees, and, folded, what the lecturer says."""
    moved = f"<p><code>{escape(scene['settings'])}</code></p>" if scene["settings"] else ""
    notes = (
        f"<details><summary>Speaker notes</summary><p>{markup.prose(scene['notes'])}</p></details>"
        if scene["notes"]
        else ""
    )
    return (
        f"<li><strong>{markup.prose(scene['title'])}.</strong> {markup.prose(scene['text'])}"
        f"{moved}{notes}</li>"
    )


def _exercise(book: Book, cell: str) -> str:
    row = markup.launch_row(book.addresses, book.path, book.page, cell)
    colab = COLAB.format(escape(book.addresses.repository)) if book.addresses.repository else ""
    return f'<div class="gw-exercise"><p>{IN_PYTHON} {colab}</p>{row}</div>'
