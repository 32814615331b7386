"""Write a place in the loop as a page: plain data for the view, and plain text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.stepper.program import Program, header_of, moved_down, moved_up
from gradwidgets.stepper.snapshot import Numbers, Snapshot

Page = dict[str, Any]
SPOKEN = {"value": "the value", "grad": "`.grad`", "buffer": "the value"}
WIDE = 2
"""Numbers in one line of a cell, unless the tensor's own rows are shorter."""
ENDED = {
    "updates": "All updates of the recipe are made.",
    "threshold": "The loss has fallen below `stop_below`: the run is over.",
    "patience": "The metric on held-out data has not become better for too long: the run is over.",
    "diverged": "The loss is no longer finite: the run is over.",
}


def page(engine: StepperEngine) -> Page:
    """Everything on the screen, for the place where the loop stands."""
    shot, program = engine.snapshot, engine.statements
    failure = shot.failure and {
        "error": f"{shot.failure.kind}: {shot.failure.message}",
        "explanation": shot.failure.explanation,
    }
    state = list(dict.fromkeys(key for row in shot.parameters for key in row.state))
    return {
        "head": engine.head,
        "where": _where(program, shot),
        "lines": list(_lines(program, shot)),
        "variables": [
            {"name": name, "text": _text(value), "changed": (name, "variable") in shot.changed}
            for name, value in shot.variables.items()
        ],
        "columns": ["parameter", "value", ".grad", *state],
        "rows": list(_rows(shot, state)),
        "failure": failure,
        "sentence": _sentence(program, shot),
        "first": shot.update == 0 and shot.executed is None,
        "over": bool(shot.ended or shot.failure),
        "running": False,
    }


def progress(engine: StepperEngine, done: int, wanted: int) -> Page:
    """The page of a run that is under way."""
    sentence = f"Running: {done} of {wanted} updates are made."
    return {**page(engine), "sentence": sentence, "running": True}


def page_text(page: Page) -> str:
    """A page as plain text: the lines with their marks, the sentence, a norm for each tensor."""
    lines = [f"   {page['head']}    # {page['where']}"]
    for line in page["lines"]:
        sign = {"next": "->", "failed": "x "}.get(line["mark"], "* " if line["last"] else "  ")
        for text in line["text"].splitlines():
            off = "" if line["on"] else "# "
            lines.append(f"{sign} {'    ' * line['depth']}{off}{text}")
            sign = "  "
    lines += ["-> next, * executed last, # switched off", "", page["sentence"]]
    if page["failure"]:
        lines += [page["failure"]["error"], page["failure"]["explanation"]]
    table = [list(page["columns"])]
    table += [
        [f"{row['name']} ({row['shape']})", *(c["summary"] for c in row["cells"])]
        for row in page["rows"]
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    padded = [[t.ljust(w) for t, w in zip(row, widths, strict=True)] for row in table]
    return "\n".join([*lines, "", *("  ".join(row).rstrip() for row in padded)])


def _where(program: Program, shot: Snapshot) -> str:
    where = f"update {shot.update}"
    inside = header_of(program, shot.index) is not None
    if inside and shot.micro_batches > 1:
        where += f", micro-batch {shot.micro_batch + 1} of {shot.micro_batches}"
    return where


def _lines(program: Program, shot: Snapshot) -> Iterator[Page]:
    for i, statement in enumerate(program):
        failed = shot.failure is not None and i == shot.index
        following = i == shot.index and not (failed or shot.ended)
        yield {
            "key": statement.key,
            "text": statement.text,
            "depth": statement.depth + 1,
            "on": statement.on,
            "up": moved_up(program, i) != program,
            "down": moved_down(program, i) != program,
            "mark": "failed" if failed else "next" if following else "",
            "last": i == shot.executed,
        }


def _rows(shot: Snapshot, state: list[str]) -> Iterator[Page]:
    """A row for each parameter and each buffer, with a cell for each column."""

    def cell(name: str, part: str, numbers: Numbers | None, absent: str = "-") -> Page:
        summary, text = (absent, "") if numbers is None else _summary(numbers)
        return {"summary": summary, "numbers": text, "changed": (name, part) in shot.changed}

    for row in shot.parameters:
        kept = [cell(row.name, key, row.state.get(key)) for key in state]
        grad = cell(row.name, "grad", row.grad, absent="None")
        cells = [cell(row.name, "value", row.value), grad, *kept]
        yield {"name": row.name, "shape": _shape(row.value), "cells": cells}
    for name, numbers in shot.buffers.items():
        cells = [cell(name, "buffer", numbers), *(cell(name, part, None) for part in ("", *state))]
        yield {"name": name, "shape": f"buffer {_shape(numbers)}", "cells": cells}


def _shape(numbers: Numbers) -> str:
    return " x ".join(map(str, numbers.shape)) or "one number"


def _text(value: float) -> str:
    """Four significant figures; what is exactly zero is 0."""
    return f"{value:.4g}"


def _summary(numbers: Numbers) -> tuple[str, str]:
    """The norm of a tensor and all its numbers; of a large one, figures that sum it up."""
    norm = f"norm {_text(numbers.norm)}"
    if numbers.values is None:
        low, high = _text(numbers.low), _text(numbers.high)
        mean, zeros = _text(numbers.mean), f"{numbers.zeros:.1%}"
        return norm, f"mean {mean}\nfrom {low}\nto {high}\n{zeros} zeros"
    if numbers.values.size == 1:
        return _text(numbers.values.item()), ""
    texts = [_text(value) for value in numbers.values.flatten().tolist()]
    return norm, _grid(texts, numbers.shape[-1]) if texts else "empty"


def _grid(texts: list[str], row: int) -> str:
    """A line for each of a tensor's rows; long rows go on, indented."""
    width = max(map(len, texts))
    lines = []
    for start in range(0, len(texts), row):
        for i in range(start, start + row, WIDE):
            chunk = texts[i : min(i + WIDE, start + row)]
            lines.append(("  " if i > start else "") + " ".join(t.rjust(width) for t in chunk))
    return "\n".join(lines)


def _sentence(program: Program, shot: Snapshot) -> str:
    """The effect of the last line, for the status line."""
    if shot.failure is not None:
        return f"`{_code(program, shot.index)}` raised {shot.failure.kind}."
    if shot.executed is None:
        return f"At the start of update {shot.update}: nothing of it is executed yet."
    line, effect = f"`{_code(program, shot.executed)}`", _effect(program[shot.executed].kind, shot)
    told = f"{line} {effect}"
    if shot.index >= len(program):  # else it would read as if all the updates had this effect
        told = f"The last line, {line}, {effect}"
    said = [_progress(program, shot), told, shot.remark, *_warnings(program, shot)]
    return " ".join(filter(None, said))


def _progress(program: Program, shot: Snapshot) -> str | None:
    """The end of the run with its reason, or the number of finished updates; else None."""
    if shot.ended or shot.index < len(program):
        return ENDED.get(shot.ended or "")
    return f"{shot.update + 1} updates are finished." if shot.update else "1 update is finished."


def _warnings(program: Program, shot: Snapshot) -> list[str]:
    """The warnings of the last line, and at the end of an update of all its lines, each once."""
    end = shot.index >= len(program)
    told = [(at, text) for at, text in shot.warned if end or at == shot.executed]
    found = [f"`{_code(program, at)}` warned: {' '.join(text.split())}" for at, text in told]
    return list(dict.fromkeys(found))


def _code(program: Program, index: int) -> str:
    """The first line of a statement, less its comment."""
    return program[index].text.splitlines()[0].partition("  # ")[0]


def _effect(kind: str, shot: Snapshot) -> str:
    """The changes of the last line: variables by new value, tensors by their names or number."""
    if kind == "loop" and not shot.changed:
        return f"took micro-batch {shot.micro_batch + 1} of {shot.micro_batches}."
    by_part: dict[str, list[str]] = {}
    for name, part in sorted(shot.changed):
        by_part.setdefault(part, []).append(name)
    words = []
    for part, names in by_part.items():
        if part == "variable":
            words += [_new_value(name, shot) for name in names]
            continue
        of = _listed(names) if len(names) <= 3 else f"{len(names)} parameters"
        if len(names) == len(shot.parameters) > 2:
            of = "every parameter"
        words.append(f"{SPOKEN.get(part, f'`{part}`')} of {of}")
    return f"changed {_listed(words)}." if words else "changed no number shown here."


def _new_value(name: str, shot: Snapshot) -> str:
    before = f" from {_text(shot.lr_before[name])}" if name in shot.lr_before else ""
    return f"{name}{before} to {_text(shot.variables.get(name, math.nan))}"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
