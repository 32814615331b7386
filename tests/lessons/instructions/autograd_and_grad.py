"""What lesson 01 tells the learner to do in its lab."""

from tests.lessons.instructions import Instruction


def values(snapshot):
    return [parameter.value.norm for parameter in snapshot.parameters]


LATE = {"loss.backward()": 4}

INSTRUCTIONS = [
    Instruction(
        cell="s1",
        says="move `loss.backward()` down until it stands below `optimizer.step()`, and run ten\n"
        "updates: no parameter moves.",
        lab="lab",
        moves=[{"run": 10}, LATE, LATE | {"run": 10}],
        seen=lambda start, usual, moved, ran: (
            values(start) == values(moved) == values(ran) != values(usual)
        ),
    )
]
