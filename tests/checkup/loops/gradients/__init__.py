"""Gradients have the wrong size, or are no numbers."""
