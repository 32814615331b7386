"""A saved page, opened as a file in a browser that is cut off from every network."""

import dataclasses
import itertools
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from gradwidgets import GradLab, Recipe, train
from gradwidgets.core import problems

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
        "curve": page.locator("#picture .now path.live").first.get_attribute("d"),
        "last": rows[-1],
    }


def check(page, scale):
    """The page shows what `train` says of this value."""
    expect(page.locator(".value").first).to_have_text(f"{scale:g}")
    history, seen = run_of(scale), shown(page)
    assert seen["value"] == seen["spoken"] == f"{scale:g}"
    assert seen["sentence"] == history.summary()
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
            expect(page.locator("#picture .now .cross")).to_have_count(3 * diverged)
    assert diverged
    expect(page.locator(".strip .unstable.here")).to_have_count(1)


def test_nothing_is_wrong_with_its_accessibility(show):
    for name in ("scale.html", "two.html"):
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
    expect(page.locator("#picture .now path.live")).to_have_count(3)
    expect(page.get_by_text("Scripts are switched off")).to_be_visible()
    context.close()
