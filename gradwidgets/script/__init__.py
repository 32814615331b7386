"""A run as a plain PyTorch program."""

from gradwidgets.script.program import batches, edit_setup, head, script, script_lines, update
from gradwidgets.script.source import Line, Sources

__all__ = ["Line", "Sources", "batches", "head", "edit_setup", "script", "script_lines", "update"]
