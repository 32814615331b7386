"""`script`: the same loop as a plain PyTorch program, to read, copy and run."""

from __future__ import annotations

from collections.abc import Iterator

from gradwidgets.core import EDITS, Problem, Recipe, needs_closure, problems
from gradwidgets.script.source import Line, Sources, indented, lines_of


def script(problem: Problem | str, recipe: Recipe | None = None) -> str:
    """A plain PyTorch program that trains like `train`: its `losses` are the same, bit for bit.

    It imports only torch, and what the problem's own functions import; the built-in digits come
    from scikit-learn (`pip install scikit-learn`). What cannot be written
    down (a model instance, tensors, a lambda, a global that a function uses) is a name that its
    first lines ask you to bring.

    Raises:
        ValueError: the mask's pattern matches no parameter.

    >>> names = {}
    >>> exec(script("line", Recipe(updates=10, scale=2.0)), names)
    >>> from gradwidgets import train
    >>> names["losses"] == train("line", Recipe(updates=10, scale=2.0)).loss.tolist()
    True
    """
    return "\n".join(line.text for line in script_lines(problem, recipe)) + "\n"


def script_lines(problem: Problem | str, recipe: Recipe | None = None) -> list[Line]:
    """The lines of `script`, each with the settings it belongs to.

    >>> [line.text for line in script_lines("line", Recipe(seed=3)) if "seed" in line.settings]
    ['torch.manual_seed(3)']
    """
    problem = problems.get(problem)
    recipe = recipe or problem.recipe
    sources = Sources(problem)
    title = " ".join(f"{problem.name}: {problem.description}".split()).rstrip(":")
    missing = [*sources.missing, *(["edits"] if recipe.edits else [])]
    program = [Line(f"# {title}"), *(Line(f"# Bring with you: {name}") for name in missing)]
    program += _imports(sources)
    for source in sources.texts:
        program += [Line(""), Line(""), *map(Line, source.splitlines())]
    program += [Line(""), Line(""), *_setup(recipe, sources)]
    return [*program, *_loop(recipe, sources)]


def _imports(sources: Sources) -> list[Line]:
    text = "\n".join([*sources.texts, sources.loss])
    lines = [Line("import torch")]
    if "Tensor" in text.replace("torch.Tensor", ""):
        lines += [Line("from torch import Tensor, nn")]
    elif "nn." in text:
        lines += [Line("from torch import nn")]
    if "F." in text:
        lines += [Line("from torch.nn import functional as F")]
    return lines


def _setup(recipe: Recipe, sources: Sources) -> list[Line]:
    lines = [Line("torch.set_num_threads(1)  # best for a small model")] if sources.small else []
    if sources.has_data_function:
        target = "x, y" if sources.pair else "loader"
        lines += [Line("torch.manual_seed(0)"), Line(f"{target} = {sources.data}()")]
    options = "".join(f", {name}={value!r}" for name, value in recipe.options.items())
    build = f"torch.optim.{recipe.optimizer}(model.parameters(), lr={recipe.lr!r}{options})"
    lines += [
        Line(f"torch.manual_seed({recipe.seed})", ("seed",)),
        Line(f"model = {sources.model}()"),
        Line(f"optimizer = {build}", ("optimizer", "lr", *recipe.options)),
    ]
    return [*lines, *edit_setup(recipe), *batches(recipe, sources.pair)]


def edit_setup(recipe: Recipe) -> list[Line]:
    """The lines before the loop that prepare the edits, such as the draw of a random mask.

    >>> edit_setup(Recipe(mask=0.5, mask_kind="random", seed=2))[0].text
    'draw = torch.Generator().manual_seed(2)'
    """
    texts = [(entry.setup(recipe), entry.settings) for entry in EDITS]
    return [line for text, settings in texts if text for line in lines_of(text, *settings)]


def batches(recipe: Recipe, pair: bool) -> list[Line]:
    """Where the batches of one update come from, if not from all of x and y.

    >>> batches(Recipe(batch_size=8, seed=1), pair=True)[0].text
    'order = torch.Generator().manual_seed(1)'
    """
    if not pair:
        return lines_of(GROUPS.format(recipe.accumulation_steps), "accumulation_steps")
    if recipe.batch_size is not None:
        return lines_of(BATCHES.format(recipe.seed, recipe.batch_size), "batch_size")
    return []


GROUPS = """


def groups():
    while True:
        group = []
        for batch in loader:
            group.append(batch)
            if len(group) == {}:
                yield group
                group = []
        if group:
            yield group

"""
BATCHES = """
order = torch.Generator().manual_seed({})


def batches():
    while True:
        for index in torch.randperm(len(x), generator=order).split({}):
            yield x[index], y[index]

"""


def _loop(recipe: Recipe, sources: Sources) -> list[Line]:
    body = indented(update(recipe, sources))
    return [Line(""), Line("losses = []"), head(recipe, sources), *body]


def head(recipe: Recipe, sources: Sources) -> Line:
    """The line that opens the loop and fetches what one update trains on.

    >>> head(Recipe(updates=10), Sources(problems.line)).text
    'for _ in range(10):'
    """
    text = f"for _ in range({recipe.updates}):"
    if not sources.pair:
        text = f"for _, group in zip(range({recipe.updates}), groups()):"
    elif recipe.batch_size is not None:
        text = f"for _, (xb, yb) in zip(range({recipe.updates}), batches()):"
    return Line(text, ("updates", "batch_size"))


NOT_FINITE = """
if not abs(mean) < float("inf"):
    break
"""


def update(recipe: Recipe, sources: Sources) -> list[Line]:
    """The body of the loop, not indented: the lines of one update.

    >>> for line in update(Recipe(scale=2.0), Sources(problems.line)):
    ...     print(line.text)
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    mean = loss.item()
    if not abs(mean) < float("inf"):
        break
    for p in model.parameters():
        p.grad.mul_(2.0)
    optimizer.step()
    losses.append(mean)
    """
    gradients = [*_clear(recipe), *_backward(recipe, sources)]
    edits = list(_edits(recipe, sources))
    if needs_closure(recipe.optimizer):
        inner = [*gradients, Line("evaluated.append(mean)"), *edits, Line("return mean")]
        body = [Line("evaluated = []"), Line(""), Line("def closure():"), *indented(inner)]
        body += [Line(""), Line("optimizer.step(closure)", ("optimizer",))]
        body += [Line("mean = evaluated[0]"), *lines_of(NOT_FINITE)]
    else:
        step = Line("optimizer.step()", ("optimizer",))
        body = [*gradients, *lines_of(NOT_FINITE), *edits, step]
    body += [Line("losses.append(mean)")]
    if recipe.stop_below is not None:
        body += lines_of(f"if mean < {recipe.stop_below!r}:\n    break", "stop_below")
    return body


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


def _edits(recipe: Recipe, sources: Sources) -> Iterator[Line]:
    for entry in EDITS:
        for text, settings in entry.lines(recipe, sources.written):
            yield from lines_of(text, *settings)
    if recipe.edits:
        yield from lines_of("for edit in edits:\n    edit(list(model.parameters()))", "edits")
