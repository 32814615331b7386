"""The JavaScript and CSS that stand beside a widget's module.

They are read here, and given to anywidget as text: given paths, it keeps every widget alive.
"""

from __future__ import annotations

from pathlib import Path

NODES = Path(__file__).with_name("nodes.js")


def script_of(module: str | Path) -> str:
    """The JavaScript of the widget with this `__file__`, after the code shared by all.

    >>> "function render" in script_of(Path(__file__).with_name("slider.py"))
    True
    """
    return "\n".join(_text(path) for path in (NODES, Path(module).with_suffix(".js")))


def style_of(module: str | Path) -> str:
    """The CSS of the widget with this `__file__`.

    >>> ".gradwidgets-slider" in style_of(Path(__file__).with_name("slider.py"))
    True
    """
    return _text(Path(module).with_suffix(".css"))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
