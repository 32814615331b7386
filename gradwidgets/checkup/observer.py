"""Hears every event of a loop and writes it into the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.checkup import graph, measure, stepping
from gradwidgets.checkup.hooks import Call
from gradwidgets.checkup.inventory import Inventory
from gradwidgets.checkup.ledger import Ledger
from gradwidgets.checkup.loss_graph import read_loss
from gradwidgets.checkup.record import Backward, ModuleSeen, OptimizerSeen, Seen, keep
from gradwidgets.checkup.timeline import Timeline


class Observer:
    """Turns events into entries of `Seen`; knows when things happen, not what they mean.

    Whatever fails in here is noted, and the loop goes on as if nobody watched.
    """

    def __init__(self, modules: list[nn.Module], optimizers: list[Optimizer]) -> None:
        self.seen = Seen()
        self._timeline = Timeline(self.seen.events)
        self._ledger = Ledger(self.seen)
        self._inventory = Inventory(modules, optimizers, self.seen, self._ledger)
        self._within_backward = False
        self._open_steps: list[stepping.OpenStep] = []

    def _safely(self, work: Callable[..., Any], *args: Any) -> Any:
        try:
            return work(*args)
        except Exception as error:
            self.seen.note_failure(f"watching ({work.__name__.strip('_')})", error)
            return None

    def _settle(self, optimizer: OptimizerSeen | None = None) -> None:
        """Look at the gradients that are about to matter: all of them, or one optimizer's."""
        looked_at = optimizer.parameters if optimizer else list(self.seen.parameters.values())
        now = self._timeline.now
        if self._ledger.settle(looked_at, now, zero_is_clear=optimizer is None):
            self._timeline.tick("clear", "by hand")

    def on_forward(self, module: nn.Module, args: Any, output: Any) -> None:
        """Count the run, mark its output's graph, keep its largest magnitude."""
        seen = self.seen.modules.get(id(module))
        if seen is not None:
            self._safely(self._forward, seen, args, output)

    def _forward(self, seen: ModuleSeen, args: Any, output: Any) -> None:
        learning = torch.is_grad_enabled()
        if not seen.runs:
            self.seen.execution.append(seen)
        seen.runs += 1
        seen.runs_without_grad += not learning
        if not self._within_backward:
            self._timeline.tick("forward", "" if learning else "no grad")
        if not learning:
            return
        note = graph.Mark(seen, self._timeline.now, seen.module.training)
        for tensor in graph.tensors_in(output):
            graph.mark(tensor, note)
            if seen.is_layer and measure.has_magnitude(tensor):
                seen.output_magnitude = measure.magnitude(tensor)
        if seen.is_outermost:
            seen.input_magnitudes = [measure.magnitude(t) for t in args if measure.has_magnitude(t)]

    def on_backward(self, call: Call, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        """Read the graph, let it be freed, and look at the gradients it left."""
        roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        if self._within_backward:  # checkpointing runs a part of the graph from within
            latest = self.seen.backwards[-1]
            self._safely(read_loss, self.seen, latest, roots, self._inventory.modules)
            return call(tensors, *args, **kwargs)
        backward = Backward(time=self._timeline.now, root="graph")
        backward.graph_retained = bool(kwargs.get("retain_graph") or (*args, None, None)[1])
        self._safely(self._before_backward, backward, roots)
        self._within_backward = True
        try:
            return call(tensors, *args, **kwargs)
        except RuntimeError as error:
            backward.failed = (str(error).splitlines() or [""])[0]
            if "second time" in backward.failed:
                backward.root = "freed"
            raise
        finally:
            self._within_backward = False
            self._safely(self._after_backward, backward)

    def _before_backward(self, backward: Backward, roots: list[Any]) -> None:
        if self._inventory.model_has_grown():
            self._inventory.look_at_model()
        self._settle()
        backward.time = self._timeline.tick("backward")
        keep(self.seen.backwards, backward)
        read_loss(self.seen, backward, roots, self._inventory.modules)
        self._ledger.before_backward(backward)

    def _after_backward(self, backward: Backward) -> None:
        self._ledger.after_backward()
        if backward.non_finite and not self.seen.scaler_used:
            self.seen.note_non_finite(f"gradient of {backward.non_finite[-1]}")

    def on_grad(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Note it: it returns gradients and stores none."""
        if not self._within_backward:
            self._timeline.tick("autograd.grad")
            self.seen.grad_calls += 1
        return call(*args, **kwargs)

    def on_zero_grad(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Note the clear and what it emptied."""
        result = call(*args, **kwargs)
        self._safely(self._cleared)
        return result

    def _cleared(self) -> None:
        now = self._timeline.tick("clear")
        self._ledger.settle(list(self.seen.parameters.values()), now)

    def before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """Measure what the step is about to read, and remember what it is about to change."""
        return self._safely(self._before_step, optimizer, args, kwargs)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        seen = self._inventory.optimizer(optimizer)
        if seen is None:
            return None
        self._settle(seen)
        self._ledger.note_use_by_hand(seen.parameters)
        self._open_steps.append(stepping.begin(self.seen, seen))
        return self._watch_closure(seen, args, kwargs)

    def _watch_closure(self, seen: OptimizerSeen, args: Any, kwargs: Any) -> Any:
        """Every evaluation of a closure consumes the gradient of the one before."""
        closure = kwargs.get("closure") or (*args, None, None)[1]
        if closure is None:
            return None

        def evaluate() -> Any:
            self._ledger.applied(seen.parameters)
            seen.last_step = self._timeline.tick("closure")
            return closure()

        if "closure" in kwargs:
            return args, {**kwargs, "closure": evaluate}
        return (args[0], evaluate, *args[2:]), kwargs

    def after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Measure what the step did."""
        if self._open_steps and self._inventory.optimizer(optimizer) is not None:
            has_closure = bool(kwargs.get("closure") or len(args) > 1)
            self._safely(self._after_step, optimizer, has_closure)

    def _after_step(self, optimizer: Optimizer, has_closure: bool) -> None:
        step = self._open_steps.pop()
        while step.optimizer.optimizer is not optimizer:  # one that raised left its entry behind
            step = self._open_steps.pop()
        seen = step.optimizer
        if has_closure:
            self._settle(seen)
            self._ledger.note_use_by_hand(seen.parameters)
            stepping.read_again(self.seen, step)
        edit = stepping.edit(step.readings)
        if edit:
            self._timeline.tick("edit", edit)
        self._ledger.applied(seen.parameters)
        seen.steps += 1
        named = seen.name if len(self.seen.optimizers) > 1 else ""
        seen.last_step = self._timeline.tick("step", named)
        keep(self.seen.steps, stepping.end(step, seen.last_step))
        stepping.note_non_finite(self.seen, step.readings)

    def on_scale(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """From here on infinite gradients are the scaler's business."""
        self.seen.scaler_used = True
        return call(*args, **kwargs)

    def on_unscale(self, call: Call, scaler: Any, optimizer: Optimizer) -> Any:
        """Dividing by the scale is no edit."""
        scale = scaler.get_scale()
        result = call(scaler, optimizer)
        seen = self._safely(self._inventory.optimizer, optimizer)
        if seen is not None:
            self._ledger.unscaled(seen.parameters, scale)
        return result

    def on_scaler_step(
        self, call: Call, scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Notice when the scaler found an infinity and skipped the step."""
        seen = self._safely(self._inventory.optimizer, optimizer)
        before = seen.steps if seen else 0
        result = call(scaler, optimizer, *args, **kwargs)
        if seen and seen.steps == before:
            seen.skipped += 1
            seen.last_scale = scaler.get_scale()
            self._ledger.skipped(seen.parameters)
            self._timeline.tick("skip", f"by the scaler, scale {seen.last_scale:g}")
        return result

    def stopped_by(self, error: BaseException) -> None:
        """Remember what ended the loop."""
        text = str(error).splitlines()[0] if str(error) else ""
        self.seen.error = f"{type(error).__name__}: {text}"
        self._timeline.tick("error", self.seen.error)

    def finish(self) -> None:
        """Take a last look and remove what was attached."""
        self._safely(self._settle)
        self._safely(self._inventory.finish)
        self._ledger.close()
