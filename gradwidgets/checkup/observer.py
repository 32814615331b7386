"""The observer: it listens to every event of a loop and writes it into the record.

It uses documented global hooks and wrapped functions, and removes them all at the end.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from gradwidgets.checkup import anatomy, graph, step_readings
from gradwidgets.checkup.gradient_log import GradientLog
from gradwidgets.checkup.inventory import Inventory
from gradwidgets.checkup.record import Backward, OptimizerSeen, Record, keep
from gradwidgets.checkup.tensors import magnitude

Call = Callable[..., Any]
P = ParamSpec("P")
T = TypeVar("T")


def _safely(
    method: Callable[Concatenate[Observer, P], T],
) -> Callable[Concatenate[Observer, P], T | None]:
    """Make a method of the observer note its failure and return None instead of raising."""

    @functools.wraps(method)
    def guarded(self: Observer, /, *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            what = method.__name__.strip("_").replace("_", " ")
            failure = f"watching ({what}) failed: {type(error).__name__}: {error}"
            if failure not in self.failures:
                self.failures.append(failure)
            return None

    return guarded


class Observer:
    """Turns events into entries of `Record`; knows when things happen, not what they mean.

    If a part of it fails, `failures` says so and the loop continues undisturbed. Every `on_...`
    method that is given a `call` makes that call and returns its result.
    """

    def __init__(self, modules: Sequence[nn.Module], optimizers: Sequence[Optimizer]) -> None:
        self.record = Record()
        self.failures: list[str] = []
        self._timeline = self.record.timeline
        self._gradient_log = GradientLog(self.record)
        self._inventory = Inventory(modules, optimizers, self.record, self._gradient_log)
        self._within_backward = False
        self._open_steps: list[step_readings.OpenStep] = []
        for parameter in self.record.parameters.values():
            if not math.isfinite(parameter.first_size or 0.0):
                self._note_non_finite(f"parameter {parameter.name}, before the first event")

    @_safely
    def _entry_of(self, optimizer: Optimizer) -> OptimizerSeen | None:
        return self._inventory.optimizer(optimizer)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Record every event within the block; restore torch afterwards, even after an error.

        The hooks on modules and optimizers are global: nothing is attached to an object, so
        copies made inside the loop carry no such hook.
        """
        with ExitStack() as stack:
            stack.callback(self._finish)
            for handle in (
                register_module_forward_hook(self.on_forward),
                register_optimizer_step_pre_hook(self.before_step),
                register_optimizer_step_post_hook(self.after_step),
            ):
                stack.callback(handle.remove)
            for owner, name, around in (
                (torch.autograd, "backward", self.on_backward),  # `Tensor.backward` calls it
                (torch.autograd, "grad", self.on_grad),
                (Optimizer, "zero_grad", self.on_zero_grad),
                (nn.Module, "zero_grad", self.on_zero_grad),
                (torch.amp.GradScaler, "scale", self.on_scale),
                (torch.amp.GradScaler, "unscale_", self.on_unscale),
                (torch.amp.GradScaler, "step", self.on_scaler_step),
            ):
                stack.enter_context(_wrapped(owner, name, around))
            try:
                yield
            except BaseException as error:
                text = str(error).splitlines()[0] if str(error) else ""
                self.record.error = f"{type(error).__name__}: {text}"
                self._timeline.tick("error", self.record.error)
                raise

    def _finish(self) -> None:
        """Take a last look and remove what was attached."""
        self._look_at_gradients()
        self._compare_with_start()
        self._gradient_log.close()

    @_safely
    def _compare_with_start(self) -> None:
        self._inventory.finish()

    def _note_non_finite(self, place: str | None) -> None:
        """Keep the first place only; everything after it is a consequence."""
        self.record.first_non_finite = self.record.first_non_finite or place

    @_safely
    def _look_at_gradients(self, optimizer: OptimizerSeen | None = None) -> None:
        """Look at all gradients, or at those of the optimizer about to step."""
        looked_at = optimizer.parameters if optimizer else list(self.record.parameters.values())
        now = self._timeline.now
        if self._gradient_log.look(looked_at, now, zero_is_clear=optimizer is None):
            self._timeline.tick("clear", "by hand")

    @_safely
    def on_forward(self, module: nn.Module, args: Any, output: Any) -> None:
        """Count the run, mark its output's graph, keep the norms of its inputs and outputs."""
        known = self.record.modules.get(id(module))
        if known is None:
            return
        learning = torch.is_grad_enabled()
        if not known.runs:
            self.record.execution.append(known)
        known.runs += 1
        known.runs_without_grad += not learning
        if not self._within_backward:
            self._timeline.tick("forward", "" if learning else "no grad")
        if not learning:
            return
        mark = graph.Mark(known, self._timeline.now, module.training)
        for tensor in graph.tensors_in(output):
            graph.put_mark(tensor, mark)
            if known.is_layer and (size := magnitude(tensor)) is not None:
                known.output_magnitude = size
        if known.is_outermost:
            sizes = map(magnitude, args)
            known.input_magnitudes = [size for size in sizes if size is not None]

    def on_backward(self, call: Call, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        """Read the graph, let it be freed, and look at the gradients it left."""
        roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        if self._within_backward:  # checkpointing calls backward again for part of the graph
            self._read_loss(roots)
            return call(tensors, *args, **kwargs)
        backward = Backward(time=self._timeline.now, root="graph")
        backward.graph_retained = bool(kwargs.get("retain_graph") or (*args, None, None)[1])
        self._before_backward(backward, roots)
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
            self._after_backward(backward)

    @_safely
    def _before_backward(self, backward: Backward, roots: list[Any]) -> None:
        if self._inventory.model_has_grown():
            self._inventory.look_at_model()
        self._look_at_gradients()
        backward.time = self._timeline.tick("backward")
        keep(self.record.backwards, backward)
        self._read_loss(roots)
        self._gradient_log.before_backward(backward)

    @_safely
    def _read_loss(self, roots: list[Any]) -> None:
        """Record what the graph shows: the loss, the modules it depends on, and their modes."""
        backward = self.record.backwards[-1]
        marks = graph.read_loss(self.record, backward, roots)
        for module in {mark.module for mark in marks}:
            module.reached += 1
        in_eval = [mark.module.module for mark in marks if not mark.training]
        if in_eval:
            inside = {id(part) for module in in_eval for part in module.modules()}
            forgotten = anatomy.forgotten_in_eval(self._inventory.modules)
            backward.eval_modules |= {path for key, path in forgotten.items() if key in inside}
        loss = backward.loss or 0.0
        if not math.isfinite(loss) and not (math.isinf(loss) and self.record.scaler_used):
            self._note_non_finite(self._where_not_finite())

    def _where_not_finite(self) -> str:
        """The first layer whose input or output is not finite, when the loss is not."""
        for module in self.record.execution:
            if not all(math.isfinite(size) for size in module.input_magnitudes):
                return f"input of {module.name}"
        for module in self.record.execution:
            size = module.output_magnitude
            if size is not None and not math.isfinite(size):
                return f"output of {module.name}"
        return "loss, after finite outputs of every layer"

    @_safely
    def _after_backward(self, backward: Backward) -> None:
        self._gradient_log.after_backward()
        if backward.non_finite and not self.record.scaler_used:
            self._note_non_finite(f"gradient of {backward.non_finite[-1]}")

    def on_grad(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Note the call: `autograd.grad` returns gradients and stores none."""
        if not self._within_backward:
            self._timeline.tick("autograd.grad")
            self.record.grad_calls += 1
        return call(*args, **kwargs)

    def on_zero_grad(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Note the call and the gradients that it cleared."""
        result = call(*args, **kwargs)
        self._cleared()
        return result

    @_safely
    def _cleared(self) -> None:
        now = self._timeline.tick("clear")
        self._gradient_log.look(list(self.record.parameters.values()), now)

    @_safely
    def before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """Measure the gradients before a step, and sample the parameters it will change."""
        known = self._inventory.optimizer(optimizer)
        if known is None:
            return None
        self._look_at_gradients(known)
        self._gradient_log.note_use_by_hand(known.parameters)
        self._open_steps.append(step_readings.begin(self.record, known))
        return self._watch_closure(known, args, kwargs)

    def _watch_closure(self, optimizer: OptimizerSeen, args: Any, kwargs: Any) -> Any:
        """Wrap a closure: each evaluation uses up the gradient of the previous one."""
        closure = kwargs.get("closure") or (*args, None, None)[1]
        if closure is None:
            return None

        def evaluate() -> Any:
            self._gradient_log.applied(optimizer.parameters)
            optimizer.last_step = self._timeline.tick("closure")
            return closure()

        if "closure" in kwargs:
            return args, {**kwargs, "closure": evaluate}
        return (args[0], evaluate, *args[2:]), kwargs

    @_safely
    def after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Measure what the step did."""
        if not self._open_steps or self._inventory.optimizer(optimizer) is None:
            return
        step = self._open_steps.pop()
        while step.optimizer.optimizer is not optimizer:  # a step that raised left its entry behind
            step = self._open_steps.pop()
        known = step.optimizer
        if kwargs.get("closure") or len(args) > 1:
            self._look_at_gradients(known)
            self._gradient_log.note_use_by_hand(known.parameters)
            step_readings.read_again(self.record, step)
        edit = step_readings.edit(step.readings)
        if edit:
            self._timeline.tick("edit", edit)
        self._gradient_log.applied(known.parameters)
        known.steps += 1
        name = known.name if len(self.record.optimizers) > 1 else ""
        known.last_step = self._timeline.tick("step", name)
        keep(self.record.steps, step_readings.end(step, known.last_step))
        self._note_non_finite(step_readings.first_non_finite(step.readings))

    def on_scale(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Note that a scaler is used: it handles infinite gradients itself."""
        self.record.scaler_used = True
        return call(*args, **kwargs)

    def on_unscale(self, call: Call, scaler: Any, optimizer: Optimizer) -> Any:
        """Correct the raw norms: dividing by the scale does not count as an edit."""
        scale = scaler.get_scale()
        result = call(scaler, optimizer)
        known = self._entry_of(optimizer)
        if known is not None:
            self._gradient_log.unscaled(known.parameters, scale)
        return result

    def on_scaler_step(
        self, call: Call, scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Notice when the scaler found an infinity and skipped the step."""
        known = self._entry_of(optimizer)
        before = known.steps if known else 0
        result = call(scaler, optimizer, *args, **kwargs)
        if known and known.steps == before:
            known.skipped += 1
            known.last_scale = scaler.get_scale()
            self._gradient_log.skipped(known.parameters)
            self._timeline.tick("skip", f"by the scaler, scale {known.last_scale:g}")
        return result


@contextmanager
def _wrapped(owner: Any, name: str, around: Call) -> Iterator[None]:
    """Replace `owner.name` by `around(original, ...)`, then put the identical object back."""
    original = vars(owner)[name]

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)
