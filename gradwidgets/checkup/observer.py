"""Hears every event of a loop and writes it into the record."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.checkup import anatomy, graph, measure
from gradwidgets.checkup.hooks import Call
from gradwidgets.checkup.inventory import Inventory
from gradwidgets.checkup.ledger import Ledger
from gradwidgets.checkup.loss_graph import read_loss
from gradwidgets.checkup.record import Backward, OptimizerSeen, Reading, Seen, Step
from gradwidgets.checkup.report import Event

ALWAYS_MEASURED = 6  # steps of an optimizer whose updates are all measured,
THEN_EVERY = 6  # then one in so many: copying the parameters is the dearest part of a watch
MOST_KEPT = 400  # of steps and of backward calls: the first half and the latest


class Observer:
    """Turns events into entries of `Seen`; knows when things happen, not what they mean."""

    def __init__(self, modules: list[nn.Module], optimizers: list[Optimizer]) -> None:
        self.seen = Seen()
        self._ledger = Ledger(self.seen)
        self._inventory = Inventory(modules, optimizers, self.seen, self._ledger)
        self._clock = 0
        self._within_backward = False
        self._open_steps: list[tuple[OptimizerSeen, list[Reading], list[Tensor]]] = []

    def _tick(self, kind: str, detail: str = "") -> int:
        self._clock += 1
        events = self.seen.events
        if events and (events[-1].kind, events[-1].detail) == (kind, detail):
            events[-1].times += kind != "forward"  # one forward is many modules
        elif len(events) < MOST_KEPT:
            events.append(Event(kind, detail))
        return self._clock

    def _settle(self, zero_is_clear: bool = True) -> None:
        if self._ledger.settle(self._clock, zero_is_clear):
            self._tick("clear", "by hand")

    def on_forward(self, module: nn.Module, args: Any, output: Any) -> None:
        """Count the run, mark its output's graph, keep its largest magnitude."""
        seen = self.seen.modules.get(id(module))
        if seen is None or seen.module is not module:
            return
        learning = torch.is_grad_enabled()
        if not seen.runs:
            self.seen.execution.append(seen)
        seen.runs += 1
        seen.runs_without_grad += not learning
        if not self._within_backward:
            self._tick("forward", "" if learning else "no grad")
        if not learning:
            return
        note = graph.Mark(seen, self._clock, module.training)
        for tensor in graph.tensors_in(output):
            graph.mark(tensor, note)
            if seen.is_layer and measure.has_magnitude(tensor):
                seen.output_magnitude = measure.magnitude(tensor)
        if module in self._inventory.modules:
            seen.input_magnitudes = [measure.magnitude(t) for t in args if measure.has_magnitude(t)]

    def on_backward(self, call: Call, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        """Read the graph, let it be freed, and look at the gradients it left."""
        roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        if self._within_backward:  # checkpointing runs a part of the graph from within
            read_loss(self.seen, self.seen.backwards[-1], roots, self._inventory.modules)
            return call(tensors, *args, **kwargs)
        if self._inventory.model_has_grown():
            self._inventory.look_at_model()
        self._settle()
        backward = Backward(time=self._tick("backward"), root="graph")
        backward.graph_retained = bool(kwargs.get("retain_graph") or (*args, None, None)[1])
        read_loss(self.seen, backward, roots, self._inventory.modules)
        _keep(self.seen.backwards, backward)
        self._ledger.before_backward(backward)
        self._within_backward = True
        try:
            return call(tensors, *args, **kwargs)
        except RuntimeError as error:
            backward.failed = str(error).splitlines()[0]
            if "second time" in backward.failed:
                backward.root = "freed"
            raise
        finally:
            self._within_backward = False
            self._ledger.after_backward()
            if backward.non_finite and not self.seen.scaler_used:
                self.seen.note_non_finite(f"gradient of {backward.non_finite[-1]}")

    def on_grad(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Note it: it returns gradients and stores none."""
        if not self._within_backward:
            self._tick("autograd.grad")
            self.seen.grad_calls += 1
        return call(*args, **kwargs)

    def on_zero_grad(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Note the clear and what it emptied."""
        result = call(*args, **kwargs)
        self._tick("clear")
        self._ledger.settle(self._clock)
        return result

    def before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """Measure what the step is about to read, and copy what it is about to change."""
        seen = self._inventory.optimizer(optimizer)
        if seen is None:
            return None
        self._settle(zero_is_clear=False)
        measured = seen.steps < ALWAYS_MEASURED or seen.steps % THEN_EVERY == 0
        readings = self._ledger.readings(seen, measured)
        copied = readings if measured else []
        before = self._ledger.copies(copied, fresh=bool(self._open_steps))
        self._open_steps.append((seen, readings, before))
        return self._watch_closure(seen, args, kwargs)

    def _watch_closure(self, seen: OptimizerSeen, args: Any, kwargs: Any) -> Any:
        """Every evaluation of a closure consumes the gradient of the one before."""
        closure = kwargs.get("closure") or (*args, None, None)[1]
        if closure is None:
            return None

        def evaluate() -> Any:
            self._ledger.applied(self.seen.trained_by(seen))
            seen.last_step = self._tick("closure")
            return closure()

        if "closure" in kwargs:
            return args, {**kwargs, "closure": evaluate}
        return (args[0], evaluate, *args[2:]), kwargs

    def after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Measure what the step did."""
        if not self._open_steps or self._inventory.optimizer(optimizer) is None:
            return
        seen, readings, before = self._open_steps.pop()
        while seen.optimizer is not optimizer:  # a step that raised left its entry behind
            seen, readings, before = self._open_steps.pop()
        if kwargs.get("closure") or len(args) > 1:
            readings = self._reread(seen, readings)
        if before:
            self._ledger.changed(readings, before)
        self._note_edit(readings)
        seen.steps += 1
        self._ledger.applied(self.seen.trained_by(seen))
        seen.last_step = self._tick("step", seen.name if len(self.seen.optimizers) > 1 else "")
        _keep(
            self.seen.steps,
            Step(
                time=self._clock,
                optimizer=seen,
                lrs=anatomy.learning_rates(optimizer),
                maximize=any(bool(group.get("maximize")) for group in optimizer.param_groups),
                readings=readings,
                measured=bool(before),
            ),
        )
        self._note_non_finite_step(readings)

    def _reread(self, seen: OptimizerSeen, before: list[Reading]) -> list[Reading]:
        """A closure has made the gradient within the step; only the sizes are from before."""
        self._settle(zero_is_clear=False)
        readings = self._ledger.readings(seen, measured=False)
        for reading, earlier in zip(readings, before, strict=True):
            reading.size = earlier.size
        return readings

    def _note_edit(self, readings: list[Reading]) -> None:
        edited = [r for r in readings if r.raw is not None and r.grad is not None]
        raw, read = measure.total([r.raw or 0 for r in edited]), _read_norm(edited)
        if math.isfinite(raw) and not math.isclose(raw, read, rel_tol=1e-3):
            self._tick("edit", f"norm {raw:.2g} to {read:.2g}")

    def _note_non_finite_step(self, readings: list[Reading]) -> None:
        for reading in readings:
            if reading.grad is not None and not measure.is_finite(reading.grad):
                self.seen.note_non_finite(f"gradient of {reading.parameter.name}")
            elif not measure.is_finite(reading.change or 0.0):
                self.seen.note_non_finite(f"parameter {reading.parameter.name}, after a step")

    def on_scale(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """From here on infinite gradients are the scaler's business."""
        self.seen.scaler_used = True
        return call(*args, **kwargs)

    def on_unscale(self, call: Call, scaler: Any, optimizer: Optimizer) -> Any:
        """Dividing by the scale is no edit."""
        seen, scale = self._inventory.optimizer(optimizer), scaler.get_scale()
        result = call(scaler, optimizer)
        if seen is not None:
            self._ledger.unscaled(seen, scale)
        return result

    def on_scaler_step(
        self, call: Call, scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Notice when the scaler found an infinity and skipped the step."""
        seen = self._inventory.optimizer(optimizer)
        before = seen.steps if seen else 0
        result = call(scaler, optimizer, *args, **kwargs)
        if seen and seen.steps == before:
            seen.skipped += 1
            seen.last_scale = scaler.get_scale()
            self._ledger.skipped(seen)
            self._tick("skip", f"by the scaler, scale {seen.last_scale:g}")
        return result

    def stopped_by(self, error: BaseException) -> None:
        """Remember what ended the loop."""
        self.seen.error = (
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        )
        self._tick("error", self.seen.error)

    def finish(self) -> None:
        """Take a last look and remove what was attached."""
        self._settle()
        self._inventory.finish()
        self._ledger.close()


def _read_norm(readings: list[Reading]) -> float:
    return measure.total([reading.grad or 0.0 for reading in readings])


def _keep(items: list[Any], item: Any) -> None:
    items.append(item)
    if len(items) > MOST_KEPT:
        del items[MOST_KEPT // 2]
