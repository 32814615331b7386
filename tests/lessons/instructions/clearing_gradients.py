"""What lesson 02 tells the learner to do in its lab."""

import numpy as np

from tests.lessons.instructions import Instruction, ends

NEVER = {"clear": "never"}

INSTRUCTIONS = [
    Instruction(
        cell="lab-text",
        says="Set *clear* to *never*: now nobody calls `zero_grad()`.",
        lab="lab",
        moves=[NEVER],
        seen=lambda start, never: ends(never) > 10 * ends(start),
    ),
    Instruction(
        cell="explain-which",
        says="set *clear* to `never`, press **Pin**, then **Reset**, and pull\n"
        "*momentum* to 1.0: the same loss and the same path. (The gradient norm differs:",
        lab="lab",
        moves=[NEVER, {"momentum": 1.0}],
        seen=lambda _, never, momentum: (
            np.allclose(never.loss, momentum.loss)
            and not np.allclose(never.grad_norm, momentum.grad_norm)
        ),
    ),
    Instruction(
        cell="explain-which",
        says="Then try *momentum* 0.9: it comes to rest.",
        lab="lab",
        moves=[NEVER, {"momentum": 0.9}],
        seen=lambda _, never, rolling: ends(rolling) < 0.1 * ends(never),
    ),
]
