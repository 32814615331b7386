"""What lesson 06 tells the learner to do in its lab."""

import numpy as np

from tests.lessons.instructions import Instruction, ends

INSTRUCTIONS = [
    Instruction(
        cell="lab-text",
        says="Move *accumulation steps* to 4: both curves look the same.",
        lab="lab",
        moves=[{"accumulation_steps": 4}],
        seen=lambda start, parts: np.allclose(parts.loss, start.loss, rtol=0.04),
    ),
    Instruction(
        cell="lab-text",
        says="Then switch *divide the loss* off as\nwell: now hardly anything is learned.",
        lab="lab",
        moves=[{"accumulation_steps": 4, "average": False}],
        seen=lambda start, added: ends(start) < 0.5 < 0.8 * added.loss[0] < ends(added),
    ),
]
