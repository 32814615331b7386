"""axe-core on every output: in JupyterLab and Notebook 7, light and dark."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SERIOUS = ("serious", "critical")
CELLS = {
    "lab": "show = ('scale', 'mask', 'l2', 'accumulation_steps', 'average', 'optimizer')\n"
    "lab = GradLab(show=show)\nlab.seeds()\nlab.pin('kept')\nlab",
    "lab of a whole loop": "show = ('schedule', 'warmup_steps', 'schedule_per', 'patience')\n"
    "show += tuple(f'groups[0.*].{key}' for key in ('lr', 'frozen_until', 'freeze_by'))\n"
    "start = Recipe(updates=20, schedule='cosine', groups={'0.*': {'frozen_until': 5}})\n"
    "GradLab('digits', show, start)",
    "lab of a precision": "start = Recipe(updates=20, dtype='bfloat16')\n"
    "GradLab('moons', ('dtype', 'rounding'), start)",
    "stepper": "start = Recipe('Adam', accumulation_steps=3, schedule='cosine')\n"
    "Stepper('moons', start)",
    "ledger": "Ledger('moons', Recipe(scale=0.1, mask=0.5, l2=0.1, max_norm=0.1, clear='never'))",
    "meter": "Meter(ragged=True)",
    "meter of a problem": "Meter('digits_cnn')",
    "meter of batches": "Meter('moons', show='how large a batch')",
    "meter beside a lab": "Meter(GradLab('moons', recipe=Recipe(accumulation_steps=3)))",
    "conflicts": "torch = __import__('torch')\nnet = torch.nn.Linear(2, 1)\n"
    "conflicts(net, {'a': net.weight.sum(), 'b': net.bias.sum() - net.weight[0, 0]})",
    "predict": "Predict('What is `2 + 2`?', ['three', 'four'], lambda: 'four')",
    "report": """
import torch
from torch import nn
net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
with checkup(net, torch.optim.SGD(net[0].parameters(), lr=0.0)) as report:
    net(torch.randn(8, 2)).sum().backward()
report""",
    "walkthrough": "Walkthrough(GradLab('bowl', show=('scale',)),\n"
    "    [('First', 'Look at `scale`.', {}, 'notes'), ('Second', 'More.', {'scale': 3.0})])",
    "fact check": "from gradwidgets.lessons import FactCheck\n"
    f"facts = FactCheck({str(NOTEBOOKS)!r})\nfacts.words.value = 'momentum'\nfacts",
    "failure": "def fails(output, target):\n    raise ValueError('no')\n"
    "GradLab(Problem('f', lambda: nn.Linear(1, 1), (torch.ones(2, 1),) * 2, fails), show=('lr',))",
}


@pytest.fixture(params=[False, True], ids=["lab", "notebook7"])
def desk(front_end, request):
    front_end.page.set_viewport_size({"width": 1280, "height": 6000})  # every cell is in sight
    show(front_end, notebook7=request.param)
    yield front_end
    wear(front_end.page, "Light")


def show(desk, **options):
    """Every kind of output, one below the other, in a front end."""
    desk.show("from gradwidgets import *", *CELLS.values(), **options)
    page = desk.page
    page.wait_for_selector(".gradwidgets-predict")
    page.wait_for_selector(".gradwidgets-screen img[src]")
    page.locator(".gradwidgets-stage").wait_for()
    page.get_by_text(re.compile(r"of \d+ claims")).wait_for()
    page.locator("summary", has_text="Traceback").last.wait_for()
    expect(page.locator(".gradwidgets-bars table")).to_have_count(5)
    return page


def violations(page, place=".jp-OutputArea"):
    """What axe finds in the outputs: the rule, how bad it is, and the elements."""
    found = Axe().run(page, context=place).response["violations"]
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


def test_no_output_has_a_serious_violation_and_the_check_would_find_one(desk):
    press_everything(desk.page)
    for theme in ("Light", "Dark"):
        wear(desk.page, theme)
        assert violations(desk.page) == []
    desk.page.evaluate(
        "document.querySelector('.jp-OutputArea').append(document.createElement('img'))"
    )
    assert [rule for rule, *_ in violations(desk.page)] == ["image-alt"]


def press_everything(page):
    """Open what is folded and bring up what is hidden, so that axe sees it."""
    page.get_by_role("slider", name="scale", exact=True).first.focus()
    page.locator(".gradwidgets-outcome-bars svg").first.wait_for()
    page.get_by_role("button", name="Code").first.click()
    page.locator("summary", has_text="Traceback").last.click()
    page.locator(".gradwidgets-listing").first.wait_for()
    page.get_by_role("checkbox", name="switch off: loss =").click()
    page.get_by_role("button", name="Finish update").click()
    page.get_by_text("There is no loss yet").wait_for()
    page.get_by_role("radio", name="three").check()
    page.get_by_role("button", name="Commit").click()
    page.wait_for_selector(".gradwidgets-predict[data-state=wrong]")
