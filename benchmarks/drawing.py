"""Encoding a lab's picture as PNG, beside Pillow, with which matplotlib encodes."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from matplotlib.image import imsave
from PIL import Image

from benchmarks.measure import Row
from gradwidgets import Recipe, plots, train
from gradwidgets.core import problems
from gradwidgets.plots.png import encode


def rows() -> Iterator[Row]:
    """Our encoder against both at the same compression; half the time pays for having it."""
    problem = problems.get("moons")
    canvas = plots.Canvas(plots.make(plots.suited(problem), problem))
    start = plots.StyledRun(train("moons", Recipe(lr=0.5)), "start", "baseline")
    live = plots.StyledRun(train("moons", Recipe(lr=0.5, scale=2.0)), "now")
    with Image.open(io.BytesIO(canvas.render([start, live]))) as picture:
        rgb = np.array(picture.convert("RGB"))
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])

    def ours() -> bytes:
        return encode(rgb)

    def pillow() -> bytes:
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, "png", compress_level=1)
        return file.getvalue()

    def matplotlib() -> bytes:
        file = io.BytesIO()
        imsave(file, rgba, format="png", pil_kwargs={"compress_level": 1})
        return file.getvalue()

    for name, other in (("Pillow", pillow), ("matplotlib", matplotlib)):
        sizes = f"{len(ours()) / 1e3:.1f} against {len(other()) / 1e3:.1f} kB"
        yield Row(f"a lab's picture as PNG, against {name} ({sizes})", ours, other, target=0.5)
