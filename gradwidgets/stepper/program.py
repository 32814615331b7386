"""The loop body as statements that can be switched off, moved and repeated."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from gradwidgets.core import Problem, Recipe, problems
from gradwidgets.script import Line, Sources, update

INDENT = "    "
Kind = Literal["plain", "loop", "def"]


@dataclass(frozen=True)
class Statement:
    """One statement of the loop body; a block such as `for p in ...: ...` is one statement.

    Args:
        key: stays the same wherever the statement is moved.
        text: its source, one or more lines, not indented; of a header the first line only.
        settings: the fields of `Recipe` that it belongs to.
        depth: the number of headers that it stands under.
        kind: "plain"; or "loop" (over the micro-batches) or "def" (a closure), a header whose
            body are the statements below it that stand deeper.
        on: False if it is switched off.
    """

    key: int
    text: str
    settings: tuple[str, ...] = ()
    depth: int = 0
    kind: Kind = "plain"
    on: bool = True

    @property
    def is_header(self) -> bool:
        """True if statements can stand under it."""
        return self.kind != "plain"


Program = tuple[Statement, ...]


def program_of(problem: Problem | str, recipe: Recipe | None = None) -> Program:
    """The statements of one update, from the very lines that `script` writes.

    Raises:
        ValueError: the mask's pattern matches no parameter.
    """
    problem = problems.get(problem)
    recipe = recipe or problem.recipe
    lines = update(recipe, Sources(problem, recipe))
    found = _statements(lines, depth=0)
    return tuple(replace(statement, key=key) for key, statement in enumerate(found))


def _statements(lines: list[Line], depth: int) -> list[Statement]:
    shift = len(INDENT) * depth
    tree = ast.parse("\n".join(line.text[shift:] for line in lines))
    found: list[Statement] = []
    for node in tree.body:
        own = lines[node.lineno - 1 : node.end_lineno]
        settings = own[0].settings
        kind: Kind = "plain"
        if isinstance(node, ast.FunctionDef):
            kind = "def"
        elif isinstance(node, ast.For) and "accumulation_steps" in settings:
            kind = "loop"
        body = [] if kind == "plain" else own[1:]
        text = "\n".join(line.text[shift:] for line in own[: len(own) - len(body)])
        found.append(Statement(0, text, settings, depth, kind))
        found += _statements(body, depth + 1)
    return found


def end_of(program: Program, index: int) -> int:
    """The index after the statement at `index` and all that stands under it."""
    depth = program[index].depth
    after = range(index + 1, len(program))
    return next((i for i in after if program[i].depth <= depth), len(program))


def header_of(program: Program, index: int) -> int | None:
    """The outermost header that the statement at `index` stands under, or None."""
    if index >= len(program) or program[index].depth == 0:
        return None
    return next(i for i in range(index - 1, -1, -1) if program[i].depth == 0)


def source(program: Program) -> str:
    """The statements that are on, as text that Python reads."""
    lines: list[str] = []
    index = 0
    while index < len(program):
        if program[index].on:
            lines += statement_text(program, index).splitlines()
        index = end_of(program, index)
    return "\n".join(lines)


def statement_text(program: Program, index: int) -> str:
    """The text of one statement with all that stands under it; an empty body is `pass`."""
    statement = program[index]
    if not statement.is_header:
        return statement.text
    body = source(program[index + 1 : end_of(program, index)]) or "pass"
    return "\n".join([statement.text, *(INDENT + line for line in body.splitlines())])


def switched(program: Program, index: int) -> Program:
    """The statement at `index` off if it was on, on if it was off; a header with its body."""
    statement = program[index]
    return _with(program, index, replace(statement, on=not statement.on))


def repeated(program: Program, index: int) -> Program:
    """The statement at `index` once more, right below; a header stays single."""
    if program[index].is_header:
        return program
    copy = replace(program[index], key=1 + max(statement.key for statement in program))
    return (*program[: index + 1], copy, *program[index + 1 :])


def moved_up(program: Program, index: int) -> Program:
    """One place up: past a line, or across the edge of a block, into it or out of it."""
    statement = program[index]
    if index == 0 or statement.is_header:
        return program
    above, depth = program[index - 1], statement.depth
    if above.depth > depth or (above.depth == depth and above.is_header):
        return _with(program, index, replace(statement, depth=depth + 1))
    return _swapped(program, index - 1, replace(statement, depth=above.depth), above)


def moved_down(program: Program, index: int) -> Program:
    """One place down: past a line, or across the edge of a block, into it or out of it."""
    statement = program[index]
    if statement.is_header:
        return program
    below = program[index + 1] if index + 1 < len(program) else None
    if below is None or below.depth < statement.depth:
        return _with(program, index, replace(statement, depth=max(0, statement.depth - 1)))
    depth = below.depth + below.is_header
    return _swapped(program, index, below, replace(statement, depth=depth))


def _with(program: Program, index: int, statement: Statement) -> Program:
    return (*program[:index], statement, *program[index + 1 :])


def _swapped(program: Program, index: int, upper: Statement, lower: Statement) -> Program:
    return (*program[:index], upper, lower, *program[index + 2 :])


@lru_cache(maxsize=512)
def reads_before_assigning(program: Program, names: frozenset[str]) -> bool:
    """True if a statement that is on may read one of `names` before any has assigned it."""
    assigned: set[str] = set()
    index = 0
    while index < len(program):
        statement = program[index]
        if not statement.on:
            index = end_of(program, index)
            continue
        tree = ast.parse(statement.text + (" pass" if statement.is_header else ""))
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        read = {node.id for node in found if not isinstance(node.ctx, ast.Store)}
        if read & names - assigned:
            return True
        header = header_of(program, index)
        if header is None or program[header].kind != "def":
            assigned |= {node.id for node in found if isinstance(node.ctx, ast.Store)}
        index += 1
    return False
