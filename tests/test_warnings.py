"""Under `python -W error` the package does all that it can do, and warns of nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
THEIRS = (
    "ignore:Deprecated in traitlets 4.1:DeprecationWarning",
    "ignore:The `ipykernel.comm.Comm` class has been deprecated:DeprecationWarning",
)
"""Of ipywidgets 8.1.0 and of 7.7.1 themselves."""
PROGRAMS = {
    "the core": """
from torch import nn, optim, randn
from gradwidgets import *
from gradwidgets.core.optimizers import OPTIMIZERS
for name in problems.names():
    train(name, problems.get(name).recipe.replace(updates=3))
    assert script(name)
for name in OPTIMIZERS.keys() - {"Muon", "SparseAdam"}:  # these want other models
    train("line", Recipe(name, 0.01, updates=3))
for field in ("scale", "lr", "mask", "seed"):
    sweep("moons", Recipe(updates=3), field, (0, 1) if field == "seed" else (0.5, 1.0))
for schedule in ("linear", "cosine", "one-cycle", "step"):
    train("moons", Recipe(updates=5, schedule=schedule, warmup_steps=2))
train("digits", Recipe(updates=5, schedule="ReduceLROnPlateau"))
train("moons", Recipe(updates=3, mask=0.5, mask_kind="unit", l1=0.1, l2=0.1, max_norm=1.0))
net = nn.Linear(2, 1)
optimizer = optim.SGD(net.parameters(), lr=0.1)
with checkup(net, optimizer) as report:
    net(randn(3, 2)).sum().backward()
    optimizer.step()
assert report._repr_html_()
""",
    "the views": """
from gradwidgets import *
lab = GradLab("moons", recipe=Recipe(updates=5))
lab.pin()
lab.seeds()
lab.controls["scale"].value = 10.0
lab.controls["optimizer"].value = "Adam"
lab.toggle("code")
assert lab.picture and lab.static_view()
lab.save_page("page.html", "lr", values=(0.1, 1e30))
panels = {"line": ("weights", "surface"), "digits": ("ratio", "spread", "accuracy")}
for name, chosen in panels.items():
    assert GradLab(name, panels=chosen, recipe=Recipe(updates=5)).summary
for view in (Stepper, Ledger, Meter):
    assert repr(view("moons"))
question = Predict("Which?", ["a", "b"], lambda: "a")
question.commit("b")
walk = Walkthrough(lab, [("one", "first", {}), ("two", "second", {"lr": 0.2})])
walk.next()
assert repr(question) and repr(walk)
walk.close()
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_warned_of(name, tmp_path):
    run = subprocess.run(
        [sys.executable, *(f"-W{each}" for each in ("error", *THEIRS)), "-c", PROGRAMS[name]],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
