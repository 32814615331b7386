"""The panels of a saved page: what each keeps of a run, its axes, and what the program is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from torch import nn

from gradwidgets.core import History, Problem
from gradwidgets.export import axes
from gradwidgets.export.traces import Codes, LineTraces, PathTraces
from gradwidgets.plots import BoundaryPanel, LinePanel, SurfacePanel

ACTIVATIONS = {nn.Tanh: "tanh", nn.ReLU: "relu", nn.Sigmoid: "sigmoid"}
"""Layers that the page's program can compute, beside linear ones."""


class Drawn(ABC):
    """A panel of the page: what it keeps of each run, its axes, and what the program is told."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.told: dict[str, Any] = {}

    @abstractmethod
    def add(self, number: int, history: History) -> None:
        """Keep what is drawn of a run."""

    @abstractmethod
    def packed(self) -> list[Codes]:
        """The tables of codes of all runs; afterwards `told` is complete."""

    @abstractmethod
    def axes(self) -> str:
        """Return the markup that stays as it is, whichever runs are shown."""

    def markup(self) -> str:
        """The panel as SVG: in a group of its own what changes with the dials."""
        view = f'viewBox="0 0 {axes.WIDTH} {axes.HEIGHT}" aria-hidden="true"'
        return f'<svg {view}><g class="under"></g>{self.axes()}<g class="over"></g></svg>'


class _Lines(Drawn):
    def __init__(self, panel: LinePanel, count: int, last: int, most: int) -> None:
        super().__init__(panel.title)
        self._traces = LineTraces(panel, count, last, most)

    def add(self, number: int, history: History) -> None:
        self._traces.add(number, history)

    def packed(self) -> list[Codes]:
        curves, codes = self._traces.packed()
        for curve in curves:
            curve["name"] = axes.fit(curve["name"]) if curve["name"] else []
        panel = self._traces.panel
        self.told = {
            "kind": "lines",
            "last": int(self._traces.limits.x[1]),
            "curves": curves,
            "onlyLive": panel.only_live,
            "saysEnd": panel.says_end,
            "unmeasured": panel.unmeasured,
        }
        return codes

    def axes(self) -> str:
        return axes.line_axes(self._traces.panel, self._traces.limits)


class _Path(Drawn):
    def __init__(self, panel: SurfacePanel, count: int, last: int, most: int) -> None:
        super().__init__(panel.title)
        self._traces = PathTraces(panel, count, last, most)

    def add(self, number: int, history: History) -> None:
        self._traces.add(number, history)

    def packed(self) -> list[Codes]:
        self.told = {"kind": "path"}
        return self._traces.packed()

    def axes(self) -> str:
        return axes.surface_axes(self._traces.panel, self._traces.limits)


class _Region(Drawn):
    """The answers over the plane, which the page computes from the weights (as float16)."""

    def __init__(self, panel: BoundaryPanel, count: int, layers: list[Any]) -> None:
        super().__init__(panel.title)
        self._panel, self._limits = panel, panel.limits([])
        self.told = {"kind": "region", "layers": layers, "x": self._limits.x, "y": self._limits.y}
        sizes = [np.prod(layer[1:]) + layer[1] for layer in layers if layer[0] == "linear"]
        self._weights = np.full((count, int(sum(sizes))), np.nan, np.float16)

    def add(self, number: int, history: History) -> None:
        if history.model is not None:
            parts = [p.detach().double().flatten().numpy() for p in history.model.parameters()]
            with np.errstate(over="ignore"):
                self._weights[number] = np.concatenate(parts).astype(np.float16)

    def packed(self) -> list[Codes]:
        return [self._weights.view(np.uint16)]

    def axes(self) -> str:
        return axes.boundary_axes(self.title, self._panel.problem, self._limits)


def drawn_as(panel: object, count: int, last: int, most: int) -> Drawn | None:
    """The panel as the page draws it; None for what it cannot draw."""
    if isinstance(panel, LinePanel):
        return _Lines(panel, count, last, most)
    if isinstance(panel, SurfacePanel):
        return _Path(panel, count, last, most)
    layers = _layers(panel.problem) if isinstance(panel, BoundaryPanel) else None
    return _Region(panel, count, layers) if layers and isinstance(panel, BoundaryPanel) else None


def _layers(problem: Problem) -> list[Any] | None:
    """The model's layers, if the page's program can compute them all."""
    model = problem.build()
    if type(model) is not nn.Sequential:
        return None
    layers: list[Any] = []
    for layer in model:
        if type(layer) is nn.Linear and layer.bias is not None:
            layers.append(["linear", layer.out_features, layer.in_features])
        elif type(layer) in ACTIVATIONS:
            layers.append([ACTIVATIONS[type(layer)]])
        else:
            return None
    return layers
