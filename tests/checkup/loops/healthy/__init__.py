"""Loops that nothing is wrong with, by subject."""
