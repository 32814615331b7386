"""`Predict` under the keyboard, in JupyterLab and in Notebook 7."""

import pytest
from playwright.sync_api import expect

CELL = """
from gradwidgets import Predict
runs = []
guess = Predict(
    "What is <b>`2 + 2`</b>?",
    ["<i>three</i>", "`four`", "five"],
    lambda: runs.append(1) or ("`four`", "Measured: <u>4</u>."),
    {"five": "One too many.", "`four`": "Count your fingers."},
)
guess
"""


@pytest.fixture(params=[False, True], ids=["lab", "notebook7"])
def desk(front_end, request):
    front_end.show(CELL, notebook7=request.param)
    front_end.page.wait_for_selector(".gradwidgets-predict")
    return front_end


def form(desk):
    return desk.page.locator(".gradwidgets-predict")


def test_keyboard_only(desk):
    keyboard, page = desk.page.keyboard, desk.page
    group = page.get_by_role("group", name="What is <b>2 + 2</b>?")
    group.get_by_role("radio").first.focus()
    expect(page.get_by_role("button", name="Commit")).to_be_disabled()
    keyboard.press("Space")
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    expect(group.get_by_role("radio", name="five")).to_be_checked()
    expect(form(desk)).not_to_contain_text("Measured")
    keyboard.press("Tab")
    keyboard.press("Enter")
    page.wait_for_selector(".gradwidgets-predict[data-state=wrong]")
    for part in ("Not so.", "Measured: <u>4</u>.", "One too many.", "Count your fingers."):
        expect(form(desk)).to_contain_text(part)
    expect(page.locator(".gradwidgets-predict i, .gradwidgets-predict u")).to_have_count(0)
    expect(page.get_by_role("radio", name="five")).to_be_disabled()
    expect(form(desk).get_by_role("status")).to_be_focused()


def test_enter_on_a_choice_commits_and_python_knows(front_end):
    front_end.show(CELL)
    front_end.page.get_by_role("radio", name="four").focus()
    front_end.page.keyboard.press("Space")
    front_end.page.keyboard.press("Enter")
    front_end.page.wait_for_selector(".gradwidgets-predict[data-state=right]")
    front_end.page.evaluate(
        """() => {
            const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            return kernel.requestExecute(
                { code: 'assert (guess.choice, guess.right, runs) == ("`four`", True, [1])' }
            ).done.then((reply) => {
                if (reply.content.status !== "ok") throw new Error(reply.content.evalue);
            });
        }"""
    )


def test_a_failing_experiment_is_said_and_can_be_tried_again(front_end):
    front_end.show(
        "from gradwidgets import Predict\n"
        "outcomes = [lambda: 1 / 0, lambda: 'a']\n"
        "Predict('Which?', ['a', 'b'], lambda: outcomes.pop(0)())"
    )
    front_end.page.get_by_role("radio", name="a", exact=True).check()
    commit = front_end.page.get_by_role("button", name="Commit")
    commit.click()
    form(front_end).get_by_text("ZeroDivisionError").wait_for()
    commit.click()
    front_end.page.wait_for_selector(".gradwidgets-predict[data-state=right]")
