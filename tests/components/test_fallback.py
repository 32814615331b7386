"""The static picture and words that a widget leaves where none can live."""

import base64
import re
from html.parser import HTMLParser

import pytest
from anywidget import AnyWidget

from gradwidgets import GradLab, Ledger, Meter, Predict, Recipe, Stepper, Walkthrough
from gradwidgets.components import fallback

SHORT = Recipe(updates=3)
KINDS = {
    "lab": lambda: GradLab("line", recipe=SHORT),
    "ledger": lambda: Ledger("line", SHORT),
    "meter": lambda: Meter("line"),
    "question": lambda: Predict("a < b?", ["<i>", "no"], lambda: "no"),
    "stepper": lambda: Stepper("line", SHORT),
    "walkthrough": lambda: Walkthrough(GradLab("line", recipe=SHORT), [("One", "Two.")]),
}
SELECTORS = r"body:has\(\.([\w-]+)\) \.([\w-]+) { display: none; }"


class Reader(HTMLParser):
    """The texts and the tags of a page."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.tags = [], []
        self.feed(page)

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def parts(widget):
    """A widget and all within it."""
    return [widget, *(part for child in getattr(widget, "children", ()) for part in parts(child))]


@pytest.mark.parametrize("kind", KINDS)
def test_the_static_view_comes_before_the_widget_and_hides_while_it_lives(kind, monkeypatch):
    seen = []
    monkeypatch.setattr(fallback, "display", lambda data, **_: seen.append(data))
    shown = KINDS[kind]()
    shown._ipython_display_()
    before, after = seen
    view = shown.static_view()
    assert before["text/plain"] == view.words
    assert after[fallback.VIEW]["model_id"] == shown.widget.model_id
    page = Reader(before["text/html"])
    live, hidden = re.search(SELECTORS, before["text/html"]).groups()
    (marked,) = [part for part in parts(shown.widget) if live in part._dom_classes]
    assert isinstance(marked, AnyWidget)  # it is on the page only if its own JavaScript is
    assert ("div", {"class": hidden}) in page.tags
    assert view.words in page.texts
    png = base64.b64encode(view.png).decode()
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert pictures == [{"alt": view.alt, "src": f"data:image/png;base64,{png}"}] * bool(png)
    assert not {tag for tag, _ in page.tags} - {"style", "div", "img", "pre", "p", "small"}
    shown.close()


def test_the_picture_of_a_lab_is_described_in_numbers():
    lab = GradLab("line", recipe=SHORT)
    assert lab.summary in lab.static_view().alt
    assert "Gradient norm from" in lab.static_view().alt
    lab.close()
