"""What lesson 10 tells the learner to do in its lab."""

from tests.lessons.instructions import Instruction

INSTRUCTIONS = [
    Instruction(
        cell="lab-text",
        says="Set *stop below* to 0.4, and\nread the accuracy at the end. Then set *batch size* to "
        "8 as well, and compare.",
        lab="lab",
        moves=[{"stop_below": 0.4}, {"stop_below": 0.4, "batch_size": 8}],
        seen=lambda _, large, small: (
            small.updates < large.updates < 200
            and small.accuracy[-1, 1] < large.accuracy[-1, 1] - 0.05
        ),
    )
]
