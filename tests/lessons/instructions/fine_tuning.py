"""What lesson 15 tells the learner to do in its lab."""

from tests.lessons.instructions import Instruction, ends

UNTIL = "groups[body.*].frozen_until"

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
        says="move `body.*: frozen until` to 100. From there on the loss falls faster.",
        lab="lab",
        moves=[{UNTIL: 100}, {UNTIL: 200}],
        seen=lambda _, half, frozen: (
            (half.loss[:100] == frozen.loss[:100]).all() and ends(half) < 0.2 * ends(frozen)
        ),
    ),
]
