"""The outputs that the notebooks must have, kept beside the tests and not in the notebooks.

A learner who opens a lesson sees no answer before committing to one, so a notebook carries no
outputs. `conftest.py` at the root hands those kept here to nbval, which compares them.

`python -m tests.lessons.references [NOTEBOOK...]` runs notebooks and keeps what they put out;
`make execute` does so for all.
"""

import configparser
import importlib
import json
import os
import re
import sys
from pathlib import Path

import nbformat
import torch
from nbclient import NotebookClient
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from gradwidgets.course import LESSONS
from tests.lessons.notebooks import EVERY, PATHS, ROOT, is_code, read

FOLDER = Path(__file__).parent / "references"
CONFIG = configparser.RawConfigParser()
CONFIG.read(ROOT / "tests" / "sanitize.cfg")
RULES = [(CONFIG[name]["regex"], CONFIG[name]["replace"]) for name in CONFIG.sections()]
"""nbval applies these to what a cell puts out, and then compares."""
PICTURES = ("image/png", "image/jpeg")


ANSWERS = FOLDER / "answers.json"
"""For each lesson and question the right choice, and the sentence with what was measured."""


def file_of(path):
    return FOLDER / f"{path.stem}.json"


def outputs_of(path):
    """The outputs of each cell by its id; {} for a notebook that has none on record."""
    file = file_of(path)
    if not file.is_file():
        return {}
    return nbformat.from_dict(json.loads(file.read_text(encoding="utf-8")))


def text_of(path, *cells):
    """What these cells of a notebook put out as text."""
    outputs = outputs_of(path)
    said = [output for name in cells for output in outputs[name]]
    return "".join(each.get("text") or f"{each.data['text/plain']}\n" for each in said)


def write(path):
    """Run a notebook and keep its outputs; the notebook itself is written without any."""
    book = read(path)
    NotebookClient(
        book, timeout=600, resources={"metadata": {"path": path.parent}}, store_widget_state=False
    ).execute()
    book, _ = CoalesceStreamsPreprocessor(enabled=True).preprocess(book, {})
    kept = {
        cell.id: [_plain(each) for each in cell.outputs] for cell in book.cells if is_code(cell)
    }
    text = json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True)
    file_of(path).write_text(text + "\n", encoding="utf-8")
    strip(path)


def strip(path):
    """Write a notebook without outputs."""
    book = read(path)
    for cell in filter(is_code, book.cells):
        cell.outputs, cell.execution_count = [], None
    nbformat.write(book, path)


def _plain(output):
    """An output without pictures and counts, and without what differs from run to run."""
    data = {kind: text for kind, text in output.get("data", {}).items() if kind not in PICTURES}
    kept = {**output, "data": data} if "data" in output else {**output}
    kept.pop("execution_count", None)
    return _sanitized(kept)


def _sanitized(value):
    if isinstance(value, dict):
        return {key: _sanitized(each) for key, each in value.items()}
    for pattern, replacement in RULES if isinstance(value, str) else ():
        value = re.sub(pattern, replacement, value)
    return value


def answers_of(name):
    """What the experiments of a lesson say now, in the dtype that its notebook sets first."""
    lesson = importlib.import_module(f"gradwidgets.course.{name}").lesson
    (path,) = (each for each in PATHS if each.stem[3:] == name)
    before = torch.get_default_dtype()
    if "torch.set_default_dtype(torch.float64)" in path.read_text(encoding="utf-8"):
        torch.set_default_dtype(torch.float64)
    try:
        return {name: list(each.experiment()) for name, each in lesson.questions.items()}
    finally:
        torch.set_default_dtype(before)


def write_answers(names):
    known = json.loads(ANSWERS.read_text(encoding="utf-8")) if ANSWERS.is_file() else {}
    known |= {name: answers_of(name) for name in names if name in LESSONS}
    text = json.dumps(known, indent=1, ensure_ascii=False, sort_keys=True)
    ANSWERS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ["GRADWIDGETS_PROGRESS"] = ""
    asked = [Path(name).resolve() for name in sys.argv[1:]] or EVERY
    for each in asked:
        write(each)
    write_answers([each.stem[3:] for each in asked])
