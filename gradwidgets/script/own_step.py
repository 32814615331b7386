"""Lines of a program whose problem has a step of its own: `loss = step(model, batch)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradwidgets.core import Problem, Recipe

AVERAGED = """
total, seen = 0.0, 0
for part in {parts}:
    loss = {step}(model, part)
    {share}
    total += loss.item() * {samples}
    seen += {samples}
mean = total / seen  # every sample counts alike
"""


@dataclass(frozen=True)
class StepText:
    """A problem's own step, as a program writes it.

    Args:
        step: the step's name.
        split: the name of the function that cuts a batch, or "".
        one: whether the data is one batch.
        count: the name of the function that gives a batch its weight, or "".
        length: the length of the first tensor of a batch of a given name, as text.
    """

    step: str
    split: str
    one: bool
    count: str
    length: Callable[[str], str]

    def samples(self, name: str) -> str:
        """The weight of a batch of this name, as text."""
        return f"{self.count}({name})" if self.count else self.length(name)

    def names(self, problem: Problem) -> dict[str, Any]:
        """The functions by their names."""
        named = {self.step: problem.step, self.split: problem.split, self.count: problem.samples}
        return {name: function for name, function in named.items() if name}

    @property
    def data(self) -> str:
        """The name of the data."""
        return "batch" if self.one else "loader"

    def grouped(self, recipe: Recipe) -> bool:
        """True if several batches make one update."""
        return recipe.accumulation_steps > 1 and not self.split

    def head(self, recipe: Recipe) -> str:
        """The line that opens the loop."""
        count = f"range({recipe.updates})"
        if self.one:
            return f"for update in {count}:"
        if self.grouped(recipe):
            return f"for update, group in zip({count}, groups()):"
        return f"for update, batch in zip({count}, batches()):"

    def parts(self, recipe: Recipe) -> str:
        """The lines of forward and backward where a batch, or several, are accumulated."""
        count = recipe.accumulation_steps
        share = f"(loss / {count}).backward()  # a batch counts 1/{count}, whatever its size"
        if not recipe.average:
            share = "loss.backward()  # the gradients of the batches add up"
        if recipe.clear == "never":
            share += "; .grad is never cleared"
        parts = f"{self.split}(batch, {count})" if self.split else "group"
        samples = self.samples("part")
        return AVERAGED.format(parts=parts, step=self.step, share=share, samples=samples)

    def measured(self, problem: Problem, function: str) -> tuple[list[str], str]:
        """The lines that measure held-out batches, and their result."""
        if getattr(problem.held_out_data(), "one", False):
            return [f"value = float({function}(model, held_out))"], "value"
        samples = self.samples("batch")
        return [
            "for batch in held_out:",
            f"    total += float({function}(model, batch)) * {samples}",
            f"    seen += {samples}",
        ], "total / seen"
