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

import math
import time
from collections.abc import Callable

from gradwidgets.core import Problem, Recipe, problems
from gradwidgets.script import Sources, head
from gradwidgets.stepper.checkpoints import Checkpoints
from gradwidgets.stepper.explain import remark
from gradwidgets.stepper.program import (
    Program,
    moved_down,
    moved_up,
    program_of,
    repeated,
    source,
    switched,
)
from gradwidgets.stepper.snapshot import Entry, Reading, Snapshot, differences, parts, read
from gradwidgets.stepper.walk import Walk, place_of
from gradwidgets.stepper.workspace import Workspace

Check = Callable[[Walk], bool]


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
        self._checkpoints = Checkpoints()
        self._before: Reading | None = None
        self._walk: Walk
        self._shot: Snapshot | None = None
        with self._workspace.world.inside():
            self._begin(0)

    @property
    def snapshot(self) -> Snapshot:
        """Where the loop stands, and all numbers that it holds."""
        if self._shot is None:
            with self._workspace.world.inside():
                self._shot = self._snapshot()
        return self._shot

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
                update = len(self._history) - 1
                self._replay(update, until=lambda walk: walk.done, last=lambda walk: walk.last)
        return self._taken()

    def finish(self) -> Snapshot:
        """Execute what is left of this update; after its last statement, the next update."""
        return self.run(1)

    def run(self, updates: int) -> Snapshot:
        """Finish that many updates, the one in hand included unless it is finished."""
        self.advance(updates)
        return self.snapshot

    def advance(self, updates: int, seconds: float = math.inf) -> int:
        """Go on as `run` does, for about so many seconds.

        Returns how many updates are left to finish, which 0 ends: `advance(0)` stops where it is.
        """
        end = time.monotonic() + seconds
        self._shot = None
        with self._workspace.world.inside():
            while updates > 0 and self._open():
                self._step(watch=updates == 1 and self._walk.last)
                updates -= self._walk.done
                if updates > 0 and time.monotonic() >= end:
                    return updates
            self._see_last()
        return 0

    def restart(self) -> Snapshot:
        """Go back to the start of the run; the statements stay as they are now."""
        with self._workspace.world.inside():
            self._replay(0, until=lambda _: True)
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
            self._replay(len(self._history), until=lambda walk: walk.place >= goal)
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
        self._checkpoints.keep(update, self._workspace.remember)
        self._before = None
        self._walk = Walk(self.statements, self._workspace.names)

    def _replay_to(self, count: int) -> None:
        """Execute the update in hand anew, that many statements of it."""
        self._replay(
            len(self._history),
            until=lambda walk: len(walk.executed) >= count,
            last=lambda walk: len(walk.executed) == count - 1,
        )

    def _replay(self, update: int, until: Check, last: Check = lambda _: False) -> None:
        """Execute an update with the present statements, from its start until `until`.

        `last` may say before a statement that it is the last, which saves doing it all again.
        """
        past = self._history[:update]
        self._checkpoints.forget_after(update)
        start = self._checkpoints.sound_start([*past, self.statements])
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
            self._step(watch=last(self._walk))
        self._see_last()

    def _see_last(self) -> None:
        """Execute the update in hand anew if its last statement was not watched."""
        if self._before is None and self._walk.executed:
            self._replay_to(len(self._walk.executed))

    def _step(self, watch: bool = True) -> None:
        self._before = self._read() if watch else None
        self._walk.step()

    def _read(self) -> Reading:
        workspace = self._workspace
        return read(workspace.model, workspace.optimizer, workspace.assigned())

    def _taken(self) -> Snapshot:
        self._shot = None
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
