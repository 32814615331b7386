"""What lesson 04 tells the learner to do in its lab."""

from tests.lessons.instructions import Instruction


def read(history):
    """The share of the held-out digits that are read right at the end."""
    return float(history.accuracy[-1, 1])


INSTRUCTIONS = [
    Instruction(
        cell="title",
        says="Move *mask*, and watch how many digits are still\nread right.",
        lab="lab",
        moves=[{"mask": 0.5}, {"mask": 0.8}, {"mask": 1.0}],
        seen=lambda start, *masked: (
            read(start) > read(masked[0]) > read(masked[1]) > read(masked[2])
        ),
    ),
    Instruction(
        cell="unit-explain",
        says="set *mask* to 0.8 and compare the masked parts *unit* and *random*.",
        lab="lab",
        moves=[{"mask": 0.8, "mask_kind": "unit"}, {"mask": 0.8, "mask_kind": "random"}],
        seen=lambda start, unit, random: read(unit) + 0.1 < read(random) < read(start) - 0.05,
    ),
    Instruction(
        cell="unit-explain",
        says="choose the masked part `*bias` and set *mask* to 1: the biases hardly matter here.",
        lab="lab",
        moves=[{"mask": 1.0, "mask_kind": "*bias"}],
        seen=lambda start, biases: abs(read(biases) - read(start)) < 0.02,
    ),
]
