"""The ledger and the meter under the keyboard, in JupyterLab and in Notebook 7."""

import pytest
from playwright.sync_api import expect

LEDGER = """
from gradwidgets import Ledger, Recipe
Ledger("moons", Recipe(optimizer="Adam", scale=0.1, mask=0.5, clear="never", updates=20))
"""
BESIDE_LAB = """
from gradwidgets import GradLab, Meter
lab = GradLab("moons", show=("accumulation_steps", "average"))
display(lab, Meter(lab))
"""
FOCUSED = "document.activeElement"
METER = "from gradwidgets import Meter\nMeter(ragged=True)"


@pytest.fixture
def show(notebook):
    def shown(cell):
        notebook.replace(cell)
        notebook.page.wait_for_selector(".gradwidgets-bars table")
        return notebook

    return shown


def wait(page, text):
    page.locator(".gradwidgets-bars [role=status]", has_text=text).wait_for()


def test_the_ledger_follows_its_slider(show):
    desk = show(LEDGER)
    wait(desk.page, "Update 0,")
    desk.slider("update").focus()
    desk.page.keyboard.press("ArrowRight")
    wait(desk.page, "Update 1,")
    desk.page.get_by_text(".grad was not empty at the start").wait_for()
    desk.page.keyboard.press("End")
    wait(desk.page, "Update 19,")
    region = desk.page.get_by_role("region", name="2-norms of every gradient in update 19")
    expect(region.get_by_role("row")).to_have_count(6)


def test_the_change_without_the_scale_stands_beside_the_change(show):
    page = show(LEDGER).page
    page.get_by_role("listitem").filter(has_text="Adam cancels a constant scale").wait_for()
    cell = page.locator("tbody tr:first-child td", has_text="without scale")
    expect(cell.locator(".gradwidgets-bar")).to_have_count(2)
    page.wait_for_function(
        """cell => {
            const bars = [...cell.querySelectorAll('.gradwidgets-bar')];
            const [one, other] = bars.map((bar) => bar.getBoundingClientRect().width);
            return one > 0 && Math.abs(one - other) < 0.02 * one;
        }""",
        arg=cell.element_handle(),
    )


def test_sizes_can_be_typed(show):
    page = show(METER).page
    box = page.get_by_role("textbox", name="sizes")
    expect(box).to_have_value("10, 10, 10, 2")
    box.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("8, 8, 16")
    page.keyboard.press("Enter")
    page.get_by_text("Accumulated over micro-batches of 8, 8, 16").wait_for()
    page.keyboard.press("Control+a")
    page.keyboard.type("8, x")
    page.keyboard.press("Enter")
    wait(page, "give whole numbers such as 10, 10, 10, 2")
    page.keyboard.press("Control+a")
    page.keyboard.type("32")
    page.keyboard.press("Tab")
    wait(page, "Right, to rounding: sum, mean, samples, tokens.")
    expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(1)  # no key reached the notebook


def test_a_meter_beside_a_lab_follows_its_sliders(show):
    desk = show(BESIDE_LAB)
    wait(desk.page, "nothing is accumulated")
    desk.slider("accumulation steps").focus()
    desk.page.keyboard.press("ArrowRight")
    wait(desk.page, "The lab's mean gives the full batch's gradient")
    desk.page.get_by_role("checkbox", name="divide the loss").focus()
    desk.page.keyboard.press("Space")
    wait(desk.page, "The lab's sum is off by 1 of the full batch's gradient")


def test_tab_reaches_every_control_in_order(show):
    """From the first control to the table, and nothing is passed over or holds the focus."""
    page = show(METER).page
    page.get_by_role("combobox", name="show").focus()
    for kind in (
        "select-one",  # show; the sliders after it are off
        *("range", "checkbox", "text", "select-one"),  # micro-batches, ragged, sizes, data
        *("checkbox", "range", "select-one", "select-one"),  # BatchNorm, dropout, mode, precision
        "region",  # the table, which can be scrolled
    ):
        page.wait_for_function(
            "kind => (e => e.type ?? e.getAttribute('role'))(document.activeElement) === kind",
            arg=kind,
        )
        page.keyboard.press("Tab")


def test_the_meter_follows_its_controls(show):
    desk = show(METER)
    wait(desk.page, "mean is off by 23%")
    desk.page.get_by_role("checkbox", name="BatchNorm").focus()
    desk.page.keyboard.press("Space")
    wait(desk.page, "No rule gives the full batch's gradient")
    desk.page.keyboard.press("Space")
    wait(desk.page, "mean is off by 23%")
    desk.slider("micro-batches").focus()
    desk.page.keyboard.press("Home")
    wait(desk.page, "Right, to rounding: sum, mean, samples, tokens.")
    desk.page.get_by_role("combobox", name="data").select_option("tokens")
    desk.slider("micro-batches").focus()
    desk.page.keyboard.press("ArrowRight")
    wait(desk.page, "Right, to rounding: tokens;")


def test_the_meter_shows_how_large_a_batch_pays_and_trains_the_rules_for_lr(show):
    page = show(METER).page
    table = page.get_by_role("combobox", name="show")
    table.select_option("how large a batch")
    page.get_by_text("Gradient noise scale after 0 updates").wait_for()
    wait(page, "noise scale")
    slider = page.get_by_role("slider", name="updates before")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Gradient noise scale after 10 updates").wait_for()
    table.select_option("lr for a larger batch")
    page.get_by_text("lr when the batch grows from 4 to 16").wait_for()
    wait(page, "Adam: of the three rules")
    expect(page.locator(".gradwidgets-bars tbody tr")).to_have_count(10)
    expect(slider).to_be_disabled()
