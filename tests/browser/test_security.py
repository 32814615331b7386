"""Texts that come from a learner's code stay texts: no name, label or message becomes HTML."""

from playwright.sync_api import expect
from torch import nn, ones

from gradwidgets import GradLab, Problem, Recipe

HTML = "<img src=data:, onerror=intruded()><script>intruded()</script>"
EVIL = f"{HTML} **bold** [link](javascript:intruded()) $\\frac$"
TRAP = "window.intrusions = 0; window.intruded = () => { window.intrusions += 1; };"
PLANTED = f"""
import json

import torch
from torch import nn

from gradwidgets import *

EVIL = {EVIL!r}
data = torch.ones(4, 1), torch.zeros(4, 1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_parameter(EVIL, nn.Parameter(torch.ones(1, 1)))

    def forward(self, x):
        return x * self.get_parameter(EVIL)


def fails(output, target):
    raise ValueError(EVIL)


recipe = Recipe(lr=0.01, updates=5, mask=0.5, mask_kind={HTML + "*"!r})
problem = Problem(EVIL, Net, data, nn.functional.mse_loss, recipe=recipe, description=EVIL)
failing = Problem(EVIL, Net, data, fails, recipe=Recipe(updates=5))
"""
CELLS = {
    "lab": "lab = GradLab(problem, ('scale', 'mask_kind'), panels=('loss', 'weights'))\n"
    "lab.pin(EVIL)\nlab.toggle('code')\nlab",
    "failing lab": "GradLab(failing)",
    "stepper": "Stepper(problem)",
    "failing stepper": "stepper = Stepper(failing)\nstepper.act('finish')\nstepper",
    "ledger": "Ledger(problem)",
    "meter": "Meter(problem)",
    "conflicts": "net = Net()\nloss = net(data[0]).sum()\nconflicts(net, {EVIL: loss, 'b': -loss})",
    "question": "Predict(EVIL, [EVIL, EVIL + '2'], lambda: (EVIL, EVIL), {EVIL: EVIL})",
    "failing question": "question = Predict('Which?', ['a', 'b'], lambda: fails(0, 0))\n"
    "question._try('a', None)\nquestion",
    "walkthrough": "Walkthrough(GradLab(problem), [(EVIL, EVIL, {}, EVIL), (EVIL, EVIL)])",
    "report": """
net = Net()
try:
    with checkup(net, torch.optim.SGD(net.parameters(), lr=0.0)) as report:
        net(data[0]).sum().backward()
        fails(0, 0)
except ValueError:
    pass
report
""",
    "recipe": """
try:
    Recipe.from_json(json.dumps({"optimizer": EVIL}))
except ValueError as error:
    print(error)
""",
}
SAID = """cell => {
    const output = cell.querySelector(".jp-OutputArea");
    const words = [...output.querySelectorAll("[alt], [aria-label], option")];
    return [output.textContent, ...words.flatMap((e) => [e.alt, e.ariaLabel, e.textContent])];
}"""


def intruders(page):
    """Elements that a text has made, and how often a handler or script of one has run."""
    made = page.locator(".jp-OutputArea").locator("script, img[onerror], a[href^=javascript]")
    return made.count(), page.evaluate("window.intrusions")


def test_nothing_that_a_learner_names_becomes_html(front_end):
    page = front_end.page
    page.add_init_script(TRAP)
    page.set_viewport_size({"width": 1280, "height": 9000})  # every cell is in sight
    front_end.show(PLANTED, *CELLS.values())
    page.get_by_role("group", name="Which?").wait_for()
    question = page.locator(".gradwidgets-predict").first
    question.get_by_role("radio").first.check()
    question.get_by_role("button", name="Commit").click()
    page.wait_for_selector(".gradwidgets-predict[data-state=right]")
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    for number in range(1, len(CELLS) + 1):
        expect(cells.nth(number).locator(".jp-OutputArea-child:visible").first).to_be_visible()
        page.wait_for_function(
            f"([cell, text]) => ({SAID})(cell).some((said) => said?.includes(text))",
            arg=[cells.nth(number).element_handle(), HTML],
        )
    assert intruders(page) == (0, 0)


def test_the_trap_springs(front_end):
    front_end.page.add_init_script(TRAP)
    front_end.show(f"from IPython.display import HTML\nHTML({HTML!r})")
    front_end.page.wait_for_function("window.intrusions > 0")
    assert intruders(front_end.page)[0] > 0


def test_nothing_that_a_learner_names_becomes_html_on_a_saved_page(chromium, tmp_path):
    model = nn.Linear(1, 1)
    model.register_parameter(EVIL, nn.Parameter(ones(1)))
    recipe = Recipe(lr=0.01, updates=5, mask=0.5, mask_kind=f"{HTML}*")
    data, loss = (ones(4, 1), ones(4, 1)), nn.functional.mse_loss
    lab = GradLab(Problem(EVIL, model, data, loss, recipe=recipe, description=EVIL))
    lab.save_page(tmp_path / "page.html", "scale", values=(0.5, 1.0))
    lab.close()
    context = chromium.new_context(bypass_csp=True)  # so that nothing else stops an intruder
    page = context.new_page()
    page.add_init_script(TRAP)
    page.goto((tmp_path / "page.html").as_uri())
    for key in ("Home", "End"):
        page.get_by_label("scale", exact=True).press(key)
        expect(page.get_by_role("heading", level=1)).to_have_text(EVIL)
        expect(page.locator(".shared")).to_contain_text(HTML)
        expect(page.locator("#program")).to_contain_text(f"# {EVIL}")
    assert page.locator("img, [onerror], a").count() == 0
    assert page.evaluate("window.intrusions") == 0
    context.close()
