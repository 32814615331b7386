"""A lab as a file of its own, and the frame that shows it in a page."""

from __future__ import annotations

from html import escape
from pathlib import Path

from gradwidgets import GradLab
from gradwidgets.core import settings

HEIGHT = 900
"""Pixels of a frame until its lab has said how high it is."""
MOST = 200
"""Combinations of a lab's settings, about: besides each slider alone, which has all its stops."""
MOST_OF_SLOW = 20
SLOW = ("chars", "digits_cnn", "tokens")
"""Problems whose runs take long."""


def save_lab(lab: GradLab, path: Path) -> None:
    """Write the file that the site shows in place of a lab, with all of its settings."""
    lab.save_page(path, most=MOST_OF_SLOW if lab.problem.name in SLOW else MOST)


def title_of(lab: GradLab) -> str:
    """The name of a lab's frame, for those who do not see it."""
    known = settings.controls(lab.start)
    labels = ", ".join(known[name].label for name in lab.controls)
    return f"Lab: {lab.problem.name}, with {labels}"


def frame(title: str, source: str) -> str:
    """The frame that loads a lab when it is scrolled to.

    Args:
        title: the frame's name.
        source: the address of the lab's file, as seen from the page.
    """
    return (
        f'<figure class="gw-lab"><iframe loading="lazy" title="{escape(title)}" '
        f'src="{escape(source)}" height="{HEIGHT}"></iframe>'
        f'<figcaption><a href="{escape(source)}">This lab on a page of its own</a>. '
        "Every number in it was computed by PyTorch when this site was made.</figcaption></figure>"
    )
