"""Many runs in one: replicas of a model side by side, one backward and one step for all."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradwidgets.core import (
    EDITS,
    Batch,
    History,
    IsolatedRun,
    Problem,
    Recipe,
    check_finite_data,
    end_of,
    groups,
    measured_at,
    samples,
)
from gradwidgets.sweep.forward import forward_of
from gradwidgets.sweep.rates import OwnRates
from gradwidgets.sweep.recorder import Figures, SweepRecorder


class SweptRun:
    """Runs of recipes that differ in `FIELDS` only, trained as one.

    The parameters of all replicas are one leaf of shape (R, elements): a real `.backward()`
    fills its `.grad`, and a real optimizer of `torch.optim` moves it. A replica that diverges
    or ends early leaves the others alone: no figure is shared between rows.
    """

    def __init__(self, problem: Problem, recipes: Sequence[Recipe], snapshots: bool = True) -> None:
        self.problem = problem
        self.recipes = list(recipes)
        self.count = 0
        self.seconds = 0.0
        self._test = problem.test_pair()
        self._world = IsolatedRun(problem.batches(), recipes[0].seed)
        with self._world.inside():
            self.model = problem.build()
            self._world.choose_threads(self.model)
            self._names = [name for name, _ in self.model.named_parameters()]
            self._shapes = [p.shape for p in self.model.parameters()]
            self._sizes = [p.numel() for p in self.model.parameters()]
            self.values = self._stacked().requires_grad_()
            self._batches = self._groups()
            forms = [entry.sweep(recipes, self.model) for entry in EDITS if entry.sweeps]
            self._edits = [edit for edit in forms if edit is not None]
            self._step = OwnRates(self.values, recipes)
            self._forward = forward_of(self.model, problem.loss)
            self._recorder = SweepRecorder(
                self.values, self._sizes, recipes[0].updates, bool(self._edits), snapshots
            )
            self._undrawn = self._world.state()
        self._losses: list[list[float]] = []
        self._accuracy: list[list[tuple[int, float]]] = [[] for _ in recipes]
        self._ended: dict[int, tuple[int, str]] = {}
        self._final: dict[int, Tensor] = {}

    @property
    def done(self) -> bool:
        """True if all runs have ended, for whatever reason."""
        return len(self._ended) == len(self.recipes) or self.count >= self.recipes[0].updates

    @property
    def draws(self) -> bool:
        """True if the model has drawn random numbers since its start."""
        with self._world.inside():
            now = self._world.state()
        return not all(map(torch.equal, self._undrawn, now))

    def advance(self, updates: int | None = None, seconds: float = math.inf) -> None:
        """Train on until all is done, or `updates` are made, or `seconds` have passed."""
        begun = time.perf_counter()
        target = self.count + (updates or self.recipes[0].updates)
        with self._world.inside():
            while not self.done and self.count < target:
                self._update()
                if seconds < math.inf and time.perf_counter() - begun >= seconds:
                    break
        self.seconds += time.perf_counter() - begun

    def histories(self) -> list[History]:
        """The runs so far, one history a recipe."""
        rows = [self._rows(replica) for replica in range(len(self.recipes))]
        losses = np.array(self._losses, dtype=np.float64).reshape(-1, len(self.recipes))
        return [
            self._history(replica, losses[: rows[replica], replica].copy(), figures)
            for replica, figures in enumerate(self._recorder.figures(rows))
        ]

    def _rows(self, replica: int) -> int:
        update, why = self._ended.get(replica, (self.count, ""))
        return update + 1 if why == "threshold" else update

    def _history(self, replica: int, losses: Any, figures: Figures) -> History:
        kept = zip(self._names, self._shapes, figures.snapshots, strict=True)
        return History(
            problem=self.problem.name,
            recipe=self.recipes[replica],
            names=tuple(self._names),
            loss=losses,
            grad_norms=figures.raw,
            edited_norms=figures.edited,
            param_norms=figures.parameter,
            change_norms=figures.change,
            parameters={n: v.reshape(len(v), *shape) for n, shape, v in kept if v is not None},
            accuracy=np.array(self._accuracy[replica], dtype=np.float64).reshape(-1, 2),
            stopped=end_of(self._ended.get(replica), figures.change),
            seconds=self.seconds / len(self.recipes),
            make_model=partial(_with_values, self.model, self._last(replica)),
        )

    def _last(self, replica: int) -> Tensor:
        """(elements,) the parameters where the replica ended."""
        return self._final.get(replica, self.values[replica].detach().clone())

    def _stacked(self) -> Tensor:
        """(R, elements): every replica as the problem builds it under its recipe's seed."""
        starts = {self.recipes[0].seed: _flat(self.model)}
        for recipe in self.recipes:
            if recipe.seed not in starts:
                with IsolatedRun(None, recipe.seed).inside():
                    starts[recipe.seed] = _flat(self.problem.build())
        return torch.stack([starts[recipe.seed] for recipe in self.recipes])

    def _groups(self) -> dict[int, Iterator[list[Batch]]]:
        """The micro-batches of each seed; without a draw there is one order for all."""
        data, first = self.problem.batches(), self.recipes[0]
        if first.batch_size is None:
            return {first.seed: groups(data, first)}
        return {recipe.seed: groups(data, recipe) for recipe in self.recipes}

    def _update(self) -> None:
        batches = {seed: next(group) for seed, group in self._batches.items()}
        if self._test and self.count == 0:
            self._measure(range(len(self.recipes)))
        losses = self._backward(batches)
        for replica, loss in enumerate(losses):
            if replica not in self._ended and not math.isfinite(loss):
                seed = self.recipes[replica].seed
                check_finite_data(self.count, batches.get(seed, next(iter(batches.values()))))
                self._end(replica, self.count, "diverged")
        self._edit_and_step()
        self.count += 1
        self._losses.append(losses)
        for replica, loss in enumerate(losses):
            below = self.recipes[replica].stop_below
            if below is not None and replica not in self._ended and loss < below:
                self._end(replica, self.count - 1, "threshold")
                if self._test:
                    self._measure([replica])
        if self._test and measured_at(self.count, self.recipes[0].updates):
            self._measure(r for r in range(len(losses)) if r not in self._ended)

    @torch.no_grad()
    def _edit_and_step(self) -> None:
        gradients = self.values.grad
        assert gradients is not None
        self._recorder.raw(gradients)
        for edit in self._edits:
            edit(self.values, gradients)
        self._recorder.edited(gradients)
        self._step()
        self._recorder.stepped()

    def _backward(self, batches: dict[int, list[Batch]]) -> list[float]:
        """Clear, then forward and backward of each micro-batch; each replica's mean loss."""
        recipe = self.recipes[0]
        if recipe.clear != "never":
            self._step.optimizer.zero_grad(set_to_none=recipe.clear == "none")
        share = recipe.accumulation_steps if recipe.average else 1
        if recipe.accumulation_steps == 1:
            return self._micro_batch([parts[0] for parts in batches.values()], 1).tolist()
        total, seen = torch.zeros(len(self.recipes), dtype=torch.float64), 0
        for parts in zip(*batches.values(), strict=True):
            count = samples(parts[0][1])
            total += self._micro_batch(parts, share).double().cpu() * count
            seen += count
        return (total / seen).tolist()

    def _micro_batch(self, parts: Sequence[Batch], share: int) -> Tensor:
        """Forward and backward on a batch for all, or on one for each seed; (R,) losses."""
        (x, y), own = parts[0], len(parts) > 1
        if own:
            of_seed = dict(zip(self._batches, parts, strict=True))
            x, y = (torch.stack([of_seed[r.seed][i] for r in self.recipes]) for i in (0, 1))
        losses = self._forward.losses(self._pieces(), x, y, own)
        total = losses.sum()
        (total if share == 1 else total / share).backward()  # type: ignore[no-untyped-call]
        return losses.detach()

    def _pieces(self) -> dict[str, Tensor]:
        """The parameters by name, as views of the leaf: (R, *shape)."""
        parts = torch.split(self.values, self._sizes, dim=1)
        named = zip(self._names, self._shapes, parts, strict=True)
        return {name: part.view(-1, *shape) for name, shape, part in named}

    def _end(self, replica: int, update: int, why: str) -> None:
        self._ended[replica] = (update, why)
        self._final[replica] = self.values[replica].detach().clone()

    @torch.no_grad()
    def _measure(self, replicas: Any) -> None:
        """Accuracy on the held-out data."""
        assert self._test is not None
        right = self._forward.right(self._pieces(), *self._test).tolist()
        for replica in replicas:
            self._accuracy[replica].append((self.count, right[replica]))


def _with_values(model: nn.Module, values: Tensor) -> nn.Module:
    """A copy of the model that has these parameters."""
    copied = copy.deepcopy(model)
    torch.nn.utils.vector_to_parameters(values.clone(), copied.parameters())
    return copied


def _flat(model: nn.Module) -> Tensor:
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach()
