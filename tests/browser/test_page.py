"""A saved page, opened as a file in a browser that is cut off from every network."""

import base64
import dataclasses
import io
import itertools
import random
import re

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from gradwidgets import GradLab, Recipe, train
from gradwidgets.core import problems
from gradwidgets.plots import BoundaryPanel

VALUES = (0.0, 0.3, 1.0, 3.0, 10.0)
RATES = (0.01, 0.1, 0.2, 3.0)


def run_of(scale):
    return train("moons", dataclasses.replace(problems.moons.recipe, updates=60, scale=scale))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Pages over one setting, over two, and over one that has no order."""
    folder = tmp_path_factory.mktemp("pages")
    lab = GradLab("moons", recipe=problems.moons.recipe.replace(updates=60))
    lab.save_page(folder / "scale.html", "scale", values=VALUES)
    lab.close()
    lab = GradLab("bowl", recipe=Recipe(updates=30))
    lab.save_page(folder / "two.html", "lr", "optimizer", values=RATES)
    lab.close()
    lab = GradLab("moons", recipe=Recipe(lr=0.5, updates=20), show=("scale", "mask", "momentum"))
    lab.save_page(folder / "lab.html", most=64)
    lab.close()
    lab = GradLab("line", recipe=Recipe(updates=4), panels=("loss", "lost"))
    lab.save_page(folder / "precision.html", "dtype", values=(None, "bfloat16"))
    lab.close()
    return folder


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture
def show(chromium, saved, scheme):
    """Opens a saved page offline; fails on console messages and on requests but for the file."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_offline(True)
    page = context.new_page()
    requests, messages = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))

    def opened(name):
        page.goto((saved / name).as_uri())
        expect(page.locator("#still")).to_be_hidden()  # the runs are unpacked
        return page

    yield opened
    context.close()
    assert messages == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def shown(page):
    """What a reader sees and hears: the value, the sentence, the picture's words, the table."""
    slider = page.get_by_role("slider").first
    rows = page.locator("#rows tr").all_text_contents()
    return {
        "value": page.locator(".value").first.text_content(),
        "spoken": slider.get_attribute("aria-valuetext"),
        "sentence": page.get_by_role("status").text_content(),
        "picture": page.get_by_role("img").get_attribute("aria-label"),
        "curve": page.locator("#picture .over path.live").first.get_attribute("d"),
        "last": rows[-1],
    }


def check(page, scale):
    """The page shows what `train` says of this value."""
    expect(page.locator(".value").first).to_have_text(f"{scale:g}")
    history, seen = run_of(scale), shown(page)
    assert seen["value"] == seen["spoken"] == f"{scale:g}"
    assert seen["sentence"] == history.summary()
    assert seen["picture"].startswith("Plots of loss, gradient norm, what the model answers. Now: ")
    assert history.summary() in seen["picture"]
    assert f"{history.loss[-1]:.4g}" in seen["last"]
    assert f"{history.edited_norm[-1]:.4g}" in seen["last"]
    return seen


def test_keys_move_the_slider_and_all_that_it_shows(show):
    page = show("scale.html")
    slider = page.get_by_label("scale", exact=True)
    seen = [check(page, 1.0)]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(slider).to_be_focused()
    for key, scale in [("ArrowRight", 3.0), ("ArrowRight", 10.0), ("ArrowRight", 10.0)]:
        page.keyboard.press(key)
        seen.append(check(page, scale))
    for key, scale in [("Home", 0.0), ("ArrowUp", 0.3), ("End", 10.0), ("ArrowLeft", 3.0)]:
        page.keyboard.press(key)
        seen.append(check(page, scale))
    for part in ("sentence", "picture", "curve", "last"):
        assert len({each[part] for each in seen}) == len(VALUES)


def test_the_mouse_drags_it_too(show):
    page = show("scale.html")
    box = page.get_by_label("scale", exact=True).bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    for share, scale in [(0.74, 3.0), (0.99, 10.0), (0.01, 0.0), (0.26, 0.3)]:
        page.mouse.move(box["x"] + share * box["width"], middle, steps=4)
        check(page, scale)
    page.mouse.up()


@pytest.mark.single_precision("a loss leaves the numbers of single precision much earlier")
def test_two_settings_move_independently_and_divergence_is_marked(show):
    page = show("two.html")
    optimizers = page.get_by_label("optimizer")
    for rate, place in [(0.2, 2), (3.0, 3)]:
        page.get_by_label("learning rate").fill(str(place))
        for optimizer in ("Adam", "SGD"):
            optimizers.select_option(label=optimizer)
            history = train("bowl", Recipe(optimizer, rate, updates=30))
            expect(page.get_by_role("status")).to_have_text(history.summary())
            diverged = history.stopped is not None
            expect(page.locator("#picture .over .cross")).to_have_count(2 * diverged)
    assert diverged
    expect(page.locator(".strip .unstable.here")).to_have_count(1)


def test_wherever_the_dials_are_put_the_words_are_those_of_train(show, scheme):
    page, draw = show("lab.html"), random.Random(scheme)
    sliders = [page.get_by_role("slider", name=name) for name in ("scale", "mask", "momentum")]
    for _ in range(25):
        slider = draw.choice(sliders)
        slider.fill(str(draw.randint(0, int(slider.get_attribute("max")))))
        scale, mask, momentum = (float(each.get_attribute("aria-valuetext")) for each in sliders)
        options = {"momentum": momentum} if momentum else {}
        recipe = Recipe(lr=0.5, updates=20, scale=scale, mask=mask, options=options)
        expect(page.get_by_role("status")).to_have_text(train("moons", recipe).summary())
        assert int(slider.input_value()) <= int(slider.get_attribute("max"))
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("status")).to_have_text(
        train("moons", Recipe(lr=0.5, updates=20)).summary()
    )


def test_a_key_moves_a_slider_where_few_stops_are_shared(show):
    page = show("lab.html")
    scale, mask = (page.get_by_role("slider", name=name) for name in ("scale", "mask"))
    scale.press("End")
    stands = [float(mask.get_attribute("aria-valuetext"))]
    for key in [*["ArrowRight"] * 4, *["ArrowLeft"] * 4]:
        mask.press(key)
        stands.append(float(mask.get_attribute("aria-valuetext")))
        recipe = Recipe(lr=0.5, updates=20, scale=100.0, mask=stands[-1])
        expect(page.get_by_role("status")).to_have_text(train("moons", recipe).summary())
    up, down = stands[:5], stands[4:]
    assert up[0] == down[-1] == 0
    assert up[-1] == 1
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert len({*up}) > 2
    assert set(down) == set(up)


def test_runs_are_pinned_and_unpinned(show):
    page = show("lab.html")
    slider, pin = page.get_by_role("slider", name="scale"), page.get_by_role("button", name="Pin")
    pin.first.click()
    expect(pin.first).to_be_disabled()  # this run is pinned
    slider.press("ArrowRight")
    expect(page.locator("#pins .run")).to_have_count(1)
    expect(page.locator("#picture .over path.pinned")).not_to_have_count(0)
    expect(page.locator("#pins")).to_contain_text("pin 1: scale 1, mask 0, momentum 0.")
    page.get_by_role("button", name="Unpin").click()
    expect(page.locator("#picture .over path.pinned")).to_have_count(0)


def test_the_region_is_what_the_model_answers(show):
    page = show("lab.html")
    page.get_by_role("slider", name="scale").press("ArrowRight")
    (scale,) = [float(page.get_by_role("slider", name="scale").get_attribute("aria-valuetext"))]
    model = train("moons", Recipe(lr=0.5, updates=20, scale=scale)).model
    address = page.locator("#picture image").get_attribute("href")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))
    panel = BoundaryPanel(problems.moons)
    low, high = (np.array(ends) for ends in zip(*_ends(panel.limits([])), strict=True))
    places = low + (high - low) * (np.stack(np.meshgrid(*[(np.arange(60) + 0.5) / 60] * 2), -1))
    with torch.no_grad():
        chances = model(torch.tensor(places.reshape(-1, 2), dtype=torch.float32)).softmax(1)[:, 1]
    steps = np.round(chances.numpy().reshape(60, 60)[::-1] * 5)
    colours = pixels[..., :3].astype(int)
    by_step = [np.unique(colours[steps == step], axis=0) for step in range(6)]
    seen = [np.median(colours[steps == step], axis=0) for step in range(6) if len(by_step[step])]
    assert len({tuple(colour) for colour in seen}) == len(seen) > 3
    for step, colour in zip([s for s in range(6) if len(by_step[s])], seen, strict=True):
        assert (colours[steps == step] == colour).all(axis=1).mean() > 0.99


def _ends(limits):
    return limits.x, limits.y


def test_nothing_is_wrong_with_its_accessibility(show):
    for name in ("scale.html", "two.html", "lab.html"):
        page = show(name)
        page.locator("summary").nth(0).click()
        page.locator("summary").nth(1).click()
        found = Axe().run(page).response["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_the_colours_follow_the_system_and_the_button(show, scheme):
    page = show("scale.html")
    paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 17, 17)"}
    other = {"light": "dark", "dark": "light"}[scheme]
    body, button = page.locator("body"), page.get_by_role("button", name="Dark")
    expect(body).to_have_css("background-color", paper[scheme])
    expect(button).to_have_attribute("aria-pressed", str(scheme == "dark").lower())
    button.click()
    expect(body).to_have_css("background-color", paper[other])
    assert Axe().run(page).response["violations"] == []
    page.emulate_media(media="print")
    expect(body).to_have_css("background-color", paper["light"])
    expect(button).to_be_hidden()


def test_in_a_frame_it_has_the_theme_that_it_is_told_until_its_own_button_is_pressed(
    show, saved, scheme
):
    (saved / "around.html").write_text(
        '<iframe src="scale.html" width="900"></iframe>', encoding="utf-8"
    )
    page = show("around.html")
    inside = page.frame_locator("iframe")
    other = {"light": "dark", "dark": "light"}[scheme]
    tell = "theme => frames[0].postMessage({ gradwidgets: 'theme', theme }, '*')"
    expect(inside.locator("html")).to_have_attribute("data-theme", scheme)
    page.evaluate(tell, other)
    expect(inside.locator("html")).to_have_attribute("data-theme", other)
    for system in (other, scheme):
        page.emulate_media(color_scheme=system)
        page.wait_for_timeout(100)
        expect(inside.locator("html")).to_have_attribute("data-theme", other)
    inside.get_by_role("button", name="Dark").click()
    page.evaluate(tell, other)  # as it does whenever the frame's height changes
    page.wait_for_timeout(100)
    expect(inside.locator("html")).to_have_attribute("data-theme", scheme)


@pytest.mark.parametrize("width", [320, 390, 640, 1920])
def test_it_fits_any_width(show, width):
    page = show("two.html")
    page.set_viewport_size({"width": width, "height": 700})
    page.wait_for_function("w => document.documentElement.scrollWidth <= w", arg=width)


def test_plots_stand_one_above_the_other_on_a_telephone(show):
    page = show("scale.html")
    page.set_viewport_size({"width": 390, "height": 800})
    boxes = [plot.bounding_box() for plot in page.locator("#picture > svg").all()]
    assert len({box["x"] for box in boxes}) == 1
    for above, below in itertools.pairwise(boxes):
        assert above["y"] + above["height"] <= below["y"]


def test_forced_colours_keep_the_bars(show, scheme):
    page = show("two.html")
    page.emulate_media(forced_colors="active", color_scheme=scheme)
    colors = page.evaluate(
        """() => [document.body, ...document.querySelectorAll('.strip i')]
            .map((node) => getComputedStyle(node)).map((style) =>
                style.backgroundImage === "none" ? style.backgroundColor : "hatched")"""
    )
    assert len(colors) == 1 + len(RATES)
    assert colors[0] not in colors[1:]
    assert "hatched" in colors


def test_the_policy_stops_what_would_get_in(chromium, saved):
    text = (saved / "scale.html").read_text(encoding="utf-8")
    hostile = text.replace("</header>", "</header><script>document.title = 'in'</script>")
    hostile = hostile.replace("</main>", "<img src='https://example.org/a.png'></main>")
    (saved / "hostile.html").write_text(hostile, encoding="utf-8")
    context = chromium.new_context()
    page = context.new_page()
    policy = "Content Security Policy"
    with (
        page.expect_console_message(lambda said: re.search(f"script.*{policy}", said.text)),
        page.expect_console_message(lambda said: re.search(f"image.*{policy}", said.text)),
    ):
        page.goto((saved / "hostile.html").as_uri())
    assert page.title() == "moons: scale"
    context.close()


def test_without_scripts_it_still_shows_the_run_it_was_saved_at(chromium, saved):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((saved / "scale.html").as_uri())
    expect(page.get_by_role("status")).to_have_text(run_of(1.0).summary())
    expect(page.locator("#program")).to_contain_text("loss.backward()")
    expect(page.get_by_text("Where scripts are switched off")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light"], indirect=True)
def test_a_panel_says_where_a_run_does_not_measure_it(show):
    page = show("precision.html")
    note = page.get_by_text("not measured in this run")
    for precision, notes in (("as built", 1), ("bfloat16", 0), ("as built", 1)):
        page.get_by_role("combobox").select_option(precision)
        expect(note).to_have_count(notes)
