"""What is shown beside a widget, for where no widget lives."""

import base64
import re
from html.parser import HTMLParser

import pytest

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


@pytest.mark.parametrize("kind", KINDS)
def test_what_stays_comes_before_the_widget_and_hides_while_it_lives(kind, monkeypatch):
    seen = []
    monkeypatch.setattr(fallback, "display", lambda data, **_: seen.append(data))
    shown = KINDS[kind]()
    shown._ipython_display_()
    before, view = seen
    still = shown.static_view()
    assert before["text/plain"] == still.words
    assert view[fallback.VIEW]["model_id"] == shown.widget.model_id
    page = Reader(before["text/html"])
    live, hidden = re.search(SELECTORS, before["text/html"]).groups()
    assert [live in part._dom_classes for part in fallback._drawn(shown.widget)].count(True) == 1
    assert ("div", {"class": hidden}) in page.tags
    assert still.words in page.texts
    png = base64.b64encode(still.png).decode()
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert pictures == [{"alt": still.alt, "src": f"data:image/png;base64,{png}"}] * bool(png)
    assert not {tag for tag, _ in page.tags} - {"style", "div", "img", "pre", "p", "small"}
    shown.close()


def test_the_picture_of_a_lab_is_described_in_numbers():
    lab = GradLab("line", recipe=SHORT)
    assert lab.summary in lab.static_view().alt
    assert "Gradient norm from" in lab.static_view().alt
    lab.close()
