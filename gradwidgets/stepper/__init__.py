"""One update of the training loop, line by line.

`program.py` writes the lines and moves them, `execution.py` decides what a line does and which
comes next, `workspace.py` holds and restores what the lines work on. `engine.py` goes forwards and
backwards through the loop; its `snapshot.py` and `explain.py` say what a line did, as plain data.
`page.py` and `view.py` show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily

if TYPE_CHECKING:
    from gradwidgets.stepper.view import Stepper

__all__ = ["Stepper"]

__getattr__ = lazily(__name__, {"Stepper": "gradwidgets.stepper.view"})
