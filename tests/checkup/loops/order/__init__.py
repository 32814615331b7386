"""The right things are called in the wrong order, or not at all."""
