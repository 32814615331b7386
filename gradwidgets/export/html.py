"""A lab as one HTML file: every run of a slider is in it, so it needs no kernel and no network."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from gradwidgets.core import Control, History, Problem
from gradwidgets.export.runs import View, described, ends, points_each, programs, views
from gradwidgets.export.svg import HEIGHT, WIDTH
from gradwidgets.export.words import columns, extremes, shared
from gradwidgets.plots import DARK, LIGHT, Theme

HERE = Path(__file__).parent
THINNED = (
    "Of long runs about {} points a curve are drawn, the lowest and the highest of each stretch "
    "among them."
)
BARS = "Bars: the last loss of each run, from the lowest to the highest; hatched: diverged."


@dataclass(frozen=True)
class Dial:
    """One setting that the page's reader can change.

    Args:
        control: its name, its help, and whether it is a slider or a list.
        values: what it visits, in order.
        at: the place among them where it stands at first.
    """

    control: Control
    values: tuple[Any, ...]
    at: int

    @property
    def texts(self) -> list[str]:
        """The values as they are shown."""
        return [self.control.text(value) for value in self.values]


def page(
    problem: Problem,
    dials: Sequence[Dial],
    histories: Sequence[History],
    baseline: History | None = None,
) -> str:
    """The text of an HTML file that shows the run that its dials stand at.

    The same runs give the same text: it holds no time, no path and nothing of the machine.

    Args:
        problem: what was trained.
        dials: one setting or several.
        histories: a run for each combination of values, the last dial's changing fastest.
        baseline: a run to compare with, drawn dashed.
    """
    seen = views(histories, baseline)
    runs = described(histories, baseline, seen)
    lines, listed = programs(problem, histories)
    at = 0
    for dial in dials:
        at = at * len(dial.values) + dial.at
    data = {"runs": runs, "lines": lines, "programs": listed, "ends": ends(histories, seen[0])}
    css, js = _colors() + _file("page.css"), _file("page.js")
    return Template(_file("page.html")).substitute(
        _words(problem, dials, histories, baseline),
        policy=_policy(css, js),
        css=css,
        js=js,
        data=_json({**data, "texts": [dial.texts for dial in dials]}),
        dials="".join(_dial(number, dial) for number, dial in enumerate(dials)),
        sentence=escape(runs[at]["sentence"]),
        picture=escape(runs[at]["picture"]),
        panels="".join(map(_panel, seen, runs[at]["curves"])),
        rows=runs[at]["rows"],
        program=escape("\n".join(lines[place] for place in listed[at])),
    )


def _words(
    problem: Problem, dials: Sequence[Dial], histories: Sequence[History], baseline: History | None
) -> dict[str, str]:
    """What stays as it is while the dials move, as HTML."""
    names = " and ".join(dial.control.label for dial in dials)
    most = points_each(histories)
    thinned = max(history.updates for history in histories) > most
    return {
        "title": escape(f"{problem.name}: {names}"),
        "name": escape(problem.name),
        "description": escape(problem.description),
        "shared": escape(shared([history.recipe for history in histories])),
        "start": _start(baseline) if baseline is not None else "",
        "swatch": _swatch("live"),
        "head": "".join(f'<th scope="col">{name}</th>' for name in columns(histories[0], baseline)),
        "thinned": THINNED.format(most) if thinned else "",
        "bars": BARS if any(dial.control.slider for dial in dials) else "",
        "extremes": escape(extremes(histories, _places(dials))),
    }


def _places(dials: Sequence[Dial]) -> list[str]:
    """Where the dials stand at each run, in words."""
    named = [[f"{dial.control.label} {text}" for text in dial.texts] for dial in dials]
    return [", ".join(place) for place in itertools.product(*named)]


def _start(baseline: History) -> str:
    """The line on the run that the others are compared with."""
    settings, sentence = shared([baseline.recipe]), baseline.summary()
    return (
        f'<p class="run">{_swatch("baseline")} start <small>{escape(settings)}</small></p>'
        f"<p>{escape(sentence)}</p>"
    )


def _swatch(role: str) -> str:
    return (
        f'<svg class="swatch" viewBox="0 0 36 8" aria-hidden="true">'
        f'<path class="{role}" d="M2 4h32"/></svg>'
    )


def _dial(number: int, dial: Dial) -> str:
    """A labelled slider, or a list where values have no order."""
    texts = [escape(text) for text in dial.texts]
    name = f'id="dial-{number}" aria-describedby="help-{number}" autocomplete="off"'
    said = f'aria-valuetext="{texts[dial.at]}"'
    if dial.control.slider:
        field = (
            f'<div class="strip" aria-hidden="true"></div>'
            f'<input {name} type="range" min="0" max="{len(texts) - 1}" step="1" '
            f'value="{dial.at}" {said}>'
            f'<div class="ends" aria-hidden="true"><span>{texts[0]}</span>'
            f"<span>{texts[-1]}</span></div>"
        )
    else:
        options = [
            f'<option value="{place}"{" selected" * (place == dial.at)}>{text}</option>'
            for place, text in enumerate(texts)
        ]
        field = f"<select {name}>{''.join(options)}</select>"
    return (
        f'<div class="dial"><label for="dial-{number}">{escape(dial.control.label)}</label>'
        f'<span class="value">{texts[dial.at]}</span>{field}'
        f'<p id="help-{number}">{escape(dial.control.help)}</p></div>'
    )


def _panel(view: View, curves: str) -> str:
    inside = f'{view.scenery}<g class="now">{curves}</g>'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{inside}</svg>'


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()


def _colors() -> str:
    """The colours of `theme` as CSS: as the system has it, unless the reader chose otherwise."""
    light, dark = _variables(LIGHT, "light"), _variables(DARK, "dark")
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"
        f":root[data-theme=light]{{{light}}}\n:root[data-theme=dark]{{{dark}}}\n"
        f"@media print{{:root:root{{{light}}}}}\n"
    )


def _variables(theme: Theme, scheme: str) -> str:
    colors = dataclasses.asdict(theme).items()
    single = [f"--{name}:{color};" for name, color in colors if isinstance(color, str)]
    single.append(f"--diverged:{theme.pinned[0]};")
    return f"color-scheme:{scheme};" + "".join(single)


def _policy(css: str, js: str) -> str:
    """The browser runs and fetches nothing but these two texts, whatever else gets in."""
    return (
        f"default-src 'none'; style-src {_digest(css)}; script-src {_digest(js)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    """A text as Content Security Policy (W3C, level 3) names it."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(data: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end that."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
