"""What a lesson tells the learner to do in a lab, and what has to be seen there then.

One file a lesson, with a list `INSTRUCTIONS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradwidgets import History


@dataclass(frozen=True)
class Instruction:
    """Moves in a lab, as the text of a lesson asks for them.

    Args:
        cell: the id of the text's cell.
        says: the words that ask for it and promise what is seen, as they stand there.
        lab: the name of the lab in the notebook.
        moves: what each run is made with, by control, one after the other; before each, "Reset".
        seen: from the runs, the first being the lab's start, whether what is promised is true.
    """

    cell: str
    says: str
    lab: str
    moves: list[dict[str, Any]]
    seen: Callable[..., bool]


def ends(history: History) -> float:
    """The mean of the last tenth of the losses."""
    return float(history.loss[-max(1, history.updates // 10) :].mean())
