"""All panels by name, and those that suit a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from gradwidgets.core import Problem, reduction
from gradwidgets.plots.lines import (
    GRADIENT,
    LOSS,
    LOSS_AND_HELD_OUT,
    LOST,
    LR,
    RATIO,
    WEIGHTS,
    LinePanel,
    held_out_panel,
)
from gradwidgets.plots.plane import BoundaryPanel, SurfacePanel, has_boundary, has_surface
from gradwidgets.plots.scale import Limits
from gradwidgets.plots.spread import SPREAD
from gradwidgets.plots.style import StyledRun, Theme


class Panel(Protocol):
    """One pair of axes: a part that is the same for every run, and what a run adds."""

    @property
    def title(self) -> str:
        """Its name, above the axes."""
        ...

    def limits(self, runs: Sequence[StyledRun]) -> Limits:
        """The ranges of the axes for these runs, in coarse steps."""
        ...

    def static_key(self, limits: Limits) -> object:
        """The part of the limits that `draw_static` uses; it is called again when this changes."""
        ...

    def draw_static(self, axes: Axes, limits: Limits, theme: Theme) -> None:
        """Draw everything that does not depend on a run."""
        ...

    def artists(self, run: StyledRun, axes: Axes, theme: Theme) -> list[Artist]:
        """The artists that one run adds, not yet on the axes."""
        ...

    def labels(self, run: StyledRun) -> list[tuple[float, str]]:
        """(height in data, text) of the labels at the right edge."""
        ...


def loss_panel(problem: Problem) -> LinePanel:
    """The loss; beside it that on held-out data if this is the metric, and both are means.

    >>> from gradwidgets.core import problems
    >>> loss_panel(problems.get("digits")).title  # its metric is the accuracy
    'loss'
    """
    return LOSS_AND_HELD_OUT if _held_out_beside_loss(problem) else LOSS


def _held_out_beside_loss(problem: Problem) -> bool:
    own = callable(problem.metric) or reduction(problem.loss) == "sum"
    return not own and problem.held_out is not None and problem.metric_name() == "loss"


PANELS: dict[str, Callable[[Problem], Panel]] = {
    "loss": loss_panel,
    "gradient": lambda _: GRADIENT,
    "ratio": lambda _: RATIO,
    "lr": lambda _: LR,
    "weights": lambda _: WEIGHTS,
    "lost": lambda _: LOST,
    "spread": lambda _: SPREAD,
    "held_out": lambda problem: held_out_panel(problem.metric_name()),
    "accuracy": lambda problem: held_out_panel(problem.metric_name()),
    "surface": SurfacePanel,
    "boundary": BoundaryPanel,
}
"""Every panel by name, made for a problem."""
OF_PARAMETERS = frozenset({"weights", "spread", "surface"})
"""Those that draw `History.parameters`."""


def suited(problem: Problem, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Loss, gradient, what the settings ask for, and what shows most of this problem: at most four.

    What shows little of a problem is left out where the settings ask for something.

    Args:
        problem: what is trained.
        extra: panels that belong to the settings, such as "lr" to a schedule.

    >>> from gradwidgets.core import problems
    >>> suited(problems.get("moons"), ["lr"])
    ('loss', 'gradient', 'lr', 'boundary')
    """
    if has_surface(problem):
        most = ["surface"]
    elif has_boundary(problem):
        most = ["boundary"]
    elif problem.held_out is not None and not _held_out_beside_loss(problem):
        most = ["held_out"]
    else:
        most = [] if extra else ["ratio"]
    return ("loss", "gradient", *extra, *most)[:4]


def make(names: Sequence[str], problem: Problem) -> list[Panel]:
    """The panels of these names.

    Raises:
        ValueError: a name is unknown, or its panel cannot show this problem.

    >>> from gradwidgets.core import problems
    >>> [panel.title for panel in make(("loss", "ratio"), problems.get("moons"))]
    ['loss', 'update / parameter norm']
    """
    for name in names:
        if name not in PANELS:
            raise ValueError(f"panel {name!r} is unknown; give some of {list(PANELS)}")
    if "surface" in names and not has_surface(problem):
        raise ValueError("panel 'surface' needs a problem with two parameters, such as 'line'")
    if "boundary" in names and not has_boundary(problem):
        raise ValueError("panel 'boundary' needs two inputs and two classes, such as 'moons'")
    if problem.held_out is None and {"held_out", "accuracy"} & {*names}:
        raise ValueError("panel 'held_out' needs Problem.held_out, as 'digits' has it")
    if "accuracy" in names and problem.metric_name() != "accuracy":
        raise ValueError(
            f"panel 'accuracy': the metric is {problem.metric_name()!r}; give 'held_out'"
        )
    return [PANELS[name](problem) for name in names]
