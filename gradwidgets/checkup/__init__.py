"""Diagnosis of a training loop: `checkup` watches it and names the broken link."""

from gradwidgets.checkup.formats import REPORT_SCHEMA
from gradwidgets.checkup.ranks import gather_reports, merge_reports
from gradwidgets.checkup.report import Finding, Report
from gradwidgets.checkup.watch import Watch, checkup

__all__ = [
    "checkup",
    "Watch",
    "Finding",
    "Report",
    "REPORT_SCHEMA",
    "gather_reports",
    "merge_reports",
]
