"""What a program is made of: lines that know their settings, and the texts of a problem."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from torch.nn import functional

from gradwidgets.core import problems
from gradwidgets.core.problem import Problem, is_pair


@dataclass(frozen=True)
class Line:
    """One line of a program, and the settings it belongs to."""

    text: str
    settings: tuple[str, ...] = ()


def lines_of(text: str, *settings: str) -> list[Line]:
    """The lines of a text, less the indentation they share and one blank line at each end."""
    body = textwrap.dedent(text)
    body = body.removeprefix("\n").removesuffix("\n")
    return [Line(line, settings if line.strip() else ()) for line in body.split("\n")]


def indented(lines: Iterable[Line]) -> list[Line]:
    """The lines one level further in."""
    return [replace(line, text=f"    {line.text}" if line.text else "") for line in lines]


class Sources:
    """How the program names the problem's data, model and loss; the texts that define them."""

    def __init__(self, problem: Problem) -> None:
        self.texts: list[str] = []
        self.missing: list[str] = []
        self.built_in = problem.name in problems.names() and problems.get(problem.name) is problem
        self.pair = is_pair(problem.batches())
        self.data = self._name(problem.data, "x, y" if self.pair else "loader")
        self.model = self._name(problem.model, "make_model")
        self.loss = self._name(problem.loss, "loss_fn")
        self.has_data_function = self.data not in ("x, y", "loader")

    def _name(self, thing: Any, fallback: str) -> str:
        name = getattr(thing, "__name__", "")
        if name and getattr(functional, name, None) is thing:
            return f"F.{name}"
        if (inspect.isfunction(thing) or inspect.isclass(thing)) and name.isidentifier():
            try:
                self.texts.append(textwrap.dedent(inspect.getsource(thing)).rstrip())
            except (OSError, TypeError):
                pass
            else:
                return name
        self.missing.append(fallback)
        return fallback
