"""What lesson 07 tells the learner to do in its lab."""

import numpy as np

from tests.lessons.instructions import Instruction, ends


def ups(history):
    """Number of updates at which the loss goes up."""
    return int((np.diff(history.loss) > 0).sum())


INSTRUCTIONS = [
    Instruction(
        cell="title",
        says="choose another *optimizer*, and watch its path.",
        lab="lab",
        moves=[{"optimizer": name} for name in ("RMSprop", "Adam")],
        seen=lambda start, *others: all(not np.allclose(o.loss, start.loss) for o in others),
    ),
    Instruction(
        cell="explain-momentum",
        says="choose SGD and pull *momentum* to 0.9. The path swings from wall to wall at first\n"
        "and the loss goes up and down, but it ends nearer to the goal.",
        lab="lab",
        moves=[{"momentum": 0.9}],
        seen=lambda start, fast: ups(start) == 0 and ups(fast) > 5 and ends(fast) < ends(start),
    ),
]
