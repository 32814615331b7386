"""The file of a trace: its states, the widget's own JavaScript, and a program that joins them."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html import escape
from pathlib import Path
from string import Template

import anywidget

from gradwidgets import Ledger, Meter, Stepper
from website.finish import digest
from website.traces.controls import trace_ledger, trace_meter
from website.traces.record import CHOSEN, Trace, interned
from website.traces.stepper import trace_stepper

HERE = Path(__file__).parent
Traced = Stepper | Ledger | Meter
"""The widgets of which a trace can be taken."""


def save_trace(widget: Traced, path: Path) -> str:
    """Write the file that the site shows in place of a widget; returns its title."""
    trace = trace_of(widget)
    path.write_text(html(trace), encoding="utf-8", newline="\n")
    return trace.title


def trace_of(widget: Traced) -> Trace:
    """All that a page shows of a widget."""
    if isinstance(widget, Stepper):
        return trace_stepper(widget)
    return trace_ledger(widget) if isinstance(widget, Ledger) else trace_meter(widget)


def html(trace: Trace) -> str:
    """The text of the file. The same trace gives the same file."""
    kinds = list(dict.fromkeys(trace.views))
    css = "\n".join([_file("page.css"), *(str(kind._css) for kind in kinds)])
    views = ",\n".join(f"{kind.__name__}: {_module(kind)}" for kind in kinds)
    js = f'"use strict";\nconst VIEWS = {{\n{views}\n}};\n{_file("page.js")}'
    boxes = [f'<div data-part="{number}"></div>' for number in range(len(trace.views))]
    return Template(_file("page.html")).substitute(
        policy=_policy(css, js),
        title=escape(trace.title),
        css=css,
        js=js,
        controls="".join(boxes[:-1]),
        shown=boxes[-1],
        still=escape(trace.still),
        note=escape(trace.note),
        data=packed(trace),
    )


def packed(trace: Trace) -> str:
    """The views and places as JSON, in which each value stands once; compressed, in base64.

    Where a message leads is told as a difference: most are then the same at many places.
    """
    views = [[kind.__name__, CHOSEN.get(kind.__name__, "")] for kind in trace.views]
    places = [
        [place.states, {message: to - at for message, to in place.moves.items()}]
        for at, place in enumerate(trace.places)
    ]
    text = json.dumps(interned([views, places]), ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _module(kind: type[anywidget.AnyWidget]) -> str:
    """A widget's JavaScript as an expression, whose value is what the module exports."""
    script, count = re.subn(
        r"^export default \{ render \};$", "return { render };", str(kind._esm), flags=re.MULTILINE
    )
    assert count == 1
    return f"(() => {{\n{script}}})()"


def _policy(css: str, js: str) -> str:
    """The browser runs and fetches nothing but these two texts."""
    return (
        f"default-src 'none'; style-src {digest(css)}; script-src {digest(js)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()
