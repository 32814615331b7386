"""A lecture as it is given: a keyboard or a clicker, a kernel that restarts, large type."""

import pytest
from playwright.sync_api import expect

from gradwidgets import Recipe, train
from tests.browser.test_accessibility import violations, wear

CELL = """
from gradwidgets import GradLab, Recipe, Scene, Walkthrough
lab = GradLab("moons", ("scale", "lr"), Recipe(lr=0.5, updates=50), panels=("loss", "boundary"),
              size=(1100, 360), text_scale=1.6)
walk = Walkthrough(lab, [
    ("Start", "As it `is`."),
    Scene("Scaled", "Ten times the <b>gradient</b>.", {"scale": 10.0}, "Ask `them` first.", 2),
    ("Slow", "A tenth of the learning rate.", {"lr": 0.05}),
    ("Still", "No gradient at all.", {"scale": 0.0}),
])
walk
"""
START = Recipe(lr=0.5, updates=50)
CHANGES = ({}, {"scale": 10.0}, {"lr": 0.05}, {"scale": 0.0})
TITLES = ("Start", "Scaled", "Slow", "Still")


def stage(desk):
    return desk.page.locator(".gradwidgets-stage section")


def at(desk, number):
    """Wait until the scene of that number is shown, and its run."""
    expect(stage(desk)).to_have_accessible_name(f"Walkthrough, scene {number} of 4")
    expect(desk.page.locator(".gradwidgets-title")).to_have_text(TITLES[number - 1])
    desk.wait_sentence(train("moons", START.replace(**CHANGES[number - 1])).summary())


@pytest.fixture
def desk(front_end):
    front_end.show(CELL)
    at(front_end, 1)
    return front_end


@pytest.mark.parametrize("notebook7", [False, True], ids=["lab", "notebook7"])
def test_keyboard_and_clicker_lead_through_the_scenes_and_the_notebook_sees_nothing(
    front_end, notebook7
):
    front_end.show(CELL, notebook7=notebook7)
    at(front_end, 1)
    keyboard = front_end.page.keyboard
    stage(front_end).focus()
    for key, number in [
        ("ArrowRight", 2),
        ("PageDown", 3),
        ("End", 4),
        ("PageDown", 4),
        ("PageUp", 3),
        ("ArrowLeft", 2),
        ("Home", 1),
        ("ArrowLeft", 1),
    ]:
        keyboard.press(key)
        at(front_end, number)
    for key in "ddabxz":  # in a notebook's command mode these delete and add cells
        keyboard.press(key)
    expect(stage(front_end)).to_be_focused()
    expect(front_end.page.locator(".jp-CodeCell")).to_have_count(1)


def test_a_slider_keeps_its_arrows_and_the_clicker_still_works(desk):
    keyboard = desk.page.keyboard
    desk.slider("scale").focus()
    keyboard.press("ArrowRight")
    desk.wait_sentence(train("moons", START.replace(scale=1.3)).summary())
    keyboard.press("PageDown")
    at(desk, 2)
    expect(desk.slider("scale")).to_have_attribute("aria-valuetext", "10")
    expect(desk.slider("scale")).to_be_focused()


def test_buttons_the_list_and_the_words(desk):
    page = desk.page
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    at(desk, 2)
    status = stage(desk).get_by_role("status")
    expect(status).to_contain_text("Ten times the <b>gradient</b>.")
    page.get_by_label("Go to scene").select_option("4. Still")
    at(desk, 4)
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Next")).to_be_focused()  # at the end, too
    at(desk, 4)
    page.get_by_role("button", name="Back").click()
    at(desk, 3)


@pytest.mark.parametrize("key", [False, True], ids=["button", "key"])
def test_notes_come_in_a_window_of_their_own(desk, key):
    page = desk.page
    with page.expect_popup() as opened:
        if key:
            stage(desk).focus()
            page.keyboard.press("p")
        else:
            page.get_by_role("button", name="Presenter").click()
    body = opened.value.locator("body")
    expect(opened.value.get_by_role("heading", name="Start")).to_be_visible()
    expect(body).to_contain_text("Next\nScaled", use_inner_text=True)
    opened.value.keyboard.press("PageDown")
    at(desk, 2)
    expect(body).to_contain_text("Ask them first.")
    expect(body).to_contain_text("planned for minutes 0 to 2")
    expect(page.get_by_text("Ask them first.")).to_have_count(0)
    assert violations(opened.value, "body") == []
    with opened.value.expect_event("close"):
        page.reload()


def test_a_click_on_the_picture_gives_the_walkthrough_the_keys(desk):
    desk.page.locator(".gradwidgets-screen img").click()
    expect(stage(desk)).to_be_focused()
    desk.page.keyboard.press("PageDown")
    at(desk, 2)


WATCH = """() => {
    window.visited = [];
    const input = document.querySelector('.gradwidgets-slider input');
    new MutationObserver(() => visited.push(input.getAttribute('aria-valuetext')))
        .observe(input, {attributes: true, attributeFilter: ['aria-valuetext']});
}"""


def visited(desk):
    return [float(value) for value in desk.page.evaluate("window.visited")]


def test_the_change_is_played_unless_people_ask_for_calm(desk):
    desk.page.evaluate(WATCH)
    stage(desk).focus()
    desk.page.keyboard.press("ArrowRight")
    at(desk, 2)
    values = sorted(set(visited(desk)))
    assert len(values) > 3
    assert values[-1] == 10.0
    desk.page.emulate_media(reduced_motion="reduce")
    switch = desk.page.get_by_role("checkbox", name="animate")
    expect(switch).not_to_be_checked()
    desk.page.evaluate(WATCH)
    desk.page.keyboard.press("ArrowLeft")
    at(desk, 1)
    assert set(visited(desk)) == {1.0}
    switch.check()
    desk.page.evaluate(WATCH)
    stage(desk).focus()
    desk.page.keyboard.press("ArrowRight")
    at(desk, 2)
    assert len(set(visited(desk))) > 3


def test_the_newest_key_wins_and_nothing_queues(desk):
    stage(desk).focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Home", "PageDown"):
        desk.page.keyboard.press(key)
    at(desk, 2)
    desk.page.evaluate(WATCH)
    desk.page.wait_for_timeout(1500)
    assert visited(desk) == []
    at(desk, 2)


RESTART = """async () => {
    const context = jupyterapp.shell.currentWidget.sessionContext;
    await context.session.kernel.restart();
    await context.session.kernel.info;
}"""


@pytest.mark.parametrize("reload", [False, True], ids=["restart", "restart and reload"])
def test_after_a_restart_of_the_kernel_the_cell_comes_back_to_its_scene(front_end, reload):
    name = front_end.write(CELL)
    front_end.open_lab(name)
    front_end.run_all()
    at(front_end, 1)
    stage(front_end).focus()
    front_end.page.keyboard.press("End")
    front_end.page.keyboard.press("PageUp")
    at(front_end, 3)
    front_end.page.evaluate(RESTART)
    if reload:
        front_end.open_lab(name)
    front_end.run("assert 'walk' not in globals(); before = True")
    front_end.run_all()
    front_end.page.wait_for_function("() => document.querySelectorAll('.gradwidgets-stage').length")
    at(front_end, 3)
    stage(front_end).focus()
    front_end.page.keyboard.press("Home")
    at(front_end, 1)
    front_end.run_all()
    at(front_end, 1)


def test_type_is_large_enough_for_the_last_row(desk):
    sizes = desk.page.evaluate(
        """() => {
            const size = (place) => parseFloat(
                getComputedStyle(document.querySelector(place)).fontSize);
            const img = document.querySelector('.gradwidgets-screen img');
            return {
                title: size('.gradwidgets-title'), text: size('.gradwidgets-text'),
                slider: size('.gradwidgets-slider'), said: size('.gradwidgets-screen p'),
                shrunk: img.clientWidth / img.naturalWidth, width: innerWidth,
            };
        }"""
    )
    assert sizes["width"] == 1280
    assert sizes["title"] >= 26
    assert min(sizes["text"], sizes["slider"], sizes["said"]) >= 18
    # 9 points at 100 dots per inch, times text_scale: what test_larger_type has measured
    assert sizes["shrunk"] * 1.6 * 9 * 100 / 72 >= 15  # beside the open file browser
    desk.page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area')")
    desk.page.wait_for_function(
        f"""() => {{
            const img = document.querySelector('.gradwidgets-screen img');
            return img.clientWidth / img.naturalWidth * {1.6 * 9 * 100 / 72} >= 18;
        }}"""
    )


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_no_serious_violation(desk, theme):
    wear(desk.page, theme)
    try:
        stage(desk).focus()
        desk.page.keyboard.press("ArrowRight")
        at(desk, 2)
        assert violations(desk.page) == []
    finally:
        wear(desk.page, "Light")
