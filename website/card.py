"""The picture that a link to the site is shown with, drawn from real runs."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from gradwidgets import Recipe, train

SCALES = (0.3, 1.0, 3.0, 100.0)
COLORS = ("#56b4e9", "#ffffff", "#00c08b", "#e69f00")


def save(path: Path) -> None:
    """Write the card as a PNG of 1200 by 630 pixels: the loss on `moons` at four scales."""
    figure = plt.figure(figsize=(12, 6.3), dpi=100, facecolor="#0d1117")
    axes = figure.add_axes((0.06, 0.09, 0.88, 0.52), facecolor="#0d1117")
    for scale, color in zip(SCALES, COLORS, strict=True):
        history = train("moons", Recipe(lr=0.5, scale=scale))
        axes.semilogy(history.loss, color=color, linewidth=2.5, label=f"scale {scale:g}")
    axes.tick_params(colors="#8b949e", labelsize=13)
    axes.set_xlabel("update", color="#8b949e", fontsize=14, labelpad=0)
    axes.set_ylabel("loss", color="#8b949e", fontsize=14)
    for spine in axes.spines.values():
        spine.set_color("#30363d")
    axes.legend(ncols=4, fontsize=15, labelcolor="white", facecolor="#0d1117", edgecolor="#30363d")
    figure.text(0.06, 0.84, "gradwidgets", color="white", fontsize=46, weight="bold")
    words = "Learn what .grad does by changing it: lessons with live labs"
    figure.text(0.06, 0.72, words, color="#c9d1d9", fontsize=24)
    figure.savefig(path, facecolor=figure.get_facecolor())
    plt.close(figure)
