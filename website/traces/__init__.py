"""A stepper, a ledger or a meter as one HTML file, with all that it shows at many places.

`record.py` says what a trace is, `stepper.py` and `controls.py` take one from a widget, and
`page.py` writes the file. Its program, `page.js`, lets the widget's own JavaScript show it.
"""

from website.traces.page import Traced, save_trace

__all__ = ["Traced", "save_trace"]
