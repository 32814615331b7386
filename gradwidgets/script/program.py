"""`script`: the same loop as a plain PyTorch program, to read, copy and run."""

from __future__ import annotations

from gradwidgets.core import Problem, Recipe, problems
from gradwidgets.script.loop import loop
from gradwidgets.script.source import Line, Sources, lines_of


def script(problem: Problem | str, recipe: Recipe | None = None) -> str:
    """A plain PyTorch program that trains like `train`: its `losses` are the same, bit for bit.

    It imports only torch, and what the problem's own functions import. What cannot be written
    down (a model instance, tensors, a lambda, a global that a function uses) is a name that its
    first lines ask you to bring.

    Raises:
        ValueError: the mask's pattern matches no parameter.
    """
    return "\n".join(line.text for line in script_lines(problem, recipe)) + "\n"


def script_lines(problem: Problem | str, recipe: Recipe | None = None) -> list[Line]:
    """The lines of `script`, each with the settings it belongs to."""
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
    return [*program, *loop(problem, recipe, sources)]


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
    return [*lines, *hidden(recipe), *batches(recipe, sources.pair)]


def hidden(recipe: Recipe) -> list[Line]:
    """What a random mask hides, drawn before the loop."""
    if not recipe.mask or recipe.mask_kind != "random":
        return []
    return lines_of(
        f"""
        draw = torch.Generator().manual_seed({recipe.seed})
        hidden = [
            torch.randperm(p.numel(), generator=draw)[: round({recipe.mask!r} * p.numel())]
            for p in model.parameters()
        ]
        """,
        "mask",
        "mask_kind",
    )


def batches(recipe: Recipe, pair: bool) -> list[Line]:
    """Where the batches of one update come from, if not from all of x and y."""
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
