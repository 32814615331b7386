"""The observer: it listens to every event of a loop and writes it into the record.

It uses documented global hooks and wrapped functions, and removes them all at the end.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad
from torch.optim import Optimizer
from torch.utils._python_dispatch import _disable_current_modes

from gradwidgets.checkup import anatomy, graph, loss_reading, step_readings
from gradwidgets.checkup.gradient_log import GradientLog
from gradwidgets.checkup.inventory import Inventory
from gradwidgets.checkup.record import (
    Backward,
    Clip,
    ClipState,
    HigherGrad,
    ModuleSeen,
    OptimizerSeen,
    Parameter,
    Record,
    keep,
)
from gradwidgets.checkup.surroundings import held_by
from gradwidgets.checkup.tensors import all_finite, norms, sketch
from gradwidgets.checkup.wrapping import Call, replaced, told_of_steps, wrapped

P = ParamSpec("P")
T = TypeVar("T")


def _safely(
    method: Callable[Concatenate[Observer, P], T],
) -> Callable[Concatenate[Observer, P], T | None]:
    """Make a method of the observer note its failure and return None instead of raising."""

    @functools.wraps(method)
    def guarded(self: Observer, /, *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            with unobserved():
                return method(self, *args, **kwargs)
        except Exception as error:
            what = method.__name__.strip("_").replace("_", " ")
            failure = f"watching ({what}) failed: {in_words(error)}"
            if failure not in self.failures:
                self.failures.append(failure)
            return None

    return guarded


def unobserved() -> AbstractContextManager[object]:
    """Keep what the checkup computes from modes and tensor classes of the user that look on."""
    if torch._C._len_torch_dispatch_stack():
        return _without_modes()
    return torch._C.DisableTorchFunction()


@contextmanager
def _without_modes() -> Iterator[None]:
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        yield


def in_words(error: BaseException) -> str:
    """The type of an error and its first line; a `__str__` of the user's own may fail."""
    try:
        text = (str(error).splitlines() or [""])[0]
    except Exception:
        text = "its text cannot be had"
    return f"{type(error).__name__}: {text}"


class Observer:
    """Turns events into entries of `Record`; knows when things happen, not what they mean.

    If a part of it fails, `failures` says so and the loop continues undisturbed. Every `on_...`
    method that is given a `call` makes that call and returns its result.

    Attributes:
        record: what was seen.
        failures: parts of the observer that failed, and how.
        blind: True if the model could not be read to begin with: then nothing is watched.
        ended: True once the watch is over, which is when `at_the_end` was called.

    Args:
        modules: the modules to watch.
        optimizers: the optimizers to watch; None to find them as they step.
        max_steps: the number of steps after which the watch ends by itself.
        at_the_end: what is called once, when the watch ends.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        optimizers: Sequence[Optimizer] | None,
        max_steps: int | None = None,
        at_the_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.record = Record()
        self.ended = False
        self._max_steps, self._at_the_end = max_steps, at_the_end
        self._open = ExitStack()
        self._thread = threading.local()
        self._thread.is_ours = True
        self._steps_of_others = False
        self.failures: list[str] = []
        self._timeline = self.record.timeline
        self._gradient_log = GradientLog(self.record)
        self._inventory = Inventory(modules, optimizers, self.record, self._gradient_log)
        self._within_backward = False
        self._open_steps: list[step_readings.OpenStep] = []
        self._scaler_steps = False
        self._within_forward = 0
        self._parallel = [0]
        self._evaluated_again: tuple[OptimizerSeen, int] | None = None
        self._begin()
        self.blind = bool(self.failures)

    @_safely
    def _begin(self) -> None:
        self._inventory.begin()
        for parameter in self.record.parameters.values():
            if not math.isfinite(parameter.first_size or 0.0):
                place = f"parameter {parameter.name}, before the first event"
                self._note_non_finite(place, given=True)

    @_safely
    def _entry_of(self, optimizer: Optimizer) -> OptimizerSeen | None:
        return self._inventory.optimizer(optimizer)

    def begin(self) -> None:
        """Record every event from here on, until `end`.

        Nothing is attached to a module or an optimizer, so copies made inside the loop carry no
        hook. `Module.__call__` is wrapped and no global hook is used, which `torch.compile` would
        trace, and because of which it would compile again when the watch ends.
        """
        if self.blind:
            return
        self._open.enter_context(told_of_steps(self.before_step, self.after_step))
        for owner, name, around in (
            (nn.Module, "__call__", self.on_call),
            (torch.autograd, "backward", self.on_backward),  # `Tensor.backward` calls it
            (torch.autograd, "grad", self.on_grad),
            (Optimizer, "zero_grad", self.on_zero_grad),
            (nn.Module, "zero_grad", self.on_zero_grad),
            (torch.amp.GradScaler, "scale", self.on_scale),
            (torch.amp.GradScaler, "unscale_", self.on_unscale),
            (torch.amp.GradScaler, "step", self.on_scaler_step),
            # `clip_grad_norm_` itself may have been imported under another name.
            (clip_grad, "_clip_grads_with_norm_", self.on_clip),
            (clip_grad, "clip_grad_value_", self.on_clip_value),
            (nn.utils, "clip_grad_value_", self.on_clip_value),
        ):
            self._open.enter_context(wrapped(owner, name, self._on_own_threads(around)))
        # It may be called before the model in it, which tells whose thread this is.
        self._open.enter_context(wrapped(DistributedDataParallel, "forward", self.on_parallel))

    def _on_own_threads(self, around: Call) -> Call:
        """Listen only on the thread that began the watch, and where watched things are used.

        On any other thread another model may train: reading its gradients meanwhile can crash.
        """

        def listening(call: Call, *args: Any, **kwargs: Any) -> Any:
            if self._is_own_thread(*args):
                return around(call, *args, **kwargs)
            return call(*args, **kwargs)

        return listening

    def _is_own_thread(self, *used: Any) -> bool:
        """True if this thread has used what is watched: these now, or others before."""
        if not hasattr(self._thread, "is_ours"):
            if not any(map(self._is_watched, used[:2])):  # a scaler comes before its optimizer
                return False
            self._thread.is_ours = True  # other threads that come later may have its number
        return True

    @_safely
    def _is_watched(self, used: Any) -> bool:
        """True for a module, an optimizer of its parameters, and a loss that depends on them."""
        modules, parameters = self.record.modules, self.record.parameters
        if isinstance(used, nn.Module):
            inner = vars(used)["_modules"].get("_orig_mod") if anatomy.is_compiled(used) else None
            return id(used) in modules or id(inner) in modules
        if isinstance(used, Optimizer):
            return any(id(tensor) in parameters for tensor in held_by(used))
        roots = [one.grad_fn for one in graph.tensors_in(used) if one.grad_fn is not None]
        return any(id(leaf) in parameters for leaf in graph.leaves(roots))

    def end(self, error: BaseException | None = None) -> None:
        """Take a last look, and restore torch; `error` is what ended the loop, if one did."""
        if error is not None and not self.ended:
            self.record.error = in_words(error)
            self._timeline.tick("error", self.record.error)
        self._take_last_look()
        self._restore()

    def _take_last_look(self) -> None:
        if self.ended:
            return
        if not self.blind:
            self._look_at_gradients()
            self._compare_with_start()
        self.ended = True
        self._at_the_end()

    def _restore(self) -> None:
        self._open.close()
        self._remove_hooks()

    def _end_after(self, steps: int) -> None:
        """End the watch at `max_steps`; hooks that are at work stay until the next event."""
        if self._max_steps is not None and steps >= self._max_steps:
            self._take_last_look()

    def _is_over(self) -> bool:
        """True if the watch has ended; torch is restored where nothing of it is at work."""
        if self.ended and not self._within_backward:
            self._restore()
        return self.ended

    @_safely
    def _remove_hooks(self) -> None:
        self._gradient_log.close()

    @_safely
    def _compare_with_start(self) -> None:
        self._inventory.finish()
        seen = self.record.optimizers or self._steps_of_others
        if not seen and self.record.all_optimizers_seen:
            self.record.all_optimizers_seen = False
            self.record.unseen.append("the optimizer: none with the model's parameters was found")
        got_gradients = any(backward.reached for backward in self.record.backwards)
        if self.record.compiled:
            self.record.unseen.append("the modules inside of one that torch.compile has compiled")
        elif got_gradients and not self.record.execution:
            self.record.unseen.append("the modules: none was called, or in a compiled function")

    def _note_non_finite(self, place: str | None, given: bool = False) -> None:
        """Keep the first place only; everything after it is a consequence.

        Args:
            place: where it was seen, None if it was not.
            given: it was there before training could bring it about: in the data, at the start.
        """
        if place and not self.record.first_non_finite:
            self.record.first_non_finite = place
            self.record.non_finite_since = self._timeline.now
            self.record.non_finite_given = given

    @_safely
    def _look_at_gradients(self, optimizer: OptimizerSeen | None = None) -> None:
        """Look at all gradients, or at those of the optimizer about to step."""
        looked_at = optimizer.parameters if optimizer else list(self.record.parameters.values())
        now = self._timeline.now
        if self._gradient_log.look(looked_at, now, zero_is_clear=optimizer is None):
            self._timeline.tick("clear", "by hand")

    def on_call(self, call: Call, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Note that a module ran; a compiled one runs as if nobody watched."""
        if self.ended and self._is_over():
            return call(module, *args, **kwargs)
        if anatomy.is_compiled(module):
            self.record.compiled = True
            with replaced(nn.Module, "__call__", call):
                output = call(module, *args, **kwargs)
            module = vars(module)["_modules"].get("_orig_mod", module)
        else:
            self._within_forward += 1
            try:
                output = call(module, *args, **kwargs)
            finally:
                self._within_forward -= 1
        known = self.record.modules.get(id(module))
        if known is not None:
            self._after_forward(known, args, kwargs, output)
        return output

    def on_parallel(self, call: Call, wrapper: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Note what runs within this wrapper, which averages gradients over processes."""
        self._parallel.append(id(wrapper))
        try:
            return call(wrapper, *args, **kwargs)
        finally:
            self._parallel.pop()

    @_safely
    def _after_forward(self, known: ModuleSeen, args: Any, kwargs: Any, output: Any) -> None:
        """Count the run, mark its output's graph, keep sketches of its inputs and outputs."""
        learning = torch.is_grad_enabled()
        if not known.runs:
            self.record.execution.append(known)
        known.runs += 1
        known.runs_without_grad += not learning
        known.runs_in_training += known.module.training
        if not self._within_backward:
            self._timeline.tick("forward", "" if learning else "no grad")
        if not learning:
            return
        mark = graph.Mark(known, self._timeline.now, known.module.training, self._parallel[-1])
        for tensor in graph.tensors_in(output):
            graph.put_mark(tensor, mark)
            known.rows += len(tensor) if tensor.dim() else 1
            if known.is_layer:
                known.output = sketch(tensor)
        if known.is_outermost:
            known.inputs = [sketch(value) for value in args if isinstance(value, Tensor)]
            if not self.record.backwards:
                given = graph.tensors_in([args, kwargs])
                self.record.inputs |= {id(tensor) for tensor in given if tensor.requires_grad}

    def on_backward(self, call: Call, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        """Read the graph, let it be freed, and look at the gradients it left."""
        if self._is_over():
            return call(tensors, *args, **kwargs)
        if isinstance(tensors, Iterator):
            tensors = tuple(tensors)  # it can be gone through once only
        roots = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
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
            backward.failed = in_words(error).partition(": ")[2]
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
        if not self.record.backwards:
            self._inventory.look_for_hidden()
        self._use_up(renewed=True)
        self._look_at_gradients()
        backward.time = self._timeline.tick("backward")
        keep(self.record.backwards, backward)
        self._read_loss(roots)
        self._gradient_log.before_backward(backward)

    @_safely
    def _read_loss(self, roots: list[Any]) -> None:
        """Record what the graph shows: the loss, the modules it depends on, and their modes."""
        backward = self.record.backwards[-1]
        marks = loss_reading.read_loss(self.record, backward, roots)
        for module in {mark.module for mark in marks}:
            module.reached += 1
        in_eval = [mark.module.module for mark in marks if not mark.training]
        if in_eval:
            inside = {id(part) for module in in_eval for _, part in anatomy.within(module)}
            forgotten = anatomy.forgotten_in_eval(self._inventory.modules)
            backward.eval_modules |= {path for key, path in forgotten.items() if key in inside}
        loss = backward.loss or 0.0
        if not math.isfinite(loss) and not (math.isinf(loss) and self.record.scaler_used):
            place = self._where_not_finite()
            self._note_non_finite(place, given=place.startswith("input of"))

    def _where_not_finite(self) -> str:
        """The first layer whose input or output is not finite, when the loss is not."""
        for module in self.record.execution:
            if not all_finite(module.inputs):
                return f"input of {module.name}"
        for module in self.record.execution:
            if not all_finite([module.output]):
                return f"output of {module.name}"
        return "loss, after finite outputs of every layer"

    @_safely
    def _after_backward(self, backward: Backward) -> None:
        self._gradient_log.after_backward()
        if backward.non_finite and not self.record.scaler_used:
            self._note_non_finite(f"gradient of {backward.non_finite[-1]}")

    def on_grad(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Note the call: `autograd.grad` returns gradients and stores none."""
        if self._within_backward:
            return call(*args, **kwargs)
        self._timeline.tick("autograd.grad")
        self.record.grad_calls += 1
        outputs = kwargs.get("outputs", (*args, None)[0])
        self._differentiate_again(outputs)
        results = call(*args, **kwargs)
        if kwargs.get("create_graph") or (*args, *[None] * 5)[4]:
            self._keep_graph(results)
        return results

    @_safely
    def _differentiate_again(self, outputs: Any) -> None:
        """Note that earlier results of `autograd.grad` are used: by another call of it."""
        if any(not higher.used for higher in self.record.higher_grads):
            starts = [t.grad_fn for t in graph.tensors_in(outputs) if t.grad_fn is not None]
            for node in graph.nodes(starts):
                graph.notes_of(node)

    @_safely
    def _keep_graph(self, results: Any) -> None:
        """Mark the results that a loss may use; those within a model's forward are the model's."""
        if self._within_forward or torch._C._functorch.peek_interpreter_stack() is not None:
            return
        tensors = [t for t in graph.tensors_in(results) if t.grad_fn is not None]
        if tensors:
            higher = HigherGrad()
            keep(self.record.higher_grads, higher)
            for tensor in tensors:
                graph.put_higher(tensor, higher)

    def on_zero_grad(self, call: Call, owner: Any, *args: Any, **kwargs: Any) -> Any:
        """Note the call and the gradients that it cleared; an optimizer becomes known by it."""
        if self._is_over():
            return call(owner, *args, **kwargs)
        if isinstance(owner, Optimizer):
            self._entry_of(owner)
        result = call(owner, *args, **kwargs)
        self._cleared()
        return result

    @_safely
    def _cleared(self) -> None:
        self._use_up()
        now = self._timeline.tick("clear")
        self._gradient_log.look(list(self.record.parameters.values()), now)

    @_safely
    def before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """Measure the gradients before a step, and sample the parameters it will change."""
        if not self._is_own_thread(optimizer):
            return None
        known = self._inventory.optimizer(optimizer)
        if known is None:
            self._steps_of_others = True
            return None
        self._look_at_gradients(known)
        self._gradient_log.note_use_by_hand(known.parameters)
        if not known.steps:
            known.continues = self._inventory.predecessor(known)
        self._open_steps.append(step_readings.begin(self.record, known, self._scaler_steps))
        return self._watch_closure(known, args, kwargs)

    def _watch_closure(self, optimizer: OptimizerSeen, args: Any, kwargs: Any) -> Any:
        """Wrap a closure: another evaluation uses up the gradient of the one before it.

        What was there before the first is not used up, and an evaluation without backward (a
        line search that tries a step) leaves the gradient as it is.
        """
        closure = kwargs.get("closure") or (*args, None, None)[1]
        if closure is None:
            return None
        times = 0

        def evaluate() -> Any:
            nonlocal times
            times += 1
            self._evaluating(optimizer, times)
            return closure()

        if "closure" in kwargs:
            return args, {**kwargs, "closure": evaluate}
        return (args[0], evaluate, *args[2:]), kwargs

    @_safely
    def _evaluating(self, optimizer: OptimizerSeen, times: int) -> None:
        now = self._timeline.tick("closure")
        self._evaluated_again = (optimizer, now) if times > 1 else None

    def _use_up(self, renewed: bool = False) -> None:
        """Note that an earlier evaluation of a closure has used the gradients that go now."""
        if self._evaluated_again:
            optimizer, time = self._evaluated_again
            self._gradient_log.applied(optimizer, time)
            if renewed:
                optimizer.last_step = time
                self._evaluated_again = None

    @_safely
    def after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Measure what the step did."""
        if not self._open_steps or self._inventory.optimizer(optimizer) is None:
            return
        step = self._open_steps.pop()
        while step.optimizer.optimizer is not optimizer:  # a step that raised left its entry behind
            step = self._open_steps.pop()
        known = step.optimizer
        self._evaluated_again = None
        if kwargs.get("closure") or len(args) > 1:
            self._look_at_gradients(known)
            self._gradient_log.note_use_by_hand(known.parameters)
            step_readings.read_again(self.record, step)
        edit = step_readings.edit(step.readings) if step.samples else None
        if edit:
            self._timeline.tick("edit", edit)
        known.steps += 1
        name = known.name if len(self.record.optimizers) > 1 else ""
        known.last_step = self._timeline.tick("step", name)
        known.version = sum(parameter.tensor._version for parameter in known.parameters)
        self._gradient_log.applied(known, known.last_step)
        keep(self.record.steps, step_readings.end(step, known.last_step))
        self._note_non_finite(step_readings.first_non_finite(step.readings))
        self._end_after(sum(one.steps + one.skipped for one in self.record.optimizers))

    def on_scale(self, call: Call, scaler: Any, *args: Any, **kwargs: Any) -> Any:
        """Note that a scaler is used, which handles infinite gradients itself, and its scale."""
        self.record.scaler_used = True
        result = call(scaler, *args, **kwargs)
        self._scaled(scaler, result)
        return result

    @_safely
    def _scaled(self, scaler: Any, losses: Any) -> None:
        if scaler.is_enabled():
            for tensor in graph.tensors_in(losses):
                graph.put_scale(tensor, float(scaler.get_scale()))

    def on_unscale(
        self, call: Call, scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Correct the raw norms: dividing by the scale does not count as an edit."""
        scale = self._scale_of(scaler)
        result = call(scaler, optimizer, *args, **kwargs)
        self._unscaled(optimizer, scale)
        return result

    @_safely
    def _scale_of(self, scaler: Any) -> float:
        return float(scaler.get_scale())

    @_safely
    def _unscaled(self, optimizer: Optimizer, scale: float | None) -> None:
        known = self._inventory.optimizer(optimizer)
        if known is not None and scale:
            self._gradient_log.unscaled(known.parameters, scale)

    def on_scaler_step(
        self, call: Call, scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Notice when the scaler found an infinity and skipped the step."""
        known = self._entry_of(optimizer)
        before = known.steps if known else 0
        self._scaler_steps = bool(scaler.is_enabled())
        try:
            result = call(scaler, optimizer, *args, **kwargs)
        finally:
            self._scaler_steps = False
        if known and known.steps == before:
            self._skipped(known, self._scale_of(scaler))
        return result

    @_safely
    def _skipped(self, optimizer: OptimizerSeen, scale: float | None) -> None:
        optimizer.skipped += 1
        optimizer.last_scale = scale or 1.0
        optimizer.skipped_again += self._gradient_log.skipped(optimizer.parameters)
        self._timeline.tick("skip", f"by the scaler, scale {optimizer.last_scale:g}")
        self._end_after(sum(one.steps + one.skipped for one in self.record.optimizers))

    def on_clip(
        self, call: Call, parameters: Any, max_norm: Any, total_norm: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Note which gradients are clipped to a norm."""
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        self._clipping(parameters, max_norm, total_norm)
        result = call(parameters, max_norm, total_norm, *args, **kwargs)
        self._clipped(parameters)
        return result

    def on_clip_value(self, call: Call, parameters: Any, *args: Any, **kwargs: Any) -> Any:
        """Note which gradients are clipped element by element."""
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        self._clipping(parameters, kwargs.get("clip_value", (*args, math.inf)[0]))
        result = call(parameters, *args, **kwargs)
        self._clipped(parameters)
        return result

    @_safely
    def _clipped(self, held: list[Tensor]) -> None:
        """Take gradients that a step has applied, and that are clipped now, for the same ones."""
        if self.record.clips and self.record.clips[-1].state == "applied":
            known = self.record.parameters
            self._gradient_log.measure([known[id(p)] for p in held if id(p) in known])

    @_safely
    def _clipping(self, held: list[Tensor], limit: Any, norm: Any = None) -> None:
        if self.record.spread:  # the norm is computed by all processes together
            return
        limit, total = float(limit), None if norm is None else float(norm)
        known = [self.record.parameters[id(p)] for p in held if id(p) in self.record.parameters]
        gradients = [p.grad for p in held if p.grad is not None]
        if total is None:
            total = max((float(g.abs().max()) for g in gradients if g.numel()), default=0.0)
        state: ClipState = "fresh"
        if not total:
            state = "nothing" if not held else "empty" if known else "elsewhere"
        elif _all_applied(known):
            self._gradient_log.look(known, self._timeline.now)  # they may have been assigned since
            state = "applied" if _all_applied(known) else "fresh"
        keys = frozenset(map(id, held))
        keep(self.record.clips, Clip(state, limit, len(held), self._timeline.now, keys))
        if total > limit:
            self._gradient_log.clipped(known, self._timeline.now, to_zero=limit == 0)
        if not math.isfinite(total):
            self._clipping_spreads(known)

    def _clipping_spreads(self, known: list[Parameter]) -> None:
        """Note where NaN or infinity was before clipping gives it to every gradient."""
        if any(backward.scale != 1 for parameter in known for backward in parameter.contents):
            return  # a GradScaler looks for it
        holders = [p for p in known if p.tensor.grad is not None]
        found = norms([p.tensor.grad for p in holders if p.tensor.grad is not None])
        bad = [p.name for p, size in zip(holders, found, strict=True) if not math.isfinite(size)]
        if bad:
            self._note_non_finite(
                f"gradient of {bad[-1]} ({len(bad)} of {len(holders)} gradients, which clipping "
                "spreads to all)"
            )


def _all_applied(parameters: list[Parameter]) -> bool:
    """True if a step has applied all that is in the gradients of trained parameters."""
    contents = [backward for p in parameters if p.optimizers for backward in p.contents]
    return bool(contents) and all(backward.applied for backward in contents)
