"""The scorecard as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from textwrap import dedent

import torch

from benchmarks.measure import Result
from tests.checkup.loops.collection import Written
from tests.checkup.scorecard.overhead import PAIRS, UPDATES
from tests.checkup.scorecard.tools import TOOLS, Tool
from tests.checkup.scorecard.trials import LIMIT, Trial

HEAD = """\
# checkup and its rivals on training loops

Made by `make scorecard`, with {versions}, on commit {commit}. Every figure is a count of loops.

**Read this first.** The loops, the codes and the rules have the same authors. Each loop had to pass
with `checkup` to stay in the collection (`make test` runs them all), so its own row tells that no
rule has been broken since, and *not* how it does on your loop. The only figures of checkup on loops
it had not seen are those of first runs. The second and third set (commit 9a66b89): 54 of 58 broken
loops named with nothing else blamed, 48 of 51 healthy ones without an alarm. The sixth, in the
whole of it, of which the collection holds a part, before the rules were repaired (they are in
commit fe59bea as repaired): 50 of 73 broken loops named with nothing else blamed and 22 passed over
in silence, 84 of 89 healthy ones and 72 of 73 repaired twins without an alarm. (In one of the five
loops and in the twin every gradient was zero, as the alarm said.) Eleven of the faults that were
passed over stay so: CODES.md has them under *Not seen*. The rivals see all loops for the first
time.

## All loops
"""

RULES = """\
*Alarm*: something graver than information, or the right cause, is said about a broken loop.
*Right cause*: a word of any severity stands for the loop's fault. A rival's word counts for every
cause that its reader would come to look at; the tables of words are in
`tests/checkup/scorecard/tools.py`. *Of those it has a word for*: the same among loops whose fault
some word of the tool stands for. *False alarms*: something graver than information about a loop
that trains as it should. *Failed*: the tool raised an exception, or took more than {limit:g} s;
then it has said nothing, neither right nor wrong.
"""

SETS = """\
## By set

When a loop was written, as its file says. Only sets that were written after the rules could
surprise them, once: what they found was then repaired.
"""

AREAS = """\
## By area

Faults of order are those of the loop's own calls: clear, backward, step. A tool that is handed one
batch and calls them itself cannot see these, and does not claim to.
"""

CHANCES = """\
## How each tool was given its best chance

Each trial runs in a process of its own on one thread, with a loop built from a fixed seed. Tools
that ask for a closure get the loss of the loop's first update: the loop runs until each of its
optimizers has stepped, its backward calls only hand over their losses (before a `GradScaler` scales
them), and their sum is the closure's result. Several models are handed over as one. Where a loop
calls no backward there is no closure, and the tool is not asked: it says nothing. Models that take
turns, as in a GAN, are joined so, too, where a person might hand over one after the other: false
alarms on such loops are partly due to that.
"""

FAVOURS = """\
## What the sets are, and what they favour

`tests/checkup/loops/` holds every loop, with the report, forum thread or tutorial that it follows:
a minimal form, written by the authors of `checkup`, and no original code.

* They favour `checkup`: its codes are the names of the faults, and faults that it has no code for
  (wrong data, wrong targets, a model that cannot learn the task, leaks between samples, hardware,
  speed) are not in the collection. torch-audit and torchtest2 look for some of these.
* They favour tools that watch a whole loop over those that look at one batch before it.
* They are small (8 to 64 samples, a few updates): rules about tiny batches meet them more often
  than real trainings, and so do trainings that cannot fit their batch.
* They are plain PyTorch on the CPU. What guardtower knows of LoRA, DDP and FSDP is not asked for.
* A repaired twin differs from its broken loop in the fault only: an alarm there is a false one.
"""

OVERHEAD = f"""\
## Overhead

CPU time of {UPDATES} updates with AdamW under a tool over the same updates alone, on one thread,
the median of {PAIRS} pairs in turn. torchtest2 watches no loop: it trains by itself before it.
"""


def page(
    found: Sequence[Trial], times: Iterable[tuple[str, str, Result]], commit: str
) -> Iterator[str]:
    """The page, part by part, as its figures come in."""
    tools = [tool for tool in TOOLS if any(trial.tool is tool for trial in found)]
    versions = ", ".join(
        [f"{tool.name} {tool.version}" for tool in tools]
        + [f"torch {torch.__version__}", f"Python {platform.python_version()}"]
    )
    yield HEAD.format(versions=versions, commit=commit)
    yield _all_loops(found, tools)
    yield RULES.format(limit=LIMIT)
    yield SETS
    yield _split(found, tools, {written.value: _in_set(written) for written in Written})
    yield AREAS
    areas = ("wiring", "order", "loss", "gradients", "updates", "healthy")
    yield _split(found, tools, {area: _in_area(area) for area in areas})
    yield CHANCES + "".join(f"\n* **{tool.name}**: {tool.chance}" for tool in tools) + "\n"
    yield FAVOURS
    yield OVERHEAD
    yield _overheads(times)
    yield _failures(found)


def _rows(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def share(trials: Sequence[Trial], holds: Callable[[Trial], bool]) -> str:
    """'3 of 4'; '' for no trials."""
    return f"{sum(map(holds, trials))} of {len(trials)}" if trials else ""


def _all_loops(found: Sequence[Trial], tools: Sequence[Tool]) -> str:
    head = (
        *("tool", "broken: alarm", "right cause", "of those it has a word for"),
        *("healthy: false alarms", "repaired: false alarms", "failed"),
    )
    rows = []
    for tool in tools:
        own = [trial for trial in found if trial.tool is tool]
        broken = [trial for trial in own if trial.case.codes]
        healthy = [trial for trial in own if trial.case.file.startswith("healthy.")]
        repaired = [t for t in own if not t.case.codes and not t.case.file.startswith("healthy.")]
        rows.append(
            (
                tool.name,
                share(broken, lambda trial: trial.alarm or trial.right),
                share(broken, lambda trial: trial.right),
                share([t for t in broken if t.in_scope], lambda trial: trial.right),
                share(healthy, lambda trial: trial.alarm),
                share(repaired, lambda trial: trial.alarm),
                sum(bool(trial.failure) for trial in own),
            )
        )
    return _rows(head, rows)


def _in_set(written: Written) -> Callable[[Trial], bool]:
    return lambda trial: trial.case.written is written


def _in_area(area: str) -> Callable[[Trial], bool]:
    return lambda trial: trial.case.file.startswith(f"{area}.")


def _split(
    found: Sequence[Trial], tools: Sequence[Tool], parts: dict[str, Callable[[Trial], bool]]
) -> str:
    """A row for each part: right causes and false alarms of each tool."""
    names = [tool.name for tool in tools]
    head = ["", *(f"{name}: right" for name in names), *(f"{name}: false" for name in names)]
    rows = []
    for label, belongs in parts.items():
        own = [[t for t in found if t.tool is tool and belongs(t)] for tool in tools]
        right = [share([t for t in some if t.case.codes], lambda t: t.right) for some in own]
        wrong = [share([t for t in some if not t.case.codes], lambda t: t.alarm) for some in own]
        rows.append([label, *right, *wrong])
    return _rows(head, rows)


def _overheads(times: Iterable[tuple[str, str, Result]]) -> str:
    ratios: dict[str, dict[str, str]] = {}
    for tool, model, result in times:
        ratios.setdefault(tool, {})[model] = f"{result.quartiles[1]:.2f}"
    models = list(dict.fromkeys(model for row in ratios.values() for model in row))
    return _rows(["", *models], [[tool, *row.values()] for tool, row in ratios.items()])


def _failures(found: Sequence[Trial]) -> str:
    failed = [trial for trial in found if trial.failure]
    lines = [f"* {t.tool.name} on `{t.case.name}`: {_short(t.failure)}" for t in failed]
    return "\n".join(["## Failed\n", *(lines or ["Nothing."])]) + "\n"


def _short(failure: str) -> str:
    line = dedent(failure).splitlines()[0] if failure else ""
    return line if len(line) <= 120 else f"{line[:117]}..."
