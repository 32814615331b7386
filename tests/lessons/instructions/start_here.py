"""What lesson 00 tells the learner to do in its labs."""

from gradwidgets import problems, script
from tests.lessons.instructions import Instruction, ends


def lines_of(history):
    """The lines of the program that makes this very run."""
    return script(problems.digits, history.recipe).split("\n")


INSTRUCTIONS = [
    Instruction(
        cell="first-drag",
        says="drag the slider called *scale*",
        lab="lab",
        moves=[{"scale": 0.2}, {"scale": 3.98}],
        seen=lambda start, low, high: ends(low) > ends(start) > ends(high),
    ),
    Instruction(
        cell="s1",
        says="A larger *scale* can bring the loss down faster.",
        lab="lab",
        moves=[{"scale": 3.98}],
        seen=lambda start, larger: ends(larger) < 0.9 * ends(start),
    ),
    Instruction(
        cell="explain-far",
        says="Find the *mask* that stops all learning",
        lab="lab",
        moves=[{"mask": 1.0}],
        seen=lambda start, masked: masked.loss[-1] == masked.loss[0] != start.loss[-1],
    ),
    Instruction(
        cell="explain-far",
        says="the slider that hardly\nchanges where the loss ends",
        lab="lab",
        moves=[{"accumulation_steps": 4}],
        seen=lambda start, parts: abs(ends(parts) - ends(start)) < 0.001,
    ),
    Instruction(
        cell="panels",
        says="At *mask* 1.0 every gradient is zero at every step.",
        lab="digits",
        moves=[{"mask": 1.0}],
        seen=lambda _, masked: masked.edited_norm.max() == 0,
    ),
    Instruction(
        cell="explain-script",
        says="Move *scale* in the lab and run the cell again: two lines are added",
        lab="digits",
        moves=[{"scale": 2.0}],
        seen=lambda start, larger: len(lines_of(larger)) == len(lines_of(start)) + 2,
    ),
    Instruction(
        cell="explain-script",
        says="Move **only** *scale* in the digits lab until the loss at the end",
        lab="digits",
        moves=[{"scale": 2.0}],
        seen=lambda start, larger: ends(larger) <= 0.8 * ends(start),
    ),
]
