"""A short story in a file beside this one, written for this package and under its licence."""

from __future__ import annotations

from pathlib import Path


def load_lines() -> list[str]:
    """The story, one sentence each line.

    >>> load_lines()[0]
    'A walker stands on a hill.'
    """
    return Path(__file__).with_name("text.txt").read_text(encoding="utf-8").splitlines()
