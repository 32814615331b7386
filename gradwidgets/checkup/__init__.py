"""Diagnosis of a training loop: `checkup` watches it and names the broken link."""

from gradwidgets.checkup.report import Finding, Report
from gradwidgets.checkup.watch import checkup

__all__ = ["checkup", "Finding", "Report"]
