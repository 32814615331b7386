"""axe-core on every output: in JupyterLab and Notebook 7, light and dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe

SERIOUS = ("serious", "critical")
CELLS = {
    "lab": "GradLab(show=('scale', 'mask', 'l2', 'accumulation_steps', 'average', 'optimizer'))",
    "stepper": "Stepper('moons', Recipe(optimizer='Adam', accumulation_steps=3))",
    "ledger": "Ledger('moons', Recipe(scale=0.1, mask=0.5, l2=0.1, max_norm=0.1, clear='never'))",
    "meter": "Meter(ragged=True)",
    "meter of a problem": "Meter('digits_cnn')",
    "meter beside a lab": "Meter(GradLab('moons', recipe=Recipe(accumulation_steps=3)))",
    "predict": "Predict('What is `2 + 2`?', ['three', 'four'], lambda: 'four')",
}


@pytest.fixture(params=[False, True], ids=["lab", "notebook7"])
def desk(front_end, request):
    front_end.page.set_viewport_size({"width": 1280, "height": 6000})  # every cell is in sight
    front_end.show("from gradwidgets import *", *CELLS.values(), notebook7=request.param)
    front_end.page.wait_for_selector(".gradwidgets-predict")
    front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
    front_end.page.wait_for_function(
        "() => document.querySelectorAll('.gradwidgets-bars table').length === 4"
    )
    yield front_end
    wear(front_end.page, "Light")


def violations(page):
    """What axe finds in the outputs: the rule, how bad it is, and the elements."""
    found = Axe().run(page, context=".jp-OutputArea").response["violations"]
    return [
        (each["id"], each["impact"], [node["html"][:200] for node in each["nodes"]])
        for each in found
        if each["impact"] in SERIOUS
    ]


def wear(page, theme):
    """Change the front end's theme, which the server remembers."""
    command = "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})"
    page.evaluate(command, f"JupyterLab {theme}")
    body = f"body[data-jp-theme-name='JupyterLab {theme}']"
    page.wait_for_selector(body, state="attached")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_no_output_has_a_serious_violation(desk, theme):
    wear(desk.page, theme)
    press_everything(desk.page)
    assert violations(desk.page) == []


def press_everything(page):
    """Open what is folded and bring up what is hidden, so that axe sees it."""
    page.get_by_role("button", name="Code").click()
    page.locator(".gradwidgets-listing").first.wait_for()
    page.get_by_role("checkbox", name="switch off: loss =").click()
    page.get_by_role("button", name="Finish update").click()
    page.get_by_text("There is no loss yet").wait_for()
    page.get_by_role("radio", name="three").check()
    page.get_by_role("button", name="Commit").click()
    page.wait_for_selector(".gradwidgets-predict[data-state=wrong]")


def test_the_check_finds_what_it_should(desk):
    desk.page.evaluate(
        "document.querySelector('.jp-OutputArea').append(document.createElement('img'))"
    )
    assert [rule for rule, *_ in violations(desk.page)] == ["image-alt"]
