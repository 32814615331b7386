"""The lines of a program that are about precision; see `gradwidgets.core.precision`."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from gradwidgets.core import PrecisionPlan, Recipe
from gradwidgets.script.source import Line, Sources, lines_of

METHODS = {
    torch.float64: "double",
    torch.float32: "float",
    torch.bfloat16: "bfloat16",
    torch.float16: "half",
}
"""The method of a module, or of a tensor, that casts it."""
DIGITS = {torch.float64: 53, torch.float32: 24, torch.bfloat16: 8, torch.float16: 11}
"""Significant bits of each type."""
COPIES = {"master copy": "master", "stochastic": "wide"}
"""The name of the float32 copy that the optimizer steps, by `Recipe.rounding`."""


class WrittenPrecision:
    """The precision of a recipe as it appears in a program.

    Args:
        recipe: its `dtype` and `rounding` are meant.
        sources: the problem's.

    Raises:
        ValueError: the precision does not go with another setting, or with the model.

    Attributes:
        stepped: the name of the module whose parameters the optimizer steps.
        functions: the functions that the program defines, in full.

    >>> from gradwidgets.core import problems
    >>> recipe = Recipe(dtype="bfloat16")
    >>> WrittenPrecision(recipe, Sources(problems.moons)).forward("x", "y")
    'loss = F.cross_entropy(model(x.bfloat16()), y)'
    """

    def __init__(self, recipe: Recipe, sources: Sources) -> None:
        self._plan = PrecisionPlan.of(recipe, sources.kinds)
        if sources.closure:
            self._plan.refuse_closure(recipe)
        self._sources = sources
        self.functions = self._plan.functions
        self.stepped = COPIES.get(self._plan.rounding, "model")

    def imports(self, others: list[str]) -> list[Line]:
        """The imports of a program: those of its problem, and its own."""
        own = [Line("import copy", ("rounding",))] * self._plan.widens
        return [*own, *(Line(other) for other in others if not (own and other == "import copy"))]

    def model(self, call: str) -> list[Line]:
        """`model = call`, cast, and its copy."""
        lines = [Line(f"model = {call}")]
        if self._plan.storage:
            says = f"each number has {DIGITS[self._plan.storage]} significant bits"
            lines = [Line(f"model = {call}.{METHODS[self._plan.storage]}()  # {says}", ("dtype",))]
        if self._plan.widens:
            text = f"{self.stepped} = copy.deepcopy(model).float()  # the optimizer steps this copy"
            lines.append(Line(text, ("rounding",)))
        return lines

    def scaler(self) -> list[Line]:
        """The `GradScaler`, if there is one."""
        line = Line('scaler = torch.amp.GradScaler("cpu")', ("dtype",))
        return [line] * self._plan.scaled

    def zero_grad(self, arguments: str, comment: str) -> list[Line]:
        """The call that clears the gradients of the model."""
        call = f"zero_grad({arguments}){comment}"
        return lines_of(f"model.{call}" if self._plan.widens else self._each(call), "clear")

    def forward(self, x: str, y: str) -> str:
        """`loss = ...` of these names, in the precision that is asked for."""
        x, y = self.cast(x, y)
        text = f"loss = {self._sources.loss}(model({x}), {y})"
        if self._plan.autocast:
            return f"with {self.autocast()}:\n    {text}"
        return text

    def cast(self, x: str, y: str) -> tuple[str, str]:
        """The names of x and y, with a cast where one is made."""
        if not self._plan.storage:
            return x, y
        method = f".{METHODS[self._plan.storage]}()"
        floating = map(_is_floating, self._sources.batch())
        one, other = (name + method * cast for name, cast in zip((x, y), floating, strict=True))
        return one, other

    def measured(self, text: str) -> str:
        """The text of a function that measures held-out data, in this precision."""
        if self._plan.autocast:
            plain = "torch.random.fork_rng():  # draws nothing from the run"
            text = text.replace(plain, f"torch.random.fork_rng(), {self.autocast()}:")
        x, y = self.cast("", "")
        text = re.sub(r"model\((held_x|xk)\)", rf"model(\1{x})", text)
        return re.sub(r"\), (held_y|yk)\)", rf"), \1{y})", text)

    def autocast(self) -> str:
        """The context that forward and loss are computed in, or nothing."""
        return f'torch.autocast("cpu", dtype={self._plan.autocast})' if self._plan.autocast else ""

    def backward(self, loss: str) -> str:
        """The call of `backward()` on `loss`, or on a share of it such as `loss / 2`."""
        if self._plan.scaled:
            return f"scaler.scale({loss}).backward()"
        return f"({loss}).backward()" if " " in loss else f"{loss}.backward()"

    def unscale(self) -> list[Line]:
        """Before the edits: the gradients as they are without the scaler's factor."""
        if not self._plan.scaled:
            return []
        comment = "  # back to the gradients of the loss itself"
        return lines_of(self._each("scaler.unscale_({})" + comment), "dtype")

    def step(self) -> list[Line]:
        """`optimizer.step()`, with the scaler's part or the rounding."""
        if self._plan.scaled:
            step = self._each("scaler.step({})  # skips it if a gradient is not finite")
            return [*lines_of(step, "optimizer", "dtype"), Line("scaler.update()", ("dtype",))]
        steps = lines_of(self._each("step()"), "optimizer")
        if not self._plan.widens:
            return steps
        before, after = BEFORE, AFTER[self._plan.rounding]
        if not self._sources.written.regular:
            before = before.replace("p.grad.float()", "None if p.grad is None else p.grad.float()")
        return [
            *lines_of(before.format(self.stepped), "rounding"),
            *steps,
            *lines_of(after.format(self.stepped), "rounding"),
        ]

    def _each(self, call: str) -> str:
        """A call of the optimizer, or of each in turn; {} in it stands for the optimizer."""
        text = call.format("optimizer") if "{}" in call else f"optimizer.{call}"
        return f"for optimizer in optimizers:\n    {text}" if self._sources.several else text

    def tagged(self, lines: list[Line]) -> list[Line]:
        """The lines; those that cast, or compute under autocast, belong to `dtype`, too."""
        if not (self._plan.storage or self._plan.autocast):
            return lines
        signs = ["autocast", "scaler.scale", "loss = "]
        return [
            Line(x.text, (*x.settings, "dtype")) if any(s in x.text for s in signs) else x
            for x in lines
        ]


BEFORE = """
for p, w in zip(model.parameters(), {0}.parameters()):
    w.grad = p.grad.float()
"""
AFTER = {
    "master copy": """
with torch.no_grad():
    for p, w in zip(model.parameters(), {0}.parameters()):
        p.copy_(w)  # to the nearest; w keeps all of it
""",
    "stochastic": """
with torch.no_grad():
    for p, w in zip(model.parameters(), {0}.parameters()):
        p.copy_(stochastic(w, p.dtype))
        w.copy_(p)  # what is left of the step is forgotten
""",
}


def _is_floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
