"""The lab as a person meets it: a real browser, a real kernel, the keyboard."""

import re

import pytest
from playwright.sync_api import expect

from gradwidgets import Recipe, train

SHOW = "from gradwidgets import GradLab, Recipe\nlab = GradLab()\nlab"
START = Recipe(lr=0.5)


def ended(recipe, problem="moons"):
    return train(problem, recipe).summary()


@pytest.fixture
def lab(front_end):
    front_end.show(SHOW)
    front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
    return front_end


@pytest.mark.parametrize("notebook7", [False, True], ids=["lab", "notebook7"])
def test_arrow_keys_move_the_slider_and_the_loop_reruns(front_end, notebook7):
    front_end.show(SHOW, notebook7=notebook7)
    front_end.wait_sentence(ended(START))
    image = front_end.page.locator(".gradwidgets-screen img")
    expect(image).to_have_attribute("src", re.compile("blob:"))
    before = image.get_attribute("src")
    front_end.slider("scale").focus()
    for _ in range(4):
        front_end.page.keyboard.press("ArrowRight")
    front_end.wait_sentence(ended(START.replace(scale=2.5)))
    expect(front_end.slider("scale")).to_have_attribute("aria-valuetext", "2.5")
    expect(image).not_to_have_attribute("src", before)  # a picture is shown once it is decoded
    expect(image).to_have_attribute("alt", re.compile("Now: "))
    front_end.page.keyboard.press("Home")
    front_end.wait_sentence(ended(START.replace(scale=0.0)))


def test_thirty_changes_in_a_second_end_in_the_right_picture_and_nothing_stale_follows(lab):
    lab.page.evaluate(
        """() => {
            window.newest = performance.now();
            const img = document.querySelector('.gradwidgets-screen img');
            new MutationObserver(() => { newest = performance.now(); })
                .observe(img, {attributes: true, attributeFilter: ['alt']});
        }"""
    )
    lab.slider("scale").focus()
    for turn in range(30):
        lab.page.keyboard.press("ArrowRight" if turn % 3 else "ArrowLeft")
        lab.page.wait_for_timeout(33)
    last = ended(START.replace(scale=10.0))
    lab.wait_sentence(last)
    lab.page.wait_for_function("performance.now() - newest > 1500")  # nothing more is drawn
    expect(lab.page.locator(".gradwidgets-screen [role=status]")).to_contain_text(last)
    assert lab.page.locator(".gradwidgets-screen img").get_attribute("alt").count(last) == 1


def test_divergence_is_drawn_and_said(front_end):
    front_end.show('from gradwidgets import GradLab\nGradLab("bowl")')
    front_end.slider("scale").focus()
    front_end.page.keyboard.press("End")
    front_end.wait_sentence("Diverged at update 10")
    for _ in range(20):
        front_end.page.keyboard.press("ArrowLeft")
    front_end.wait_sentence("Still improving")


def test_code_is_shown_marked_and_copied(lab):
    lab.slider("scale").focus()
    lab.page.keyboard.press("ArrowRight")
    lab.wait_sentence(ended(START.replace(scale=1.3)))
    lab.page.get_by_role("button", name="Code").click()
    marks = lab.page.locator(".gradwidgets-listing mark")
    expect(marks.filter(has_text="p.grad.mul_(1.3)").first).to_be_visible()
    lab.page.get_by_role("button", name="Copy", exact=True).click()
    lab.page.get_by_role("button", name="Copied").wait_for()
    scope = {}
    exec(lab.page.evaluate("navigator.clipboard.readText()"), scope)
    assert scope["losses"] == train("moons", START.replace(scale=1.3)).loss.tolist()


def resized(front_end, width):
    """The page as wide as a desk's screen or a telephone's, where plots stand one above another."""
    page = front_end.page
    page.set_viewport_size({"width": width, "height": 800})
    if width < 500:
        page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
        page.wait_for_function(
            """() => {
                const img = document.querySelector('.gradwidgets-screen img');
                return img.naturalHeight > img.naturalWidth;
            }"""
        )
    return page


GAPS = """
async () => {
    const img = document.querySelector('.gradwidgets-screen img');
    const { naturalWidth: width, naturalHeight: height } = img;
    const context = new OffscreenCanvas(width, height).getContext('2d');
    context.drawImage(img, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const empty = Array(width).fill(true);
    for (let at = 0; at < data.length; at += 4)
        if (data[at] !== data[0]) empty[(at / 4) % width] = false;
    const runs = empty.map((is) => (is ? "_" : "#")).join("").match(/#_{6,}(?=#)/g);
    return [runs ? runs.length : 0, img.getBoundingClientRect().right <= innerWidth];
}
"""
"""Gaps between what stands side by side in the picture, and whether all of it is on the page."""


def test_plots_stand_side_by_side_on_a_desk_and_one_above_the_other_on_a_telephone(lab):
    lab.wait_sentence(ended(START))
    gaps, _ = lab.page.evaluate(GAPS)
    assert gaps >= 2
    page = resized(lab, 390)
    assert page.evaluate(GAPS) == [0, True]
    height, width = page.evaluate(
        """() => {
            const img = document.querySelector('.gradwidgets-screen img');
            return [img.naturalHeight, img.naturalWidth];
        }"""
    )
    assert height > 2 * width


@pytest.mark.parametrize("width", [1280, 390])
def test_code_opens_where_it_is_seen_and_escape_closes_it(lab, width):
    page = resized(lab, width)
    button, code = page.get_by_role("button", name="Code"), page.locator(".gradwidgets-listing pre")
    lab.slider("mask").focus()
    page.keyboard.press("ArrowRight")
    lab.wait_sentence(ended(START.replace(mask=0.05)))
    button.focus()
    for key in ("Escape", "Escape", "Enter"):
        page.keyboard.press("Enter")
        expect(code).to_be_focused()
        expect(code).to_be_in_viewport(ratio=0.95)
        expect(code.locator("mark").first).to_be_in_viewport()
        if key == "Enter":  # on the button, which was pressed to open it
            button.focus()
        page.keyboard.press(key)
        expect(code).to_be_hidden()
        expect(button).to_be_focused()


@pytest.mark.parametrize("name", ["Code", "Share"])
@pytest.mark.parametrize("width", [1280, 390])
def test_copy_covers_no_line(lab, name, width):
    resized(lab, width).get_by_role("button", name=name).click()
    lab.page.locator(".gradwidgets-listing pre").wait_for()
    covered = lab.page.evaluate(
        """() => {
            const [code] = document.querySelectorAll(".gradwidgets-listing pre");
            const copy = document.querySelector(".gradwidgets-listing button")
                .getBoundingClientRect();
            const frame = code.getBoundingClientRect();
            const range = document.createRange();
            range.selectNodeContents(code);
            const lines = [...range.getClientRects()].filter((line) => line.bottom > frame.top);
            const meets = (line) => line.left < copy.right && line.right > copy.left
                && line.top < copy.bottom && line.bottom > copy.top;
            return [lines.length, lines.filter(meets).length, copy.right <= innerWidth];
        }"""
    )
    assert covered[0] > 0
    assert covered[1:] == [0, True]


def test_a_program_that_another_cell_asks_for_leaves_the_focus_where_it_is(lab):
    lab.slider("scale").focus()
    lab.run("lab.toggle('code')")
    lab.page.locator(".gradwidgets-listing pre").wait_for()
    expect(lab.slider("scale")).to_be_focused()


def test_pin_reset_share_and_downloads(lab):
    lab.slider("mask").focus()
    lab.page.keyboard.press("End")
    lab.wait_sentence("Stalled")
    lab.page.get_by_role("button", name="Pin", exact=True).click()
    lab.page.get_by_role("button", name="Reset").click()
    lab.wait_sentence("On a plateau")
    image = lab.page.locator(".gradwidgets-screen img")
    expect(image).to_have_attribute("alt", re.compile("Mask 1: Stalled"))
    lab.page.get_by_role("button", name="Share").click()
    lab.page.get_by_text("GradLab('moons', recipe=Recipe(lr=0.5))").wait_for()
    with lab.page.expect_download() as download:
        lab.page.get_by_role("button", name="Save numbers").click()
    assert download.value.suggested_filename == "moons.csv"
    assert download.value.path().read_text(encoding="utf-8") == train("moons", START).to_csv()


def test_an_error_is_shown_as_text_and_the_controls_stay_alive(front_end):
    front_end.show(
        """
import torch
from gradwidgets import GradLab, Problem, Recipe

class Fragile(torch.nn.Linear):
    def forward(self, x):
        if self.weight.abs().max() > 3:
            raise RuntimeError("<img src=x onerror=alert(1)> too heavy")
        return super().forward(x)

x = torch.ones(4, 1)
problem = Problem("fragile", lambda: Fragile(1, 1), (x, 5 * x), torch.nn.functional.mse_loss)
GradLab(problem, show=("lr",), recipe=Recipe(lr=0.0001, updates=50))
"""
    )
    front_end.slider("learning rate").focus()
    front_end.page.keyboard.press("End")
    front_end.wait_sentence("the model raised at update")
    front_end.wait_sentence("<img src=x onerror=alert(1)> too heavy")
    front_end.page.get_by_text("Traceback", exact=True).click()
    trace = front_end.page.locator(".gradwidgets-screen pre")
    expect(trace).to_contain_text("RuntimeError")
    expect(trace).to_be_visible()
    front_end.page.keyboard.press("Tab")
    front_end.slider("learning rate").focus()
    front_end.page.keyboard.press("Home")
    front_end.wait_sentence("Still improving")


def test_a_long_run_has_a_progress_bar_and_can_be_cancelled(front_end):
    front_end.show("from gradwidgets import *\nlab = GradLab(recipe=Recipe(updates=10))\nlab")
    front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
    front_end.run("lab.recipe = Recipe(updates=1_000_000)")
    front_end.page.get_by_role("progressbar", name="training").wait_for()
    front_end.page.get_by_role("button", name="Cancel").click()
    sentence = front_end.page.locator(".gradwidgets-screen [role=status]")
    expect(sentence).to_contain_text(re.compile(r"Cancelled after \d+ updates of 1000000"))


def test_the_picture_follows_the_dark_theme(lab):
    lab.page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    corner = """async () => {
        const img = document.querySelector('.gradwidgets-screen img');
        const canvas = new OffscreenCanvas(img.naturalWidth, img.naturalHeight);
        canvas.getContext('2d').drawImage(img, 0, 0);
        return [...canvas.getContext('2d').getImageData(2, 2, 1, 1).data];
    }"""
    lab.page.wait_for_function(f"({corner})().then(pixel => pixel[0] < 40)")


LOOP = """
from gradwidgets import GradLab, Recipe, Stepper
show = ("schedule", "warmup_steps", "patience", "dtype", "groups[0.*].frozen_until")
lab = GradLab("digits", show, Recipe(lr=0.5, batch_size=64, updates=40, groups={"0.*": {}}))
lab
"""


def test_a_schedule_early_stopping_and_groups_by_keyboard(front_end):
    front_end.show(LOOP, "Stepper('line', Recipe(schedule='cosine', updates=9))")
    page, keyboard = front_end.page, front_end.page.keyboard
    recipe = Recipe(lr=0.5, batch_size=64, updates=40, groups={"0.*": {}})
    image = page.locator(".gradwidgets-screen img")

    def moved(control, *keys, **changes):
        nonlocal recipe
        recipe = recipe.replace(**changes)
        control.focus()
        for key in keys:
            keyboard.press(key)
        front_end.wait_sentence(ended(recipe, "digits"))

    moved(page.get_by_label("schedule", exact=True), "ArrowDown", "ArrowDown", schedule="cosine")
    expect(image).to_have_attribute("alt", re.compile(r"Learning rate from 0\.5 to 0\.00077"))
    for _ in range(2):
        keyboard.press("d")  # Jupyter's shortcut for deleting a cell
    expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(2)
    moved(front_end.slider("warm-up"), "ArrowRight", "ArrowRight", warmup_steps=2)
    expect(image).to_have_attribute("alt", re.compile(r"highest, 0\.5, at update 2"))
    moved(front_end.slider("patience"), "Home", patience=1)
    expect(front_end.slider("patience")).to_have_attribute("aria-valuetext", "1")
    moved(front_end.slider("patience"), "End", patience=None)
    until = front_end.slider("0.*: frozen until")
    moved(until, "ArrowRight", "ArrowRight", groups={"0.*": {"frozen_until": 2}})
    front_end.wait_sentence("0.* was frozen by requires_grad until update 2: no gradient and no")
    page.get_by_label("precision").focus()
    keyboard.press("ArrowDown")
    front_end.wait_sentence("none together with dtype or rounding")  # refused, and all stay alive
    keyboard.press("ArrowUp")
    front_end.wait_sentence(ended(recipe, "digits"))

    page.get_by_role("checkbox", name="switch off: scheduler.step()").focus()
    keyboard.press("Alt+ArrowUp")
    page.locator("li:nth-last-child(3) code", has_text="scheduler.step()").wait_for()
    keyboard.press("End")
    said = page.locator(".gradwidgets-stepper [role=status]")
    expect(said).to_contain_text("lr_scheduler.step() before optimizer.step(). In PyTorch 1.1.0")


def test_two_views_of_a_lab_move_together(front_end):
    front_end.show(SHOW, "lab")
    front_end.page.locator(".gradwidgets-screen img[src]").nth(1).wait_for()
    sliders = front_end.slider("scale")
    sliders.nth(0).focus()
    front_end.page.keyboard.press("ArrowRight")
    front_end.wait_sentence(ended(START.replace(scale=1.3)))
    expect(sliders.nth(1)).to_have_value(sliders.nth(0).input_value())
    sentence = front_end.page.locator(".gradwidgets-screen [role=status]").nth(1)
    expect(sentence).to_have_text(front_end.sentence())


def test_a_slider_in_focus_is_swept_and_its_stops_are_shown_without_a_run(lab):
    lab.slider("scale").focus()
    lab.page.wait_for_function(
        "() => document.querySelectorAll('.gradwidgets-outcome-bars rect').length > 50"
    )
    said = re.compile("the loss ends lowest at")
    expect(lab.slider("scale")).to_have_accessible_description(said)
    lab.page.keyboard.press("ArrowRight")
    lab.wait_sentence(ended(START.replace(scale=1.3)))
    lab.slider("learning rate").focus()
    lab.page.wait_for_function(
        """() => document.querySelectorAll('.gradwidgets-outcome-bars')[0]
                     .querySelectorAll('rect').length === 0"""
    )


def test_pictures_wait_in_the_browser_and_are_shown_while_the_kernel_is_busy(lab):
    lab.slider("scale").focus()
    lab.run("lab.wait(prefetched=True); lab.widget.add_class('all-ready')")
    lab.page.locator(".all-ready").wait_for()
    lab.page.evaluate(
        """() => {
            window.said = [];
            const status = document.querySelector('.gradwidgets-screen [role=status]');
            new MutationObserver(() => said.push(status.textContent))
                .observe(status, {childList: true});
            jupyterapp.shell.currentWidget.sessionContext.session.kernel
                .requestExecute({code: 'import time; time.sleep(4)'});
        }"""
    )
    stops = [0.79, 0.63, 0.5, 0.4]
    for scale in stops:
        lab.page.keyboard.press("ArrowLeft")
        lab.wait_sentence(ended(START.replace(scale=scale)))
    lab.page.wait_for_timeout(6000)  # the kernel wakes up, and answers the four moves
    said = lab.page.evaluate("said")
    for scale, sentence in zip(stops, said, strict=True):  # no older answer was shown in between
        assert ended(START.replace(scale=scale)) in sentence
    lab.page.get_by_role("button", name="Reset").click()
    lab.wait_sentence(ended(START))


def test_ten_seeds_by_keyboard(lab):
    lab.page.get_by_role("button", name="10 seeds").focus()
    lab.page.keyboard.press("Enter")
    lab.wait_sentence("Over 10 seeds")
    image = lab.page.locator(".gradwidgets-screen img")
    expect(image).to_have_attribute("alt", re.compile("Over 10 seeds"))
    lab.page.keyboard.press("Enter")
    expect(lab.page.locator(".gradwidgets-screen [role=status]")).not_to_contain_text("seeds")
