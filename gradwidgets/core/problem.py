"""`Problem`: what is trained: a model, its data and its loss."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from gradwidgets.core.data import Batches, Pair, check_form, checked_data
from gradwidgets.core.errors import described_error
from gradwidgets.core.isolation import PROCESS_LOCK, IsolatedRun
from gradwidgets.core.loss import check_loss
from gradwidgets.core.metric import HeldOut, Metric, check_better, check_metric
from gradwidgets.core.own_step import Split, Step, StepHeldOut, check_no_step, check_step, step_data
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.validate import Text, not_allowed


@dataclass(frozen=True, eq=False)
class Problem:
    """A model, its data and its loss.

    Args:
        name: a short title.
        model: a function without arguments that builds a new `nn.Module`; an `nn.Module` is
            taken too, and copied for each run, so that yours never changes. Modules that are in
            eval mode, such as a frozen BatchNorm, stay in it.
        data: `(x, y)` tensors whose first dimension counts samples; or an iterable of such
            pairs that can be iterated again and again, such as a `DataLoader`; or a function
            without arguments that returns one of these (called when first needed, after
            `torch.manual_seed(0)`).
        loss: `loss(output, target)` returns one number, by convention the mean over the samples.
        held_out: data of the same forms to measure the metric on, in eval mode; None has none.
        recipe: good settings to start from.
        description: one sentence on what is to be learned.
        metric: "accuracy", "error" (1 - accuracy), "loss", or a function
            `metric(output, target)` that returns one number, the mean over the samples. None
            takes accuracy where the loss is one of torch's for classification (cross_entropy,
            nll_loss, binary cross-entropies; as a module or `partial`, too) and the shapes fit;
            else the loss.
        better: which values of a metric function are better, "higher" or "lower":
            `Recipe.patience` needs to know.
        step: `step(model, batch)` returns the loss, in place of `loss`: for batches of any kind.
            A dict, a tuple or a tensor as `data` is then one batch; a list or a loader holds
            batches, which the step gets as they are. `metric` is then None, "loss", or a function
            `metric(model, batch)`.
        split: `split(batch, count)` cuts a batch of a step into a list of at most `count`
            micro-batches; without it, `accumulation_steps` batches in a row make one update.
        samples: `samples(batch)` is the weight of a step's batch in a mean over several: of the
            micro-batches of an update, and of held-out batches. None counts its first tensor.

    Raises:
        ValueError: an argument is of the wrong kind; names it and what would be right.

    >>> from gradwidgets import train
    >>> x = torch.linspace(-1, 1, 20).unsqueeze(1)
    >>> cubic = Problem("cubic", lambda: nn.Linear(1, 1), (x, x**3), nn.functional.mse_loss)
    >>> train(cubic, Recipe(updates=5)).updates
    5
    """

    name: str
    model: Callable[[], nn.Module] | nn.Module
    data: Pair | Batches | Callable[[], Pair | Batches]
    loss: Any = None
    held_out: Pair | Batches | Callable[[], Pair | Batches] | None = None
    recipe: Recipe = field(default_factory=Recipe)
    description: str = ""
    metric: str | Metric | None = None
    better: str | None = None
    step: Step | None = None
    split: Split | None = None
    samples: Callable[[Any], Any] | None = None
    _loaded: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        Text()("Problem.name", self.name)
        if not callable(self.model):
            raise not_allowed("Problem.model", self.model, "a function that builds an nn.Module")
        if self.step is not None:
            check_step(self)
        else:
            check_no_step(self)
            check_loss(self.loss)
            check_form("Problem.data", self.data)
            check_form("Problem.held_out", self.held_out)
        if not isinstance(self.recipe, Recipe):
            raise not_allowed("Problem.recipe", self.recipe, "a Recipe")
        check_metric(self.metric)
        check_better(self.better, self.metric)

    def build(self) -> nn.Module:
        """A new model, drawn from the current global RNG. Each module keeps the mode it was given.

        Raises:
            ValueError: the factory raises, or returns something else than a new `nn.Module` each
                time; or a model without a parameter that requires a gradient, or with one that is
                itself sparse (a sparse gradient is fine) or has no size yet.
        """
        model = self._new()
        for name, p in model.named_parameters():
            if nn.parameter.is_lazy(p):
                raise ValueError(
                    f"Problem.model: parameter {name!r} of a lazy layer has no size yet; name the "
                    "sizes, or call the model on a batch in the function that builds it"
                )
            if p.layout != torch.strided:
                wish = "a dense one: call to_dense() on it"
                raise not_allowed(f"Problem.model: layout of parameter {name!r}", p.layout, wish)
        if not any(p.requires_grad for p in model.parameters()):
            raise not_allowed("Problem.model", model, "a model with a parameter to train")
        return model

    def _new(self) -> nn.Module:
        if isinstance(self.model, nn.Module):
            return copy.deepcopy(self.model)
        model = self._made()
        if not isinstance(model, nn.Module):
            raise not_allowed("Problem.model()", model, "an nn.Module from the factory")
        if "factory" not in self._loaded:
            _refuse_shared(model, self._another())
            self._loaded["factory"] = True
        return model

    def _another(self) -> nn.Module:
        with PROCESS_LOCK, torch.random.fork_rng():
            return self._made()

    def _made(self) -> nn.Module:
        assert not isinstance(self.model, nn.Module)
        try:
            return self.model()
        except Exception as error:
            name = getattr(self.model, "__name__", repr(self.model))
            raise ValueError(
                f"Problem.model: {name}() raised {described_error(error)}; give a function that "
                "builds the model and needs no arguments"
            ) from error

    def batches(self) -> Pair | Batches:
        """The data: `(x, y)`, or an iterable of such pairs.

        Raises:
            ValueError: the data is empty, of unequal lengths, or can be iterated only once.
        """
        return self._load("data", self.data, self._checked)  # type: ignore[no-any-return]

    def held_out_data(self) -> Pair | Batches | None:
        """The held-out data: `(x, y)`, an iterable of such pairs, or None."""
        if self.held_out is None:
            return None
        return self._load("held_out", self.held_out, self._checked)  # type: ignore[no-any-return]

    def held_out_metric(self) -> HeldOut | None:
        """The held-out data with the metric on it, or None."""
        data = self.held_out_data()
        if self.step is not None and data is not None:
            return StepHeldOut(self, data)
        return None if data is None else HeldOut(data, self.metric, self.loss, self.better)

    def metric_name(self) -> str:
        """The name of the metric on held-out data; "" if there is none, or it cannot be measured.

        Where outputs decide which metric fits, a new model is tried once.
        """
        if "metric" not in self._loaded:
            held_out = self.held_out_metric()
            if held_out and not held_out.name:
                with IsolatedRun(None, 0, self.held_out_data()).inside(), suppress(Exception):
                    held_out.measure(self.build().eval())
            self._loaded["metric"] = held_out.name if held_out else ""
        return self._loaded["metric"]  # type: ignore[no-any-return]

    def higher_is_better(self) -> bool | None:
        """Tell whether more of the metric is better; None without held-out data to measure."""
        if callable(self.metric):
            return None if self.held_out is None else self.better == "higher"
        name = self.metric_name()
        return name == "accuracy" if name else None

    @property
    def _checked(self) -> Callable[[str, Any], Any]:
        return checked_data if self.step is None else step_data

    def _load(self, name: str, source: Any, check: Callable[[str, Any], Any]) -> Any:
        """Load once per default dtype, on which the built-in data depends."""
        key = (name, torch.get_default_dtype())
        if key not in self._loaded:
            if callable(source) and not isinstance(source, Iterable):
                with IsolatedRun(None, 0).inside():
                    source = source()
            self._loaded[key] = check(f"Problem.{name}", source)
        return self._loaded[key]


def _refuse_shared(one: nn.Module, other: nn.Module) -> None:
    """Raise if a factory hands out the same parameters twice: training would change them."""
    known = {id(p) for p in one.parameters()}
    if any(id(p) in known for p in other.parameters()):
        raise ValueError(
            "Problem.model: the function returned the same parameters twice; build a new model "
            "in it, or hand in the model itself (it is then copied for each run)"
        )
