"""What a slider change costs in a lab, training aside, beside the usual ways to redraw.

Every way answers the same change: three axes of 1100 by 320 pixels in all, histories already
there, the picture as PNG bytes at the end.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle

import ipywidgets
import matplotlib
import numpy as np

from benchmarks.measure import Row
from gradwidgets import GradLab, History, Recipe, train

matplotlib.use("agg")
import matplotlib.pyplot as plt

SCALES = (1.0, 1.3, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0)
START = Recipe(lr=0.5)


def rows() -> Iterator[Row]:
    """The lab against interact with a fresh figure, livelossplot and mpl-interactions."""
    change = lab_change()
    for name, other in (
        ("interact, fresh figure", interact_change()),
        ("livelossplot", livelossplot_change()),
        ("mpl-interactions", mpl_interactions_change()),
    ):
        yield Row(f"slider change in a lab, against {name}", change, other)


@cache
def history(scale: float) -> History:
    """One of the runs that the slider moves between."""
    return train("moons", START.replace(scale=scale))


def curves(run: History) -> tuple[np.ndarray, ...]:
    """What is drawn on the three axes."""
    return run.loss, run.grad_norm, run.update_ratio


def lab_change() -> Callable[[], object]:
    """Move the lab's slider, to a recipe that it has trained before."""
    lab = GradLab("moons", recipe=START, panels=("loss", "gradient", "ratio"))
    scales = cycle(SCALES)
    for scale in SCALES:
        lab.controls["scale"].value = scale

    def change() -> bytes:
        lab.controls["scale"].value = next(scales)
        return lab.picture

    return change


def interact_change() -> Callable[[], object]:
    """`ipywidgets.interact` calling a function that makes a figure."""

    def draw(scale: float) -> None:
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), dpi=100)
        for ax, curve in zip(axes, curves(history(scale)), strict=True):
            ax.plot(curve)
            ax.set_yscale("log")
        figure.savefig(io.BytesIO())
        plt.close(figure)

    slider = ipywidgets.SelectionSlider(options=SCALES)
    ipywidgets.interactive(draw, scale=slider)
    scales = cycle(SCALES)
    return lambda: setattr(slider, "value", next(scales))


def livelossplot_change() -> Callable[[], object]:
    """livelossplot, given the curves of the run and told to draw."""
    from livelossplot import PlotLosses
    from livelossplot.outputs import MatplotlibPlot

    scales = cycle(SCALES)

    def draw() -> None:
        output = MatplotlibPlot(max_cols=3, cell_size=(3.67, 3.2), after_plots=_save)
        plot = PlotLosses(outputs=[output])
        for values in zip(*curves(history(next(scales))), strict=True):
            plot.update(dict(zip(("loss", "gradient", "ratio"), values, strict=True)))
        with contextlib.redirect_stdout(io.StringIO()):
            plot.send()
        plt.close("all")

    return draw


def _save(figure: matplotlib.figure.Figure) -> None:
    figure.savefig(io.BytesIO())


def mpl_interactions_change() -> Callable[[], object]:
    """mpl-interactions, which sets the data of curves on a figure that is kept."""
    import mpl_interactions.ipyplot as iplt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), dpi=100)
    updates = np.arange(START.updates)
    controls = None
    for number, ax in enumerate(axes):

        def curve(x: np.ndarray, scale: float, number: int = number) -> np.ndarray:
            return curves(history(float(scale)))[number][: len(x)]

        ax.set_yscale("log")
        shared = {"controls": controls} if controls else {"scale": np.array(SCALES)}
        controls = iplt.plot(updates, curve, ax=ax, **shared)
    slider = controls.controls["scale"]
    scales = cycle(SCALES)

    def draw() -> None:
        slider.set_val(next(scales))
        figure.savefig(io.BytesIO())

    return draw
