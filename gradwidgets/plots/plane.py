"""Panels in a plane: the loss over two parameters, the decision boundary over two inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor, nn

from gradwidgets.core import (
    PROCESS_LOCK,
    Array,
    History,
    Problem,
    evaluating,
    is_pair,
    is_small,
    one_thread,
    storage_of,
)
from gradwidgets.plots.scale import Limits, nice
from gradwidgets.plots.style import DASHES, StyledRun, Theme

GRID = 60
"""Points along each side of a surface or a region."""


@dataclass(frozen=True)
class SurfacePanel:
    """The loss over the two parameters of a problem, and the path of each run.

    >>> from gradwidgets.core import problems
    >>> SurfacePanel(problems.get("bowl")).limits([])
    Limits(x=(-3.0, 3.0), y=(-3.0, 3.0), log=False)
    """

    problem: Problem
    title: str = "loss surface and path"

    def limits(self, runs: Sequence[StyledRun]) -> Limits:
        """A window around the lowest loss that holds the start."""
        best = min((run for run in runs if run.history.updates), key=_lowest, default=None)
        if best is None:
            return Limits((-3.0, 3.0), (-3.0, 3.0))
        path = path_of(best.history)
        target = path[np.argmin(best.history.loss)]
        reach = np.abs(path[0] - target)
        half = [nice(max(r, 0.4 * reach.max(), 1e-3) * 1.5) for r in reach]
        middle = [round(c / h * 4) * h / 4 for c, h in zip(target, half, strict=True)]
        (x, y), (w, h) = middle, half
        return Limits((x - w, x + w), (y - h, y + h))

    def static_key(self, limits: Limits) -> object:
        """The contours fill the window."""
        return limits

    def draw_static(self, axes: Axes, limits: Limits, theme: Theme) -> None:
        """The contours of the loss."""
        x, y, heights = self.heights(limits)
        if levels := self.levels(heights):
            axes.contour(x, y, heights, levels, colors=theme.baseline, linewidths=0.6)
        axes.set_title(self.title)
        across, up = self.names
        axes.set_xlabel(across, parse_math=False)
        axes.set_ylabel(up, parse_math=False)

    @property
    def names(self) -> list[str]:
        """The names of the two parameters."""
        return _element_names(self.problem)

    def heights(self, limits: Limits) -> tuple[Array, Array, Array]:
        """(GRID,) values of each parameter, and (GRID, GRID) losses; NaN where there is none."""
        x, y = np.linspace(*limits.x, GRID), np.linspace(*limits.y, GRID)
        return x, y, surface(self.problem, x, y)

    @staticmethod
    def levels(heights: Array) -> list[float]:
        """The losses whose contours are drawn, as many above as below the middle one."""
        finite = heights[np.isfinite(heights)]
        shares = np.linspace(0.02, 0.98, 14)
        return np.unique(np.quantile(finite, shares)).tolist() if finite.size else []

    def artists(self, run: StyledRun, axes: Axes, theme: Theme) -> list[Artist]:  # noqa: ARG002
        """The path of one run, from a circle to a square."""
        path = path_of(run.history)
        color, dash = run.color(theme), DASHES[run.dash]
        line = Line2D(*path.T, color=color, linestyle=dash, linewidth=run.width * 0.8)
        dots = Line2D(*path.T, color=color, linestyle="", marker=".", markersize=4)
        ends = [
            Line2D(*path[i : i + 1].T, color=color, linestyle="", marker=mark, markersize=7)
            for i, mark in ((0, "o"), (len(path) - 1, "s"))
        ]
        return [line, dots, *ends]

    def labels(self, run: StyledRun) -> list[tuple[float, str]]:  # noqa: ARG002
        """None: the paths cross."""
        return []


@dataclass(frozen=True)
class BoundaryPanel:
    """The answers of the live run's model over the plane of its two inputs, and the samples.

    >>> from gradwidgets.core import problems
    >>> limits = BoundaryPanel(problems.get("moons")).limits([])
    >>> limits.log, limits.x[0] < limits.x[1]
    (False, True)
    """

    problem: Problem
    title: str = "what the model answers"

    def limits(self, runs: Sequence[StyledRun]) -> Limits:  # noqa: ARG002
        """A window around the samples."""
        x, _ = self.problem.batches()
        low, high = x.amin(0).tolist(), x.amax(0).tolist()
        margins = [(b - a) * 0.08 for a, b in zip(low, high, strict=True)]
        spans = [(a - m, b + m) for a, b, m in zip(low, high, margins, strict=True)]
        return Limits(spans[0], spans[1])

    def static_key(self, limits: Limits) -> object:  # noqa: ARG002
        """Always the same."""
        return None

    def draw_static(self, axes: Axes, limits: Limits, theme: Theme) -> None:  # noqa: ARG002
        """Names of the axes."""
        axes.set_title(self.title)
        axes.set_xlabel("input 1")
        axes.set_ylabel("input 2")

    def artists(self, run: StyledRun, axes: Axes, theme: Theme) -> list[Artist]:
        """Regions and samples for the live run, the boundary for the others."""
        if run.role != "live" or run.history.model is None:
            return []
        x, y = self.problem.batches()
        limits = self.limits([])
        region = AxesImage(axes, extent=(*limits.x, *limits.y), origin="lower", alpha=0.5)
        storage = storage_of(run.history.recipe)
        region.set_data(_painted(regions(run.history.model, limits, x, storage), theme))
        return [region, *_samples(x, y, theme)]

    def labels(self, run: StyledRun) -> list[tuple[float, str]]:  # noqa: ARG002
        """None: the regions show themselves."""
        return []


def _samples(x: Tensor, y: Tensor, theme: Theme) -> list[Artist]:
    return [
        Line2D(
            *x[y == label].T.tolist(),
            linestyle="",
            marker="o^"[label % 2],
            markersize=5,
            color=theme.classes[label % 2],
            markeredgecolor=theme.paper,
            markeredgewidth=0.6,
        )
        for label in y.unique().tolist()  # type: ignore[no-untyped-call]
    ]


def _painted(answers: Array, theme: Theme) -> Array:
    """Colours between those of class 0 and class 1, in 6 steps, so that borders can be seen.

    Class 1 is nearer to the paper, too, so that the two differ without colours.
    """
    first, second, paper = (np.array(to_rgb(color)) for color in (*theme.classes, theme.paper))
    second = (second + paper) / 2
    share = np.round(answers * 5)[..., None] / 5
    colors: Array = (1 - share) * first + share * second
    return colors


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put the random number generator back: a model may draw when it is built and when it is run.

    Other threads, which may draw, too, wait.
    """
    with PROCESS_LOCK, torch.random.fork_rng([]):
        yield


@torch.no_grad()
def regions(
    model: nn.Module, limits: Limits, like: Tensor, storage: torch.dtype | None = None
) -> Array:
    """(GRID, GRID) probabilities of class 1 over a plane; the model's modes stay as they are.

    The model takes inputs of the type `storage`, or of that of `like`.
    """
    across = torch.linspace(*limits.x, GRID, dtype=like.dtype, device=like.device)
    up = torch.linspace(*limits.y, GRID, dtype=like.dtype, device=like.device)
    points = torch.cartesian_prod(up, across).flip(1)
    with undisturbed(), evaluating(model), one_thread(is_small(model)):
        chances = model(points.to(storage)).softmax(1)[:, 1]
    return torch.nan_to_num(chances, 0.5).reshape(GRID, GRID).double().cpu().numpy()


@undisturbed()
def surface(problem: Problem, first: Array, second: Array) -> Array:
    """(len(second), len(first)) losses over two parameters and all the data; NaN where it fails."""
    model = problem.build()
    x, y = problem.batches()
    shapes = {name: p.shape for name, p in model.named_parameters()}
    points = torch.cartesian_prod(torch.tensor(second), torch.tensor(first)).flip(1)
    points = points.to(next(model.parameters()))

    def loss(point: Tensor) -> Tensor:
        parts = torch.split(point, [shape.numel() for shape in shapes.values()])
        named = {n: p.reshape(s) for (n, s), p in zip(shapes.items(), parts, strict=True)}
        return problem.loss(  # type: ignore[no-any-return]
            torch.func.functional_call(model, named, (x,)), y
        )

    with torch.no_grad(), one_thread():
        try:
            losses = torch.func.vmap(loss)(points)
        except Exception:  # a model may branch on its values, or raise
            losses = torch.tensor([_attempt(loss, point) for point in points])
    return losses.reshape(len(second), len(first)).double().cpu().numpy()


def _attempt(loss: Callable[[Tensor], Tensor], point: Tensor) -> float:
    try:
        return loss(point).item()
    except Exception:
        return math.nan


def path_of(history: History) -> Array:
    """(updates + 1, 2) the two parameters over a run, as far as they are finite.

    >>> from gradwidgets.core import Recipe, train
    >>> path_of(train("bowl", Recipe(updates=5))).shape
    (6, 2)
    """
    flat = [values.reshape(len(values), -1) for values in history.parameters.values()]
    path: Array = np.concatenate(flat, axis=1)
    return path[np.isfinite(path).all(axis=1)]


def has_surface(problem: Problem) -> bool:
    """True if a problem has just two parameters, both real, and its data as tensors."""
    with undisturbed():
        parameters = list(problem.build().parameters())
    if any(p.is_complex() for p in parameters) or not is_pair(problem.batches()):
        return False
    return sum(p.numel() for p in parameters) == 2


def has_boundary(problem: Problem) -> bool:
    """True if a problem sorts points of a plane into two classes."""
    data = problem.batches()
    if not is_pair(data):
        return False
    x, y = data
    return x.shape[1:] == (2,) and not y.is_floating_point() and set(y.unique().tolist()) == {0, 1}


def _lowest(run: StyledRun) -> float:
    return float(run.history.loss.min())


def _element_names(problem: Problem) -> list[str]:
    with undisturbed():
        parameters = list(problem.build().named_parameters())
    return [
        name if p.numel() == 1 else f"{name}[{index}]"
        for name, p in parameters
        for index in range(p.numel())
    ]
