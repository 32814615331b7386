"""`Predict` in front of a room: hands are counted, typed in, and the experiment decides."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import violations, wear

CELL = """
from gradwidgets import Predict
guess = Predict(
    "What is `2 + 2`?",
    ["three", "`four`", "five"],
    lambda: ("`four`", "Measured: 4."),
    {"five": "One too many."},
    tally=True,
)
guess
"""


@pytest.mark.parametrize("notebook7", [False, True], ids=["lab", "notebook7"])
def test_hands_are_typed_in_and_drawn(front_end, notebook7):
    front_end.show(CELL, notebook7=notebook7)
    page, keyboard = front_end.page, front_end.page.keyboard
    group = page.get_by_role("group", name="What is 2 + 2?")
    button = page.get_by_role("button", name="Run the experiment")
    group.get_by_role("spinbutton", name="three").focus()
    expect(button).to_be_disabled()
    keyboard.press("ControlOrMeta+a")
    keyboard.type("6")
    keyboard.press("Tab")
    keyboard.type("17")
    keyboard.press("ArrowUp")
    expect(group).to_contain_text("18 hands, 75 %")
    expect(group).to_contain_text("0 hands, 0 %")
    bars = group.locator(".gradwidgets-hands-bar")
    shares = bars.evaluate_all(
        "bars => bars.map((bar) => bar.firstChild.clientWidth / bar.clientWidth)"
    )
    assert shares == pytest.approx([0.25, 0.75, 0], abs=0.01)
    expect(page.locator(".gradwidgets-predict")).not_to_contain_text("Measured")
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.press("Enter")
    status = page.locator(".gradwidgets-predict [role=status]")
    expect(status).to_have_text(
        "Right. The experiment says: four. Measured: 4. 18 of 24 hands were right."
    )
    expect(group).to_contain_text("most hands and measured")
    expect(group.get_by_role("spinbutton", name="three")).to_be_disabled()
    expect(page.locator(".jp-CodeCell")).to_have_count(1)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_no_serious_violation(front_end, theme):
    front_end.show(CELL)
    group = front_end.page.get_by_role("group", name="What is 2 + 2?")
    wear(front_end.page, theme)
    try:
        group.get_by_role("spinbutton", name="five").fill("3")
        expect(group).to_contain_text("3 hands, 100 %")
        assert violations(front_end.page) == []
        front_end.page.get_by_role("button", name="Run the experiment").click()
        front_end.page.wait_for_selector(".gradwidgets-predict[data-state=wrong]")
        assert violations(front_end.page) == []
    finally:
        wear(front_end.page, "Light")
