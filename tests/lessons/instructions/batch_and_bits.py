"""What lesson 16 tells the learner to do in its lab."""

import numpy as np

from gradwidgets import History
from tests.lessons.instructions import Instruction, ends


def roughness(history: History) -> float:
    """How much the gradient norm changes from update to update, as a share of it."""
    return float(np.abs(np.diff(np.log(history.grad_norm))).mean())


INSTRUCTIONS = [
    Instruction(
        cell="title",
        says="**Set *batch size* to 4, then to 256, and\nwatch the *gradient norm*.**",
        lab="lab",
        moves=[{"batch_size": 4}, {"batch_size": 256}],
        seen=lambda start, small, large: (
            roughness(small) > 1.1 * roughness(start) and roughness(start) > 1.5 * roughness(large)
        ),
    ),
    Instruction(
        cell="rounding-text",
        says="Set *precision* to bfloat16: the loss ends higher, and a panel shows the *share of\n"
        "steps lost to rounding*.",
        lab="lab",
        moves=[{"dtype": "bfloat16"}],
        seen=lambda start, low: ends(low) > ends(start) + 0.2 and low.lost.mean() > 0.5,
    ),
    Instruction(
        cell="rounding-text",
        says="Then set *rounding* to stochastic, and it ends near the start's.",
        lab="lab",
        moves=[{"dtype": "bfloat16", "rounding": "stochastic"}],
        seen=lambda start, random: abs(ends(random) - ends(start)) < 0.05,
    ),
]
