"""Why do my parameters not update? `with checkup(model, optimizer) as report:` names the link."""

from gradwidgets.checkup.report import Finding, Report
from gradwidgets.checkup.watch import checkup

__all__ = ["checkup", "Finding", "Report"]
