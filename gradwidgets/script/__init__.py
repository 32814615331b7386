"""A run as a plain PyTorch program."""

from gradwidgets.script.loop import head, update
from gradwidgets.script.program import batches, hidden, script, script_lines
from gradwidgets.script.source import Line, Sources

__all__ = ["Line", "Sources", "batches", "head", "hidden", "script", "script_lines", "update"]
