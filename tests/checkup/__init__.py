"""Training loops, each with what a checkup must say about it."""
