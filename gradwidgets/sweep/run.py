"""Many runs in one: replicas of a model side by side, each with the bits of a run of its own."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from gradwidgets.core import (
    EDITS,
    Array,
    Batch,
    History,
    IsolatedRun,
    Problem,
    Recipe,
    check_finite_data,
    end_of,
    evaluating,
    groups,
    is_small,
    measured_at,
    patience_of,
    samples,
)
from gradwidgets.sweep.exact import NotExactError
from gradwidgets.sweep.layers import LAYERS, layers_of
from gradwidgets.sweep.losses import known_loss
from gradwidgets.sweep.rates import Rates
from gradwidgets.sweep.recorder import Figures, SweepRecorder
from gradwidgets.sweep.step import Step


class SweptRun:
    """Runs of recipes that differ in numbers only, trained as one.

    The parameters of all replicas stand in one tensor of shape (R, elements), a row for each. A
    replica that diverges or ends early leaves the others alone: no figure is shared between rows.

    Raises:
        NotExactError: the model or the loss is not known to give the same bits in this way.
    """

    def __init__(self, problem: Problem, recipes: Sequence[Recipe], snapshots: bool = True) -> None:
        self.problem = problem
        self.recipes = list(recipes)
        self.count = self.largest = self._samples = 0
        self.seconds = 0.0
        self._test = problem.held_out_metric()
        self._patience = [patience_of(problem, recipe) for recipe in recipes]
        self._loss = known_loss(problem.loss)
        self._isolated = IsolatedRun(problem.batches(), recipes[0].seed, problem.held_out_data())
        with self._isolated.inside():
            self.model = problem.build()
            self._isolated.choose_threads(self.model)
            _check(self.model)
            _check_numbers(self.recipes, next(self.model.parameters()).dtype)
            self._names = [name for name, _ in self.model.named_parameters()]
            self._shapes = [p.shape for p in self.model.parameters()]
            self._sizes = [p.numel() for p in self.model.parameters()]
            models = self._starts()
            self.values = torch.stack([_flat(models[r.seed]) for r in recipes])
            self._buffers = {
                name: torch.stack([dict(models[r.seed].named_buffers())[name] for r in recipes])
                for name, _ in self.model.named_buffers()
            }
            self._leaves = [each.requires_grad_() for each in self._parameters(self.values)]
            known = zip(self.model.parameters(), self._leaves, strict=True)
            leaf_of = {id(p): leaf for p, leaf in known}
            every = self.model.named_parameters(remove_duplicate=False)
            own = {name: leaf_of[id(p)] for name, p in every} | self._buffers
            self._layers = [(m, _below(name, own)) for name, m in layers_of(self.model)]
            self._gradients = torch.zeros_like(self.values)
            self._gradient_of = self._parameters(self._gradients)
            self._batches = self._groups()
            forms = [entry.sweep(recipes, self.model) for entry in EDITS if entry.sweeps]
            self._edits = [edit for edit in forms if edit is not None]
            self._rates = Rates(recipes)
            self._step = Step(self.values, recipes)
            self._recorder = SweepRecorder(
                self.values, self._sizes, recipes[0].updates, bool(self._edits), snapshots
            )
        self._losses: list[list[float]] = []
        self._measured: list[list[tuple[int, float]]] = [[] for _ in recipes]
        self._ended: dict[int, tuple[int, str]] = {}
        self._final: dict[int, tuple[Tensor, dict[str, Tensor]]] = {}

    @property
    def done(self) -> bool:
        """True when all runs have ended, for whatever reason."""
        return len(self._ended) == len(self.recipes) or self.count >= self.recipes[0].updates

    def advance(self, updates: int | None = None, seconds: float = math.inf) -> None:
        """Train on until all is done, or `updates` are made, or `seconds` have passed."""
        begun = time.perf_counter()
        target = self.count + (updates or self.recipes[0].updates)
        with self._isolated.inside():
            while not self.done and self.count < target:
                self._update()
                if seconds < math.inf and time.perf_counter() - begun >= seconds:
                    break
        self.seconds += time.perf_counter() - begun

    def histories(self) -> list[History]:
        """One history per recipe, for the updates made so far."""
        rows = [self._rows(replica) for replica in range(len(self.recipes))]
        losses = np.array(self._losses, dtype=np.float64).reshape(-1, len(self.recipes))
        return [
            self._history(replica, losses[: rows[replica], replica].copy(), figures)
            for replica, figures in enumerate(self._recorder.figures(rows))
        ]

    def _rows(self, replica: int) -> int:
        update, why = self._ended.get(replica, (self.count, ""))
        return update + 1 if why in ("threshold", "patience") else update

    def _history(self, replica: int, losses: Array, figures: Figures) -> History:
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
            held_out=np.array(self._measured[replica], dtype=np.float64).reshape(-1, 2),
            metric=self._test.name if self._test else "",
            lrs=self._rates.history(replica, len(losses)),
            stopped=end_of(self._ended.get(replica), figures.change),
            seconds=self.seconds / len(self.recipes),
            make_model=partial(_with, self.model, *self._last(replica)),
        )

    def _last(self, replica: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The parameters (elements,) and the buffers where the replica ended."""
        if replica in self._final:
            return self._final[replica]
        buffers = {name: each[replica].clone() for name, each in self._buffers.items()}
        return self.values[replica].clone(), buffers

    def _parameters(self, rows: Tensor) -> list[Tensor]:
        """Views of (R, elements), one (R, *shape) for each parameter."""
        parts = zip(torch.split(rows, self._sizes, 1), self._shapes, strict=True)
        return [part.view(-1, *shape) for part, shape in parts]

    def _starts(self) -> dict[int, nn.Module]:
        """The model of each seed, as the problem builds it under that seed."""
        models = {self.recipes[0].seed: self.model}
        for recipe in self.recipes:
            if recipe.seed not in models:
                with IsolatedRun(None, recipe.seed).inside():
                    models[recipe.seed] = self.problem.build()
        return models

    def _groups(self) -> dict[int, Iterator[list[Batch]]]:
        """The micro-batches of each seed; without a draw there is one order for all."""
        data, first = self.problem.batches(), self.recipes[0]
        if first.batch_size is None:
            return {first.seed: groups(data, first)}
        return {recipe.seed: groups(data, recipe) for recipe in self.recipes}

    def _update(self) -> None:
        batches = {seed: next(group) for seed, group in self._batches.items()}
        self._samples = max(self._samples, samples(next(iter(batches.values()))[0][1]))
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
        self._recorder.raw(self._gradients)
        for edit in self._edits:
            edit(self.values, self._gradients)
        self._recorder.edited(self._gradients)
        if self._rates.changing:
            self._step.set_lrs(self._rates.now)
        self._rates.keep()
        self._step(self._gradients)
        self._rates.step("update")
        self._recorder.stepped()

    def _backward(self, batches: dict[int, list[Batch]]) -> list[float]:
        """Clear, then forward and backward of each micro-batch; each replica's mean loss."""
        recipe = self.recipes[0]
        if recipe.clear == "zero":
            self._gradients.zero_()
        adds = recipe.clear != "none" and (recipe.clear == "zero" or self.count > 0)
        share = recipe.accumulation_steps if recipe.average else 1
        total, seen = torch.zeros(len(self.recipes), dtype=torch.float64), 0
        for number, parts in enumerate(zip(*batches.values(), strict=True)):
            losses = self._micro_batch(parts, share, adds or number > 0).double().cpu()
            self._rates.step("micro-batch")
            if recipe.accumulation_steps == 1:
                return losses.tolist()
            count = samples(parts[0][1])
            total += losses * count
            seen += count
        return (total / seen).tolist()

    def _micro_batch(self, parts: Sequence[Batch], share: int, adds: bool) -> Tensor:
        """Forward and backward on a batch for all, or on one for each seed; (R,) losses."""
        if len(parts) == 1:
            x, y = (part.expand(len(self.recipes), *part.shape) for part in parts[0])
        else:
            of_seed = dict(zip(self._batches, parts, strict=True))
            x, y = (torch.stack([of_seed[r.seed][i] for r in self.recipes]) for i in (0, 1))
        losses = self._loss(self._forward(x), y, share)
        found = torch.autograd.grad(losses.each, self._leaves, losses.weight)
        for gradient, added in zip(self._gradient_of, found, strict=True):
            gradient.add_(added) if adds else gradient.copy_(added)
        return losses.value

    def _forward(self, x: Tensor) -> Tensor:
        """(R, N, ...) inputs to outputs."""
        for module, own in self._layers:
            x = LAYERS[type(module)](module, own.__getitem__, x)
            self.largest = max(self.largest, x.numel())
        return x

    def _evaluated(self, x: Tensor) -> Tensor:
        """Held-out inputs (N, ...) to outputs (R, N, ...), in eval mode.

        Of so many replicas at a time that they have no more samples than a batch of training.
        """
        count = len(self.recipes)
        slices = min(count, -(-count * len(x) // (count * self._samples)))
        return torch.cat(
            [self._evaluated_by(rows, x) for rows in torch.arange(count).chunk(slices)]
        )

    def _evaluated_by(self, rows: Tensor, x: Tensor) -> Tensor:
        x = x.expand(len(rows), *x.shape)
        for module, own in self._layers:
            some = {name: each[rows] for name, each in own.items()}
            x = LAYERS[type(module)](module, some.__getitem__, x)
        return x

    def _over(self, replica: int) -> bool:
        return replica in self._ended or self.count >= self.recipes[0].updates

    def _end(self, replica: int, update: int, why: str) -> None:
        self._final[replica] = self._last(replica)
        self._ended[replica] = (update, why)

    @torch.no_grad()
    def _measure(self, replicas: Iterable[int]) -> None:
        """The metric on the held-out data, in eval mode; generators are put back."""
        assert self._test is not None
        before = self._isolated.state()
        with evaluating(self.model):
            outputs = list(self._test.outputs(self._evaluated))
        drawn = self._isolated.state()
        for replica in replicas:
            value = self._test.average((out[replica], x, y) for out, x, y in outputs)
            self._measured[replica].append((self.count, value))
            patience = self._patience[replica]
            if patience and patience.ends_at(value, self._test.higher) and not self._over(replica):
                self._end(replica, self.count - 1, "patience")
        if self._isolated.has_drawn(since=drawn):
            raise NotExactError("the metric draws random numbers, which each run draws for itself")
        self._isolated.restore(before)


def _below(name: str, own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those that belong to the module of that name, by the names that it gives them."""
    prefix = f"{name}." if name else ""
    return {of.removeprefix(prefix): each for of, each in own.items() if of.startswith(prefix)}


def _check(model: nn.Module) -> None:
    """Check that replicas of a model can be trained together.

    Raises:
        NotExactError: says why.
    """
    parameters = list(model.parameters())
    if len({(p.dtype, p.device) for p in parameters}) > 1:
        raise NotExactError("the parameters differ in dtype or device")
    if parameters[0].dtype not in (torch.float32, torch.float64):
        raise NotExactError(f"the parameters are {parameters[0].dtype}")
    if any(not p.requires_grad for p in parameters):
        raise NotExactError("some parameters are frozen")
    if any(p._backward_hooks or p._post_accumulate_grad_hooks for p in parameters):
        raise NotExactError("some parameters have hooks")
    if any(isinstance(hooks, dict) and hooks for hooks in _global_hooks()):
        raise NotExactError("there are hooks for all modules")
    if not is_small(model):
        raise NotExactError("the model is large, and its sums depend on the number of threads")


def _global_hooks() -> Iterable[object]:
    known = vars(torch.nn.modules.module).items()
    return [hooks for name, hooks in known if name.startswith("_global_")]


def _check_numbers(recipes: Sequence[Recipe], dtype: torch.dtype) -> None:
    """Check that every factor, and what an optimizer makes of it, is finite in the dtype."""
    for recipe in recipes:
        given = (recipe.lr, recipe.scale, recipe.l1, recipe.l2, recipe.max_norm)
        numbers = [n for n in (*given, *recipe.options.values()) if isinstance(n, float)]
        if any(abs(number) > torch.finfo(dtype).max / 1e6 for number in numbers):
            raise NotExactError(f"a number is too large for {dtype}")


def _with(model: nn.Module, values: Tensor, buffers: dict[str, Tensor]) -> nn.Module:
    """A copy of the model that has these parameters and buffers."""
    copied = copy.deepcopy(model)
    torch.nn.utils.vector_to_parameters(values.clone(), copied.parameters())
    for name, buffer in copied.named_buffers():
        buffer.copy_(buffers[name])
    return copied


def _flat(model: nn.Module) -> Tensor:
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach()
