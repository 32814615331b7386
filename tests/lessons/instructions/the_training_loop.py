"""What lesson 08 tells the learner to do in its stepper."""

from tests.lessons.instructions import Instruction


def norms(snapshot):
    """The norms of the values, as the stepper shows them."""
    return [each.value.norm for each in snapshot.parameters]


INSTRUCTIONS = [
    Instruction(
        cell="stepper-text",
        says="Move `optimizer.zero_grad()` down until it stands right\n"
        "above `optimizer.step()`, and run ten updates: the norms of the values stay as they were.",
        lab="stepper",
        moves=[{"optimizer.zero_grad()": 5}, {"optimizer.zero_grad()": 5, "run": 10}],
        seen=lambda start, moved, ran: norms(start) == norms(moved) == norms(ran),
    ),
    Instruction(
        cell="stepper-text",
        says="Then move it\non, below `optimizer.step()`, and run ten more: now they change.",
        lab="stepper",
        moves=[{"optimizer.zero_grad()": 6, "run": 10}],
        seen=lambda start, ran: not set(norms(start)) & set(norms(ran)),
    ),
]
