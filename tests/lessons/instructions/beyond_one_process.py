"""What lesson 12 tells the learner to do in its lab."""

import numpy as np

from tests.lessons.instructions import Instruction

INSTRUCTIONS = [
    Instruction(
        cell="lab-text",
        says="Set *accumulation steps* to 2:\nthe process takes 32 images, then the other 32, and "
        "makes one step. Is anything different?",
        lab="lab",
        moves=[{"accumulation_steps": 2}],
        seen=lambda start, two: (
            np.allclose(start.loss, two.loss, atol=0.05)
            and np.allclose(start.loss[:22], two.loss[:22], atol=1e-5)
        ),
    ),
    Instruction(
        cell="lab-text",
        says="Then\nswitch *divide the loss* off.",
        lab="lab",
        moves=[{"accumulation_steps": 2, "average": False}, {"lr": 1.0}],
        seen=lambda start, undivided, doubled: (
            start.recipe.lr == 0.5
            and np.abs(undivided.loss - start.loss).max() > 0.1
            and np.allclose(undivided.loss[:10], doubled.loss[:10], atol=1e-3)
        ),
    ),
]
