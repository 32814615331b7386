"""The JavaScript and CSS that stand beside a widget's module.

They are read here, and given to anywidget as text: given paths, it keeps every widget alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

NODES = Path(__file__).with_name("nodes.js")


def script_of(module: str | Path, *shared: str) -> str:
    """The JavaScript of the widget with this `__file__`, after the code shared by all.

    Args:
        module: the widget's `__file__`.
        shared: names of scripts beside it that some widgets share, without the suffix.

    >>> "function render" in script_of(Path(__file__).with_name("slider.py"))
    True
    """
    return "\n".join(map(_text, [NODES, *_beside(module, *shared, suffix=".js")]))


def style_of(module: str | Path, *shared: str) -> str:
    """The CSS of the widget with this `__file__`.

    Args:
        module: the widget's `__file__`.
        shared: names of style sheets beside it that some widgets share, without the suffix.

    >>> ".gradwidgets-slider" in style_of(Path(__file__).with_name("slider.py"))
    True
    """
    return "\n".join(map(_text, _beside(module, *shared, suffix=".css")))


def _beside(module: str | Path, *shared: str, suffix: str) -> Iterator[Path]:
    """The shared files beside a module, and then its own."""
    for name in (*shared, Path(module).stem):
        yield Path(module).with_name(name).with_suffix(suffix)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
