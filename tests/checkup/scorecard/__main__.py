"""`python -m tests.checkup.scorecard`: print the scorecard, and write it to SCORECARD.md."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from tests.checkup.loops import collect
from tests.checkup.scorecard.overhead import overheads
from tests.checkup.scorecard.page import page
from tests.checkup.scorecard.tools import TOOLS
from tests.checkup.scorecard.trials import trials

ROOT = Path(__file__).parents[3]
MODULES = {"guardtower": "guardtower", "torch-audit": "torch_audit", "torchtest2": "torchtest2"}


def main() -> None:
    """Every tool on every broken, repaired and healthy loop."""
    absent = [name for name, module in MODULES.items() if importlib.util.find_spec(module) is None]
    if absent:
        sys.exit(f"not installed: {', '.join(absent)}; `make scorecard` installs them")
    broken, healthy = collect()
    repaired = [case.twin for case in broken if case.twin]
    cases = [*broken, *repaired, *healthy]
    found = []
    for trial in trials(TOOLS, cases):
        found.append(trial)
        sys.stderr.write(f"\r{len(found)} of {len(cases) * len(TOOLS)} trials")
    sys.stderr.write("\n")
    text = "\n".join(page(found, overheads(), _commit()))
    (ROOT / "SCORECARD.md").write_text(text, encoding="utf-8")
    print(text)


def _commit() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.strip()


if __name__ == "__main__":
    main()
