"""`python -m gradwidgets.checkup script.py [arguments]`: a script's training, watched."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from gradwidgets.checkup.report import Report
from gradwidgets.checkup.script_watch import ScriptWatch


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m gradwidgets.checkup",
        description="Runs a script as python would, watches the optimizers that it makes, and "
        "writes to stderr what is wrong with its training. Its output, exit code and exceptions "
        "stay its own.",
    )
    parser.add_argument("--json", metavar="FILE", help="write the (last) report as JSON")
    parser.add_argument("--sarif", metavar="FILE", help="write the (last) report as SARIF")
    parser.add_argument("--max-steps", type=int, metavar="N", help="watch N optimizer steps only")
    parser.add_argument("-m", dest="module", action="store_true", help="run a module by its name")
    parser.add_argument("script", help="the script, or with -m the module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script is given")
    return parser


def main(given: Sequence[str] | None = None) -> None:
    """Run a script as `python script.py arguments` does, and write the report to stderr."""
    told = _parser().parse_args(given)
    if not told.module and not Path(told.script).is_file():
        _parser().error(f"there is no file {told.script}")
    if told.max_steps is not None and told.max_steps < 1:
        _parser().error(f"--max-steps must be at least 1, not {told.max_steps}")
    watch = ScriptWatch(told.max_steps)
    sys.argv = [told.script, *told.arguments]
    sys.path[0] = os.getcwd() if told.module else str(Path(told.script).resolve().parent)
    try:
        with watch.watching():
            if told.module:
                runpy.run_module(told.script, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(told.script, run_name="__main__")
    finally:
        _write(watch.reports, told)


def _write(reports: list[Report], told: argparse.Namespace) -> None:
    if not reports:
        sys.stderr.write("checkup: no optimizer was made for a module's parameters\n")
    for report in reports:
        report.show(sys.stderr)
    if reports and told.json:
        Path(told.json).write_text(reports[-1].to_json(indent=2) + "\n", encoding="utf-8")
    if reports and told.sarif:
        Path(told.sarif).write_text(reports[-1].to_sarif(told.script) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
