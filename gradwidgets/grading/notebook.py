"""Judge whole notebooks: their cells run in a worker, and the judge asks it for each task."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradwidgets.grading.answer import printable
from gradwidgets.grading.judge import TASKS, Lost, Result, judged, named, no_function
from gradwidgets.grading.process import Worker, Workers
from gradwidgets.grading.sandbox import Limits, isolation
from gradwidgets_homework import gettext
from gradwidgets_worker import Data

LARGEST = 50_000_000
"""Bytes that a notebook may have."""

BESIDE = 4_000_000
"""Bytes that all files beside a notebook may have."""

SHOWN = 10_000
"""Characters of a cell's output that are shown."""


@dataclass(frozen=True)
class Submission:
    """A notebook that somebody has handed in.

    Args:
        cells: the code cells to run, in the notebook's order.
        tasks: the functions that are asked for, by their names.
        student: who it was.
        files: what lay beside the notebook, by its name.
        remarks: what an instructor and the student should know of the reading.

    >>> Submission(("def scale(parameters, factor): ...",), ("scale",)).student
    'example'
    """

    cells: tuple[str, ...]
    tasks: tuple[str, ...]
    student: str = "example"
    files: Mapping[str, bytes] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellRun:
    """The output of a cell, and what it raised, if it did.

    >>> CellRun("1").error is None
    True
    """

    output: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Report:
    """The judge's report on a submission: a result for each function that was asked for.

    >>> report = judge_submission(Submission(("def scale(p, f): print('hi')",), ("scale",)))
    >>> print(next(iter(report)))
    scale: 0 of 1 points
      not yet every gradient is multiplied (0 of 1)
              `parameters[0].grad`, element ...
    """

    submission: Submission
    results: tuple[Result, ...]
    runs: tuple[CellRun, ...]
    isolation: str

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    @property
    def points(self) -> float:
        """The points of all functions together."""
        return sum(result.points for result in self.results)

    @property
    def of(self) -> float:
        """The points that there are."""
        return sum(result.of for result in self.results)

    @property
    def remarks(self) -> list[str]:
        """Remarks beside the points: cells that did not end well, and the like."""
        stopped = [
            gettext("Code cell {number} stopped: {error}").format(number=number, error=run.error)
            for number, run in enumerate(self.runs, 1)
            if run.error
        ]
        return [*self.submission.remarks, *stopped]

    def __str__(self) -> str:
        head = gettext("{student}: {points:g} of {of:g} points").format(
            student=self.submission.student, points=self.points, of=self.of
        )
        return "\n".join([head, *map(str, self.results), *self.remarks])


def grade_notebook(
    path: str | Path, student: str | None = None, limits: Limits | None = None
) -> Report:
    """Judge a notebook, or a Python file, in a worker of its own.

    Args:
        path: the file; files beside it are there for its cells, if it is the only notebook there.
        student: whose numbers; None takes the name from the path, see `student_of`.
        limits: of time and memory.

    Returns:
        A report, which iterates over the results of all functions.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no notebook, or asks for no function of a homework.

    >>> _ = Path("loop.py").write_text("def loop_a(model, optimizer, loss, batches): 1 / 0")
    >>> for result in grade_notebook("loop.py"):
    ...     print(result.task.name, result.points, result.verdicts[0].sentence)
    train_step 0.0 There is no function `train_step`.
    loop_a 0.0 It raises ZeroDivisionError: division by zero (in the line `def loop_a(...
    loop_b 0.0 There is no function `loop_b`.
    loop_c 0.0 There is no function `loop_c`.
    """
    return judge_submission(read_submission(Path(path), student), Workers(limits))


def judge_submission(submission: Submission, workers: Workers | None = None) -> Report:
    """Judge what has been handed in; see `grade_notebook`.

    Args:
        submission: the cells, and whose they are.
        workers: where workers come from; None starts them when they are needed.

    >>> report = judge_submission(Submission(("def scale(p, f): 1 / 0",), ("scale",)))
    >>> report.points, report.of, report.remarks
    (0.0, 1.0, [])
    """
    session = Session(submission, workers or Workers())
    try:
        tasks = [named(task) for task in submission.tasks]
        results = tuple(judged(task, session, submission.student) for task in tasks)
        return Report(submission, results, tuple(session.runs), isolation())
    finally:
        session.end()


class Session:
    """Workers that know a notebook's cells: if one is lost, another takes its place.

    Attributes:
        runs: what the cells did, in their order.
    """

    def __init__(self, submission: Submission, workers: Workers) -> None:
        self._submission, self._workers, self._limits = submission, workers, workers.limits
        self._left = self._limits.notebook
        self._worker: Worker | None = None
        self._skipped: set[int] = set()
        self.runs = [CellRun() for _ in submission.cells]

    def ask(self, function: str, question: Data) -> Data:
        """See `Asker`."""
        while self._worker is None:
            self._load()
        message = {"function": function, "question": question}
        answer = self._ask(self._worker, message, self._limits.question)
        return self._missing(function) if answer.get("missing") else answer

    def end(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _load(self) -> None:
        """Run all cells in a new worker; a cell that is lost is left out the next time."""
        self._worker = worker = self._workers.take()
        files = self._submission.files.items()
        contents = {name: base64.b64encode(content).decode() for name, content in files}
        self._ask(worker, {"files": contents}, self._limits.cell)
        for number, source in enumerate(self._submission.cells):
            if number not in self._skipped:
                try:
                    run = self._ask(worker, {"run": source}, self._limits.cell)
                except Lost as lost:
                    self._skipped.add(number)
                    self.runs[number] = CellRun(error=str(lost))
                    return
                self.runs[number] = _cell_run(run)

    def _ask(self, worker: Worker, message: Data, seconds: float) -> Data:
        """Ask, with what is left of the notebook's time."""
        if self._left <= 0:
            self.end()
            most = self._limits.notebook
            text = gettext("The notebook took more than {seconds:.0f} seconds in all.")
            raise Lost(text.format(seconds=most))
        worker.await_start()
        begun = time.monotonic()
        try:
            return worker.ask(message, min(seconds, self._left))
        except Lost:
            self._worker = None
            raise
        finally:
            self._left -= (time.monotonic() - begun) / worker.slowness

    def _missing(self, function: str) -> Data:
        """Say that there is no such function, and which cell that stopped may be the reason."""
        pattern = re.compile(rf"\b(?:def|class)\s+{function}\b|\b{function}\s*[:=]")
        rows = zip(self._submission.cells, self.runs, strict=True)
        stopped = [(source, run) for source, run in rows if run.error]
        own = [run for source, run in stopped if pattern.search(source)]
        why = no_function(function)
        for run in own or [run for _, run in stopped][:1]:
            reason = gettext("A cell that stopped may be the reason: {error}")
            why += " " + reason.format(error=run.error)
            break
        return {"missing": True, "why": why}


def _cell_run(data: Data) -> CellRun:
    """A worker's report on a cell, as far as it is text."""
    try:
        output = printable(data.get("output"), SHOWN + 100)
        error = None if data.get("error") is None else printable(data["error"])
    except TypeError:
        return CellRun(error=gettext("What came back is no answer to what was asked."))
    found = re.match(r"ModuleNotFoundError: No module named '([\w.]+)'", error or "")
    if found:
        name = found[1].split(".")[0]
        text = gettext(
            "There is neither a package `{name}` here nor a file {name}.py that was handed in "
            "beside the notebook."
        )
        error = f"{error}. {text.format(name=name)}"
    return CellRun(output, error)


def read_submission(path: Path, student: str | None = None) -> Submission:
    """Read a notebook or a Python file, and what lies beside it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is a link, too large, no notebook, or asks for nothing.
    """
    if path.is_symlink():
        raise ValueError(f"{path} is a link; hand in the file itself")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST // 1_000_000} MB")
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    remarks: list[str] = []
    cells = [text] if path.suffix == ".py" else code_cells(_notebook(path, text), remarks)
    tasks = tasks_of(cells)
    if not tasks:
        raise ValueError(f"{path} asks for no function of a homework")
    files = files_beside(path, remarks)
    return Submission(tuple(cells), tasks, student or student_of(path), files, tuple(remarks))


def student_of(path: Path) -> str:
    """The student's name by nbgrader's folders, `STUDENT/hw1/hw1.ipynb`; else the file's name.

    >>> student_of(Path("submitted/ada/hw1/hw1.ipynb")), student_of(Path("bob.ipynb"))
    ('ada', 'bob')
    """
    folders = path.absolute().parent
    return folders.parent.name if folders.name == path.stem else path.stem


def tasks_of(cells: Sequence[str]) -> tuple[str, ...]:
    """The functions of the homework that the cells name most often; none if they name none.

    >>> tasks_of(["def train_step(model): ..."])
    ('train_step', 'loop_a', 'loop_b', 'loop_c')
    """
    words = set(re.findall(r"\w+", "\n".join(cells)))
    named = [task.homework for task in TASKS.values() if task.name in words]
    homework = max(named, key=named.count, default="")
    return tuple(task.name for task in TASKS.values() if task.homework == homework)


def code_cells(notebook: Any, remarks: list[str]) -> list[str]:
    """The sources of the code cells but for tests, which are the judge's.

    A copied cell has the id of the first; each runs, and the last definition counts.
    """
    sources, seen = [], set()
    for cell in notebook["cells"]:
        told = cell.get("metadata", {}).get("nbgrader", {})
        told = told if isinstance(told, dict) else {}
        name = told.get("grade_id")
        if isinstance(name, str) and name in seen:
            text = gettext("The cell {name} is there more than once; the last one counts.")
            remarks.append(text.format(name=printable(name)))
        if isinstance(name, str):
            seen.add(name)
        if cell.get("cell_type") == "code" and not is_test(told):
            source = cell.get("source", "")
            sources.append(_text(source))
    return sources


def _text(source: Any) -> str:
    """The source of a cell: a text, or a list of lines; of anything else nothing."""
    if isinstance(source, str):
        return source
    return "".join(map(str, source)) if isinstance(source, list) else ""


def is_test(told: Mapping[str, Any]) -> bool:
    """True for the metadata of a cell that holds a mark and no solution."""
    return bool(told.get("grade")) and not told.get("solution")


def _notebook(path: Path, text: str) -> Any:
    try:
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            if not isinstance(cell.get("metadata", {}), dict):
                raise TypeError("metadata should be names and values")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{path} is no notebook") from None
    return notebook


def files_beside(path: Path, remarks: list[str] | None = None) -> dict[str, bytes]:
    """The files beside a notebook and below, links left out, if it is the only notebook there.

    >>> _ = Path("hw1.ipynb").write_text("{}"), Path("helpers.py").write_text("x = 1")
    >>> files_beside(Path("hw1.ipynb"))
    {'helpers.py': b'x = 1'}
    """
    folder = path.parent
    if len(list(folder.glob(f"*{path.suffix}"))) > 1:  # whose files would they be?
        return {}
    found: dict[str, bytes] = {}
    room = BESIDE
    for file in sorted(folder.rglob("*")):
        inside = not file.is_symlink() and folder.resolve() in file.resolve().parents
        if not inside or not file.is_file() or file == path:
            continue
        room -= file.stat().st_size
        if room < 0 or len(found) == 200:
            if remarks is not None:
                text = gettext("Files beside the notebook were left out, from {name} on.")
                remarks.append(text.format(name=file.name))
            break
        found[file.relative_to(folder).as_posix()] = file.read_bytes()
    return found
