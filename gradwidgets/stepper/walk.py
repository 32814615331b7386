"""The walk through one update: which statement is next, and what executing it does."""

from __future__ import annotations

import ast
from functools import lru_cache
from types import CodeType
from typing import Any

from gradwidgets.stepper.explain import Failure, failed
from gradwidgets.stepper.program import INDENT, Program, end_of, header_of, statement_text

FILE = "<update>"
"""What a traceback calls the statements."""
THROUGH = "_through"
"""Is assigned behind a statement that may break: missing if it did."""
PART = "_part"
"""Carries one micro-batch to the variables of the loop."""
Place = tuple[int, int, int]


class Walk:
    """Executes the statements of one update, one at a time.

    Attributes:
        index: the statement that is next; `len(program)` after the last, and the statement
            itself where it failed or ended the loop.
        micro_batch: which micro-batch the loop is at, from 0; 0 outside.
        micro_batches: how many there are; 0 before they are known.
        executed: the indices executed so far, in their order.
        failure: what a statement raised, or None.
        ended: why a `break` ended the whole loop, "diverged" or "threshold", or None.
    """

    def __init__(self, program: Program, names: dict[str, Any]) -> None:
        self.program = program
        self.index = 0
        self.micro_batch = 0
        self.executed: list[int] = []
        self.failure: Failure | None = None
        self.ended: str | None = None
        self._names = names
        self._parts: list[Any] = []
        self._loop: int | None = None
        self._settle()

    @property
    def micro_batches(self) -> int:
        """How many micro-batches the loop has; 0 before they are known."""
        return len(self._parts)

    @property
    def stopped(self) -> bool:
        """Whether nothing can follow: a statement failed or ended the loop."""
        return self.failure is not None or self.ended is not None

    @property
    def done(self) -> bool:
        """Whether no statement of this update is left."""
        return self.stopped or self.index >= len(self.program)

    @property
    def last(self) -> bool:
        """Whether the next statement surely is the update's last, unless it ends before."""
        if self.done or self._loop is not None or self.program[self.index].kind == "loop":
            return False
        return not any(
            statement.on for statement in self.program[end_of(self.program, self.index) :]
        )

    @property
    def place(self) -> Place:
        """Where the walk stands; places are ordered as they are visited."""
        return place_of(self.program, self.index, self.micro_batch)

    def step(self) -> None:
        """Execute the next statement; what it raises is kept in `failure`."""
        at = self.index
        self.executed.append(at)
        try:
            broke = self._execute(at)
        except Exception as error:
            self.failure = failed(error)
            return
        loop = self._loop
        if broke and loop is None:
            below = "stop_below" in self.program[at].settings
            self.ended = "threshold" if below else "diverged"
            return
        if broke and loop is not None:
            self._leave_loop()
            self.index = end_of(self.program, loop)
        else:
            whole = self.program[at].kind == "def" or (at == loop and not self._parts)
            self.index = end_of(self.program, at) if whole else at + 1
        self._settle()

    def _execute(self, at: int) -> bool:
        """Whether the statement was left by a `break`."""
        if self.program[at].kind == "loop":
            self._take_micro_batch(at)
            return False
        return run(statement_text(self.program, at), self._names)

    def _take_micro_batch(self, at: int) -> None:
        parts, target = _opened(self.program[at].text)
        if self._loop is None:
            self._parts = list(eval(parts, self._names))
            self._loop = at
        if self._parts:
            self._names[PART] = self._parts[self.micro_batch]
            exec(target, self._names)
            del self._names[PART]

    def _leave_loop(self) -> None:
        self._loop, self.micro_batch = None, 0

    def _settle(self) -> None:
        """Go on to the next statement that is to be executed."""
        while True:
            loop = self._loop
            if loop is not None and self.index >= end_of(self.program, loop):
                if self.micro_batch + 1 < len(self._parts):
                    self.micro_batch += 1
                    self.index = loop
                    return
                self._leave_loop()
            if self.index >= len(self.program) or self.program[self.index].on:
                return
            header = self.program[self.index].kind != "line"
            self.index = end_of(self.program, self.index) if header else self.index + 1


def place_of(program: Program, index: int, micro_batch: int) -> Place:
    """A place in the walk; within the loop the micro-batch counts before the line."""
    header = header_of(program, index)
    if header is None and index < len(program) and program[index].kind == "loop":
        header = index
    if header is None or program[header].kind != "loop":
        return (index, 0, index)
    return (header, micro_batch, index)


def run(text: str, names: dict[str, Any]) -> bool:
    """Execute a statement; returns whether a `break` left it.

    Raises:
        Exception: whatever the statement raises.
    """
    code, may_break = _compiled(text)
    exec(code, names)
    return may_break and not names.pop(THROUGH, False)


@lru_cache(maxsize=512)
def _compiled(text: str) -> tuple[CodeType, bool]:
    may_break = "break" in text
    if may_break:
        body = "\n".join(INDENT + line for line in text.splitlines())
        text = f"for _ in (0,):\n{body}\nelse:\n{INDENT}{THROUGH} = True"
    return compile(text, FILE, "exec"), may_break


@lru_cache(maxsize=64)
def _opened(header: str) -> tuple[CodeType, CodeType]:
    """The two halves of a `for`: what it goes through, and the assignment it makes each time."""
    node = ast.parse(header + " pass").body[0]
    assert isinstance(node, ast.For)
    parts = compile(ast.Expression(node.iter), FILE, "eval")
    return parts, compile(f"{ast.unparse(node.target)} = {PART}", FILE, "exec")


@lru_cache(maxsize=512)
def reads_first(program: Program, names: frozenset[str]) -> bool:
    """Whether a statement that is on may read one of `names` before any has assigned it."""
    assigned: set[str] = set()
    index = 0
    while index < len(program):
        statement = program[index]
        if not statement.on:
            index = end_of(program, index)
            continue
        tree = ast.parse(statement.text + (" pass" if statement.kind != "line" else ""))
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        read = {node.id for node in found if not isinstance(node.ctx, ast.Store)}
        if read & names - assigned:
            return True
        header = header_of(program, index)
        if header is None or program[header].kind != "def":
            assigned |= {node.id for node in found if isinstance(node.ctx, ast.Store)}
        index += 1
    return False
