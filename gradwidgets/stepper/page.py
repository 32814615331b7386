"""What the stepper shows, as plain data and as plain text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gradwidgets.stepper.engine import Stepping
from gradwidgets.stepper.program import Program, header_of, moved_down, moved_up
from gradwidgets.stepper.snapshot import Entry, Numbers, Snapshot

COLUMNS = {"value": "value", "grad": ".grad"}
SPOKEN = {"value": "the value", "grad": "`.grad`", "buffer": "the value"}
WIDE = 2
"""Numbers in one line of a cell, unless the tensor's own rows are shorter."""
ENDED = {
    "updates": "All updates of the recipe are made.",
    "threshold": "The loss has fallen below `stop_below`: the run is over.",
    "diverged": "The loss is no longer finite: the run is over.",
}


def page(stepping: Stepping) -> dict[str, Any]:
    """Everything on the screen, for a stepper where it stands."""
    shot = stepping.snapshot
    state = dict.fromkeys(key for row in shot.parameters for key in row.state)
    return {
        "head": stepping.head,
        "where": _where(stepping.statements, shot),
        "lines": list(_lines(stepping.statements, shot)),
        "variables": [
            {"name": name, "text": number(value), "changed": (name, "variable") in shot.changed}
            for name, value in shot.variables.items()
        ],
        "columns": ["parameter", *COLUMNS.values(), *state],
        "rows": [*_parameters(shot, list(state)), *_buffers(shot, len(state))],
        "failure": None
        if shot.failure is None
        else {
            "error": f"{shot.failure.kind}: {shot.failure.message}",
            "explanation": shot.failure.explanation,
        },
        "sentence": sentence(stepping.statements, shot),
        "first": shot.update == 0 and shot.executed is None,
        "over": bool(shot.ended or shot.failure),
        "running": False,
    }


def progress(stepping: Stepping, done: int, wanted: int) -> dict[str, Any]:
    """The page of a run that is under way."""
    sentence = f"Running: {done} of {wanted} updates are made."
    return {**page(stepping), "sentence": sentence, "running": True}


def number(value: float) -> str:
    """Four significant figures; what is exactly zero is 0."""
    return f"{value:.4g}"


def cell(numbers: Numbers | None, changed: bool) -> dict[str, Any]:
    """One tensor: its norm and every number; of a large one, figures that sum it up."""
    if numbers is None:
        return {"summary": "None", "numbers": "", "changed": changed}
    if numbers.values is None:
        low, high = number(numbers.low), number(numbers.high)
        lines = [f"mean {number(numbers.mean)}", f"from {low}", f"to {high}"]
        lines += [f"{numbers.zeros:.1%} zeros"]
        text = "\n".join(lines)
        return {"summary": f"norm {number(numbers.norm)}", "numbers": text, "changed": changed}
    if numbers.values.size == 1:
        return {"summary": number(numbers.values.item()), "numbers": "", "changed": changed}
    text = _grid(numbers)
    return {"summary": f"norm {number(numbers.norm)}", "numbers": text, "changed": changed}


def _grid(numbers: Numbers) -> str:
    """Every number, a line for each of the tensor's rows; long rows go on, indented."""
    assert numbers.values is not None
    if not numbers.values.size:
        return "empty"
    texts = [number(value) for value in numbers.values.flatten().tolist()]
    width, row = max(map(len, texts)), numbers.shape[-1]
    lines = []
    for start in range(0, len(texts), row):
        for i in range(start, start + row, WIDE):
            chunk = texts[i : min(i + WIDE, start + row)]
            lines.append(("  " if i > start else "") + " ".join(t.rjust(width) for t in chunk))
    return "\n".join(lines)


def _where(program: Program, shot: Snapshot) -> str:
    where = f"update {shot.update}"
    inside = header_of(program, shot.index) is not None
    if inside and shot.micro_batches > 1:
        where += f", micro-batch {shot.micro_batch + 1} of {shot.micro_batches}"
    return where


def _lines(program: Program, shot: Snapshot) -> Iterator[dict[str, Any]]:
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


def _parameters(shot: Snapshot, state: list[str]) -> Iterator[dict[str, Any]]:
    for row in shot.parameters:
        cells = [cell(row.value, (row.name, "value") in shot.changed)]
        cells.append(cell(row.grad, (row.name, "grad") in shot.changed))
        for key in state:
            changed = (row.name, key) in shot.changed
            kept = row.state.get(key)
            cells.append(_absent(changed) if kept is None else cell(kept, changed))
        yield {"name": row.name, "shape": _shape(row.value), "cells": cells}


def _buffers(shot: Snapshot, states: int) -> Iterator[dict[str, Any]]:
    for name, numbers in shot.buffers.items():
        cells = [cell(numbers, (name, "buffer") in shot.changed)]
        cells += [_absent(False) for _ in range(states + 1)]
        yield {"name": name, "shape": f"buffer {_shape(numbers)}", "cells": cells}


def _absent(changed: bool) -> dict[str, Any]:
    return {"summary": "-", "numbers": "", "changed": changed}


def _shape(numbers: Numbers) -> str:
    return " x ".join(map(str, numbers.shape)) or "one number"


def sentence(program: Program, shot: Snapshot) -> str:
    """What the last line did, for the status line."""
    if shot.failure is not None:
        return f"`{_first(program, shot.index)}` raised {shot.failure.kind}."
    parts = [ENDED[shot.ended]] if shot.ended else []
    if shot.executed is None:
        return f"At the start of update {shot.update}: nothing of it is executed yet."
    parts.append(f"`{_first(program, shot.executed)}` {_effect(program, shot)}")
    return " ".join([*parts, *([shot.remark] if shot.remark else [])])


def _effect(program: Program, shot: Snapshot) -> str:
    assert shot.executed is not None
    if program[shot.executed].kind == "loop" and not shot.changed:
        return f"took micro-batch {shot.micro_batch + 1} of {shot.micro_batches}."
    changed = _changed(shot.changed, len(shot.parameters), shot.variables)
    return f"changed {changed}." if changed else "changed none of these numbers."


def _changed(changed: frozenset[Entry], parameters: int, variables: Mapping[str, float]) -> str:
    """What changed, in words: variables by their new value, tensors by their names or number."""
    by_part: dict[str, list[str]] = {}
    for name, part in sorted(changed):
        by_part.setdefault(part, []).append(name)
    words = []
    for part, names in by_part.items():
        if part == "variable":
            words += [f"{n} to {number(variables.get(n, math.nan))}" for n in names]
        else:
            whole = len(names) == parameters > 2
            of = "every parameter" if whole else _listed(names)
            words.append(f"{SPOKEN.get(part, f'`{part}`')} of {of}")
    return _listed(words, limit=len(words))


def _listed(names: list[str], limit: int = 3) -> str:
    if len(names) > limit:
        return f"{len(names)} parameters"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _first(program: Program, index: int) -> str:
    return program[index].text.splitlines()[0]


def as_text(shown: Mapping[str, Any]) -> str:
    """A page as plain text: the lines with their marks, the sentence, a norm for each tensor."""
    lines = [f"   {shown['head']}    # {shown['where']}"]
    for line in shown["lines"]:
        sign = {"next": "->", "failed": "x "}.get(line["mark"], "* " if line["last"] else "  ")
        for text in line["text"].splitlines():
            off = "" if line["on"] else "# "
            lines.append(f"{sign} {'    ' * line['depth']}{off}{text}")
            sign = "  "
    lines += ["-> next, * executed last, # switched off", "", shown["sentence"]]
    if shown["failure"]:
        lines += [shown["failure"]["error"], shown["failure"]["explanation"]]
    table = [
        [f"{row['name']} ({row['shape']})", *(c["summary"] for c in row["cells"])]
        for row in shown["rows"]
    ]
    table.insert(0, list(shown["columns"]))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    padded = [[t.ljust(w) for t, w in zip(row, widths, strict=True)] for row in table]
    return "\n".join([*lines, "", *("  ".join(row).rstrip() for row in padded)])
