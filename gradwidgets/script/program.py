"""`script`: the same loop as a plain PyTorch program, to read, copy and run."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

import torch

from gradwidgets.core import EDITS, Problem, Recipe, not_allowed, problems
from gradwidgets.script.parameter_groups import (
    given_parameters,
    part_lines,
    phase_lines,
    zero_lines,
)
from gradwidgets.script.precision import WrittenPrecision
from gradwidgets.script.schedule import brought, scheduler_setup, scheduler_step
from gradwidgets.script.source import Line, Sources, indented, lines_of


def script(problem: Problem | str, recipe: Recipe | None = None) -> str:
    """A plain PyTorch program that trains like `train`: its `losses` are the same, bit for bit.

    It imports only torch, and what the problem's own functions use; the built-in digits and the
    story of `chars` are read from this package. Functions, classes and numbers of the same file are
    written out, too. What cannot be written down (a model instance, tensors, a lambda) is a name
    that its first lines ask you to bring. Where the functions that are written out draw from
    Python's or NumPy's generator, the program seeds that, too; what you bring, and libraries, are
    taken to draw from torch's alone. Where torch's default dtype is not float32, the program sets
    it before it builds anything.

    Raises:
        ValueError: the mask's pattern matches no parameter, or sparse gradients are to be edited
            and the optimizer steps otherwise with dense ones.

    >>> names = {}
    >>> exec(script("line", Recipe(updates=10, scale=2.0)), names)
    update 9: loss 0.1103
    >>> from gradwidgets import train
    >>> names["losses"] == train("line", Recipe(updates=10, scale=2.0)).loss.tolist()
    True
    """
    return "\n".join(line.text for line in script_lines(problem, recipe)) + "\n"


def script_lines(problem: Problem | str, recipe: Recipe | None = None) -> list[Line]:
    """The lines of `script`, each with the settings it belongs to.

    >>> [line.text for line in script_lines("line", Recipe(seed=3)) if "seed" in line.settings]
    ['torch.manual_seed(3)  # the same start in every run']
    """
    problem = problems.get(problem)
    recipe = recipe or problem.recipe
    sources = Sources(problem, recipe)
    title = " ".join(f"{problem.name}: {problem.description}".split()).rstrip(":")
    missing = [*sources.missing, *(["edits"] if recipe.edits else []), *brought(recipe)]
    program = [Line(f"# {title}"), *(Line(f"# Bring with you: {name}") for name in missing)]
    precision = WrittenPrecision(recipe, sources)
    program += precision.imports(sources.imports)
    for source in (*sources.texts, *precision.functions):
        program += [Line(""), Line(""), *map(Line, source.splitlines())]
    program += [Line(""), Line(""), *_setup(recipe, sources)]
    program += [Line(""), Line("losses = []"), head(recipe, sources)]
    return [*program, *indented(update(recipe, sources)), *_end(sources, precision)]


SAME_DATA = "the same data in every run"


def _setup(recipe: Recipe, sources: Sources) -> list[Line]:
    lines, precision = _default_dtype(), WrittenPrecision(recipe, sources)
    if sources.small:
        lines += [Line("torch.set_num_threads(1)  # a small model trains fastest on one thread")]
    if sources.has_data_function:
        target = "x, y" if sources.pair else sources.step.data if sources.step else "loader"
        if not sources.built_in:
            lines += sources.seeding(0, SAME_DATA)
        lines += [Line(f"{target} = {sources.data}()")]
    held = sources.measured
    if held and held.call:
        lines += [] if sources.built_in else sources.seeding(0, SAME_DATA, "patience", "schedule")
        lines += lines_of(f"{held.target} = {held.call}", "patience", "schedule")
    lines += [
        *sources.seeding(recipe.seed, "the same start in every run", "seed"),
        *(
            Line(f"{own}.manual_seed({recipe.seed})  # the same batches in every run", ("seed",))
            for own in sources.generators
        ),
        *precision.model(f"{sources.model}()"),
        *part_lines(recipe, sources),
        *_optimizer(recipe, sources, precision),
        *scheduler_setup(recipe, sources),
        *precision.scaler(),
    ]
    lines += [*edit_setup(recipe, sources), *_batches(recipe, sources)]
    return [*lines, *early_setup(recipe, sources)]


def _default_dtype() -> list[Line]:
    """The line that sets torch's default dtype, where it is not the usual one.

    >>> before = torch.get_default_dtype()
    >>> torch.set_default_dtype(torch.float64)
    >>> _default_dtype()[0].text
    'torch.set_default_dtype(torch.float64)  # as it was set where this was written'
    >>> torch.set_default_dtype(before)
    """
    dtype = torch.get_default_dtype()
    if dtype == torch.float32:
        return []
    return [Line(f"torch.set_default_dtype({dtype})  # as it was set where this was written")]


def _optimizer(recipe: Recipe, sources: Sources, precision: WrittenPrecision) -> list[Line]:
    """The lines that build the optimizer, or the recipe's own list of them."""
    settings = ("optimizer", "lr", *recipe.options)
    options = [f"{name}={value!r}" for name, value in recipe.options.items()]
    if recipe.groups:
        first, *middle, last = indented(given_parameters(recipe, sources))
        head = Line(f"optimizer = {sources.optimizer}(", settings)
        others = lines_of(",\n".join([f"lr={recipe.lr!r}", *options]) + ",", *settings)
        last = Line(f"{last.text},", last.settings)
        return [head, first, *middle, last, *indented(others), Line(")", settings)]
    given = [f"{precision.stepped}.parameters()", f"lr={recipe.lr!r}"]
    if inspect.isroutine(recipe.optimizer):
        given = [precision.stepped, f"{recipe.lr!r}"]
    call = f"{sources.optimizer}({', '.join([*given, *options])})"
    return [Line(f"optimizer{'s' * sources.several} = {call}", settings)]


def edit_setup(recipe: Recipe, sources: Sources) -> list[Line]:
    """The lines before the loop that prepare the edits, such as the draw of a random mask.

    >>> recipe = Recipe(mask=0.5, mask_kind="random", seed=2)
    >>> edit_setup(recipe, Sources(problems.line))[0].text
    'draw = torch.Generator().manual_seed(2)'
    """
    texts = [(entry.setup(recipe, sources.written), entry.settings) for entry in EDITS]
    return [line for text, settings in texts if text for line in _drawing(text, *settings)]


def early_setup(recipe: Recipe, sources: Sources) -> list[Line]:
    """The lines before the loop that prepare to measure, and to stop early: what is best so far.

    >>> recipe = Recipe(patience=3)
    >>> early_setup(recipe, Sources(problems.get("digits"), recipe))[-1].text
    'best, waited = measure(), 0'
    """
    held = sources.measured
    if held is None:
        return []
    function = held.function(recipe.seed, sources.drawn)
    text = WrittenPrecision(recipe, sources).measured(function)
    first = lines_of(held.first(), "patience") if recipe.patience else []
    return lines_of(text, "patience", "schedule") + first


def _drawing(text: str, *settings: str) -> list[Line]:
    """Lines of a text; those that make a generator belong to the seed, too."""
    lines = lines_of(text, *settings)
    return [Line(x.text, (*x.settings, *["seed"] * ("manual_seed" in x.text))) for x in lines]


def _batches(recipe: Recipe, sources: Sources) -> list[Line]:
    step = sources.step
    if step is None or step.grouped(recipe):
        return batches(recipe, sources.pair)
    return [] if step.one else lines_of(EPOCHS)


def batches(recipe: Recipe, pair: bool) -> list[Line]:
    """Where the batches of one update come from, if not from all of x and y.

    >>> batches(Recipe(batch_size=8, seed=1), pair=True)[0].text
    'order = torch.Generator().manual_seed(1)'
    """
    if not pair and recipe.accumulation_steps == 1:
        return lines_of(EPOCHS)
    if not pair:
        return lines_of(GROUPS.format(recipe.accumulation_steps), "accumulation_steps")
    if recipe.batch_size is not None:
        return _drawing(BATCHES.format(recipe.seed, recipe.batch_size), "batch_size")
    return []


EPOCHS = """


def batches():
    while True:  # one epoch after another
        yield from loader

"""
GROUPS = """


def groups():
    while True:  # one epoch after another
        group = []
        for batch in loader:
            group.append(batch)
            if len(group) == {}:
                yield group
                group = []
        if group:  # what is left of the epoch
            yield group

"""
BATCHES = """
order = torch.Generator().manual_seed({})


# Shuffled batches, as a DataLoader gives with shuffle=True; here the very ones that `train` draws.
def batches():
    while True:  # one epoch after another
        for index in torch.randperm(len(x), generator=order).split({}):
            yield x[index], y[index]

"""


def head(recipe: Recipe, sources: Sources) -> Line:
    """The line that opens the loop and fetches what one update trains on.

    >>> head(Recipe(updates=10), Sources(problems.line)).text
    'for update in range(10):'
    """
    count = f"range({recipe.updates})"
    text = f"for update in {count}:"
    if sources.step:
        text = sources.step.head(recipe)
    elif not sources.pair and recipe.accumulation_steps > 1:
        text = f"for update, group in zip({count}, groups()):"
    elif not sources.pair or recipe.batch_size is not None:
        text = f"for update, (xb, yb) in zip({count}, batches()):"
    return Line(text, ("updates", "batch_size"))


NOT_FINITE = """
if not math.isfinite(mean):
    break  # the loss is no longer a finite number: stop
"""


def update(recipe: Recipe, sources: Sources) -> list[Line]:
    """The body of the loop, not indented: the lines of one update.

    >>> for line in update(Recipe(scale=2.0), Sources(problems.line)):
    ...     print(line.text)
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    mean = loss.item()
    if not math.isfinite(mean):
        break  # the loss is no longer a finite number: stop
    for p in model.parameters():  # scale
        p.grad.mul_(2.0)
    optimizer.step()
    losses.append(mean)
    """
    precision = WrittenPrecision(recipe, sources)
    gradients = [*_clear(recipe, precision), *_backward(recipe, sources, precision)]
    edits = [*precision.unscale(), *_edits(recipe, sources), *zero_lines(recipe, sources)]
    schedule = scheduler_step(recipe, "update")
    if sources.closure:
        inner = [*gradients, Line("evaluated.append(mean)"), *edits, Line("return mean")]
        body = [Line("evaluated = []"), Line(""), Line("def closure():"), *indented(inner)]
        step = "optimizer.step(closure)  # calls it once or more"
        body += [Line(""), Line(step, ("optimizer",)), *schedule]
        body += [Line("mean = evaluated[0]  # before the parameters moved")]
        body += lines_of(NOT_FINITE)
    else:
        steps = [*precision.step(), *schedule]
        body = [*gradients, *lines_of(NOT_FINITE), *edits, *steps]
    body = [*phase_lines(recipe, sources), *body]
    body += [Line("losses.append(mean)")]
    if recipe.stop_below is not None:
        limit = f"if mean < {recipe.stop_below!r}:\n    break  # the loss is low enough: stop"
        body += lines_of(limit, "stop_below")
    if sources.measured and recipe.patience is not None:
        body += lines_of(sources.measured.stop(recipe), "patience")
    return [*body, *scheduler_step(recipe, "measurement")]


def _clear(recipe: Recipe, precision: WrittenPrecision) -> list[Line]:
    arguments = {"none": ("", ""), "zero": ("set_to_none=False", "  # to zeros")}
    return precision.zero_grad(*arguments[recipe.clear]) if recipe.clear in arguments else []


AVERAGED = """
total, seen = 0.0, 0
for xk, yk in {chunks}:
{forward}
    {share}
    total += loss.item() * {samples}
    seen += {samples}
mean = total / seen  # every sample counts alike
"""
SUMMED = """
mean = 0.0  # the loss is a sum over samples, so that of all chunks is their sum
for xk, yk in {chunks}:
{forward}
    {share}
    mean += loss.item()
"""


def _backward(recipe: Recipe, sources: Sources, precision: WrittenPrecision) -> list[Line]:
    whole = sources.pair and recipe.batch_size is None
    x, y = ("x", "y") if whole else ("xb", "yb")
    parts = recipe.accumulation_steps
    kept = ".grad is never cleared" if recipe.clear == "never" else ""
    clear = ["clear"] * bool(kept)
    step = sources.step
    if step and parts > 1:
        lines = lines_of(step.parts(recipe), "accumulation_steps", "average", *clear)
        return _with_scheduler(recipe, lines)
    if parts == 1:
        forward = f"loss = {step.step}(model, batch)" if step else precision.forward(x, y)
        lines = lines_of(forward)
        backward = precision.backward("loss")
        lines += lines_of(f"{backward}{kept and '  # adds up: '}{kept}", *clear)
        return [*precision.tagged(lines), Line("mean = loss.item()")]
    share = precision.backward(f"loss / {parts}")
    share += f"  # a chunk counts 1/{parts}, whatever its size"
    if not recipe.average:
        share = f"{precision.backward('loss')}  # the gradients of the chunks add up"
    share += kept and f"; {kept}"
    chunks = f"zip({x}.chunk({parts}), {y}.chunk({parts}))" if sources.pair else "group"
    text = SUMMED if sources.summed else AVERAGED
    samples = "" if sources.summed else sources.samples()
    forward = textwrap.indent(precision.forward("xk", "yk"), "    ")
    text = text.format(chunks=chunks, forward=forward, share=share, samples=samples)
    lines = precision.tagged(lines_of(text, "accumulation_steps", "average", *clear))
    return _with_scheduler(recipe, lines)


def _with_scheduler(recipe: Recipe, lines: list[Line]) -> list[Line]:
    """The loop over micro-batches, with the scheduler's step after each `backward()` if wanted."""
    after = next(at for at, line in enumerate(lines) if ".backward()" in line.text) + 1
    return [*lines[:after], *indented(scheduler_step(recipe, "micro-batch")), *lines[after:]]


def _edits(recipe: Recipe, sources: Sources) -> Iterator[Line]:
    sparse = sources.written.sparse
    for entry in EDITS:
        pieces = list(entry.lines(recipe, sources.written))
        if pieces and sparse and not entry.takes_sparse:
            yield from _made_dense(recipe, sources)
            sparse = False
        for text, settings in pieces:
            yield from lines_of(text, *settings)
    if recipe.edits:
        own = "for edit in edits:  # your own\n    edit(list(model.parameters()))"
        yield from lines_of(own, "edits")


def _made_dense(recipe: Recipe, sources: Sources) -> list[Line]:
    """Lines that make sparse gradients dense, for an edit below them.

    `train` leaves them sparse, without a penalty. That is the same to the last bit to SGD only.
    """
    if recipe.optimizer != "SGD":
        wish = "'SGD' for this model: a program edits sparse gradients as dense ones"
        raise not_allowed("Recipe.optimizer", recipe.optimizer, wish)
    comment = "sparse gradients become dense, to be edited"
    text = sources.written.each(comment, "p.grad = p.grad.to_dense()")
    return lines_of(text, "mask", "l1", "l2", "max_norm")


def _end(sources: Sources, precision: WrittenPrecision) -> list[Line]:
    """Lines that print the last loss, and the metric on what a built-in problem holds out."""
    lines = ['print(f"update {update}: loss {mean:.4g}")']
    if sources.measured:
        lines += sources.measured.end()
    elif sources.held_out:
        lines += [
            "",
            f"x, y = {sources.held_out}  # held out: not trained on",
            "model.eval()",
            f"with {', '.join(filter(None, ['torch.no_grad()', precision.autocast()]))}:",
            *_metric(sources, precision),
        ]
    return [Line(""), *map(Line, lines)]


def _metric(sources: Sources, precision: WrittenPrecision) -> list[str]:
    x, y = precision.cast("x", "y")
    if sources.metric == "loss":
        call = f"    loss = {sources.loss}(model({x}), {y})"
        return [call, 'print(f"held-out loss: {loss:.4g}")']
    says = 'print(f"held-out accuracy: {right.double().mean():.1%}")'
    return [f"    right = model({x}).argmax(dim=1) == {y}", says]
