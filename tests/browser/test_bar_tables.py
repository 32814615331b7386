"""The ledger and the meter under the keyboard, in JupyterLab and in Notebook 7."""

import pytest

LEDGER = """
from gradwidgets import Ledger, Recipe
Ledger("moons", Recipe(optimizer="Adam", scale=0.1, mask=0.5, clear="never", updates=20))
"""
METER = "from gradwidgets import Meter\nMeter(ragged=True)"


@pytest.fixture(params=[False, True], ids=["lab", "notebook7"])
def show(front_end, request):
    def shown(cell):
        front_end.show(cell, notebook7=request.param)
        front_end.page.wait_for_selector(".gradwidgets-bars table")
        return front_end

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
    assert region.get_by_role("row").count() == 6


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
