"""The lines of a program that build a recipe's scheduler and step it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradwidgets.core import (
    Part,
    Recipe,
    measured_every,
    one_optimizer_wanted,
    parts_of,
    stepped_at,
)
from gradwidgets.script.source import Line, Sources, lines_of

SETTINGS = ("schedule", "warmup_steps")
MODULE = "torch.optim.lr_scheduler"
WIDTH = 100
"""The longest line of a program."""


def brought(recipe: Recipe) -> list[str]:
    """Names that the reader of a program has to bring for its schedule."""
    return [name for name, value in recipe.schedule_options.items() if _is_function(value)]


def scheduler_setup(recipe: Recipe, sources: Sources) -> list[Line]:
    """The lines before the loop that build the scheduler; none where lr is constant.

    >>> from gradwidgets.core import problems
    >>> for line in scheduler_setup(Recipe(warmup_steps=9), Sources(problems.line)):
    ...     print(line.text)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 10, total_iters=9)
    """
    parts = parts_of(recipe, sources.lrs, sources.problem.higher_is_better)
    if parts and sources.several:
        raise one_optimizer_wanted(recipe)
    if len(parts) == 2:
        texts = [_built("warmup", parts[0]), _built("after", parts[1])]
        both = ["optimizer", "[warmup, after]", f"milestones=[{recipe.warmup_steps}]"]
        texts.append(_call(f"scheduler = {MODULE}.SequentialLR", both))
    else:
        texts = [_built("scheduler", part) for part in parts]
    tags = (*SETTINGS, "schedule_options")
    return [line for text in texts for line in lines_of(text, *tags)]


def scheduler_step(recipe: Recipe, at: str) -> list[Line]:
    """The lines that step the scheduler, if `at` is when the recipe wants it.

    >>> [line.text for line in scheduler_step(Recipe(schedule="cosine"), "update")]
    ['scheduler.step()']
    """
    if stepped_at(recipe) != at:
        return []
    if at == "measurement":
        every = measured_every(recipe.updates)
        text = f"scheduler.step({'measure()' if recipe.patience is None else 'value'})"
        text = text if every == 1 else f"if len(losses) % {every} == 0:\n    {text}"
        return lines_of(text, *SETTINGS)
    if at == "micro-batch":
        times = recipe.accumulation_steps
        text = f"scheduler.step()  # {times} times an update: the schedule ends too soon"
        return lines_of(text, *SETTINGS, "schedule_per")
    return lines_of("scheduler.step()", *SETTINGS)


def _built(name: str, part: Part) -> str:
    options = [f"{option}={_text(option, value)}" for option, value in part.options.items()]
    return _call(f"{name} = {MODULE}.{part.name}", ["optimizer", *options])


def _text(option: str, value: Any) -> str:
    """An option as it is written; the start of a warm-up is a fraction, a function its name."""
    if _is_function(value):
        return option
    if option == "start_factor" and 0 < value < 1 and 1 / round(1 / value) == value:
        return f"1 / {round(1 / value)}"
    return repr(value)


def _call(function: str, arguments: Sequence[str]) -> str:
    """A call in one line where it fits, else in several, as ruff lays it out."""
    inside = ", ".join(arguments)
    if len(text := f"{function}({inside})") <= WIDTH:
        return text
    if len(inside) + 4 <= WIDTH:
        return f"{function}(\n    {inside}\n)"
    return f"{function}(\n" + "".join(f"    {each},\n" for each in arguments) + ")"


def _is_function(value: Any) -> bool:
    return callable(value) or (isinstance(value, tuple) and any(map(callable, value)))
