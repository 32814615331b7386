"""`Stepping`: the loop of a recipe, one statement at a time, forwards and backwards.

One rule holds at every moment: the state is that of the start of the update in hand, with the
statements above the marker executed, as far as they are on. So switching or moving a statement
executes the update in hand anew; later updates follow the changed statements, and earlier ones
stay as they were executed until you go back into them. Going back puts a checkpoint of an
update's start in place and executes the statements from there, which gives the same bits. Only
what your own edits and modules keep elsewhere than in parameters, buffers and plain attributes
(numbers, texts, tensors) is not put back.
"""

from __future__ import annotations

from collections.abc import Callable

from gradwidgets.core import problems
from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.script_loop import head
from gradwidgets.core.script_text import Sources
from gradwidgets.core.stepping_messages import remark
from gradwidgets.core.stepping_program import (
    Program,
    moved_down,
    moved_up,
    program_of,
    repeated,
    source,
    switched,
)
from gradwidgets.core.stepping_snapshot import Entry, Reading, Snapshot, differences, parts, read
from gradwidgets.core.stepping_state import Checkpoint, Workspace
from gradwidgets.core.stepping_walk import Walk, place_of, reads_first

MEMORY = 256 * 2**20
"""Bytes that checkpoints may hold together; beyond, every other one is let go."""


class Stepping:
    """A recipe's loop that is executed statement by statement, as real PyTorch.

    Every operation returns the `Snapshot` of where it ends. Your model and the global random
    number generators stay as they are.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the settings; None takes the problem's own.

    Raises:
        ValueError: the problem or its data is not usable.

    Attributes:
        head: the line that opens the loop.
        statements: the statements of one update, as they are switched and ordered now.
    """

    def __init__(self, problem: Problem | str, recipe: Recipe | None = None) -> None:
        self.problem = problems.get(problem)
        self.recipe = recipe or self.problem.recipe
        self.head = head(self.recipe, Sources(self.problem)).text
        self.statements = self._original = program_of(self.problem, self.recipe)
        self._workspace = Workspace(self.problem, self.recipe)
        self._history: list[Program] = []
        self._checkpoints: dict[int, Checkpoint] = {}
        self._stride = 1
        self._before: Reading | None = None
        self._walk: Walk
        with self._workspace.world.inside():
            self._begin(0)
            self.snapshot = self._snapshot()

    def source(self) -> str:
        """The statements that are on, as one text."""
        return source(self.statements)

    def next(self) -> Snapshot:
        """Execute the next statement; after an update's last, the first of the next update."""
        with self._workspace.world.inside():
            if self._open():
                self._step()
            return self._taken()

    def previous(self) -> Snapshot:
        """Go back to before the statement that was executed last."""
        count = len(self._walk.executed) - 1
        with self._workspace.world.inside():
            if count > 0 or not self._history:
                self._replay_to(count)
            else:
                self._replay(len(self._history) - 1, lambda walk: walk.done)
            return self._taken()

    def finish(self) -> Snapshot:
        """Execute what is left of this update; after its last statement, the next update."""
        return self.run(1)

    def run(self, updates: int) -> Snapshot:
        """Finish that many updates, the one in hand included unless it is finished."""
        with self._workspace.world.inside():
            for left in range(updates, 0, -1):
                if not self._open():
                    break
                while not self._walk.done:
                    self._step(watch=left == 1)
            if self._before is None and self._walk.executed:  # it stopped earlier than planned
                self._replay_to(len(self._walk.executed))
            return self._taken()

    def restart(self) -> Snapshot:
        """Go back to the start of the run; the statements stay as they are now."""
        with self._workspace.world.inside():
            self._replay(0, lambda _: True)
            return self._taken()

    def switch(self, index: int) -> Snapshot:
        """Switch a statement off, or on again; a header with all that stands under it."""
        return self._change(switched(self.statements, index))

    def move(self, index: int, by: int) -> Snapshot:
        """Move a statement up (`by=-1`) or down (`by=1`); headers stay, others go past them."""
        return self._change((moved_up if by < 0 else moved_down)(self.statements, index))

    def repeat(self, index: int) -> Snapshot:
        """Put a copy of a statement right below it, as for a second `optimizer.step()`."""
        return self._change(repeated(self.statements, index))

    def reset(self) -> Snapshot:
        """Put all statements back as the recipe has them."""
        return self._change(self._original)

    def _change(self, program: Program) -> Snapshot:
        """The same place with other statements: this update is executed anew up to it."""
        old, walk = self.statements, self._walk
        index = len(program) if walk.index >= len(old) else walk.index
        goal = place_of(program, min(index, len(program)), walk.micro_batch)
        self.statements = program
        with self._workspace.world.inside():
            self._replay(len(self._history), lambda walk: walk.place >= goal)
            return self._taken()

    def _open(self) -> bool:
        """Begin the next update if this one is finished; False if nothing can follow."""
        if self._ended() or self._walk.failure:
            return False
        if self._walk.done:
            self._begin(len(self._history) + 1)
        return True

    def _ended(self) -> str | None:
        last = self._walk.done and len(self._history) + 1 >= self.recipe.updates
        return self._walk.ended or ("updates" if last and not self._walk.failure else None)

    def _begin(self, update: int) -> None:
        """Start an update: its batch is drawn, and a checkpoint kept."""
        self._workspace.draw(update)
        if update:
            self._history.append(self._walk.program)
        self._keep(update)
        self._before = None
        self._walk = Walk(self.statements, self._workspace.names)

    def _keep(self, update: int) -> None:
        if update in self._checkpoints or update % self._stride:
            return
        self._checkpoints[update] = self._workspace.remember()
        while self._checkpoints[update].nbytes * len(self._checkpoints) > MEMORY:
            if len(self._checkpoints) <= 2:
                break
            self._stride *= 2
            self._checkpoints = {
                at: point for at, point in self._checkpoints.items() if at % self._stride == 0
            }
            if update not in self._checkpoints:
                break

    def _replay_to(self, count: int) -> None:
        """Execute the update in hand anew, that many statements of it."""
        self._replay(len(self._history), lambda walk: len(walk.executed) >= count)

    def _replay(self, update: int, until: Callable[[Walk], bool]) -> None:
        """Execute an update with the present statements, from its start until `until`."""
        past = self._history[:update]
        self._checkpoints = {at: p for at, p in self._checkpoints.items() if at <= update}
        start = self._sound_start([*past, self.statements])
        self._workspace.recall(self._checkpoints[start])
        self._history = past[:start]
        for program in past[start:]:
            self._walk = Walk(program, self._workspace.names)
            while not self._walk.done:
                self._walk.step()
            self._begin(len(self._history) + 1)
        self._before = None
        self._walk = Walk(self.statements, self._workspace.names)
        while not self._walk.done and not until(self._walk):
            self._step()

    def _sound_start(self, programs: list[Program]) -> int:
        """The latest checkpoint that lacks nothing: no statement from there reads a lost graph."""
        start = len(programs) - 1
        while start and (
            start not in self._checkpoints
            or reads_first(programs[start], self._checkpoints[start].graphs)
        ):
            start -= 1
        return start

    def _step(self, watch: bool = True) -> None:
        self._before = self._read() if watch else None
        self._walk.step()

    def _read(self) -> Reading:
        workspace = self._workspace
        return read(workspace.model, workspace.optimizer, workspace.assigned())

    def _taken(self) -> Snapshot:
        self.snapshot = self._snapshot()
        return self.snapshot

    def _snapshot(self) -> Snapshot:
        walk, now = self._walk, self._read()
        before = now if self._before is None else self._before
        changed = differences(before, now)
        return Snapshot(
            update=len(self._history),
            index=walk.index,
            executed=walk.executed[-1] if walk.executed else None,
            micro_batch=walk.micro_batch,
            micro_batches=walk.micro_batches,
            changed=changed,
            failure=walk.failure,
            remark=self._remark(before, changed),
            ended=self._ended(),
            **parts(now),
        )

    def _remark(self, before: Reading, changed: frozenset[Entry]) -> str | None:
        if self._walk.failure or not self._walk.executed:
            return None
        *earlier, text = (self._walk.program[index].text for index in self._walk.executed)
        gradients = [tensor for (_, part), tensor in before.items() if part == "grad"]
        return remark(text, earlier, gradients, any(part == "value" for _, part in changed))
