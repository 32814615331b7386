"""A lab as one HTML file: every run of its settings is in it, so it needs no kernel and no network.

The runs are whole numbers and words, compressed; the page's program draws them.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from gradwidgets.core import History, Problem, Recipe, not_allowed, settings
from gradwidgets.export import axes, words
from gradwidgets.export.grid import MOST_RUNS, Dial, Place, dials_of, places, recipe_at, train_all
from gradwidgets.export.panels import drawn_as
from gradwidgets.export.traces import SPILL, STEPS, WIDE_SPILL, WIDE_STEPS, Codes, planes
from gradwidgets.plots import (
    DARK,
    LIGHT,
    OF_PARAMETERS,
    Outcome,
    OutcomeBars,
    Theme,
    bars_of,
    make,
    outcome,
    suited,
)
from gradwidgets.script import script_lines

HERE = Path(__file__).parent
POINTS = ((100, 241), (700, 101), (100_000, 51))
"""Points of a curve by the number of runs: a page stays small enough to be sent by mail."""
MOST_UPDATES = 65_535
"""Whole numbers of a page have two bytes."""
FEW_ROWS = 5
"""Rows of the table of a run where there are many runs."""
FEWER = "A slider has all its stops while the others stand at the start, and fewer elsewhere."
HATCHED = "A hatched bar is a run that diverges, oscillates or rises."


def save_page(
    problem: Problem,
    recipe: Recipe,
    baseline: History | None,
    path: str | Path,
    fields: Sequence[str],
    values: Sequence[Any] | None = None,
    panels: Sequence[str] | None = None,
    most: int = MOST_RUNS,
) -> Path:
    """Save a lab as one HTML file whose sliders need neither a kernel nor a network.

    Each slider has all its stops while the others stand where they stand at first, and fewer
    wherever these stand: about `most` combinations are trained. The page's numbers are those of
    `train`, to the last bit; see `sweep`.

    Args:
        problem: what is trained.
        recipe: gives the other settings, and where the sliders stand at first.
        baseline: a run to draw beside each, or None.
        path: the file to write.
        fields: the settings that can be changed on the page, such as "lr" or "momentum".
        values: what the first of them takes; None takes the stops of its control.
        panels: what is drawn; None takes what suits the problem.
        most: about so many combinations.

    Raises:
        ValueError: a setting has no control, or a value is not allowed; says what would be right.
        TrainingError: the model or the loss failed.

    >>> from gradwidgets.core import problems
    >>> bowl = problems.get("bowl")
    >>> save_page(bowl, bowl.recipe, None, "bowl.html", ["lr"], values=(0.01, 0.1)).name
    'bowl.html'
    """
    dials = dials_of(recipe, fields, values, most)
    for stop in range(len(dials[0].values) if values is not None else 0):
        recipe_at(recipe, dials, (stop, *(dial.at for dial in dials[1:])))  # may raise
    names = panels or suited(problem)
    text = Page(problem, recipe, baseline, dials, names).html()
    Path(path).write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


class Page:
    """The runs of some dials, and the file that shows them.

    The same runs give the same file: it holds no time, no path and nothing of the machine.

    Args:
        problem: what is trained.
        recipe: the settings without a dial.
        baseline: a run to compare with, drawn dashed.
        dials: the settings with one.
        panels: the names of what is drawn.
    """

    def __init__(
        self,
        problem: Problem,
        recipe: Recipe,
        baseline: History | None,
        dials: Sequence[Dial],
        panels: Sequence[str],
    ) -> None:
        self.problem, self.dials, self.baseline = problem, dials, baseline
        self._numbers: dict[Place, int] = {}
        self._refused: list[str] = []
        self.recipes = self._recipes(recipe)
        self._count = len(self.recipes) + len(self._refused) + (baseline is not None)
        self._most = next(points for count, points in POINTS if len(self.recipes) <= count)
        last = max(one.updates for one in self.recipes)
        if baseline is not None:
            last = max(last, baseline.recipe.updates)
        if last > MOST_UPDATES:
            raise not_allowed("updates", last, f"at most {MOST_UPDATES} for a page")
        self._panels = [
            drawn
            for panel in make(panels, problem)
            if (drawn := drawn_as(panel, self._count, last, self._most)) is not None
        ]
        self._titles = [drawn.title for drawn in self._panels]
        self._meta = np.zeros((self._count, 4), np.uint16)
        self._outcomes: list[Outcome | None] = [None] * self._count
        self._words: list[tuple[str, str, str]] = [("", "", "")] * self._count
        self._head: list[str] = []
        keeps = bool(OF_PARAMETERS & {*panels})
        for number, history in train_all(problem, self.recipes, snapshots=keeps):
            self._keep(number, history)
        for number, why in enumerate(self._refused, len(self.recipes)):
            self._words[number] = (why, "", "")
            self._meta[number, 1] = 2 ** (len(dials) + 1) - 2  # every dial can be moved
        if baseline is not None:
            self._keep(self._count - 1, baseline)
        self.bars = self._bars()

    def _recipes(self, recipe: Recipe) -> list[Recipe]:
        """The recipes that differ; `_numbers` says which one each place has."""
        found: dict[str, int] = {}
        recipes: list[Recipe] = []
        refused: dict[Place, str] = {}
        for place in places(self.dials):
            try:
                one = recipe_at(recipe, self.dials, place)
            except ValueError as error:
                refused[place] = str(error)
                continue
            if repr(one) not in found:
                found[repr(one)] = len(recipes)
                recipes.append(one)
            self._numbers[place] = found[repr(one)]
        if not recipes:
            raise ValueError(next(iter(refused.values())))
        self._refused = list(dict.fromkeys(refused.values()))
        for place, why in refused.items():
            self._numbers[place] = len(recipes) + self._refused.index(why)
        return recipes

    def _keep(self, number: int, history: History) -> None:
        """Keep what the page shows of a run."""
        for drawn in self._panels:
            drawn.add(number, history)
        many = self._count > POINTS[0][0]
        rows = words.table(history, FEW_ROWS if many else words.ROWS)
        self._words[number] = history.summary(), words.heard(history, self._titles), rows
        self._outcomes[number] = outcome(history)
        self._head = self._head or words.columns(history)
        applied = (settings.applies(history.recipe, dial.name) for dial in self.dials)
        flags = sum(2**n for n, one in enumerate((history.diverged, *applied)) if one)
        self._meta[number, :2] = history.updates, flags

    def _bars(self) -> OutcomeBars:
        """The bars under the dials, all on one scale, and the same in words."""
        (*others, last) = self.dials
        alone = not others and last.control.slider
        if alone:
            numbers = [self._numbers[(stop,)] for stop in range(len(last.values))]
            texts, over = last.texts, f"the range of {last.control.label}"
        else:
            numbers = list(range(len(self.recipes)))
            reached = {number: place for place, number in reversed(self._numbers.items())}
            texts = [self._text_of(reached[number]) for number in numbers]
            over = f"all {len(numbers)} runs"
        found = bars_of(texts, [self._outcomes[number] for number in numbers], over, alone)
        for number, bar in zip(numbers, found.bars, strict=True):
            if bar is not None:
                self._meta[number, 2:] = round(1000 * float(bar[0])), bool(bar[1])
        return found

    def _text_of(self, place: Place) -> str:
        pairs = zip(self.dials, place, strict=True)
        return ", ".join(f"{dial.control.label} {dial.texts[number]}" for dial, number in pairs)

    def html(self) -> str:
        """The text of the file."""
        programs = words.Programs()
        for one in self.recipes:
            programs.add(script_lines(self.problem, one))
        index = np.array([[self._numbers[place] for place in places(self.dials)]], np.uint16)
        tables: list[Codes] = [index, self._meta.T, programs.codes()]
        for drawn in self._panels:
            tables += drawn.packed()
        texts = [list(column) for column in zip(*self._words, strict=True)]
        said = json.dumps([*texts, programs.lines], ensure_ascii=False, separators=(",", ":"))
        packed = gzip.compress(planes(tables) + said.encode(), 9, mtime=0)
        data = {
            "layout": axes.LAYOUT,
            "dials": [_told(dial) for dial in self.dials],
            "start": None if self.baseline is None else self._count - 1,
            "panels": [{"title": drawn.title, **drawn.told} for drawn in self._panels],
            "heights": (STEPS, SPILL),
            "places": (WIDE_STEPS, WIDE_SPILL),
            "shapes": [table.shape for table in tables],
            "packed": base64.b64encode(packed).decode(),
        }
        css, js = _colors() + _file("page.css"), _file("page.js")
        at = self._numbers[tuple(dial.at for dial in self.dials)]
        sentence, _, rows = self._words[at]
        return Template(_file("page.html")).substitute(
            self._fixed_parts(),
            policy=_policy(css, js),
            css=css,
            js=js,
            data=_json(data),
            dials="".join(_dial_markup(number, dial) for number, dial in enumerate(self.dials)),
            sentence=escape(sentence),
            panels="".join(drawn.markup() for drawn in self._panels),
            head="".join(f'<th scope="col">{escape(name)}</th>' for name in self._head),
            rows="".join(f"<tr>{_cells(row.split(chr(9)))}</tr>" for row in rows.split("|") if row),
            program=escape(programs.text(at)),
        )

    def _fixed_parts(self) -> dict[str, str]:
        """Everything in words that stays as it is while the dials move, as HTML."""
        labels = " and ".join(dial.control.label for dial in self.dials)
        most = max(one.updates for one in self.recipes)
        unstable = bool(self._meta[:, 3].any())
        sliders = any(dial.control.slider for dial in self.dials)
        legend = " ".join(filter(None, (self.bars.heights, HATCHED * unstable)))
        return {
            "title": escape(f"{self.problem.name}: {labels}"),
            "name": escape(self.problem.name),
            "description": escape(self.problem.description),
            "shared": escape(settings.in_words(self.recipes)),
            "start": "" if self.baseline is None else _start(self.baseline),
            "runs": f"{len(self.recipes):,}",
            "stops": FEWER * any(len(dial.shared) < len(dial.values) for dial in self.dials),
            "thinned": f"Of {most} updates {self._most} or fewer are drawn." * (most > self._most),
            "bars": escape(legend) if sliders else "",
            "ends": escape(self.bars.ends),
        }


def _start(baseline: History) -> str:
    """The lines on the run that the others are compared with."""
    said = escape(settings.in_words([baseline.recipe]))
    return (
        f'<p class="run"><span class="swatch baseline"></span> start <small>{said}</small></p>'
        f"<p>{escape(baseline.summary())}</p>"
    )


def _told(dial: Dial) -> dict[str, Any]:
    """The facts of a dial that the page's program needs."""
    return {
        "texts": dial.texts,
        "at": dial.at,
        "shared": dial.shared,
        "label": dial.control.short or dial.control.label,
    }


def _cells(texts: Sequence[str]) -> str:
    """A row of a table; its first cell is its head."""
    first, *rest = map(escape, texts)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{text}</td>" for text in rest)


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
    several = [
        f"--{name}-{number}:{color};"
        for name, listed in (("pin", theme.pinned), ("class", theme.classes))
        for number, color in enumerate(listed)
    ]
    diverged = f"--diverged:{theme.pinned[0]};"
    return f"color-scheme:{scheme};{''.join([*single, *several])}{diverged}"


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
