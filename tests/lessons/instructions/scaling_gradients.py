"""What lesson 03 tells the learner to do in its labs."""

import numpy as np

from tests.lessons.instructions import Instruction, ends


def same_loss_other_gradients(_, scaled, slower):
    """The loss curves of two runs lie on each other, those of their gradients do not."""
    return (
        np.allclose(scaled.loss, slower.loss, rtol=1e-3)
        and abs(scaled.edited_norm[0] / slower.edited_norm[0] - 0.1) < 1e-3
    )


INSTRUCTIONS = [
    Instruction(
        cell="lab-text",
        says="Set *scale* to 0.1 and press **Pin**.",
        lab="lab",
        moves=[{"scale": 0.1}, {"lr": 0.05}],
        seen=same_loss_other_gradients,
    ),
    Instruction(
        cell="lab-text",
        says="Now set *learning rate* to 0.05, a tenth of where it was",
        lab="lab",
        moves=[{"lr": 0.05}],
        seen=lambda start, slower: abs(slower.recipe.lr / start.recipe.lr - 0.1) < 1e-6,
    ),
    Instruction(
        cell="steep-text",
        says="Move *scale* to 2.5, and see the path zigzag.",
        lab="bowl",
        moves=[{"scale": 10**0.4}],
        seen=lambda _, zigzag: any(
            (np.diff(column[:12])[1:] * np.diff(column[:12])[:-1] < 0).all()
            for values in zigzag.parameters.values()
            for column in values.reshape(len(values), -1).T
        ),
    ),
    Instruction(
        cell="explain-limit",
        says="set *scale* to 2.5, and see the path zigzag to rest; then to 4, and see it leave.",
        lab="bowl",
        moves=[{"scale": 10**0.4}, {"scale": 10**0.6}],
        seen=lambda _, rest, leave: rest.loss[-1] < 1e-3 < leave.loss[0] < leave.loss[-1],
    ),
    Instruction(
        cell="explain-limit",
        says="still learns at scale 10",
        lab="lab",
        moves=[{"scale": 10.0}],
        seen=lambda start, ten: ends(ten) < 0.5 * ends(start),
    ),
]
