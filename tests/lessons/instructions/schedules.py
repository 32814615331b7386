"""What lesson 13 tells the learner to do in its lab."""

from tests.lessons.instructions import Instruction, ends

INSTRUCTIONS = [
    Instruction(
        cell="title",
        says="Choose a\n*schedule*, and watch the panel called *learning rate*.",
        lab="lab",
        moves=[{"schedule": "linear"}, {"schedule": "cosine"}],
        seen=lambda start, *others: all(
            run.lr[-1] < 0.1 * start.lr[-1] and ends(run) < ends(start) for run in others
        ),
    ),
    Instruction(
        cell="explain-warm",
        says="Set *warm-up* to 50 in the first lab: the loss ends lower.",
        lab="lab",
        moves=[{"warmup_steps": 50}],
        seen=lambda start, warm: ends(warm) < ends(start) - 0.1,
    ),
    Instruction(
        cell="explain-warm",
        says="Press Reset, set *learning rate* to\n0.003 and do it again: now it does not.",
        lab="lab",
        moves=[{"lr": 0.003}, {"lr": 0.003, "warmup_steps": 50}],
        seen=lambda _, without, warm: ends(warm) >= ends(without),
    ),
]
