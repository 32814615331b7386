import dataclasses
import io

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from torch import nn

from gradwidgets import Problem, Recipe, plots, train
from gradwidgets.core import problems
from gradwidgets.plots.pane import Pane
from gradwidgets.plots.plane import regions, surface
from gradwidgets.plots.png import encode
from gradwidgets.plots.scale import Limits

ALL = ("loss", "gradient", "ratio", "weights", "spread", "accuracy", "surface", "boundary")


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def shown(problem="moons", role="live", **changes):
    recipe = problems.get(problem).recipe.replace(**{"updates": 20, **changes})
    return plots.StyledRun(train(problem, recipe), role, role)


def test_png_is_read_back_by_another_library():
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    assert (pixels(encode(picture)) == picture).all()


def test_a_redrawn_live_run_is_the_same_picture_as_a_fresh_canvas():
    panels = plots.make(("loss", "gradient", "boundary"), problems.get("moons"))
    baseline = shown(role="baseline")
    kept = plots.Canvas(panels)
    for scale in (1.5, 3.0, 2.0, 3.0):
        live = shown(scale=scale)
        png = kept.render([baseline, live])
    assert png == kept.render([baseline, live])
    fresh = plots.Canvas(panels)
    fresh.render([baseline, shown(scale=1.5)])
    assert (pixels(fresh.render([baseline, live])) == pixels(png)).all()


@pytest.mark.parametrize("name", problems.names())
@pytest.mark.parametrize("theme", [plots.LIGHT, plots.DARK], ids=["light", "dark"])
def test_every_problem_can_be_drawn_in_both_themes(name, theme):
    problem = problems.get(name)
    picture = pixels(plots.Canvas(plots.make(plots.suited(problem), problem)).render([], theme))
    paper = tuple(int(theme.paper[i : i + 2], 16) for i in (1, 3, 5))
    assert tuple(picture[2, 2]) == paper
    drawn = pixels(
        plots.Canvas(plots.make(plots.suited(problem), problem)).render(
            [shown(name, updates=3)], theme
        )
    )
    assert (drawn != picture).any()


@pytest.mark.parametrize("name", ALL[:5])
def test_each_panel_changes_with_the_run(name):
    canvas = plots.Canvas(plots.make((name,), problems.get("moons")), (360, 300))
    assert canvas.render([shown(lr=0.1)]) != canvas.render([shown(lr=1.0)])


def test_a_run_that_diverged_at_once_can_be_drawn():
    problem = problems.get("bowl")
    history = train(problem, Recipe(lr=1e30, updates=5))
    assert history.stopped[1] == "diverged"
    for name in ("loss", "gradient", "ratio", "weights", "spread", "surface"):
        plots.Canvas(plots.make((name,), problem)).render([plots.StyledRun(history, "now")])


def test_a_run_that_diverged_ends_in_a_cross_at_the_edge():
    history = train("bowl", Recipe(lr=3.0, updates=100))
    run = plots.StyledRun(history, "now")
    picture = pixels(plots.Canvas([plots.LOSS], (360, 300)).render([run]))
    whole = dataclasses.replace(history, stopped=None)
    without = pixels(plots.Canvas([plots.LOSS], (360, 300)).render([plots.StyledRun(whole, "now")]))
    rows, columns = np.nonzero((picture != without).any(axis=-1)[:, :282])  # left of the labels
    middle = 64 + (360 - 64 - 78) * (history.updates - 1) / 100
    assert np.ptp(rows) in range(9, 18)
    assert columns.mean() == pytest.approx(middle, abs=1)


def test_the_surface_is_the_loss():
    problem = problems.get("line")
    first, second = np.array([-1.0, 0.5]), np.array([0.0, 1.0, 2.0])
    heights = surface(problem, first, second)
    x, y = problem.batches()
    expected = [[(((w * x + b) - y) ** 2).mean().item() for w in first] for b in second]
    assert heights == pytest.approx(np.array(expected), rel=1e-5)


def test_the_surface_of_a_model_that_branches_and_raises():
    class Picky(nn.Linear):
        def forward(self, x):
            if self.weight.item() > 1:
                raise RuntimeError("too heavy")
            return super().forward(x)

    x = torch.ones(4, 1)
    problem = Problem("picky", lambda: Picky(1, 1), (x, x), nn.functional.mse_loss)
    heights = surface(problem, np.array([0.0, 2.0]), np.array([0.0, 1.0]))
    assert heights[:, 0].tolist() == [1.0, 0.0]
    assert np.isnan(heights[:, 1]).all()


@pytest.mark.filterwarnings("error")
def test_a_surface_that_is_nowhere_finite_can_be_drawn():
    def loss(output, target):
        return nn.functional.mse_loss(output, target) * torch.nan

    x = torch.ones(4, 1)
    problem = Problem("lost", lambda: nn.Linear(1, 1), (x, x), loss)
    history = train(problem, Recipe(updates=5))
    plots.Canvas(plots.make(("surface",), problem)).render([plots.StyledRun(history, "now")])


def test_regions_are_the_models_answers_and_leave_its_modes():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    limits = Limits((-1.0, 1.0), (-2.0, 2.0))
    answers = regions(model, limits, torch.zeros(1, 2))
    assert [module.training for module in model] == [True, True, False]
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    model.eval()
    corner = model(torch.tensor([[1.0, -2.0]])).softmax(1)[0, 1].item()
    assert answers[0, -1] == pytest.approx(corner, rel=1e-6)


def test_pictures_draw_no_number_of_the_callers():
    class Noisy(nn.Linear):
        def forward(self, x):
            return super().forward(x) + torch.rand(())

    before = torch.get_rng_state()
    regions(Noisy(2, 2), Limits((-1.0, 1.0), (-2.0, 2.0)), torch.zeros(1, 2))
    after_building = torch.get_rng_state()
    torch.set_rng_state(before)
    Noisy(2, 2)
    assert torch.equal(torch.get_rng_state(), after_building)
    x = torch.ones(4, 1)
    problem = Problem("noisy", lambda: Noisy(1, 1), (x, x), nn.functional.mse_loss)
    before = torch.get_rng_state()
    surface(problem, np.array([0.0, 2.0]), np.array([0.0, 1.0]))
    assert torch.equal(torch.get_rng_state(), before)


def unlucky():
    """A model whose parameters have names that matplotlib would take for formulas."""
    model = nn.Module()
    for name in ("$\\frac", "<b>$x_"):
        model.register_parameter(f"{name}$", nn.Parameter(torch.ones(())))
    model.forward = lambda x: x * sum(model.parameters())
    return model


def test_names_are_not_formulas():
    data = torch.ones(4, 1), torch.zeros(4, 1)
    problem = Problem("costs $5 and $\\frac", unlucky, data, nn.functional.mse_loss)
    history = train(problem, Recipe(lr=0.01, updates=3))
    canvas = plots.Canvas(plots.make(("loss", "weights", "surface"), problem))
    drawn = {canvas.render([plots.StyledRun(history, label)]) for label in ("$\\frac$", "$x$", "x")}
    assert len(drawn) == 3


@pytest.mark.parametrize("theme", [plots.LIGHT, plots.DARK], ids=["light", "dark"])
def test_without_colours_the_two_regions_still_differ(theme):
    canvas = plots.Canvas(plots.make(("boundary",), problems.get("moons")), (360, 300))
    picture = Image.open(io.BytesIO(canvas.render([shown(updates=200)], theme))).convert("L")
    upper_left, lower_right = picture.getpixel((70, 45)), picture.getpixel((275, 242))
    assert abs(upper_left - lower_right) > 25  # of 255


def of_groups(role="live", **changes):
    groups = {"0.weight": {"lr": 0.5}, "2.weight": {"weight_decay": 0.1}, "2.bias": {"lr": 0.3}}
    recipe = Recipe(lr=0.1, groups=groups, schedule="cosine", updates=20)
    return plots.StyledRun(train("moons", recipe.replace(**changes)), role, role)


def test_a_panel_says_where_a_run_does_not_measure_it():
    axes = Figure().subplots()

    def notes(panel, role, **changes):
        drawn = panel.artists(shown("digits", role, **changes), axes, plots.LIGHT)
        return [artist.get_text() for artist in drawn if isinstance(artist, Text)]

    assert notes(plots.LOST, "live") == ["not measured in this run"]
    assert notes(plots.LOST, "live", dtype="bfloat16") == notes(plots.LOST, "baseline") == []
    assert notes(plots.LOSS, "live", updates=1) == []


def test_each_group_has_its_learning_rate_and_its_name_on_the_panel():
    run = of_groups()
    starts = {series.name: (series.y[0], series.dash) for series in plots.LR.series(run.history)}
    assert starts == {
        "the rest, 2.weight (solid)": (0.1, ""),
        "0.weight (dotted)": (0.5, "dotted"),
        "2.bias (dashdot)": (0.3, "dashdot"),
    }
    assert {text for _, text in plots.LR.labels(run)} == set(starts)
    assert [text for _, text in plots.LR.labels(of_groups("baseline"))] == ["baseline"]
    alone = shown(schedule="cosine")
    assert [text for _, text in plots.LR.labels(alone)] == ["live"]


def test_more_than_three_panels_stand_in_rows():
    problem = problems.get("moons")
    names = ("loss", "gradient", "lr", "weights", "boundary")
    run = shown(schedule="cosine")
    for count, shape in ((3, (320, 1100, 3)), (4, (512, 1100, 3)), (5, (512, 1100, 3))):
        canvas = plots.Canvas(plots.make(names[:count], problem))
        assert pixels(canvas.render([run])).shape == shape
        assert pixels(canvas.render([run], stacked=True)).shape == (
            320 * count,
            366 + count // 4,
            3,
        )
    assert (pixels(canvas.render([run]))[256:, 734:] == 255).all()  # paper, where a sixth would be


def test_stacked_panels_are_no_wider_than_a_telephone_shows_them():
    canvas = plots.Canvas(plots.make(("loss", "gradient"), problems.get("moons")))
    assert pixels(canvas.render([shown()], stacked=True)).shape == (640, 367, 3)


@pytest.mark.parametrize("problem", ["moons", "bowl", "digits"])
def test_the_picture_of_a_run_does_not_depend_on_what_was_drawn_before(problem):
    panels = plots.make(plots.suited(problems.get(problem)), problems.get(problem))
    baseline = shown(problem, "baseline")
    runs = [shown(problem, scale=scale) for scale in (0.0, 0.1, 1.0, 10.0, 100.0)]
    there, back = plots.Canvas(panels), plots.Canvas(panels)
    forwards = [there.render([baseline, run]) for run in runs]
    backwards = [back.render([baseline, run]) for run in reversed(runs)]
    assert forwards == backwards[::-1]


def test_the_loss_has_one_kind_of_axis_at_every_stop():
    runs = [shown("moons", scale=scale) for scale in (0.0, 0.001, 1.0, 10.0, 100.0)]
    assert {plots.LOSS.limits([run]).log for run in runs} == {True}


def losing(*losses):
    """A run with these losses."""
    history = train("bowl", Recipe(updates=len(losses)))
    return plots.StyledRun(dataclasses.replace(history, loss=np.array(losses)), "now")


def test_an_axis_that_was_linear_once_for_a_loss_below_zero_stays_linear():
    fresh, used = (plots.Canvas([plots.LOSS], (360, 300)) for _ in range(2))
    above, below = losing(2.0, 1.0, 0.5), losing(2.0, 1.0, -0.5)
    used.render([below])
    linear = dataclasses.replace(plots.LOSS, log=False)
    assert used.render([above]) == plots.Canvas([linear], (360, 300)).render([above])
    assert used.render([above]) != fresh.render([above])


@pytest.mark.parametrize(
    "label",
    [
        *("scale 6.3", "Adam, lr 0.05, mask 0.5, l2 0.1", "W" * 40, "many " * 30),
        *("encoder.layers.11.attention.*", "__a__._b.." * 9, "." * 90),
    ],
)
def test_the_name_of_a_curve_is_drawn_within_the_picture(label):
    history = train("bowl", Recipe(updates=20))
    canvas = plots.Canvas([plots.LOSS], (360, 300))
    named, bare = (pixels(canvas.render([plots.StyledRun(history, n)])) for n in (label, ""))
    assert (named != bare).any()
    assert (named[:, -1] == 255).all()  # white paper
    assert not (named != bare)[:, : 360 - 78].any()  # the axes are left alone


def test_two_complex_parameters_span_no_surface() -> None:
    def model() -> nn.Module:
        return nn.Linear(1, 1, dtype=torch.complex64)

    x = torch.ones(4, 1, dtype=torch.complex64)
    problem = Problem("complex", model, (x, x), lambda output, y: (output - y).abs().mean())
    assert plots.suited(problem) == ("loss", "gradient", "ratio")


def test_a_title_that_is_too_long_stands_in_two_lines_within_its_panel():
    pane = Pane(dataclasses.replace(plots.LOSS, title="loss (dotted: held-out)"), (275, 320))
    runs = [shown()]
    pane.render(runs, plots.LIGHT, pane.limits(runs))
    title = pane._axes._left_title
    assert title.get_text() == "loss (dotted: held-out)\n(log scale)"
    extent = title.get_window_extent()
    assert 0 <= extent.x0 < extent.x1 <= 275
    assert 0 <= extent.y0 < extent.y1 <= 320
