"""What lesson 05 tells the learner to do in its lab."""

from tests.lessons.instructions import Instruction, ends

INSTRUCTIONS = [
    Instruction(
        cell="lab-text",
        says="Move *L2 penalty* to 0.1: the weights end closer to zero",
        lab="lab",
        moves=[{"l2": 0.1}],
        seen=lambda start, pulled: (
            pulled.param_norm[-1] < 0.8 * start.param_norm[-1] and ends(pulled) > ends(start)
        ),
    )
]
