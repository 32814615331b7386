"""Lines of a program that measure the metric on held-out data, and stop early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from gradwidgets.core import (
    IsolatedRun,
    Problem,
    Recipe,
    decision_threshold,
    generators,
    ignored_class,
    is_pair,
    measured_every,
    reduction,
)
from gradwidgets.script.own_step import StepText
from gradwidgets.script.seeding import OtherGenerator

Name = Callable[[Any, str, str], str]
"""Gives a function's name in a program, or a name to bring: see `Sources`."""


@dataclass(frozen=True)
class HeldOutText:
    """Held-out data and its metric, as a program writes them.

    Args:
        target: the names of the data: "held_x, held_y", or "held_out" for batches.
        call: what returns it; "" where the reader brings it.
        body: the lines of `measure` that compute `value`, or add up `total` and `seen`.
        result: what `measure` returns.
        generators: random number generators of the data's own, as text.
        metric: the metric's name.
        metric_function: the name of the user's own function, or "".
        higher: whether a higher value is better.
        mixed: whether some modules of the model are not in training mode when it is trained.
    """

    target: str
    call: str
    body: tuple[str, ...]
    result: str
    generators: tuple[str, ...]
    metric: str
    metric_function: str
    higher: bool
    mixed: bool

    @property
    def share(self) -> bool:
        """True if the metric is a share of the samples, and no function of the user's."""
        return self.metric in ("accuracy", "error") and not self.metric_function

    def names(self, problem: Problem) -> dict[str, Any]:
        """The values that `measure` reads, by their names."""
        data: Any = problem.held_out_data()
        names = self.target.split(", ")
        if getattr(data, "one", False):
            data = next(iter(data))
        held = dict(zip(names, data if len(names) > 1 else [data], strict=True))
        return held | ({self.metric_function: problem.metric} if self.metric_function else {})

    def function(self, seed: int, drawn: Sequence[OtherGenerator] = ()) -> str:
        """The text of `measure`, which leaves the generators of the run as they were."""
        evaluate, train = ["model.eval()"], ["model.train()"]
        if self.mixed:
            evaluate.insert(0, "modes = [(each, each.training) for each in model.modules()]")
            train = ["for each, mode in modes:", "    each.training = mode"]
        names = [f"{each.module}_state" for each in drawn]
        lines = [f"{name} = {each.state}" for name, each in zip(names, drawn, strict=True)]
        train += [each.restore(name) for name, each in zip(names, drawn, strict=True)]
        lines += [
            f"{own}.manual_seed({seed})  # the same order each time" for own in self.generators
        ]
        if self.result != "value":
            lines += ["total, seen = 0.0, 0" if "seen" in self.result else "total = 0.0"]
        lines += [
            *evaluate,
            "with torch.no_grad(), torch.random.fork_rng():  # draws nothing from the run",
            *(f"    {line}" for line in self.body),
            *train,
            f"return {self.result}",
        ]
        head = f"def measure():  # the {self.metric} on held-out data, which is not trained on"
        return "\n".join(["", "", "", head, *(f"    {line}" for line in lines), "", "", ""])

    def first(self) -> str:
        """The line before the loop."""
        value = "measure()"
        if not self.share:  # others may be NaN, which is never best
            value = f"max(-math.inf, {value})" if self.higher else f"min(math.inf, {value})"
        return f"best, waited = {value}, 0"

    def stop(self, recipe: Recipe) -> str:
        """The lines at the end of an update."""
        sign, best = (">", "max") if self.higher else ("<", "min")
        every, many = measured_every(recipe.updates), recipe.patience != 1
        lines = [
            "value = measure()",
            f"waited = 0 if value {sign} best else waited + 1",
            f"best = {best}(best, value)",
            f"if waited == {recipe.patience}:",
            f"    break  # {recipe.patience} measurement{'s' * many} without a better one: stop",
        ]
        if every > 1:
            lines = [f"if len(losses) % {every} == 0:", *(f"    {line}" for line in lines)]
        return "\n".join(lines)

    def end(self) -> list[str]:
        """The lines that print the metric."""
        style = ".1%" if self.share else ".4g"
        return [f'print(f"held-out {self.metric}: {{measure():{style}}}")']


def held_out_text(
    problem: Problem, model: nn.Module, name: Name, loss: str | StepText, samples: str, call: str
) -> HeldOutText:
    """The parts of a program that measure a problem's held-out data.

    Args:
        problem: has held-out data.
        model: one that the problem has built.
        name: names its functions.
        loss: the name of its loss, or its own step.
        samples: the number of samples of a batch (xk, yk), as text.
        call: what returns the held-out data of a built-in problem, or "".
    """
    data = problem.held_out_data()
    target = "held_x, held_y" if is_pair(data) else "held_out"
    if not call:
        known = name(problem.held_out, "make_held_out", target)
        call = "" if known == target else f"{known}()"
    if callable(problem.metric):
        metric, function = problem.metric_name(), name(problem.metric, "metric", "metric")
    else:
        metric, function = problem.metric_name(), loss if isinstance(loss, str) else loss.step
    if not isinstance(loss, str):
        body, result = loss.measured(problem, function)
    elif metric == "loss" or callable(problem.metric):
        summed = metric == "loss" and reduction(problem.loss) == "sum"
        body, result = _averaged(function, "" if summed else samples, target)
    else:
        body, result = _counted(problem, metric, target)
    return HeldOutText(
        target=target,
        call=call,
        body=tuple(body),
        result=result,
        generators=tuple(f"held_out.{path}" for path in generators(data)),
        metric=metric,
        metric_function=function if callable(problem.metric) else "",
        higher=problem.better == "higher" if callable(problem.metric) else metric == "accuracy",
        mixed=not all(module.training for module in model.modules()),
    )


def _averaged(function: str, samples: str, target: str) -> tuple[list[str], str]:
    """The mean of a function over the samples; its sum without `samples`."""
    if target != "held_out":
        return [f"value = float({function}(model(held_x), held_y))"], "value"
    value, loop = f"float({function}(model(xk), yk))", "for xk, yk in held_out:"
    if not samples:
        return [loop, f"    total += {value}"], "total"
    return [loop, f"    total += {value} * {samples}", f"    seen += {samples}"], "total / seen"


def _counted(problem: Problem, metric: str, target: str) -> tuple[list[str], str]:
    """The share of the samples that are right, or wrong."""
    x, y = ("held_x", "held_y") if target != "held_out" else ("xk", "yk")
    kind, sign = ("right", "==") if metric == "accuracy" else ("wrong", "!=")
    threshold, ignored = decision_threshold(problem.loss), ignored_class(problem.loss)
    lines = [f"{kind} = model({x}).argmax(dim=1) {sign} {y}"]
    if threshold is not None:
        lines = [f"{kind} = (model({x}) > {threshold}) {sign} ({y} == 1)"]
    elif ignored is not None and _holds(problem.held_out_data(), ignored):
        lines += [f"{kind} = {kind}[{y} != {ignored}]  # the loss ignores the others, too"]
    if target != "held_out":
        return [*lines, f"value = {kind}.double().mean().item()"], "value"
    lines += [f"total += {kind}.sum().item()", f"seen += {kind}.numel()"]
    return ["for xk, yk in held_out:", *(f"    {line}" for line in lines)], "total / seen"


def _holds(data: Any, ignored: int) -> bool:
    with IsolatedRun(None, 0, data).inside():
        return any(bool((y == ignored).any()) for _, y in ([data] if is_pair(data) else data))
