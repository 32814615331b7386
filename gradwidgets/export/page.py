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

import numpy as np

from gradwidgets.core import Control, History, Problem, Recipe, not_allowed, settings
from gradwidgets.export import runs
from gradwidgets.export.svg import HEIGHT, WIDTH, PanelMarkup
from gradwidgets.plots import DARK, LIGHT, OutcomeBars, StyledRun, Theme, outcome_bars
from gradwidgets.sweep import Sweep

HERE = Path(__file__).parent
GRID = 11
"""Stops of each of two settings: their product is trained, and must fit into one file."""
THINNED = (
    "Of long runs about {} points a curve are drawn, the lowest and the highest of each stretch "
    "among them."
)
HATCHED = "A hatched bar is a run that diverges, oscillates or rises."


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

    @property
    def places(self) -> list[str]:
        """The values with the setting's name."""
        return [f"{self.control.label} {text}" for text in self.texts]


def save_page(
    problem: Problem,
    recipe: Recipe,
    baseline: History | None,
    path: str | Path,
    field: str,
    other: str | None = None,
    values: Sequence[Any] | None = None,
) -> Path:
    """Save a lab as one HTML file whose slider needs neither a kernel nor a network.

    The page's numbers are those of `train`, to the last bit; see `sweep`.

    Args:
        problem: what is trained.
        recipe: gives the other settings, and where the page's slider stands at first.
        baseline: a run to draw beside each, or None.
        path: the file to write.
        field: the setting that can be changed on the page, such as "lr" or "momentum".
        other: a second one; then evenly picked stops of both are trained.
        values: what `field` takes; None takes the stops of its control.

    Raises:
        ValueError: a setting has no control, or a value is not allowed; says what would be right.
        TrainingError: the model or the loss failed.

    >>> from gradwidgets.core import problems
    >>> bowl = problems.get("bowl")
    >>> save_page(bowl, bowl.recipe, None, "bowl.html", "lr", values=(0.01, 0.1)).name
    'bowl.html'
    """
    names = [field] if other is None else [field, other]
    if field == other:
        raise not_allowed("other", other, f"another setting than field={field!r}")
    dials = [_dial(recipe, name, few=len(names) > 1) for name in names]
    if values is not None:
        dials[0] = _with_values(dials[0], values)
    recipes = [recipe]
    for name, dial in zip(names, dials, strict=True):
        recipes = [settings.with_(one, **{name: value}) for one in recipes for value in dial.values]
    trained = Sweep(problem, recipes, snapshots=False)
    trained.advance()
    text = page(problem, dials, trained.histories(), baseline)
    Path(path).write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def _dial(recipe: Recipe, name: str, few: bool) -> Dial:
    """All stops of a setting, or a few of them, and where the recipe stands among them."""
    controls = settings.controls(recipe)
    if name not in controls:
        raise not_allowed("field", name, f"a setting with a control: one of {', '.join(controls)}")
    control, value = controls[name], settings.get(recipe, name)
    stops = control.including(value)
    at = stops.index(value)
    if few and len(stops) > GRID:
        places = {*np.linspace(0, len(stops) - 1, GRID).round().astype(int).tolist(), at}
        stops = tuple(stops[place] for place in sorted(places))
    if control.stops == (False, True):  # a switch becomes a list of two
        control = dataclasses.replace(control, slider=False)
    return Dial(control, stops, stops.index(value))


def _with_values(dial: Dial, values: Sequence[Any]) -> Dial:
    """The dial with these values, at the same one as before if it is among them."""
    if not len(values):
        raise not_allowed("values", values, "at least one value")
    chosen, present = tuple(values), dial.values[dial.at]
    return Dial(dial.control, chosen, chosen.index(present) if present in chosen else 0)


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
    shown = [StyledRun(history, "now") for history in histories]
    start = [] if baseline is None else [StyledRun(baseline, "start", "baseline")]
    panels = runs.panels(shown, start)
    contents = [runs.content(run, start, panels) for run in shown]
    lines, listed = runs.programs(problem, histories)
    found = outcomes(dials, histories)
    at = 0
    for dial in dials:
        at = at * len(dial.values) + dial.at
    now = contents[at]
    data = {
        "runs": contents,
        "lines": lines,
        "programs": listed,
        "bars": found.bars,
        "texts": [dial.texts for dial in dials],
    }
    css, js = _colors() + _file("page.css"), _file("page.js")
    return Template(_file("page.html")).substitute(
        _fixed_parts(problem, dials, histories, start, found),
        policy=_policy(css, js),
        css=css,
        js=js,
        data=_json(data),
        dials="".join(_dial_markup(number, dial) for number, dial in enumerate(dials)),
        sentence=escape(now["sentence"]),
        picture=escape(now["picture"]),
        panels="".join(
            _panel(panel, start, curves)
            for panel, curves in zip(panels, now["curves"], strict=True)
        ),
        rows=now["rows"],
        program=escape("\n".join(lines[place] for place in listed[at])),
    )


def _fixed_parts(
    problem: Problem,
    dials: Sequence[Dial],
    histories: Sequence[History],
    start: Sequence[StyledRun],
    found: OutcomeBars,
) -> dict[str, str]:
    """Everything in words that stays as it is while the dials move, as HTML."""
    most = runs.points_each(len(histories))
    thinned = max(history.updates for history in histories) > most
    columns = runs.columns(histories[0], start)
    return {
        "title": escape(f"{problem.name}: {' and '.join(dial.control.label for dial in dials)}"),
        "name": escape(problem.name),
        "description": escape(problem.description),
        "shared": escape(settings.in_words([history.recipe for history in histories])),
        "start": "".join(map(_start, start)),
        "swatch": _swatch("live"),
        "head": "".join(f'<th scope="col">{escape(name)}</th>' for name in columns),
        "thinned": THINNED.format(most) if thinned else "",
        "bars": escape(_legend(found)) if any(dial.control.slider for dial in dials) else "",
        "ends": escape(found.ends),
    }


def outcomes(dials: Sequence[Dial], histories: Sequence[History]) -> OutcomeBars:
    """The bars under the dials, all on one scale, and the same in words."""
    if len(dials) == 1 and dials[0].control.slider:
        return outcome_bars(dials[0].texts, histories, f"the range of {dials[0].control.label}")
    places = [", ".join(place) for place in itertools.product(*(dial.places for dial in dials))]
    return outcome_bars(places, histories, f"all {len(histories)} runs", in_order=False)


def _legend(found: OutcomeBars) -> str:
    """The words on how to read the bars."""
    unstable = any(bar and bar[1] for bar in found.bars)
    return " ".join(filter(None, (found.heights, HATCHED * unstable)))


def _start(run: StyledRun) -> str:
    """The line on the run that the others are compared with."""
    return (
        f'<p class="run">{_swatch(run.role)} {run.label} '
        f"<small>{escape(settings.in_words([run.history.recipe]))}</small></p>"
        f"<p>{escape(run.history.summary())}</p>"
    )


def _swatch(role: str) -> str:
    return (
        f'<svg class="swatch" viewBox="0 0 36 8" aria-hidden="true">'
        f'<path class="{role}" d="M2 4h32"/></svg>'
    )


def _dial_markup(number: int, dial: Dial) -> str:
    """A labelled slider, or a list where values have no order."""
    texts = [escape(text) for text in dial.texts]
    name = f'id="dial-{number}" aria-describedby="help-{number}" autocomplete="off"'
    if dial.control.slider:
        field = (
            f'<div class="strip" aria-hidden="true"></div>'
            f'<input {name} type="range" min="0" max="{len(texts) - 1}" step="1" '
            f'value="{dial.at}" aria-valuetext="{texts[dial.at]}">'
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


def _panel(panel: PanelMarkup, start: Sequence[StyledRun], curves: str) -> str:
    """A panel: what stays, and in a group of its own what changes with the dials."""
    fixed = panel.axes() + "".join(map(panel.curves, start))
    view = f'viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true"'
    return f'<svg {view}>{fixed}<g class="now">{curves}</g></svg>'


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()


def _colors() -> str:
    """The themes' colours as CSS: as the system has it, unless the reader chose otherwise."""
    light, dark = _variables(LIGHT, "light"), _variables(DARK, "dark")
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"
        f":root[data-theme=light]{{{light}}}\n:root[data-theme=dark]{{{dark}}}\n"
        f"@media print{{:root:root{{{light}}}}}\n"
    )


def _variables(theme: Theme, scheme: str) -> str:
    colors = dataclasses.asdict(theme).items()
    single = [f"--{name}:{color};" for name, color in colors if isinstance(color, str)]
    return f"color-scheme:{scheme};{''.join(single)}--diverged:{theme.pinned[0]};"


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
