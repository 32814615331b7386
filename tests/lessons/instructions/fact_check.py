"""What lesson 11 tells the learner to do in its labs: it has none."""

INSTRUCTIONS = []
