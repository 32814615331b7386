"""The saved page: what it says is what `train` says, and it holds nothing that could do harm."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from gradwidgets import GradLab, Problem, Recipe, script, train
from gradwidgets.core import problems, settings
from gradwidgets.export import save_page
from gradwidgets.export.axes import ACROSS, LEFT, TOP, UP
from gradwidgets.plots import outcome_bars
from tests.export.saved import Reader, SavedPage

LIMIT = 400_000
HOSTILE = """<script>alert(1)</script><img src=x onerror='alert("2")'>"""


@pytest.fixture
def saved(tmp_path):
    """Saves a page of a problem over some fields, and reads it."""

    def made(problem, *fields, recipe=None, baseline=True, **arguments):
        problem = problems.get(problem)
        recipe = recipe or problem.recipe
        start = train(problem, recipe) if baseline else None
        path = save_page(problem, recipe, start, tmp_path / "page.html", fields, **arguments)
        return SavedPage(path.read_text(encoding="utf-8"))

    return made


def recipes_of(page, recipe, *fields):
    """The recipe at each place, built by hand: `settings.with_` for each dial in turn."""
    controls = settings.controls(recipe)
    stops = []
    for field, dial in zip(fields, page.dials, strict=True):
        known = {controls[field].text(stop): stop for stop in controls[field].stops}
        known[controls[field].text(settings.get(recipe, field))] = settings.get(recipe, field)
        stops.append([known.get(text, text) for text in dial["texts"]])
    for place, number in page.numbers.items():
        chosen = {f: s[at] for f, s, at in zip(fields, stops, place, strict=True)}
        yield number, place, chosen


@pytest.mark.parametrize(
    ("problem", "fields", "changes", "most"),
    [
        ("moons", ("scale",), {"updates": 60, "seed": 3}, 52),
        ("bowl", ("lr", "momentum"), {"updates": 30}, 16),
        ("moons", ("scale", "mask", "accumulation_steps"), {"updates": 12}, 27),
        ("digits", ("batch_size",), {"updates": 20, "mask": 0.4}, 8),
        ("line", ("updates", "optimizer"), {}, 30),
    ],
)
def test_every_number_is_that_of_train(saved, problem, fields, changes, most):
    recipe = problems.get(problem).recipe.replace(**changes)
    page = saved(problem, *fields, recipe=recipe, most=most)
    seen = 0
    for number, _, chosen in recipes_of(page, recipe, *fields):
        if number % 3:
            continue
        seen += 1
        options = {name: value for name, value in chosen.items() if name not in settings.FIELDS}
        own = {name: value for name, value in chosen.items() if name in settings.FIELDS}
        plain = recipe.replace(**own)
        history = train(problem, plain.replace(options={n: v for n, v in options.items() if v}))
        assert page.sentences[number] == history.summary()
        assert page.updates[number] == history.updates
        assert page.diverged[number] == history.diverged
        accuracy = dict(history.accuracy.tolist())
        for update, loss, raw, edited, *right in page.table(number):
            n = int(update)
            if n < history.updates:
                numbers = (history.loss, history.grad_norm, history.edited_norm)
                assert [loss, raw, edited] == [f"{column[n]:.4g}" for column in numbers]
            share = f"{accuracy[n]:.1%}" if n in accuracy else "\N{EN DASH}"
            assert right == ([share] if accuracy else [])
        assert page.program(number) == script(problem, history.recipe)
    assert seen > 2


def test_the_table_holds_the_ends_and_the_extremes_of_the_loss(saved):
    recipe = problems.moons.recipe.replace(updates=80)
    page = saved("moons", "lr", recipe=recipe, values=(0.5, 9.0))
    for (place,), number in page.numbers.items():
        history = train("moons", recipe.replace(lr=(0.5, 9.0)[place]))
        updates = [int(row[0]) for row in page.table(number)]
        assert {0, 79, history.loss.argmin(), history.loss.argmax()} <= set(updates)
        assert updates == sorted(set(updates))


def ticks(text, panel):
    """(value, height) of the numbers beside a panel."""
    part = text.split('<svg viewBox="0 0 420 300"')[1 + panel].partition("</svg>")[0]
    found = re.findall(r'class="left" x="[\d.]+" y="([\d.]+)">([^<]+)<', part)
    return np.array([(float(value), float(y) - 4 - TOP) for y, value in found])


def test_curves_stand_where_the_axis_says(tmp_path):
    recipe, rates = Recipe(updates=50), (0.01, 0.1, 0.2)
    path = save_page(
        problems.bowl, recipe, None, tmp_path / "page.html", ["lr"], rates, ["loss", "gradient"]
    )
    text = path.read_text(encoding="utf-8")
    page = SavedPage(text)
    for panel, name in enumerate(("loss", "grad_norm")):
        values, places = ticks(text, panel).T
        slope, offset = np.polyfit(np.log10(values), places, 1)
        (curve,) = page.data["panels"][panel]["curves"]
        codes, ends = page.curves[panel]
        for rate, row, (end,) in zip(rates, codes, ends, strict=True):
            history = train("bowl", recipe.replace(lr=rate))
            wanted = slope * np.log10(getattr(history, name)) + offset
            drawn = UP * (1 - ((row.astype(float) - 1) / 1022 * 1.1 - 0.05))
            assert [*curve["x"], end] == list(range(50))
            assert np.abs(wanted - drawn).max() <= 0.3
            assert 0 <= drawn.min() < drawn.max() <= UP


def test_a_path_goes_where_the_parameters_went(tmp_path):
    recipe = Recipe(updates=20, lr=0.05)
    path = save_page(
        problems.bowl, recipe, None, tmp_path / "page.html", ["lr"], (0.05, 0.1), ["surface"]
    )
    text = path.read_text(encoding="utf-8")
    ((codes,),) = SavedPage(text).curves
    below = re.findall(r'class="below" x="([\d.]+)" y="[\d.]+">(-?[\d.]+)<', text)
    slope, offset = np.polyfit([float(v) for _, v in below], [float(x) for x, _ in below], 1)
    for rate, row in zip((0.05, 0.1), codes, strict=True):
        weight = train("bowl", recipe.replace(lr=rate)).parameters["weight"].reshape(21, 2)
        shares = (row.reshape(-1, 2).astype(float) - 1) / 4094 * 3 - 1
        drawn = LEFT + ACROSS * shares[:, 0]
        assert np.abs(drawn - (slope * weight[:, 0] + offset)).max() < 0.3
        assert len(drawn) == 21


def test_weights_in_half_precision_are_those_of_the_run(saved):
    recipe = problems.moons.recipe.replace(updates=30)
    page = saved("moons", "scale", recipe=recipe, values=(0.5, 2.0), panels=["boundary"])
    (weights,) = page.curves[0]
    for row, scale in zip(weights, (0.5, 2.0), strict=False):
        model = train("moons", recipe.replace(scale=scale)).model
        flat = torch.cat([p.detach().flatten() for p in model.parameters()])
        assert row.astype(np.uint16).view(np.float16).tolist() == flat.half().tolist()


def test_each_slider_has_all_stops_from_the_start_and_shares_some_of_them(saved):
    page = saved("bowl", "lr", "momentum", recipe=Recipe(updates=5), most=20)
    rates, shares = page.dials
    assert len(rates["texts"]) == 51
    assert len(rates["shared"]) * len(shares["shared"]) <= 20
    assert {0, rates["at"], 50} <= {*rates["shared"]}
    begin = rates["at"], shares["at"]
    for stop in range(51):
        assert (stop, begin[1]) in page.numbers
    for stop in range(len(shares["texts"])):
        assert (begin[0], stop) in page.numbers


def test_settings_that_lead_to_the_same_recipe_are_trained_once(saved):
    page = saved("bowl", "optimizer", "momentum", recipe=Recipe(updates=3), most=60)
    optimizers = page.dials[0]["texts"]
    adam = [n for (o, _), n in page.numbers.items() if optimizers[o] == "Adam"]
    assert len(adam) > 3
    assert len(set(adam)) == 1
    assert not page.flags[adam[0]] & 4  # momentum does not apply
    sgd = page.numbers[0, 0]
    assert optimizers[0] == "SGD"
    assert page.flags[sgd] & 4


def test_settings_that_do_not_go_together_say_so(saved):
    problem = problems.digits
    recipe = problem.recipe.replace(updates=4, patience=2)
    page = saved("digits", "patience", "updates", recipe=recipe, most=30)
    for number, place, chosen in recipes_of(page, recipe, "patience", "updates"):
        assert page.sentences[number], (place, chosen)


def test_long_runs_are_thinned_and_the_page_says_so(tmp_path):
    def text(updates):
        recipe = Recipe(updates=updates)
        path = save_page(problems.line, recipe, None, tmp_path / "p.html", ["lr"], (0.01, 0.05))
        return path.read_text(encoding="utf-8")

    assert "Of 1000 updates 241 or fewer are drawn." in text(1000)
    assert "or fewer are drawn" not in text(100)


@pytest.mark.single_precision("a loss leaves the numbers of single precision much earlier")
def test_a_run_that_diverges_hides_nothing(tmp_path):
    def text(*rates):
        path = save_page(problems.bowl, Recipe(), None, tmp_path / "p.html", ["lr"], rates)
        return path.read_text(encoding="utf-8")

    diverged = text(0.01, 0.1, 3.0)
    page = SavedPage(diverged)
    assert page.diverged[:3].tolist() == [0, 0, 1]
    assert page.unstable[:3].tolist() == [0, 0, 1]
    assert page.heights[2] == 1000
    assert "diverges at 3. The same" in diverged
    assert "A hatched bar is a run that diverges, oscillates or rises." in diverged
    without = text(0.01, 0.1)
    assert ticks(diverged, 0).tolist() == ticks(without, 0).tolist()
    assert "hatched" not in "".join(Reader(without).words)


def test_runs_that_have_no_update_at_all_can_be_saved(tmp_path):
    def loss(output, target):
        return (output - target).pow(2).mean() / 0.0

    x = torch.ones(4, 1)
    problem = Problem("hopeless", lambda: nn.Linear(1, 1), (x, x), loss, recipe=Recipe(updates=3))
    path = save_page(problem, problem.recipe, None, tmp_path / "page.html", ["lr"], (0.1, 0.2))
    page = SavedPage(path.read_text(encoding="utf-8"))
    assert page.updates.tolist() == [0, 0]
    assert page.unstable.tolist() == [1, 1]
    assert page.sentences[0] == "Diverged at update 0: its loss is not finite."
    assert "Over the range of learning rate: diverges at 0.1 to 0.2." in path.read_text("utf-8")
    assert "NaN" not in page.reader.scripts[0]


def test_the_bars_and_the_words_on_them_are_those_of_a_lab(saved):
    rates, recipe = (0.01, 0.1, 0.5, 1.0), problems.moons.recipe.replace(updates=50)
    page = saved("moons", "lr", recipe=recipe, values=rates)
    histories = [train("moons", recipe.replace(lr=rate)) for rate in rates]
    found = outcome_bars([f"{r:g}" for r in rates], histories, "the range of learning rate")
    assert page.heights[:4].tolist() == [round(1000 * height) for height, _ in found.bars]
    said = "".join(page.reader.words)
    assert f"{found.heights} {found.ends} The same in every run:" in said


def test_the_bars_of_two_settings_stand_on_one_scale(saved):
    recipe = Recipe(updates=20)
    page = saved("bowl", "lr", "optimizer", recipe=recipe, values=(0.01, 3.0))
    histories = [None] * 12
    for number, _, chosen in recipes_of(page, recipe, "lr", "optimizer"):
        histories[number] = train(
            "bowl", Recipe(chosen["optimizer"], float(chosen["lr"]), updates=20)
        )
    found = outcome_bars([""] * 12, histories)
    assert page.heights[:12].tolist() == [round(1000 * height) for height, _ in found.bars]
    assert found.heights in "".join(page.reader.words)


def test_a_list_has_no_bars_and_no_scale(saved):
    page = saved("bowl", "optimizer", recipe=Recipe(updates=20))
    said = "".join(page.reader.words)
    assert "Bar heights" not in said
    assert "runs: the loss ends lowest at optimizer" in said
    tags = [tag for tag, _ in page.reader.elements]
    assert "select" in tags
    assert "input" not in tags


@pytest.mark.parametrize(
    ("problem", "fields"), [("moons", ("lr", "scale")), ("digits", ("lr",)), ("line", ("l1", "l2"))]
)
def test_a_page_is_small_enough_to_send(tmp_path, problem, fields):
    lab = GradLab(problem, recipe=problems.get(problem).recipe.replace(updates=40, mask=0.1))
    path = lab.save_page(tmp_path / "page.html", *fields, most=400)
    assert path.stat().st_size <= LIMIT
    lab.close()


def test_nothing_is_fetched(tmp_path):
    recipe = problems.moons.recipe.replace(updates=5)
    path = save_page(problems.moons, recipe, None, tmp_path / "p.html", ["scale"], (0.5, 1.0))
    text = path.read_text(encoding="utf-8")
    outside = text.replace("http://www.w3.org/2000/svg", "")  # the name of SVG, not an address
    outside = re.sub(r"'sha256-[^']*'", "", outside)
    data = Reader(text).scripts[0]
    outside = re.sub(r"\s//\s.*|^//.*", "", outside.replace(data, ""), flags=re.MULTILINE)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", outside)
    elements = Reader(text).elements
    assert not {"img", "iframe", "object", "embed", "base"} & {tag for tag, _ in elements}
    assert [attrs for tag, attrs in elements if tag == "link"] == [
        {"rel": "icon", "href": "data:,"}
    ]
    policy = next(a["content"] for _, a in elements if "Security" in a.get("http-equiv", ""))
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_what_comes_from_outside_stays_text(tmp_path):
    x = torch.linspace(-1, 1, 8).unsqueeze(1)

    def page(name, description):
        problem = Problem(
            name,
            nn.Linear(1, 1),
            (x, 2 * x),
            nn.functional.mse_loss,
            description=description,
            recipe=Recipe(updates=5),
        )
        start = train(problem)
        path = tmp_path / "page.html"
        save_page(problem, problem.recipe, start, path, ["lr"], (0.1, 0.2), ["loss"])
        return SavedPage(path.read_text(encoding="utf-8"))

    found = page(HOSTILE, f'{HOSTILE} & "quotes" \u2028 </title></style></script><!--')
    expected = page("line", "plain")
    tags = [
        [t for t, _ in each.reader.elements if t not in ("path", "text")]
        for each in (found, expected)
    ]
    assert tags[0] == tags[1]
    assert not [n for _, attrs in found.reader.elements for n in attrs if n.startswith("on")]
    assert HOSTILE in found.reader.words
    assert len(found.reader.scripts) == 2
    assert not re.search(r"[<>&\u2028\u2029]", found.reader.scripts[0])
    assert f"# {HOSTILE}: {HOSTILE}" in found.lines[0]


def test_the_same_runs_give_the_same_bytes_without_a_trace_of_the_machine(tmp_path):
    def edit(parameters):
        for p in parameters:
            p.grad.mul_(0.5)

    texts = []
    for name in ("one", "two"):
        lab = GradLab("bowl", recipe=Recipe(updates=10, edits=(edit,)))
        texts.append(lab.save_page(tmp_path / f"{name}.html", "scale").read_text("utf-8"))
        lab.close()
    assert texts[0] == texts[1]
    page = SavedPage(texts[0])
    said = " ".join([*page.reader.words, *page.lines, *page.sentences])
    assert "1 edit of your own" in said
    assert not re.search(r"0x[0-9a-f]{6}|/home/|/usr/|/tmp/|\b20\d\d-\d\d", said)


def test_without_a_baseline_there_is_none(saved):
    page = saved("line", "lr", recipe=Recipe(updates=5), values=(0.1, 0.2), baseline=False)
    assert page.data["start"] is None
    assert not [a for _, a in page.reader.elements if "baseline" in a.get("class", "")]


def test_a_lab_saves_all_its_settings_where_it_stands_and_adds_a_stop(tmp_path):
    lab = GradLab("bowl", recipe=Recipe(updates=5), show=("lr", "momentum"))
    lab.recipe = lab.recipe.replace(lr=0.123)
    page = SavedPage(lab.save_page(tmp_path / "page.html", most=20).read_text(encoding="utf-8"))
    sliders = [a for tag, a in page.reader.elements if tag == "input"]
    rates, shares = page.dials
    assert rates["texts"][int(sliders[0]["value"])] == sliders[0]["aria-valuetext"] == "0.123"
    assert len(rates["texts"]) == 52
    assert rates["texts"] == sorted(rates["texts"], key=float)
    assert len(shares["texts"]) == 13
    assert page.sentences[page.data["start"]] == lab.baseline.summary()
    assert lab.summary.startswith(page.sentences[page.numbers[rates["at"], shares["at"]]])
    lab.close()


@pytest.mark.parametrize(
    ("fields", "values", "message"),
    [
        (("learning_rate",), None, r"'learning_rate'.*lr"),
        (("edits",), None, r"'edits'.*scale"),
        (("lr", "lr"), None, r"'lr'.*another"),
        (("lr",), (), r"values.*at least one"),
        (("lr",), (0.1, -1.0), r"lr.*-1"),
        (("optimizer",), ("SGD", "Sgd"), r"optimizer.*Sgd.*Adam"),
        (("nesterov",), None, r"'nesterov'.*momentum"),
    ],
)
def test_what_cannot_be_saved_is_refused_with_what_would_be_right(
    tmp_path, fields, values, message
):
    lab = GradLab("bowl", recipe=Recipe(updates=5))
    with pytest.raises(ValueError, match=message):
        lab.save_page(tmp_path / "page.html", *fields, values=values)
    assert not (tmp_path / "page.html").exists()
    lab.close()


def test_a_run_too_long_for_a_page_is_refused_before_it_is_trained(tmp_path):
    recipe = Recipe(updates=65_536)
    with pytest.raises(ValueError, match=r"updates=65536.*at most 65535"):
        save_page(problems.line, recipe, None, tmp_path / "page.html", ["lr"], (0.1,))


def test_a_page_draws_the_learning_rate_of_each_group(tmp_path):
    groups = {"0.*": {"lr": 0.5}, "2.weight": {"lr": 0.2}}
    lab = GradLab("moons", recipe=Recipe(lr=0.1, groups=groups, updates=9), show=("lr",))
    page = SavedPage(lab.save_page(tmp_path / "page.html", "groups[0.*].lr").read_text("utf-8"))
    (panel,) = [p for p in page.data["panels"] if len(p.get("curves", [])) >= 3]
    words = " ".join(" ".join(curve["name"]) for curve in panel["curves"])
    for word in ("0.*", "2.weight", "(solid)", "(dotted)", "(dashdot)", "the rest"):
        assert word in words.replace("2. weight", "2.weight")
    for name in ("the rest", "0.*", "2.weight"):
        assert f"Learning rate of {name} " in page.heard[0]
    lab.close()
