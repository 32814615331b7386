"""A page for each code of `checkup`: what it says, why, and a loop that is broken and repaired."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gradwidgets.checkup import Report
from gradwidgets.checkup.report import SECTIONS
from gradwidgets.checkup.rules import CONSEQUENCES
from tests.checkup import codes as table
from tests.checkup.loops import BETWEEN_PROCESSES, collect
from website.specialise import specialise

LOOPS = "tests.checkup"
INTRODUCTION = """\
# Find my bug: the codes of `checkup`

Wrap a few steps of a loop in `with checkup(model, optimizer) as report:` and print the report: it
names what is wrong, with figures from your own run. These are all the codes that it knows. Search
for the words of a report, or for what you see.

```python
from gradwidgets import checkup

with checkup(model, optimizer) as report:
    for x, y in batches:
        ...  # your loop, unchanged
print(report)
```
"""


def write(source: Path, only: set[str] | None = None) -> list[str]:
    """Write the pages, and return their codes.

    Args:
        source: the folder of all pages' sources.
        only: these codes alone; None takes all.
    """
    folder = source / "checkup"
    folder.mkdir(parents=True, exist_ok=True)
    held, loops = table.codes(), table.loops()
    named = [code for code in held if only is None or code in only]
    for code in named:
        text = "\n".join(_page(code, held[code], shown(code, loops[code]), named))
        (folder / f"{code}.md").write_text(text, encoding="utf-8")
    (folder / "index.md").write_text("\n".join(_index(held, named)), encoding="utf-8")
    return named


def _index(held: dict[str, table.Code], named: list[str]) -> Iterator[str]:
    yield INTRODUCTION
    for section, codes in SECTIONS.items():
        inside = [code for code in sorted(codes) if code in named]
        if not inside:
            continue
        yield f"## {section}\n"
        yield "| code | severity | what it is |\n|:--|:--|:--|"
        for code in inside:
            cells = (f"[`{code}`]({code}.md)", _severity(held[code]), _evidence(held[code]))
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        yield ""
    yield table.NOT_SEEN
    yield "```{toctree}\n:hidden:\n" + "\n".join(named) + "\n```\n"


def _page(code: str, held: table.Code, builder: table.Builder, named: list[str]) -> Iterator[str]:
    yield f"# `{code}`: {_title(code, held, builder)}\n"
    yield f"{_evidence(held)}\n"
    yield f"A finding of [`checkup`](index.md), severity {_severity(held)}.\n"
    yield "## What the report says\n"
    yield from (f"* {_escaped(text)}" for text in held.seen)
    yield "\nIn place of each “…” stands what is measured in your loop.\n\n## What to do\n"
    yield from (f"* {_escaped(text)}" for text in held.cures if text != "…")
    yield ""
    yield from _loops(code, builder)
    yield from _around(code, held, named)


def _loops(code: str, builder: table.Builder) -> Iterator[str]:
    text = textwrap.dedent(inspect.getsource(builder))
    text = text[text.index("def ") :].rstrip()
    for title, repaired in (("A broken loop", False), ("The same loop, repaired", True)):
        yield f"## {title}\n\n```python\n{specialise(text, repaired)}\n```\n"
        if code not in BETWEEN_PROCESSES:
            said = str(report_of(builder, repaired))
            yield f"What `checkup` says of it:\n\n```text\n{said}\n```\n"
    parts = "\n\n\n".join(_parts(builder))
    if parts:
        yield (
            "<details><summary>The functions that this loop uses</summary>\n\n"
            f"```python\n{parts}\n```\n\n</details>\n"
        )


def report_of(builder: table.Builder, repaired: bool) -> Report:
    """The report of `checkup` on a loop of the collection.

    Raises:
        LookupError: the loop is not in the collection.
    """
    for case in collect().broken:
        if getattr(case.build, "func", None) is builder:
            assert case.twin is not None
            return (case.twin if repaired else case).run()
    raise LookupError(f"{builder.__name__} is not in the collection")


def shown(code: str, builders: Sequence[table.Builder]) -> table.Builder:
    """The loop that a page shows: the shortest whose report names the code (some may name another).

    Raises:
        LookupError: there is none.
    """
    for builder in sorted(builders, key=length):
        if code in BETWEEN_PROCESSES or code in _named(report_of(builder, False)):
            return builder
    raise LookupError(f"no loop of the collection shows {code}")


def _named(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def length(builder: table.Builder) -> int:
    """How much there is to read of a loop."""
    return len(inspect.getsource(builder)) + sum(map(len, _parts(builder)))


def _parts(builder: Callable[..., object]) -> Iterator[str]:
    """The source of all functions and classes of the collection that a loop uses."""
    waiting: list[Any] = [builder]
    seen: set[Any] = {builder}
    while waiting:
        function = waiting.pop(0)
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        assert isinstance(node, ast.FunctionDef | ast.ClassDef)
        node.decorator_list = []  # they only register the loop
        module = inspect.getmodule(function)
        names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
        for name in dict.fromkeys(names):
            used = getattr(module, name, None)
            if _is_part(used) and used not in seen:
                seen.add(used)
                waiting.append(used)
        if function is not builder:
            yield inspect.getsource(function).rstrip()


def _is_part(used: object) -> bool:
    home = str(getattr(used, "__module__", ""))
    own = home.startswith(LOOPS) and not home.endswith(".collection")
    return own and (inspect.isfunction(used) or inspect.isclass(used))


def _around(code: str, held: table.Code, named: list[str]) -> Iterator[str]:
    follow = [other for other in sorted(CONSEQUENCES.get(code, ())) if other in named]
    roots = [
        other for other in sorted(CONSEQUENCES) if code in CONSEQUENCES[other] and other in named
    ]
    if follow:
        yield f"## What follows from it\n\nIt can bring about {_listed(follow)}.\n"
    if roots:
        yield f"## Where it may come from\n\nIt can follow from {_listed(roots)}.\n"
    if held.limits:
        yield "## Its limits\n"
        reasons = table.reasons()
        yield from (f"* `{name}` = {table.value(name)}: {reasons[name]}" for name in held.limits)
        yield ""


def _listed(codes: list[str]) -> str:
    return ", ".join(f"[`{code}`]({code}.md)" for code in codes)


def _severity(held: table.Code) -> str:
    return " or ".join(each for each in table.SEVERITIES if each in held.severities)


def _evidence(held: table.Code) -> str:
    return _escaped(" ".join(map(table._one_line, held.judged)))


def _title(code: str, held: table.Code, builder: table.Builder) -> str:
    """The evidence of the rule that speaks of the loop shown: it shares most words with it."""
    if code in BETWEEN_PROCESSES:
        return _escaped(table._one_line(held.judged[0]))
    found = next(one for one in report_of(builder, False).findings if one.code == code)
    said = set(found.message.split())
    best = max(held.judged, key=lambda text: len(said & set(text.split())))
    return _escaped(table._one_line(best).partition(". ")[0].rstrip("."))


def _escaped(text: str) -> str:
    """Plain text as Markdown, in which words of code may stand."""
    for sign in "*<>":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("__", "\\_\\_")
