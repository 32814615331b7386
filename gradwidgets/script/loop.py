"""The loop of a program, line by line: clear, forward, backward, edits, step."""

from __future__ import annotations

from collections.abc import Iterable

from gradwidgets.core import MASK_KINDS, IsolatedRun, Problem, Recipe, matching, needs_closure
from gradwidgets.script.source import Line, Sources, indented, lines_of


def loop(problem: Problem, recipe: Recipe, sources: Sources) -> list[Line]:
    """The loop that trains, after everything is set up."""
    body = indented(update(problem, recipe, sources))
    return [Line(""), Line("losses = []"), head(recipe, sources), *body]


def head(recipe: Recipe, sources: Sources) -> Line:
    """The line that opens the loop and fetches what one update trains on."""
    text = f"for _ in range({recipe.updates}):"
    if not sources.pair:
        text = f"for _, group in zip(range({recipe.updates}), groups()):"
    elif recipe.batch_size is not None:
        text = f"for _, (xb, yb) in zip(range({recipe.updates}), batches()):"
    return Line(text, ("updates", "batch_size"))


def update(problem: Problem, recipe: Recipe, sources: Sources) -> list[Line]:
    """The body of the loop, not indented: the lines of one update."""
    gradients = [*_clear(recipe), *_backward(recipe, sources)]
    edits = list(_edits(problem, recipe, sources))
    if needs_closure(recipe.optimizer):
        body = _with_closure(gradients, edits)
    else:
        check = lines_of('if not abs(mean) < float("inf"):\n    break')
        body = [*gradients, *check, *edits, Line("optimizer.step()", ("optimizer",))]
    body += [Line("losses.append(mean)")]
    if recipe.stop_below is not None:
        body += lines_of(f"if mean < {recipe.stop_below!r}:\n    break", "stop_below")
    return body


def _with_closure(gradients: list[Line], edits: list[Line]) -> list[Line]:
    inner = [*gradients, Line("evaluated.append(mean)"), *edits, Line("return mean")]
    return [
        Line("evaluated = []"),
        Line(""),
        Line("def closure():"),
        *indented(inner),
        Line(""),
        Line("optimizer.step(closure)", ("optimizer",)),
        Line("mean = evaluated[0]"),
        *lines_of('if not abs(mean) < float("inf"):\n    break'),
    ]


def _clear(recipe: Recipe) -> list[Line]:
    argument = {"none": "", "zero": "set_to_none=False"}
    if recipe.clear not in argument:
        return []
    return [Line(f"optimizer.zero_grad({argument[recipe.clear]})", ("clear",))]


def _backward(recipe: Recipe, sources: Sources) -> list[Line]:
    whole = ("x", "y") if recipe.batch_size is None else ("xb", "yb")
    parts = recipe.accumulation_steps
    if parts == 1:
        lines = [] if sources.pair else [Line("xb, yb = group[0]")]
        x, y = whole if sources.pair else ("xb", "yb")
        lines += lines_of(f"loss = {sources.loss}(model({x}), {y})\nloss.backward()")
        return [*lines, Line("mean = loss.item()")]
    share = f"(loss / {parts})" if recipe.average else "loss"
    x, y = whole
    source = f"zip({x}.chunk({parts}), {y}.chunk({parts}))" if sources.pair else "group"
    return lines_of(
        f"""
        total, seen = 0.0, 0
        for xk, yk in {source}:
            loss = {sources.loss}(model(xk), yk)
            {share}.backward()
            total += loss.item() * len(yk)
            seen += len(yk)
        mean = total / seen
        """,
        "accumulation_steps",
        "average",
    )


def _edits(problem: Problem, recipe: Recipe, sources: Sources) -> Iterable[Line]:
    every = "for p in model.parameters():\n"
    if not sources.built_in:
        every += "    if p.grad is None:\n        continue\n"
    if recipe.scale != 1:
        yield from lines_of(f"{every}    p.grad.mul_({recipe.scale!r})", "scale")
    if recipe.mask:
        yield from lines_of(_mask(problem, recipe, every, sources.built_in), "mask", "mask_kind")
    if recipe.l1:
        yield from lines_of(f"{every}    p.grad.add_(p.detach().sign(), alpha={recipe.l1!r})", "l1")
    if recipe.l2:
        yield from lines_of(f"{every}    p.grad.add_(p.detach(), alpha={recipe.l2!r})", "l2")
    if recipe.max_norm is not None:
        clip = f"torch.nn.utils.clip_grad_norm_(model.parameters(), {recipe.max_norm!r})"
        yield Line(clip, ("max_norm",))
    if recipe.edits:
        yield from lines_of("for edit in edits:\n    edit(list(model.parameters()))", "edits")


def _mask(problem: Problem, recipe: Recipe, every: str, built_in: bool) -> str:
    part = f"[: round({recipe.mask!r} * p.numel())] = 0"
    if recipe.mask_kind == "first":
        return f"{every}    p.grad.view(-1){part}"
    if recipe.mask_kind == "unit" and not built_in:  # a parameter may have no dimension
        rows = "    rows = torch.atleast_1d(p.grad)\n"
        return f"{every}{rows}    rows[: round({recipe.mask!r} * len(rows))] = 0"
    if recipe.mask_kind == "unit":
        return f"{every}    p.grad[: round({recipe.mask!r} * len(p))] = 0"
    if recipe.mask_kind == "random":
        pairs = every.replace(
            "p in model.parameters()", "p, index in zip(model.parameters(), hidden)"
        )
        return f"{pairs}    p.grad.view(-1)[index] = 0"
    assert recipe.mask_kind not in MASK_KINDS
    with IsolatedRun(problem.data, 0).inside():
        found = list(matching(recipe.mask_kind, problem.build()))
    named = f"for name in {found}:\n    p = model.get_parameter(name)\n"
    return named + every.partition("\n")[2] + f"    p.grad.view(-1){part}"
