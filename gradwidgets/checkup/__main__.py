"""`python -m gradwidgets.checkup script.py [arguments]`: a script's training, watched."""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from gradwidgets.checkup import formats
from gradwidgets.checkup.report import Report
from gradwidgets.checkup.script_watch import ScriptWatch


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m gradwidgets.checkup",
        description="Runs a script as python would, watches the optimizers that it makes, and "
        "writes to stderr what is wrong with its training. Its output, exit code and exceptions "
        "stay its own.",
    )
    parser.add_argument("--json", metavar="FILE", help="write a list of all reports as JSON")
    parser.add_argument(
        "--sarif", metavar="FILE", help="write the reports as SARIF, a run for each"
    )
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
    for path in filter(None, (told.json, told.sarif)):
        if not Path(path).parent.is_dir():
            _parser().error(f"there is no folder {Path(path).parent} to write {path} to")
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
    for place, report in enumerate(reports, 1):
        if len(reports) > 1:
            until = "to the end" if place == len(reports) else "up to another model's optimizer"
            sys.stderr.write(f"report {place} of {len(reports)}, {until}:\n")
        report.show(sys.stderr)
    documents = [report.to_dict() for report in reports]
    if told.json:
        _write_json(told.json, documents)
    if told.sarif:
        _write_json(told.sarif, formats.sarif(documents, told.script))


def _write_json(path: str, content: object) -> None:
    text = json.dumps(content, indent=2, allow_nan=False)
    Path(path).write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
