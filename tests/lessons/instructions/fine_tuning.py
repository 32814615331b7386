"""What lesson 15 tells the learner to do in its lab."""

from tests.lessons.instructions import Instruction, ends

UNTIL = "groups[body.*].frozen_until"
LR = "groups[body.*].lr"

INSTRUCTIONS = [
    Instruction(
        cell="title",
        says="**Move `body.*: frozen until` to 200.** The head learns alone, and\nthe loss ends "
        "higher. Fewer held-out digits are told right, too.",
        lab="lab",
        moves=[{UNTIL: 200}],
        seen=lambda free, frozen: (
            ends(frozen) > 5 * ends(free) and frozen.accuracy[-1, 1] < free.accuracy[-1, 1] - 0.05
        ),
    ),
    Instruction(
        cell="explain-later",
        says="move `body.*: frozen until` to 100. There the loss jumps up first, to about 10. In\n"
        "the end it is far lower than with the head alone.",
        lab="lab",
        moves=[{UNTIL: 100}, {UNTIL: 200}],
        seen=lambda _, half, frozen: (
            (half.loss[:100] == frozen.loss[:100]).all()
            and abs(half.loss[100:110].max() - 10) < 0.5
            and ends(half) < 0.2 * ends(frozen)
        ),
    ),
    Instruction(
        cell="explain-later",
        says="Now move `body.*: learning rate` to 0.02: the jump is\nsmaller, and the end a little "
        "higher.",
        lab="lab",
        moves=[{UNTIL: 100}, {UNTIL: 100, LR: 0.02}, {UNTIL: 200}],
        seen=lambda _, large, small, frozen: (
            frozen.loss[100] < small.loss[100:].max() < 0.2 * large.loss[100:].max()
            and ends(large) < ends(small) < 0.6 * ends(frozen)
        ),
    ),
]
