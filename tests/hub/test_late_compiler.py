"""With the compiler loaded late, as on a hub, torch does what it does without."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HUB = Path(__file__).parents[2] / "hub"
STEP = """
import sys
import gradwidgets
import torch
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(model.parameters())
def update(x):
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
    return loss
torch.manual_seed(0)
model.load_state_dict({"weight": torch.ones(1, 2), "bias": torch.ones(1)})
update(torch.ones(3, 2))
"""
EXPLAIN = """
explained = torch._dynamo.explain(update)(torch.ones(3, 2))
print(explained.graph_count, explained.graph_break_count, explained.op_count)
print(type(sys.modules["torch._dynamo"]), torch._dynamo is sys.modules["torch._dynamo"])
print(torch.compile(lambda x: 2 * x, backend="eager")(torch.ones(2)), model.weight.tolist())
optimizer.zero_grad()
print(vars(torch.optim.Optimizer.zero_grad.__wrapped__)["__dynamo_disable"].__qualname__)
"""


def run(program: str, late: bool) -> str:
    """What a program prints in an IPython of its own, with the hub's settings or without."""
    command = [sys.executable, "-m", "IPython", "--no-banner", "--HistoryManager.enabled=False"]
    settings = [f"--config={HUB / 'ipython_config.py'}"] if late else []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "program.py").write_text(program, encoding="utf-8")
        done = subprocess.run(
            [*command, *settings, "program.py"],
            cwd=folder,
            env={**os.environ, "IPYTHONDIR": folder},
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout


@pytest.mark.parametrize("late", [False, True])
def test_training_loads_the_compiler_only_where_nobody_asked_for_it_late(late: bool) -> None:
    said = run(
        f"{STEP}\nprint('sympy' in sys.modules, 'torch._dynamo.eval_frame' in sys.modules)", late
    )
    assert said == f"{not late} {not late}\n"


def test_what_is_compiled_afterwards_is_compiled_alike() -> None:
    late, at_once = run(STEP + EXPLAIN, late=True), run(STEP + EXPLAIN, late=False)
    assert late == at_once
    assert "<class 'module'> True\n" in late


@pytest.mark.parametrize(
    "line",
    [
        "import torch._dynamo.config as part",
        "from torch._dynamo import config as part",
        "from torch._dynamo.aot_compile_types import BundledAOTAutogradSerializableCallable; "
        "import torch._dynamo.aot_compile_types as part",
        "torch.compile(lambda x: x, backend='eager'); part = torch._dynamo.config",
    ],
)
def test_a_part_of_the_compiler_is_loaded_once_and_as_usual(line: str) -> None:
    said = run(
        f"""{STEP}
{line}
name = part.__name__
print(part is sys.modules[name], part is getattr(torch._dynamo, name.split(".")[-1]))
print(part.__spec__.name == name, type(part.__spec__.loader).__name__)
print([kind for kind in map(type, sys.meta_path) if kind.__module__ == "late_compiler"])
""",
        late=True,
    )
    assert said == "True True\nTrue SourceFileLoader\n[]\n"
