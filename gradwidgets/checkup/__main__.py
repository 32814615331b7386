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
    parser.add_argument(
        "--json", metavar="FILE", type=_of_this_rank, help="write a list of all reports as JSON"
    )
    parser.add_argument(
        "--sarif",
        metavar="FILE",
        type=_of_this_rank,
        help="write the reports as SARIF, a run for each; where torchrun starts several "
        "processes, each writes a file of its own, such as FILE.rank1.json",
    )
    parser.add_argument("--max-steps", type=int, metavar="N", help="watch N optimizer steps only")
    parser.add_argument("-m", dest="module", action="store_true", help="run a module by its name")
    parser.add_argument("script", help="the script, or with -m the module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script is given")
    return parser


def _of_this_rank(name: str) -> Path:
    """The path from here, whatever the script's working folder; of several processes one each.

    Raises:
        argparse.ArgumentTypeError: If the folder is not there.
    """
    path = Path(name).resolve()
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent} to write {name} to")
    if _rank() is None:
        return path
    return path.with_name(f"{path.stem}.rank{_rank()}{path.suffix}")


def _rank() -> str | None:
    """This process's rank, as torchrun tells it; None if there is only one process."""
    several = os.environ.get("WORLD_SIZE", "1") != "1"
    return os.environ.get("RANK") if several else None


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
    rank = "" if _rank() is None else f"rank {_rank()}, "
    if not reports:
        sys.stderr.write(f"{rank}checkup: no optimizer was made for a module's parameters\n")
    for place, report in enumerate(reports, 1):
        if rank or len(reports) > 1:
            until = "to the end" if place == len(reports) else "up to another model's optimizer"
            sys.stderr.write(f"{rank}report {place} of {len(reports)}, {until}:\n")
        report.show(sys.stderr)
    documents = [report.to_dict() for report in reports]
    if told.json:
        _write_json(told.json, documents)
    if told.sarif:
        _write_json(told.sarif, formats.sarif(documents, told.script))


def _write_json(path: Path, content: object) -> None:
    text = json.dumps(content, indent=2, allow_nan=False)
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:  # the exit code and an exception stay the script's own
        sys.stderr.write(f"checkup: the report was not written: {error}\n")


if __name__ == "__main__":
    main()
