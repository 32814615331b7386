"""What lesson 14 tells the learner to do in its lab."""

from tests.lessons.instructions import Instruction, ends

INSTRUCTIONS = [
    Instruction(
        cell="title",
        says="**Move *accumulation steps* from 1 to 4: here the loss ends\nlower.**",
        lab="lab",
        moves=[{"accumulation_steps": 4}],
        seen=lambda one, four: ends(four) < 0.5 * ends(one),
    ),
    Instruction(
        cell="sum-text",
        says="set *accumulation steps* to 16, and the loss ends where it ends without hooks.",
        lab="lab",
        moves=[{"accumulation_steps": 16}],
        seen=lambda _, many: abs(ends(many) - 0.0121) < 0.0002,
    ),
]
