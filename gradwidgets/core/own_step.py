"""Steps of the user's own: `step(model, batch)` in place of a loss, on batches of any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from gradwidgets.core.data import samples
from gradwidgets.core.errors import UNKNOWN, TrainingError, described, described_error
from gradwidgets.core.metric import HeldOut, Metric
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.validate import not_allowed

Step = Callable[[nn.Module, Any], Tensor]
"""Takes the model and a batch, returns the loss: one number with a graph."""
Split = Callable[[Any, int], Any]
"""Takes a batch and a number, returns a list of at most so many micro-batches."""
NO_GRAD = "; held-out data is measured under torch.no_grad(): a step that differentiates itself \
begins with `with torch.enable_grad():`"


class Batches:
    """Batches of any kind, to be iterated again and again: one, or those of a list.

    >>> list(Batches({"x": 1}, one=True)), len(Batches([1, 2]))
    ([{'x': 1}], 2)
    """

    def __init__(self, given: Any, one: bool = False) -> None:
        self.one = one
        self._held = [given] if one else list(given)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def check_step(problem: Any) -> None:
    """Raise ValueError unless a problem's `step` goes with its other arguments."""
    if not callable(problem.step) or isinstance(problem.step, (type, nn.Module)):
        raise not_allowed("Problem.step", problem.step, "a function step(model, batch)")
    if problem.loss is not None:
        raise ValueError("Problem: both loss and step are given; step(model, batch) is the loss")
    for name, call in (("split", "split(batch, count)"), ("samples", "samples(batch)")):
        value = getattr(problem, name)
        if value is not None and not callable(value):
            raise not_allowed(f"Problem.{name}", value, f"None, or a function {call}")
    if problem.metric not in (None, "loss") and not callable(problem.metric):
        wish = "None, 'loss', or a function metric(model, batch): a step has no output to judge"
        raise not_allowed("Problem.metric", problem.metric, wish)


def check_no_step(problem: Any) -> None:
    """Raise ValueError if a problem without `step` has what only a step can use."""
    if problem.loss is None:
        wish = "a function loss(output, target), or a step=step(model, batch) in its place"
        raise not_allowed("Problem.loss", None, wish)
    for name in ("split", "samples"):
        if getattr(problem, name) is not None:
            raise not_allowed(f"Problem.{name}", getattr(problem, name), "None without a step")


def needs_loss(problem: Any, what: str) -> None:
    """Raise ValueError if a problem has a step of its own, whose batches nobody else can cut.

    >>> from gradwidgets.core import problems
    >>> needs_loss(problems.line, "a meter")
    """
    if problem.step is not None:
        raise ValueError(
            f"{what} needs data (x, y) and Problem.loss; {problem.name!r} has a step of its own, "
            "whose batches it cannot cut"
        )


def step_data(name: str, data: Any) -> Any:
    """The batches of a step: a dict, a tuple or a tensor is one batch, a list or a loader several.

    Raises:
        ValueError: the data cannot be iterated, or only once.
    """
    if isinstance(data, (Mapping, tuple, Tensor)):
        return Batches(data, one=True)
    if isinstance(data, list):
        return Batches(data)
    if not isinstance(data, Iterable) or isinstance(data, Iterator):
        wish = "one batch (a dict, a tuple, a tensor), a list of batches, or a DataLoader"
        raise not_allowed(name, data, wish)
    return data


def step_groups(data: Any, recipe: Recipe, split: Split | None) -> Iterator[list[Any]]:
    """The micro-batches of one update after another, epoch after epoch.

    `split` cuts each batch; without it, `accumulation_steps` batches in a row make a group.

    Raises:
        ValueError: an epoch holds no batch, the recipe asks for what only `split` or the loader
            can do, or `split` gives something else than a list of 1 to `accumulation_steps`.

    >>> next(step_groups(Batches(["a", "b", "c"]), Recipe(accumulation_steps=2), None))
    ['a', 'b']
    """
    steps, usual = recipe.accumulation_steps, Recipe()
    for name in ("dtype", "rounding"):
        if getattr(recipe, name) != getattr(usual, name):
            wish = f"{getattr(usual, name)!r}: with Problem.step, the model and the step choose it"
            raise not_allowed(f"Recipe.{name}", getattr(recipe, name), wish)
    if recipe.batch_size is not None:
        wish = "None: with Problem.step the data makes the batches"
        raise not_allowed("Recipe.batch_size", recipe.batch_size, wish)
    if steps > 1 and split is None and getattr(data, "one", False):
        wish = "1: the data is one batch; give batches, or Problem(split=...), which cuts it"
        raise not_allowed("Recipe.accumulation_steps", steps, wish)
    return _groups(data, steps, split)


def _groups(data: Any, steps: int, split: Split | None) -> Iterator[list[Any]]:
    while True:
        group: list[Any] = []
        empty = True
        for batch in data:
            empty = False
            if split is not None and steps > 1:
                yield _cut(batch, steps, split)
                continue
            group.append(batch)
            if len(group) == steps:
                yield group
                group = []
        if group:
            yield group
        if empty:
            raise ValueError("Problem.data: no batch in it; give at least one")


def _cut(batch: Any, steps: int, split: Split) -> list[Any]:
    parts = split(batch, steps)
    if not isinstance(parts, (list, tuple)) or not 1 <= len(parts) <= steps:
        given = parts if not isinstance(parts, (list, tuple)) else len(parts)
        wish = f"a list of 1 to {steps} micro-batches"
        raise not_allowed(f"Problem.split(batch, {steps})", given, wish)
    return list(parts)


def step_samples(problem: Any, batch: Any) -> float:
    """The weight of a batch in a mean: `Problem.samples`, or the length of its first tensor.

    Raises:
        ValueError: there is no tensor to count; or the function gives no positive number.
    """
    if problem.samples is None:
        if not has_tensor(batch):
            raise ValueError(
                f"Problem.samples: nothing to count in {described_batch(batch)}; give "
                "Problem(samples=...), a function of a batch"
            )
        return samples(batch)
    try:
        count = float(problem.samples(batch))
    except (TypeError, ValueError):
        count = 0.0
    if not 0 < count < float("inf"):
        raise not_allowed("Problem.samples(batch)", problem.samples(batch), "a number above 0")
    return count


def has_tensor(batch: Any) -> bool:
    """Tell whether there is a tensor in a batch, also within dicts, tuples and lists.

    >>> has_tensor({"x": [Tensor(2)]}), has_tensor((1, 2))
    (True, False)
    """
    if isinstance(batch, Mapping):
        return any(map(has_tensor, batch.values()))
    if isinstance(batch, (tuple, list)):
        return any(map(has_tensor, batch))
    return isinstance(batch, Tensor)


def described_batch(batch: Any) -> str:
    """A batch by its parts.

    >>> described_batch({"ids": Tensor(2, 3)})
    'a dict of ids (2, 3) float32'
    """
    kind = f"a {type(batch).__name__} of"
    if isinstance(batch, Mapping):
        return f"{kind} {', '.join(f'{key} {described(part)}' for key, part in batch.items())}"
    if isinstance(batch, (tuple, list)):
        return f"{kind} {', '.join(map(described, batch))}"
    return described(batch)


def explain_step(update: int, batch: Any, loss: Any, error: Exception) -> TrainingError:
    """Say whether the step, its loss or backward failed."""
    if loss is UNKNOWN:
        return TrainingError(
            f"the step raised at update {update} on {described_batch(batch)}: "
            f"{described_error(error)}"
        )
    if loss is None:
        wish = "it must return the loss; end it with a return"
    elif not isinstance(loss, Tensor):
        has = ": return its .loss" if isinstance(getattr(loss, "loss", None), Tensor) else ""
        wish = f"it must return one number, a tensor{has}"
    elif loss.numel() != 1:
        wish = "it must return one number; end it with .mean() or .sum()"
    elif not loss.requires_grad:
        wish = "it must depend on a parameter; look for detach(), no_grad() or .item() on the way"
    else:
        return TrainingError(f"backward raised at update {update}: {described_error(error)}")
    return TrainingError(f"the step returned {described(loss)} at update {update}: {wish}")


class StepHeldOut(HeldOut):
    """Held-out batches, and the step's loss or a function `metric(model, batch)` on them."""

    def __init__(self, problem: Any, data: Any) -> None:
        super().__init__(data, problem.metric, None, problem.better)
        self._problem = problem
        self._fits = "loss"

    def measure(
        self,
        model: Callable[[Any], Any],
        cast: Any = None,  # noqa: ARG002, a step takes its batches as they are
    ) -> float:
        """The mean over the batches, weighted by their samples; of one batch its value."""
        function = self._metric if callable(self._metric) else self._problem.step
        total, seen = 0.0, 0.0
        for batch in self._data:
            one = getattr(self._data, "one", False)
            count = 1.0 if one else step_samples(self._problem, batch)
            total += self._of(function, model, batch) * count
            seen += count
        if not seen:
            raise ValueError("Problem.held_out: no batch in it; give at least one, or None")
        return total / seen

    def _of(self, function: Metric, model: Any, batch: Any) -> float:
        try:
            value = function(model, batch)
        except Exception as error:
            why = NO_GRAD if "does not require grad" in str(error) else ""
            raise TrainingError(
                f"the {self.name} raised on held-out {described_batch(batch)}: "
                f"{described_error(error)}{why}"
            ) from error
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):
            what = f"Problem.metric: {self.name}(model, batch)"
            raise not_allowed(what, value, "one number") from None
