"""The loop: a problem trained under a recipe, as a person would write it, and recorded.

One update is: clear, then for each micro-batch forward, loss and backward, then the edits,
then `optimizer.step()` and `scheduler.step()`. `script` writes the same loop as a plain program.
"""

from __future__ import annotations

import functools
import math
import operator
import time
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

import numpy as np
import torch

from gradwidgets.core import errors, problems
from gradwidgets.core.built_optimizer import build_optimizer, each_of, needs_closure, phases_of
from gradwidgets.core.data import Batch, groups, samples
from gradwidgets.core.edit_table import edits_of
from gradwidgets.core.errors import TrainingError
from gradwidgets.core.history import History, Stop, end_of
from gradwidgets.core.isolation import IsolatedRun, evaluating
from gradwidgets.core.loss import ELEMENTWISE, check_shapes, is_one_of, reduction
from gradwidgets.core.own_step import explain_step, step_groups, step_samples
from gradwidgets.core.patience import patience_of
from gradwidgets.core.precision import Precision
from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.recorder import Recorder
from gradwidgets.core.schedules import build_scheduler, lrs_of, stepped_at

EVALUATIONS = 20
"""The metric on held-out data is measured about so many times in a run."""


def train(problem: Problem | str, recipe: Recipe | None = None) -> History:
    """Train a problem under a recipe and return what happened at every update.

    Your model, the global random number generators and every torch setting stay as they are.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the settings; None takes the problem's own.

    Raises:
        ValueError: the problem or its data is not usable.
        TrainingError: the model or the loss failed; the history so far is its `history`.

    >>> history = train("bowl", Recipe(lr=0.05, updates=30))
    >>> history.updates
    30
    >>> bool(history.loss[-1] < history.loss[0])
    True
    """
    run = Run(problem, recipe)
    run.advance()
    return run.history()


def live(problem: Problem | str, recipe: Recipe | None = None) -> Iterator[Run]:
    """Train update by update: yields the `Run` after each, for live drawing.

    Break off at any time; `run.cancel()` records it in the history.

    >>> for run in live("bowl", Recipe(updates=50)):
    ...     if len(run.losses) == 7:
    ...         run.cancel()
    >>> run.history().stopped
    (7, 'cancelled')
    """
    run = Run(problem, recipe)
    while not run.done:
        run.advance(updates=1)
        yield run


def measured_every(updates: int) -> int:
    """The number of updates from one measurement of the held-out metric to the next.

    >>> measured_every(200), measured_every(7)
    (10, 1)
    """
    return max(1, updates // EVALUATIONS)


def measured_at(count: int, updates: int) -> bool:
    """Tell whether the held-out metric is measured after `count` of so many updates.

    >>> [count for count in range(1, 101) if measured_at(count, 100)][:4]
    [5, 10, 15, 20]
    """
    return count >= updates or count % measured_every(updates) == 0


class Run:
    """One training run that can be advanced a slice at a time.

    Between slices the caller's random number generators are as the caller left them.

    >>> run = Run("bowl", Recipe(updates=50))
    >>> run.advance(updates=20)
    >>> len(run.losses), run.done
    (20, False)
    """

    def __init__(self, problem: Problem | str, recipe: Recipe | None = None) -> None:
        self.problem = problems.get(problem)
        self.recipe = recipe or self.problem.recipe
        self.losses: list[float] = []
        self.lrs: list[list[float]] = []  # of each parameter group, at each step
        self.seconds = 0.0
        self.stopped: Stop | None = None
        self._test = self.problem.held_out_metric()
        self._measured: list[tuple[int, float]] = []
        self._patience = patience_of(self.problem, self.recipe)
        data = self.problem.batches()
        self._isolated = IsolatedRun(data, self.recipe.seed, self.problem.held_out_data())
        with self._isolated.inside():
            self.model = self.problem.build()
            self._isolated.choose_threads(self.model)
            self._phases = phases_of(self.recipe, self.model)
            self.precision = Precision(self.recipe, self.model, watched=True)
            built = self.precision.optimizer(
                lambda model: build_optimizer(self.recipe, model, self._phases)
            )
            self.optimizers = each_of(built)
            better = self.problem.higher_is_better
            self.scheduler = build_scheduler(built, self.recipe, better)
            self.edits = edits_of(self.recipe, self.model)
            if self._phases and self._phases.zeroing:
                self.edits.append(("edited", self._phases.zero))
            self._groups = self._micro_batches(data)
            self._parameters = list(self.model.parameters())
            self._recorder = self._new_recorder()
        self._with_closure = needs_closure(built)
        self._scheduler_steps_at = stepped_at(self.recipe)
        self._elementwise = is_one_of(self.problem.loss, ELEMENTWISE)

    def _micro_batches(self, data: Any) -> Iterator[list[Any]]:
        if self.problem.step is None:
            return groups(data, self.recipe)
        return step_groups(data, self.recipe, self.problem.split)

    def _new_recorder(self) -> Recorder:
        recipe = self.recipe
        # SGD with nesterov may add the momentum to .grad itself; an edit may put its own tensor;
        # an optimizer of one's own may do anything; what it leaves out keeps its gradients
        own = not isinstance(recipe.optimizer, str)
        shared = bool(recipe.options.get("nesterov") or recipe.edits or recipe.groups or own)
        fresh = recipe.clear == "none" and not shared
        edited = bool(self.edits)
        return Recorder(self._parameters, recipe.updates, edited, fresh, replaced=own)

    @property
    def done(self) -> bool:
        """True if the run has ended, for whatever reason."""
        return self.stopped is not None or len(self.losses) >= self.recipe.updates

    def cancel(self) -> None:
        """End the run here."""
        if not self.done:
            self.stopped = (len(self.losses), "cancelled")

    def advance(self, updates: int | None = None, seconds: float = math.inf) -> None:
        """Train on until the run is done, or `updates` are made, or `seconds` have passed.

        Other threads may train, or use a widget, meanwhile: they and a long run take turns.

        Raises:
            ValueError: a batch is not usable.
            TrainingError: the model, the loss or the optimizer failed; the run is then over.
        """
        begun = time.perf_counter()
        target = len(self.losses) + (updates or self.recipe.updates)
        try:
            self._isolated.repeat(
                self._update, lambda: not self.done and len(self.losses) < target, seconds
            )
        except Exception as error:
            self.stopped = (len(self.losses), "failed")
            if isinstance(error, TrainingError):
                error.history = self.history()
            raise
        finally:
            self.seconds += time.perf_counter() - begun

    def history(self) -> History:
        """The run so far."""
        norms, model = self._recorder.norms(), self.model
        names = tuple(name for name, _ in self.model.named_parameters())
        kept = zip(names, self._recorder.snapshots(), strict=True)
        return History(
            problem=self.problem.name,
            recipe=self.recipe,
            names=names,
            loss=np.array(self.losses, dtype=np.float64),
            grad_norms=norms["raw"],
            edited_norms=norms["edited"],
            param_norms=norms["parameter"],
            change_norms=norms["change"],
            parameters={name: values for name, values in kept if values is not None},
            held_out=np.array(self._measured, dtype=np.float64).reshape(-1, 2),
            metric=self._test.name if self._test else "",
            lrs=_table(self.lrs[: len(self.losses)]),
            stopped=end_of(self.stopped, norms["change"]),
            lost=np.array(self.precision.lost[: len(self.losses)], dtype=np.float64),
            skipped=tuple(self.precision.skipped),
            seconds=self.seconds,
            make_model=lambda: model,
        )

    def _update(self) -> None:
        if self._test and not self._measured:
            self._measure()
        batches = next(self._groups)
        if self._phases:
            self._phases.begin(len(self.losses), self.optimizers[0])
        loss = self._step_with_closure(batches) if self._with_closure else self._step(batches)
        if not math.isfinite(loss):
            if self.problem.step is None:
                errors.check_finite_data(len(self.losses), batches)
            self.stopped = (len(self.losses), "diverged")
            return
        self._recorder.stepped()
        self.losses.append(loss)
        if self.recipe.stop_below is not None and loss < self.recipe.stop_below:
            self.stopped = (len(self.losses) - 1, "threshold")
        if self._test and (self.done or measured_at(len(self.losses), self.recipe.updates)):
            value = self._measure()
            if not self.done:
                self._step_scheduler("measurement", value)

    def _step(self, batches: list[Batch]) -> float:
        loss = self._backward(batches)
        if math.isfinite(loss):
            try:
                self.precision.unscale(self.optimizers)
                self._edit(record=True)
                self._keep_lrs()
                self.precision.step(self.optimizers)
            except Exception as error:
                raise self._step_failed(error) from error
            self._step_scheduler("update")
        return loss

    def _step_with_closure(self, batches: list[Batch]) -> float:
        """LBFGS evaluates several times within a step; the first is at the update's start."""
        evaluated: list[float] = []

        def closure() -> float:
            loss = self._backward(batches)
            evaluated.append(loss)
            if not math.isfinite(evaluated[0]):
                raise _NotFinite
            self._edit(record=len(evaluated) == 1)
            return loss

        try:
            self._keep_lrs()
            self.optimizers[0].step(closure)
            if not evaluated:
                raise ValueError("it never called the closure, which computes the gradients")
            self._step_scheduler("update")
        except _NotFinite:
            pass
        except TrainingError:
            raise
        except Exception as error:
            raise self._step_failed(error) from error
        return evaluated[0]

    def _keep_lrs(self) -> None:
        self.lrs.append(lrs_of(self.optimizers))

    def _step_scheduler(self, at: str, *metric: Any) -> None:
        """Step the scheduler, if this is when the recipe wants it."""
        if self._scheduler_steps_at != at:
            return
        assert self.scheduler is not None
        try:
            self.scheduler.step(*metric)
        except Exception as error:
            raise errors.schedule_failed(len(self.losses), self.scheduler, error) from error

    def _step_failed(self, error: Exception) -> TrainingError:
        return errors.step_failed(len(self.losses), self.model, self.optimizers, error)

    def _edit(self, record: bool) -> None:
        if record:
            self._recorder.raw()
        for _, edit in self.edits:
            edit(self._parameters)
        if record:
            self._recorder.edited()

    def _backward(self, batches: list[Batch]) -> float:
        """Clear, then forward and backward of each micro-batch; returns the loss of them all."""
        recipe = self.recipe
        if recipe.clear != "never":
            self.precision.zero_grad(self.optimizers, set_to_none=recipe.clear == "none")
        if recipe.accumulation_steps == 1:
            return self._micro_batch(batches[0])
        share = recipe.accumulation_steps if recipe.average else 1
        losses = [self._micro_batch(batch, share) for batch in batches]
        if self.problem.step is not None:
            counts = [step_samples(self.problem, batch) for batch in batches]
        elif reduction(self.problem.loss) == "sum":
            return _added(losses)
        else:
            counts = [float(samples(y, x)) for x, y in batches]
        return _added(map(operator.mul, losses, counts)) / _added(counts)

    def _own_step(self, batch: Any, share: int) -> float:
        loss: Any = errors.UNKNOWN
        try:
            assert self.problem.step is not None
            loss = self.problem.step(self.model, batch)
            (loss if share == 1 else loss / share).backward()
            value: float = loss.item()
        except Exception as error:
            raise explain_step(len(self.losses), batch, loss, error) from error
        self._step_scheduler("micro-batch")
        return value

    def _micro_batch(self, batch: Any, share: int = 1) -> float:
        if self.problem.step is not None:
            return self._own_step(batch, share)
        x, y = batch
        x, y = self.precision.cast(x), self.precision.cast(y)
        output = loss = errors.UNKNOWN
        try:
            with self.precision.computing():
                output = self.model(x)
                if self._elementwise:
                    check_shapes(self.problem.loss, output, y)
                loss = self.problem.loss(output, y)
            self.precision.backward(loss if share == 1 else loss / share)
            value: float = loss.item()
        except TrainingError:
            raise
        except Exception as error:
            update = len(self.losses)
            raise errors.explain(update, self.model, (x, y), output, loss, error) from error
        self._step_scheduler("micro-batch")
        return value

    @torch.no_grad()
    def _measure(self) -> float:
        """The metric on the held-out data, in eval mode; modes and generators are put back."""
        assert self._test is not None
        before = self._isolated.state()
        with evaluating(self.model), self.precision.computing():
            value = self._test.measure(self.model, self.precision.cast)
        self._isolated.restore(before)
        self._measured.append((len(self.losses), value))
        patience = self._patience
        if patience and patience.ends_at(value, self._test.higher) and not self.done:
            self.stopped = (len(self.losses) - 1, "patience")
        return value


def _added(values: Iterable[float]) -> float:
    """One after the other, as a program adds them; from Python 3.12 on, `sum` rounds otherwise."""
    return functools.reduce(operator.add, values)


def _table(rows: list[list[float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The rows one below the other; a shorter one, of fewer parameter groups, ends in NaN."""
    columns = list(zip_longest(*rows, fillvalue=math.nan)) or [()]
    return np.array(columns, dtype=np.float64).T


class _NotFinite(Exception):  # noqa: N818, a signal and no error
    """Leaves a closure whose first loss is not finite."""
