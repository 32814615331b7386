"""The stepper under the keyboard, in JupyterLab and in Notebook 7."""

import pytest
from playwright.sync_api import expect

CELL = "from gradwidgets import Recipe, Stepper\nStepper('moons', Recipe(accumulation_steps=3))"


@pytest.fixture
def page(notebook):
    notebook.replace(CELL)
    notebook.page.wait_for_selector(".gradwidgets-stepper")
    return notebook.page


def wait(page, text):
    page.locator(".gradwidgets-stepper [role=status]", has_text=text).wait_for()


def expect_focus(page, name):
    expect(page.get_by_role("checkbox", name=name, exact=True)).to_be_focused()


def test_the_keyboard_alone_steps_switches_and_moves(page):
    keyboard = page.keyboard
    page.get_by_role("checkbox").first.focus()
    keyboard.press("ArrowRight")
    wait(page, "optimizer.zero_grad() changed no number")
    keyboard.press("ArrowRight")
    wait(page, "total, seen = 0.0, 0 changed")
    keyboard.press("ArrowLeft")
    wait(page, "optimizer.zero_grad() changed no number")
    for _ in range(3):
        keyboard.press("ArrowDown")
    expect_focus(page, "switch off: loss = F.cross_entropy(model(xk), yk)")
    keyboard.press("Space")
    page.get_by_role("checkbox", name="switch on: loss = ").wait_for()
    expect_focus(page, "switch on: loss = F.cross_entropy(model(xk), yk)")
    keyboard.press("End")
    wait(page, "raised NameError")
    page.get_by_text("There is no loss yet").wait_for()
    keyboard.press("Home")
    wait(page, "At the start of update 0")
    keyboard.press("Alt+ArrowDown")
    page.locator("li:nth-child(5) code", has_text="loss = F").wait_for()
    expect_focus(page, "switch on: loss = F.cross_entropy(model(xk), yk)")
    expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(1)  # no key reached the notebook


def test_buttons_and_none_and_change_marks(page):
    page.get_by_role("button", name="Next line").click()
    wait(page, "optimizer.zero_grad()")
    cells = page.locator(".gradwidgets-stepper tbody tr:first-child td")
    expect(cells.nth(1)).to_have_text("None")
    page.get_by_role("spinbutton", name="number of updates to run").fill("2")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("update 1").wait_for()
    page.get_by_role("button", name="Previous line").click()
    wait(page, "optimizer.step() changed the value of every parameter")
    expect(cells.nth(0)).to_contain_text("changed")
    expect(page.locator("li[data-mark=next]")).to_have_attribute("aria-current", "step")


def test_a_long_run_answers_says_how_far_it_is_and_is_cancelled_by_keyboard(front_end):
    front_end.show(
        "from gradwidgets import Recipe, Stepper\nStepper('moons', Recipe(updates=10**6))"
    )
    page = front_end.page
    page.get_by_role("spinbutton", name="number of updates to run").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("900000")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    wait(page, "of 900000 updates are made.")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_focused()
    where = page.locator(".gradwidgets-where").inner_text()
    assert 0 < int(where.removeprefix("update ")) < 900_000
