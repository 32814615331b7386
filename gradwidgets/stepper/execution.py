"""Execute one update: what a line does (`Execution.step`), and which line comes next."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any

from gradwidgets.stepper.explain import failed
from gradwidgets.stepper.program import INDENT, Program, end_of, header_of, statement_text
from gradwidgets.stepper.snapshot import Failure

FILE = "<update>"
"""The name of the statements' file in a traceback."""
THROUGH = "_through"
"""A variable that is assigned after a statement unless a `break` left it."""
PART = "_part"
"""A variable that carries one micro-batch to the variables of the loop."""
STOPS = {"stop_below": "threshold", "patience": "patience"}
"""Why a `break` that belongs to a setting ends the run; another ends it as diverged."""
Place = tuple[int, int, int]


class Execution:
    """One update that is executed one statement at a time.

    Args:
        program: the statements.
        names: the variables that they read and assign.

    Attributes:
        index: the statement that is next; `len(program)` after the last, and the statement
            itself where it failed or ended the loop.
        micro_batch: the current micro-batch of the loop, from 0; 0 outside.
        executed: the indices executed so far, in their order.
        failure: what a statement raised, or None.
        warned: the statements that a warning came from, by their index, and its text.
        ended: why a `break` ended the whole loop, as in `History.stopped`, or None.
    """

    def __init__(self, program: Program, names: dict[str, Any]) -> None:
        self.program = program
        self.index = 0
        self.micro_batch = 0
        self.executed: list[int] = []
        self.failure: Failure | None = None
        self.warned: list[tuple[int, str]] = []
        self.ended: str | None = None
        self._names = names
        self._parts: list[Any] = []
        self._order = self._visits()
        self._go_on()

    @property
    def micro_batches(self) -> int:
        """The number of micro-batches of the loop; 0 before it is known."""
        return len(self._parts)

    @property
    def done(self) -> bool:
        """True if no statement of this update is left to execute."""
        stopped = self.failure is not None or self.ended is not None
        return stopped or self.index >= len(self.program)

    @property
    def last(self) -> bool:
        """True if the next statement is sure to be the update's last."""
        if self.done or self.program[self.index].depth or self.program[self.index].kind == "loop":
            return False
        return not any(each.on for each in self.program[end_of(self.program, self.index) :])

    @property
    def place(self) -> Place:
        """The place where the execution stands; places are ordered as they are visited."""
        return place_of(self.program, self.index, self.micro_batch)

    def step(self) -> None:
        """Execute the next statement; what it raises is kept in `failure`.

        A plain statement is executed by itself, a closure's header defines the whole closure, and
        the header of the loop over micro-batches assigns the next of them.
        """
        at, statement = self.index, self.program[self.index]
        self.executed.append(at)
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                broke = self._execute(at)
        except Exception as error:
            self.failure = failed(error)
            return
        finally:
            self.warned += [(at, str(each.message)) for each in said]
        header = header_of(self.program, at)
        if broke and header is None:
            self.ended = next(
                (why for s, why in STOPS.items() if s in statement.settings), "diverged"
            )
            return
        if broke and header is not None:
            self._order = self._visits(end_of(self.program, header))
        self._go_on()

    def _take_micro_batch(self, header: str) -> None:
        parts, target = _halves(header)
        if self.micro_batch == 0:
            self._parts = list(eval(parts, self._names))
        if self._parts:
            self._names[PART] = self._parts[self.micro_batch]
            exec(target, self._names)
            del self._names[PART]

    def _go_on(self) -> None:
        self.index = next(self._order, len(self.program))

    def _execute(self, at: int) -> bool:
        """Execute a statement; returns True if a `break` left it."""
        statement = self.program[at]
        if statement.kind == "loop":
            self._take_micro_batch(statement.text)
            return False
        return execute(statement_text(self.program, at), self._names)

    def _visits(self, at: int = 0) -> Iterator[int]:
        """The statements that are on from `at` on, in the order in which they are executed.

        The loop's header comes before each micro-batch; the first time, it finds out how many
        there are. A closure is one visit: what stands under its header is executed by calling it.
        """
        self.micro_batch = 0
        while at < len(self.program):
            statement, end = self.program[at], end_of(self.program, at)
            if statement.on:
                yield at
            if statement.on and statement.kind == "loop":
                body = [i for i in range(at + 1, end) if self.program[i].on]
                for micro_batch in range(self.micro_batches):
                    self.micro_batch = micro_batch
                    if micro_batch:
                        yield at
                    yield from body
                self.micro_batch = 0
            at = end


def place_of(program: Program, index: int, micro_batch: int) -> Place:
    """A place in an update; within the loop the micro-batch counts before the line."""
    header = header_of(program, index)
    block = index if header is None else header
    if block < len(program) and program[block].kind == "loop":
        return (block, micro_batch, index)
    return (index, 0, index)


def execute(text: str, names: dict[str, Any]) -> bool:
    """Execute a statement; returns True if a `break` left it.

    Raises:
        Exception: whatever the statement raises; also where torch only warns that a loss
            broadcasts its output and target, which `train` refuses.
    """
    code, may_break = _compiled(text)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Using a target size")
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
def _halves(header: str) -> tuple[CodeType, CodeType]:
    """The two halves of a `for`: its iterable, and the assignment that it makes each time."""
    node = ast.parse(header + " pass").body[0]
    assert isinstance(node, ast.For)
    parts = compile(ast.Expression(node.iter), FILE, "eval")
    return parts, compile(f"{ast.unparse(node.target)} = {PART}", FILE, "exec")
