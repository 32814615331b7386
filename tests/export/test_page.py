"""The saved page: what it says is what `train` says, and it holds nothing that could do harm."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from torch import nn

from gradwidgets import GradLab, Problem, Recipe, script, train
from gradwidgets.core import problems
from gradwidgets.core.control import Control
from gradwidgets.core.history import History
from gradwidgets.export.page import Dial, page
from gradwidgets.export.svg import FINE, TOP, UP, kept
from gradwidgets.plots import outcome_bars

LIMIT = 1_500_000
HOSTILE = """<script>alert(1)</script><img src=x onerror='alert("2")'>"""


class Reader(HTMLParser):
    """Elements with their attributes, and the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.scripts = []
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        inside = self.cdata_elem == "script"
        (self.scripts if inside else self.words).append(data)


def outside_of_pictures(reader):
    return [tag for tag, _ in reader.elements if tag not in ("svg", "path", "text")]


def data_of(text):
    return json.loads(Reader(text).scripts[0])


def cells(rows):
    """The table as texts: rows of cells."""
    return [re.findall(r"<t[hd][^>]*>([^<]*)<", row) for row in rows.split("</tr>") if row]


def made(problem, field, values, baseline=True, **changes):
    """The page over some values of a field, and the histories it was made from."""
    problem = problems.get(problem)
    recipe = problem.recipe.replace(**changes)
    histories = [train(problem, recipe.replace(**{field: value})) for value in values]
    control = Control(field, "Run", "help", tuple(values))
    start = train(problem, recipe) if baseline else None
    return page(problem, [Dial(control, tuple(values), 1)], histories, start), histories


@pytest.mark.parametrize(
    ("problem", "field", "values", "changes"),
    [
        ("moons", "scale", (0.0, 1.0, 30.0), {"updates": 60, "seed": 3}),
        ("bowl", "lr", (0.01, 0.1, 3.0), {"max_norm": None}),
        ("digits", "batch_size", (16, None), {"updates": 40, "mask": 0.4}),
        ("line", "updates", (1, 5, 300), {}),
    ],
)
def test_every_number_is_that_of_train(problem, field, values, changes):
    text, _ = made(problem, field, values, **changes)
    runs = data_of(text)["runs"]
    assert len(runs) == len(values)
    for run, value in zip(runs, values, strict=True):
        recipe = problems.get(problem).recipe.replace(**changes).replace(**{field: value})
        history = train(problem, recipe)
        assert run["sentence"] == history.summary()
        assert history.summary() in run["picture"]
        accuracy = dict(history.accuracy.tolist())
        last = "accuracy on held-out data" if accuracy else "update / parameter norm"
        assert f"Plots of loss, gradient norm, {last}." in run["picture"]
        for update, loss, _, raw, edited, *right in cells(run["rows"]):
            n = int(update)
            if n < history.updates:
                numbers = (history.loss, history.grad_norm, history.edited_norm)
                assert [loss, raw, edited] == [f"{column[n]:.4g}" for column in numbers]
            share = f"{accuracy[n]:.1%}" if n in accuracy else "\N{EN DASH}"
            assert right == ([share] if accuracy else [])
        assert len(history.accuracy) == 0 or float(right[0].rstrip("%")) > 0


def test_the_table_holds_the_ends_and_the_extremes_of_the_loss():
    text, histories = made("moons", "lr", (0.5, 9.0), updates=80)
    for run, history in zip(data_of(text)["runs"], histories, strict=True):
        updates = [int(row[0]) for row in cells(run["rows"])]
        assert {0, 79, history.loss.argmin(), history.loss.argmax()} <= set(updates)
        assert updates == sorted(set(updates))


def heights(markup):
    """Heights of the points of the first curve, from its relative steps."""
    path = re.search(r' d="M(-?\d+) (-?\d+)l([^"]*)"', markup)
    steps = [int(number) for number in re.findall(r"-?\d+", path[3])]
    return int(path[2]) + np.cumsum(steps[1::2])


def ticks(text):
    """(value, height) of the numbers beside the first panel."""
    panel = text.partition('<svg viewBox="0 0 420 300"')[2].partition("</svg>")[0]
    found = re.findall(r'class="left" x="[\d.]+" y="([\d.]+)">([^<]+)<', panel)
    return np.array([(float(value), float(y) - 4 - TOP) for y, value in found])


def test_curves_stand_where_the_axis_says():
    text, histories = made("bowl", "lr", (0.01, 0.1, 0.2), updates=50)
    values, places = ticks(text).T
    slope, offset = np.polyfit(np.log10(values), places, 1)
    for run, history in zip(data_of(text)["runs"], histories, strict=True):
        drawn = heights(run["curves"][0]) / FINE
        assert np.abs(slope * np.log10(history.loss) + offset - drawn).max() <= 0.15
        assert 0 <= drawn.min() < drawn.max() <= UP


def test_thinning_keeps_the_extremes():
    values = np.random.default_rng(0).standard_normal(5000)
    values[1234], values[4321] = 50.0, -50.0
    chosen = kept(values, 240)
    assert len(chosen) <= 242
    assert {0, 1234, 4321, 4999} <= set(chosen.tolist())
    assert kept(values[:240], 240).tolist() == list(range(240))


def test_long_runs_are_thinned_and_the_page_says_so():
    text, _ = made("line", "lr", (0.01, 0.05), updates=1000)
    assert "about 240 points" in text
    assert len(heights(data_of(text)["runs"][0]["curves"][0])) <= 242
    assert "points a curve" not in made("line", "lr", (0.01, 0.05), updates=100)[0]


@pytest.mark.single_precision("a loss leaves the numbers of single precision much earlier")
def test_a_run_that_diverges_ends_in_a_cross_and_hides_nothing():
    text, histories = made("bowl", "lr", (0.01, 0.1, 3.0))
    assert histories[2].stopped[1] == "diverged"
    data = data_of(text)
    assert [unstable for _, unstable in data["bars"]] == ["", "", "diverges"]
    assert "cross" in data["runs"][2]["curves"][0]
    assert "at update" in data["runs"][2]["curves"][0]
    assert "diverges at 3. The same" in text
    assert "A hatched bar is a run that diverges, oscillates or rises." in text
    without, _ = made("bowl", "lr", (0.01, 0.1))
    assert ticks(text).tolist() == ticks(without).tolist()
    assert "hatched" not in Reader(without).words


def test_runs_that_have_no_update_at_all_can_be_saved():
    def loss(output, target):
        return (output - target).pow(2).mean() / 0.0

    x = torch.ones(4, 1)
    problem = Problem("hopeless", lambda: nn.Linear(1, 1), (x, x), loss, recipe=Recipe(updates=3))
    text, histories = made(problem, "lr", (0.1, 0.2))
    data = data_of(text)
    assert [history.updates for history in histories] == [0, 0]
    assert data["bars"] == [[1.0, "diverges"]] * 2
    assert data["runs"][0]["sentence"] == "Diverged at update 0: its loss is not finite."
    assert "Over the range of lr: diverges at 0.1 to 0.2." in text
    assert "NaN" not in Reader(text).scripts[0]
    assert "nan" not in "".join(data["runs"][0]["curves"])


def test_the_bars_and_the_words_on_them_are_those_of_a_lab():
    rates = (0.01, 0.1, 0.5, 1.0)
    text, histories = made("moons", "lr", rates, updates=50)
    found = outcome_bars([f"{rate:g}" for rate in rates], histories, "the range of lr")
    assert data_of(text)["bars"] == found.bars
    assert f"{found.heights} {found.ends} The same in every run:" in "".join(Reader(text).words)


def test_the_bars_of_two_settings_stand_on_one_scale(tmp_path):
    lab = GradLab("bowl", recipe=Recipe(updates=20))
    text = lab.save_page(tmp_path / "page.html", "lr", "optimizer", (0.01, 3.0)).read_text("utf-8")
    data = data_of(text)
    rates, optimizers = data["texts"]
    places = [f"learning rate {rate}, optimizer {name}" for rate in rates for name in optimizers]
    recipes = [Recipe(name, float(rate), updates=20) for rate in rates for name in optimizers]
    histories = [train("bowl", recipe) for recipe in recipes]
    found = outcome_bars(places, histories, f"all {len(places)} runs", in_order=False)
    assert data["bars"] == found.bars
    assert found.heights in text
    assert found.ends in text
    lab.close()


def test_a_list_has_no_bars_and_no_scale(tmp_path):
    lab = GradLab("bowl", recipe=Recipe(updates=20))
    text = lab.save_page(tmp_path / "page.html", "optimizer").read_text("utf-8")
    assert "Bar heights" not in text
    assert "hatched" not in text
    assert "runs: the loss ends lowest at optimizer" in text
    lab.close()


def test_the_program_is_that_of_the_value():
    text, histories = made("moons", "scale", (0.5, 1.0), updates=5)
    data = data_of(text)
    for listed, history in zip(data["programs"], histories, strict=True):
        program = "\n".join(data["lines"][place] for place in listed) + "\n"
        assert program == script("moons", history.recipe)


@pytest.mark.parametrize("problem", ["moons", "digits"])
def test_51_values_are_small_enough_to_send(problem, tmp_path):
    lab = GradLab(problem, recipe=problems.get(problem).recipe.replace(updates=200, mask=0.1))
    path = lab.save_page(tmp_path / "page.html", "lr")
    assert len(data_of(path.read_text(encoding="utf-8"))["runs"]) == 51
    assert path.stat().st_size <= LIMIT
    lab.close()


def noise(index):
    """A history whose curves nothing can shorten."""
    draw = np.random.default_rng(index)
    norms = np.exp(draw.normal(size=(4, 500, 6)))
    loss = np.exp(draw.normal(size=500))
    names = tuple("abcdef")
    recipe = Recipe(updates=500, seed=index)
    return History("noise", recipe, names, loss, *norms, {}, np.empty((0, 2)), None, 0.0)


def test_a_grid_of_two_settings_is_small_enough_too():
    problem = Problem("noise", nn.Linear(1, 1), (torch.ones(2, 1),) * 2, nn.functional.mse_loss)
    stops = tuple(range(13))
    dials = [Dial(Control(name, "Run", "", stops), stops, 0) for name in "ab"]
    text = page(problem, dials, [noise(index) for index in range(169)], noise(0))
    assert len(text.encode()) <= LIMIT


def test_nothing_is_fetched():
    text, _ = made("moons", "scale", (0.5, 1.0), updates=5)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"\s//\s.*", "", text))
    elements = Reader(text).elements
    assert not {"img", "iframe", "object", "embed", "base"} & {tag for tag, _ in elements}
    assert [attrs for tag, attrs in elements if tag == "link"] == [
        {"rel": "icon", "href": "data:,"}
    ]
    policy = next(a["content"] for _, a in elements if "Security" in a.get("http-equiv", ""))
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_what_comes_from_outside_stays_text():
    x = torch.linspace(-1, 1, 8).unsqueeze(1)
    problem = Problem(
        HOSTILE,
        nn.Linear(1, 1),
        (x, 2 * x),
        nn.functional.mse_loss,
        description=f'{HOSTILE} & "quotes" \u2028 </title></style></script><!--',
        recipe=Recipe(updates=5),
    )
    control = Control(HOSTILE, "Run", HOSTILE, (0.1, 0.2))
    histories = [train(problem, Recipe(updates=5, lr=lr)) for lr in (0.1, 0.2)]
    text = page(problem, [Dial(control, (0.1, 0.2), 0)], histories, histories[0])
    harmless, _ = made("line", "lr", (0.1, 0.2), updates=5)
    found, expected = Reader(text), Reader(harmless)
    assert outside_of_pictures(found) == outside_of_pictures(expected)
    assert not [name for _, attrs in found.elements for name in attrs if name.startswith("on")]
    assert HOSTILE in found.words
    assert len(found.scripts) == 2
    assert not re.search(r"[<>&\u2028\u2029]", found.scripts[0])
    assert f"# {HOSTILE}: {HOSTILE}" in json.loads(found.scripts[0])["lines"][0]


def test_the_same_runs_give_the_same_bytes_without_a_trace_of_the_machine(tmp_path):
    def edit(parameters):
        for p in parameters:
            p.grad.mul_(0.5)

    paths = []
    for name in ("one", "two"):
        lab = GradLab("bowl", recipe=Recipe(updates=10, edits=(edit,)))
        paths.append(lab.save_page(tmp_path / f"{name}.html", "scale"))
        lab.close()
    one, two = (path.read_bytes() for path in paths)
    assert one == two
    assert b"1 edit of your own" in one
    assert str(tmp_path).encode() not in one
    assert not re.search(rb"0x[0-9a-f]{6}|/home/|/usr/|/tmp/|\b20\d\d-\d\d", one)


def test_without_a_baseline_there_is_none():
    text, _ = made("line", "lr", (0.1, 0.2), baseline=False, updates=5)
    assert not [a for _, a in Reader(text).elements if "baseline" in a.get("class", "")]
    assert "loss of the start" not in text


def test_the_lab_starts_where_it_stands_and_adds_a_stop_for_it(tmp_path):
    lab = GradLab("bowl", recipe=Recipe(updates=5))
    lab.recipe = lab.recipe.replace(lr=0.123)
    text = lab.save_page(tmp_path / "page.html", "lr").read_text(encoding="utf-8")
    (slider,) = [a for tag, a in Reader(text).elements if tag == "input"]
    texts = data_of(text)["texts"][0]
    assert texts[int(slider["value"])] == slider["aria-valuetext"] == "0.123"
    assert len(texts) == 52
    assert texts == sorted(texts, key=float)
    assert lab.baseline.summary() in text
    lab.close()


def test_two_fields_make_a_grid(tmp_path):
    lab = GradLab("bowl", recipe=Recipe(updates=5, options={"momentum": 0.3}))
    text = lab.save_page(tmp_path / "page.html", "lr", "momentum").read_text(encoding="utf-8")
    data = data_of(text)
    rates, shares = data["texts"]
    assert {rates[0], "0.1", rates[-1]} == {"0.0001", "0.1", "10"}
    assert len(data["runs"]) == len(rates) * len(shares) <= 144
    for i, rate in enumerate(rates):
        for j, share in enumerate(shares):
            recipe = Recipe(updates=5, lr=float(rate), options={"momentum": float(share)})
            sentence = data["runs"][i * len(shares) + j]["sentence"]
            assert sentence == train("bowl", recipe).summary()
    lab.close()


def test_a_list_takes_the_place_of_a_slider_where_there_is_no_order(tmp_path):
    lab = GradLab("bowl", recipe=Recipe(updates=5, options={"momentum": 0.3}))
    text = lab.save_page(tmp_path / "page.html", "optimizer").read_text(encoding="utf-8")
    elements = [tag for tag, _ in Reader(text).elements]
    assert "select" in elements
    assert "input" not in elements
    adam = data_of(text)["texts"][0].index("Adam")
    expected = train("bowl", Recipe("Adam", updates=5)).summary()
    assert data_of(text)["runs"][adam]["sentence"] == expected
    lab.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("learning_rate",), r"'learning_rate'.*lr"),
        (("edits",), r"'edits'.*scale"),
        (("lr", "lr"), r"'lr'.*another"),
        (("lr", None, ()), r"values.*at least one"),
        (("lr", None, (0.1, -1.0)), r"lr.*-1"),
        (("optimizer", None, ("SGD", "Sgd")), r"optimizer.*Sgd.*Adam"),
        (("nesterov",), r"'nesterov'.*momentum"),
    ],
)
def test_what_cannot_be_saved_is_refused_with_what_would_be_right(tmp_path, arguments, message):
    lab = GradLab("bowl", recipe=Recipe(updates=5))
    with pytest.raises(ValueError, match=message):
        lab.save_page(tmp_path / "page.html", *arguments)
    assert not (tmp_path / "page.html").exists()
    lab.close()


def test_a_page_draws_the_learning_rate_of_each_group(tmp_path):
    groups = {"0.*": {"lr": 0.5}, "2.weight": {"lr": 0.2}}
    lab = GradLab("moons", recipe=Recipe(lr=0.1, groups=groups, updates=9), show=("lr",))
    path = tmp_path / "page.html"
    lab.save_page(path, "groups[0.*].lr")
    text = path.read_text(encoding="utf-8")
    shown = data_of(text)["runs"][0]
    drawn = next(curves for curves in shown["curves"] if "the rest" in curves)
    assert drawn.count('<path class="live') == 3
    for word in ("0.*", "2.weight", "(solid)", "(dotted)", "(dashdot)"):
        assert f">{word}" in drawn or f"{word}</text>" in drawn
    for name in ("the rest", "0.*", "2.weight"):
        assert f"Learning rate of {name} " in shown["picture"]
