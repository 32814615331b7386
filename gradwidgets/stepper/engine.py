"""`StepperEngine`: the loop of a recipe, executed one statement at a time, forwards and backwards.

One rule always holds: the state is that of the start of the current update with the statements
above the marker executed, those that are switched on. So after a statement is switched or moved,
the current update is executed again. Later updates use the changed statements; earlier ones stay
as they were executed until you go back into them. Going back restores a checkpoint of an update's
start and executes the statements from there, which gives the same bits. The only things that are
not restored are those that your own edits and modules keep elsewhere than in parameters, buffers
and plain attributes (numbers, texts, tensors).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gradwidgets.core import Problem, Recipe, problems
from gradwidgets.script import Sources, head
from gradwidgets.stepper.execution import Execution, place_of
from gradwidgets.stepper.explain import remark
from gradwidgets.stepper.program import (
    Program,
    moved_down,
    moved_up,
    program_of,
    repeated,
    switched,
)
from gradwidgets.stepper.snapshot import (
    Entries,
    Snapshot,
    differences,
    is_lr,
    numbers_of,
    read,
    read_lrs,
)
from gradwidgets.stepper.workspace import Checkpoints, Workspace


class StepperEngine:
    """A recipe's loop that is executed statement by statement, as real PyTorch.

    Every operation returns the `Snapshot` of the place where it ends. Your model and the global
    random number generators stay as they are.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the settings; None takes the problem's own.

    Raises:
        ValueError: the problem or its data is not usable.

    Attributes:
        head: the line that opens the loop.
        statements: the statements of one update, as they are switched and ordered now.
        workspace: the model, the optimizer and the variables that the statements work on.
        checkpoints: the starts of updates that going back begins from.

    >>> engine = StepperEngine("line")
    >>> engine.finish().variables["loss"] == engine.workspace.names["losses"][0]
    True
    >>> engine.statements[0].text
    'optimizer.zero_grad()'
    >>> sorted(engine.next().changed)
    [('bias', 'grad'), ('weight', 'grad')]
    """

    def __init__(self, problem: Problem | str, recipe: Recipe | None = None) -> None:
        self.problem = problems.get(problem)
        self.recipe = recipe or self.problem.recipe
        self.head = head(self.recipe, Sources(self.problem, self.recipe)).text
        self.statements = self._original = program_of(self.problem, self.recipe)
        self.workspace = Workspace(self.problem, self.recipe)
        self.checkpoints = Checkpoints()
        self._past: list[Program] = []  # the statements of each finished update, as executed
        self._before: Entries | None = None  # read before the last statement, if it was watched
        self._snapshot: Snapshot | None = None
        self._current: Execution
        with self._acting():
            self._begin()

    @property
    def snapshot(self) -> Snapshot:
        """The place where the loop stands, and all numbers that it holds."""
        if self._snapshot is None:
            with self.workspace.isolation.inside():
                self._snapshot = self._take_snapshot()
        return self._snapshot

    def next(self) -> Snapshot:
        """Execute the next statement; after an update's last, the first of the next update."""
        with self._acting():
            if self._can_go_on():
                self._step()
        return self.snapshot

    def previous(self) -> Snapshot:
        """Go back to before the statement that was executed last."""
        count = len(self._current.executed) - 1
        with self._acting():
            if count > 0 or not self._past:
                self._repeat_update(count)
            else:
                self._go_to_start_of(len(self._past) - 1)
                while not self._current.done:
                    self._step(watch=self._current.last)
                self._see_last()
        return self.snapshot

    def finish(self) -> Snapshot:
        """Execute the rest of this update; after its last statement, the next update."""
        return self.run(1)

    def run(self, updates: int) -> Snapshot:
        """Finish that many updates, counting the current one unless it is finished."""
        self.advance(updates)
        return self.snapshot

    def advance(self, updates: int, seconds: float = math.inf) -> int:
        """Go on as `run` does, for about so many seconds.

        Returns the number of updates that are still to be finished. A call that returns 0 ends
        the run; `advance(0)` ends it where it stands.
        """
        end = time.monotonic() + seconds
        with self._acting():
            while updates > 0 and self._can_go_on():
                self._step(watch=updates == 1 and self._current.last)
                updates -= self._current.done
                if updates > 0 and time.monotonic() >= end:
                    return updates
            self._see_last()
        return 0

    def restart(self) -> Snapshot:
        """Go back to the start of the run; the statements stay as they are now."""
        with self._acting():
            self._go_to_start_of(0)
        return self.snapshot

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
        """Take other statements and execute the current update again, up to the same place."""
        here, end = self._current, len(program)
        index = end if here.index >= len(self.statements) else min(here.index, end)
        goal = place_of(program, index, here.micro_batch)
        self.statements = program
        with self._acting():
            self._go_to_start_of(len(self._past))
            while not self._current.done and self._current.place < goal:
                self._step(watch=False)
            self._see_last()
        return self.snapshot

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """The run's own random numbers are in force within; the snapshot is out of date."""
        self._snapshot = None
        with self.workspace.isolation.inside():
            yield

    def _can_go_on(self) -> bool:
        """Begin the next update if this one is finished; False if nothing can follow."""
        if self._ended() or self._current.failure:
            return False
        if self._current.done:
            self._past.append(self._current.program)
            self._begin()
        return True

    def _ended(self) -> str | None:
        here, last = self._current, len(self._past) + 1 >= self.recipe.updates
        return here.ended or ("updates" if last and here.done and not here.failure else None)

    def _begin(self) -> None:
        """Start the update that follows the past ones: take its batch, keep a checkpoint."""
        update = len(self._past)
        self.workspace.assign_batch(update)
        self.checkpoints.keep(update, self.workspace.take_checkpoint)
        self._start_over(self.statements)

    def _start_over(self, program: Program) -> None:
        self._current = Execution(program, self.workspace.names)
        self._before = None

    def _go_to_start_of(self, update: int) -> None:
        """Restore the start of an update: the latest sound checkpoint, and execute from there."""
        past = self._past[:update]
        self.checkpoints.forget_after(update)
        start = self.checkpoints.sound_start([*past, self.statements])
        self.workspace.restore(self.checkpoints[start])
        self._past = past[:start]
        for program in past[start:]:
            self._start_over(program)
            while not self._current.done:
                self._current.step()
            self._past.append(program)
            self._begin()
        self._start_over(self.statements)

    def _repeat_update(self, count: int) -> None:
        """Execute the current update again from its start, `count` statements of it."""
        self._go_to_start_of(len(self._past))
        while not self._current.done and len(self._current.executed) < count:
            self._step(watch=len(self._current.executed) == count - 1)

    def _see_last(self) -> None:
        """Execute the current update again if its last statement was not watched."""
        if self._before is None and self._current.executed:
            self._repeat_update(len(self._current.executed))

    def _step(self, watch: bool = True) -> None:
        """Execute the next statement; `watch` says to read all numbers before it."""
        self._before = self._read() if watch else None
        self._current.step()

    def _read(self) -> Entries:
        workspace = self.workspace
        model, stepped = workspace.model, workspace.stepped
        entries = read(model, stepped, workspace.optimizers, workspace.assigned())
        return entries | (read_lrs(workspace.optimizers[0]) if workspace.scheduler else {})

    def _take_snapshot(self) -> Snapshot:
        here, now = self._current, self._read()
        before = now if self._before is None else self._before
        changed = differences(before, now)
        executed = [] if here.failure else [here.program[i].text for i in here.executed]
        parameters, buffers, variables = numbers_of(now)
        return Snapshot(
            update=len(self._past),
            index=here.index,
            executed=here.executed[-1] if here.executed else None,
            micro_batch=here.micro_batch,
            micro_batches=here.micro_batches,
            parameters=parameters,
            buffers=buffers,
            variables=variables,
            lr_before={
                name: old.item()
                for (name, part), old in before.items()
                if old is not None and (name, part) in changed and is_lr(name, part)
            },
            changed=changed,
            failure=here.failure,
            remark=remark(executed, before, changed),
            warned=tuple(here.warned),
            ended=self._ended(),
        )
