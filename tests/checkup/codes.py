"""`python -m tests.checkup.codes` writes CODES.md: all codes of checkup in one table.

No text of it stands elsewhere: evidence, cure and severity are read from the rules, the limits and
their reasons from `thresholds.py`, the loops from the collection.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise, takewhile
from pathlib import Path
from types import ModuleType

from gradwidgets.checkup import thresholds
from gradwidgets.checkup.ranks import ranks_differ
from gradwidgets.checkup.report import SECTIONS
from gradwidgets.checkup.rules import CONSEQUENCES, RULES
from tests.checkup import two_processes
from tests.checkup.loops import Loop, collect

ROOT = Path(__file__).parents[2]
Builder = Callable[[bool], Loop]
"""Makes a broken loop, and with `repaired` its twin."""

SEVERITIES = ("error", "warning", "info")

HEAD = """\
# The codes of checkup

Made by `make codes` from the rules, their limits and the loops that test them; a test holds it to
them. *Severity* depends on the loop. A finding that follows from another one is listed under it as
information; a root is as grave as the gravest of what follows from it. Of the limits a number alone
says little: [their reasons](#limits) are at the end. "…" stands for what is measured in your loop.
"""

LIMITS = """\
## Limits
"""

NOT_SEEN = """\
## Not seen

Whether data and targets are right, whether the model is able to learn them, and how it does on new
data.

Nor what may as well be meant, or leaves no trace that is always there:

* a gradient of the wrong size or sign from a `torch.autograd.Function` of your own:
  `torch.autograd.gradcheck` compares it with differences;
* a target that is a network in training, too: teachers and students may learn from each other, and
  two views of one sample from a common encoder, so nothing says which side should be detached;
* a gradient penalty whose `torch.autograd.grad` was called without `create_graph=True`: its result
  is a constant then, as it is in an attack or a sampler, where it should be one;
* `sample()` in place of `rsample()`, if a divergence still trains the encoder: a policy samples so;
* forwards whose loss gets no backward, because it stands behind the loop over the batches: a
  validation without `no_grad` and an agent that acts leave such graphs, too;
* a scheduler of an optimizer that never steps, which torch itself warns of;
* a parameter of one or two numbers that the loop or a forward sets back: clamping does the same;
  weights that the loop moves by hand, as a climb of SAM that is not taken back;
* layers that saturate because inputs are not scaled, and gradients that underflow in half
  precision, as long as some of each come through.

Nor a `DataLoader` that begins again at every step, as it does with `next(iter(loader))` inside
of the loop: without shuffling each step gets the first batch. Losses and gradients are then those
of a fit to one batch, which is a good test of a loop and is often meant; a loop that is left by
`break`, or a framework that is told to train on one batch, begins its loader again at every step,
too. With shuffling, or data that are made or changed at random, each step gets another batch after
all. So to count how often a loader begins would not tell the fault from what is meant. Write
`for batch in loader`, or make the iterator once, before the loop.
"""


@dataclass
class Code:
    """What the rules say of a code."""

    severities: set[str] = field(default_factory=set)
    judged: list[str] = field(default_factory=list)
    """The docstrings of its rules."""
    seen: list[str] = field(default_factory=list)
    """The messages of its findings."""
    cures: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    """Names in `thresholds.py` that its rules compare with."""


def codes() -> dict[str, Code]:
    """Every code, in the order of the report's sections."""
    found: dict[str, Code] = {code: Code() for part in SECTIONS.values() for code in sorted(part)}
    for rule in (*RULES, ranks_differ):
        parts = list(_reached(rule))
        findings = [node for part in parts for node in ast.walk(part) if _is_finding(node)]
        for finding in findings:
            name, severity, _, message, cure = (_texts(given) for given in finding.args)
            code = found[name[0]]
            code.severities |= {text for text in severity if text in SEVERITIES}
            _add(code.judged, [inspect.getdoc(rule) or ""])
            _add(code.seen, message)
            _add(code.cures, cure)
            _add(code.limits, [name for part in parts for name in _limits(part)])
    return found


def _add(texts: list[str], more: list[str]) -> None:
    texts += [text for text in dict.fromkeys(more) if text not in texts]


def _is_finding(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding"


def _reached(rule: Callable[..., object]) -> Iterator[ast.FunctionDef]:
    """The rule, and the functions of its file that it calls, directly or not."""
    module = inspect.getmodule(rule)
    assert module
    functions = _functions(module)
    waiting, seen = [rule.__name__], {rule.__name__}
    while waiting:
        function = functions[waiting.pop()]
        yield function
        named = [node.id for node in ast.walk(function) if isinstance(node, ast.Name)]
        more = [name for name in dict.fromkeys(named) if name in functions and name not in seen]
        waiting += more
        seen.update(more)


@cache
def _functions(module: ModuleType) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(inspect.getsource(module))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _limits(function: ast.FunctionDef) -> Iterator[str]:
    """The names after `limit.` in a function."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "limit":
            yield node.attr


def _texts(node: ast.expr) -> list[str]:
    """All texts that an expression can become; "…" stands for what is measured."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
        return ["".join(map(str, parts))]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in _texts(node.left) for b in _texts(node.right)]
    return ["…"]


def reasons() -> dict[str, str]:
    """The docstring below each limit of `thresholds.py`."""
    body = ast.parse(inspect.getsource(thresholds)).body
    return {
        before.targets[0].id: " ".join(after.value.value.split())
        for before, after in pairwise(body)
        if isinstance(before, ast.Assign) and isinstance(before.targets[0], ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }


def value(limit: str) -> str:
    """A limit as a number: `1e-05` or `4`."""
    return f"{getattr(thresholds, limit):g}"


def loops() -> dict[str, list[Builder]]:
    """For each code what builds its broken loops and their repaired twins, the shortest first."""
    found = {"ranks-differ": [two_processes.wrapped_module_passed_by]}
    for case in collect().broken:
        found.setdefault(case.codes[0], []).append(case.build.func)  # type: ignore[attr-defined]
    return {
        code: sorted(builders, key=lambda one: (len(_source(one)), one.__name__))
        for code, builders in found.items()
    }


def page() -> str:
    """The whole of CODES.md."""
    held, tested = codes(), loops()
    parts = [HEAD, _table(held, tested)]
    for section, within in SECTIONS.items():
        parts.append(f"## {section}\n")
        parts += [_entry(code, held[code], tested[code][0]) for code in sorted(within)]
    parts += [LIMITS, *_reasons()]
    return "\n".join([*parts, NOT_SEEN])


def _table(found: dict[str, Code], tested: dict[str, list[Builder]]) -> str:
    lines = ["| code | severity | evidence | limits | loops |", "|---|---|---|---|---|"]
    for code, held in found.items():
        limits = ", ".join(f"`{limit}` {value(limit)}" for limit in held.limits)
        file = tested[code][0].__module__.replace(".", "/") + ".py"
        cells = (
            f"[`{code}`](#{code})",
            " or ".join(one for one in SEVERITIES if one in held.severities),
            " ".join(map(_one_line, held.judged)),
            limits,
            f"[{len(tested[code])}, broken and repaired]({file})",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    """The first paragraph of a docstring."""
    return " ".join(takewhile(str.strip, text.splitlines()))


def _entry(code: str, held: Code, shown: Builder) -> str:
    lines = [f"### {code}", "", *(f"* seen: {text}" for text in held.seen)]
    lines += [f"* do: {text}" for text in held.cures]
    if CONSEQUENCES.get(code):
        follow = ", ".join(f"`{other}`" for other in sorted(CONSEQUENCES[code]))
        lines.append(f"* can bring about: {follow}")
    return "\n".join([*lines, "", "```python", _source(shown), "```", ""])


def _source(builder: Builder) -> str:
    """A builder without its decorator."""
    text = textwrap.dedent(inspect.getsource(builder))
    return text[text.index("def ") :].rstrip()


def _reasons() -> Iterator[str]:
    for limit, reason in reasons().items():
        yield f"* `{limit}` = {value(limit)}: {reason}"
    yield ""


def main() -> None:
    """Write CODES.md."""
    (ROOT / "CODES.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
