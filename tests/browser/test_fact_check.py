"""The page of the fact check: looking claims up, and one click to the experiment."""

import shutil

import pytest
from playwright.sync_api import expect

from gradwidgets.lessons.claims import FILE, PAGE
from tests.lessons.notebooks import FOLDER

HALVING = "03_scaling_gradients.ipynb", "half-run"


@pytest.fixture
def page(front_end):
    """The page, opened beside the lessons."""
    for path in (FOLDER / FILE, *FOLDER.glob("*.ipynb")):
        shutil.copy(path, front_end.folder)
    front_end.open_lab(PAGE)
    return front_end.page


def wait_for_lesson(page, notebook, cell):
    """Wait until a lesson is in front, scrolled to a cell."""
    page.wait_for_function(
        """([notebook, cell]) => {
            const panel = jupyterapp.shell.currentWidget;
            if (panel?.context?.path !== notebook) return false;
            const found = panel.content.widgets.find((each) => each.model.id === cell);
            const place = found?.isVisible && found.node.getBoundingClientRect();
            return place && place.bottom > 0 && place.top < innerHeight;
        }""",
        arg=[notebook, cell],
    )


def test_a_claim_of_the_table_leads_to_its_cell(page):
    page.evaluate(  # older versions of JupyterLab draw only the cells in sight
        """() => {
            const { content } = jupyterapp.shell.currentWidget;
            return content.scrollToItem(content.widgets.findIndex((c) => c.model.id === "claims"));
        }"""
    )
    page.get_by_role("link", name="000-11", exact=True).first.click()
    wait_for_lesson(page, *HALVING)


def test_words_and_verdicts_find_claims_which_run_and_lead_there(page):
    for _ in ("what installs", "the title", "the cell that shows the fields"):
        page.evaluate("() => jupyterapp.commands.execute('notebook:run-cell-and-select-next')")
    page.get_by_text("111 of 111 claims").wait_for()
    page.get_by_label("words").fill("halving")
    page.get_by_text("1 of 111 claims").wait_for()
    page.get_by_label("verdict").select_option("false")
    page.get_by_text("0 of 111 claims").wait_for()
    page.get_by_label("verdict").select_option("true")
    page.get_by_text("1 of 111 claims").wait_for()
    button = page.get_by_role("button", name="Run 000-11")
    button.focus()
    button.press("Enter")
    page.get_by_text('From the lesson "Scaling gradients"').wait_for()
    page.locator(".jp-OutputArea").get_by_role("link", name="000-11", exact=True).click()
    wait_for_lesson(page, *HALVING)


@pytest.mark.parametrize("width", [1366, 390])
def test_rows_are_whole_at_any_width(page, width):
    """Text, button and what the experiment says lie within the cell, tables scroll."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    expect(page.locator("#jp-left-stack")).to_be_hidden()
    for _ in ("what installs", "the title", "the cell that shows the fields"):
        page.evaluate("() => jupyterapp.commands.execute('notebook:run-cell-and-select-next')")
    page.get_by_label("words").fill("momentum")
    page.get_by_role("button", name="Run 103-01").click()
    page.get_by_text("verdict: true if").wait_for()
    page.get_by_role("button", name="Run 000-06").click()
    page.get_by_text('From the lesson "Masking').wait_for()
    cut = page.evaluate(
        """() => {
            const cell = document.querySelectorAll(".jp-CodeCell .jp-OutputArea-output")[0];
            const { left, right } = cell.getBoundingClientRect();
            return [...cell.querySelectorAll("p, pre, button, input, select, code")]
                .filter((node) => node.getClientRects().length)
                .filter((node) => {
                    const place = node.getBoundingClientRect();
                    const scrolls = getComputedStyle(node).overflowX === "auto";
                    const wide = node.clientWidth && node.scrollWidth > node.clientWidth + 1;
                    const cut = wide && !scrolls;
                    return cut || place.left < left - 1 || place.right > right + 1;
                })
                .map((node) => node.textContent.slice(0, 60));
        }"""
    )
    assert page.get_by_text("learning rate goes up").first.bounding_box()["width"] > 200
    assert cut == []
