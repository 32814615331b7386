"""What is handed on tells nothing of the machine that made it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME, USER, SECRET = "home-of-zaphod", "zaphod_b", "token-4711-of-the-environment"
PROGRAM = """
import json
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

from gradwidgets import *

warnings.simplefilter("ignore")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 1)
        self.unused = nn.Linear(2, 1)

    def forward(self, x):
        return self.inner(x)


def make_data():
    return torch.randn(8, 2), torch.randn(8, 1)


def fails(output, target):
    raise RuntimeError("no loss")


def bytes_of(path):
    return path.read_bytes().decode("latin1")


problem = Problem("mine", Net, make_data, nn.functional.mse_loss, recipe=Recipe(updates=5))
lab = GradLab(problem)
lab.pin()
out = Path("out")
out.mkdir()
handed_on = {}
for ending in (".png", ".csv"):
    lab.save(out / f"lab{ending}")
    handed_on[ending] = bytes_of(out / f"lab{ending}")
lab.save_page(out / "page.html", "lr", values=(0.1, 0.2))
handed_on["page"] = bytes_of(out / "page.html")
handed_on |= {"script": lab.script(), "share": lab.share()}
handed_on |= {kind: str(data) for kind, data in vars(lab.static_view()).items()}
net = Net()
optimizer = torch.optim.SGD([*net.inner.parameters()], lr=0.0)
with checkup(net, optimizer) as report:
    x, y = make_data()
    nn.functional.mse_loss(net(x), y).backward()
    optimizer.step()
handed_on |= {"report": str(report), "report as a table": report._repr_html_()}
stopped = None
try:
    with checkup(net, optimizer) as stopped:
        fails(net(x), y)
except RuntimeError:
    pass
handed_on |= {"report of a failure": str(stopped) + stopped._repr_html_()}
for viewer in (Stepper, Ledger, Meter):
    handed_on[viewer.__name__] = repr(viewer(problem))
failing = GradLab(Problem("failing", Net, make_data, fails, recipe=Recipe(updates=5)))
handed_on["sentence of a failure"] = failing.summary
print(json.dumps({"handed on": handed_on, "trace": failing.widget.children[1].trace}))
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """What the package hands on and shows, made in the home of somebody with a secret."""
    home = tmp_path_factory.mktemp(HOME)
    program = home / "lesson.py"
    program.write_text(PROGRAM, encoding="utf-8")
    planted = {
        "HOME": str(home),
        "USER": USER,
        "LOGNAME": USER,
        "USERNAME": USER,
        "API_TOKEN": SECRET,
        "PYTHONPATH": str(ROOT),
        "MPLCONFIGDIR": str(home / "matplotlib"),
    }
    run = subprocess.run(
        [sys.executable, str(program)],
        cwd=home,
        env={**os.environ, **planted},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_what_is_handed_on_tells_nothing_of_the_machine(machine):
    traces = (HOME, USER, SECRET, str(ROOT), sys.prefix)
    for name, text in machine["handed on"].items():
        assert text, name
        for trace in traces:
            assert trace not in text, f"{name} holds {trace}"


def test_a_traceback_leads_to_the_line_but_not_to_the_home(machine):
    assert 'raise RuntimeError("no loss")' in machine["trace"]
    assert 'File "~/lesson.py", line' in machine["trace"]
    for trace in (HOME, USER, SECRET):
        assert trace not in machine["trace"]
