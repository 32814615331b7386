"""A run as a plain PyTorch program."""

from gradwidgets.script.parameter_groups import parts
from gradwidgets.script.precision import WrittenPrecision
from gradwidgets.script.program import (
    batches,
    early_setup,
    edit_setup,
    head,
    script,
    script_lines,
    update,
)
from gradwidgets.script.source import Line, Sources

__all__ = [
    "Line",
    "Sources",
    "WrittenPrecision",
    "batches",
    "head",
    "early_setup",
    "edit_setup",
    "parts",
    "script",
    "script_lines",
    "update",
]
