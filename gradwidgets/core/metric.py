"""The metric on held-out data: accuracy, error, the loss, or a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from gradwidgets.core.data import is_pair, not_pair, samples
from gradwidgets.core.errors import TrainingError, described, described_error
from gradwidgets.core.loss import check_shapes, is_one_of, option_of, reduction
from gradwidgets.core.validate import OneOf, not_allowed

Metric = Callable[[Any, Any], Any]
"""Takes the outputs and the targets of a batch, returns one number."""
NAMES = ("accuracy", "error", "loss")
ALLOWED = f"None, one of {', '.join(map(repr, NAMES))}, or a function metric(output, target)"
LOGITS = (F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss)
PROBABILITIES = (F.binary_cross_entropy, nn.BCELoss)
CROSS_ENTROPIES = (F.cross_entropy, nn.CrossEntropyLoss, F.nll_loss, nn.NLLLoss)


def check_metric(value: object) -> None:
    """Raise ValueError unless `value` may be `Problem.metric`."""
    named = isinstance(value, str) and value in NAMES
    if isinstance(value, type) or not (value is None or named or callable(value)):
        raise not_allowed("Problem.metric", value, ALLOWED)


def check_better(better: object, metric: object) -> None:
    """Raise ValueError unless `better` may be `Problem.better` beside that metric."""
    if better is None:
        return
    OneOf(("higher", "lower"))("Problem.better", better)
    if not callable(metric):
        wish = f"None: it is for a metric function of your own, and the metric is {metric!r}"
        raise not_allowed("Problem.better", better, wish)


def _as_it_is(value: Any) -> Any:
    return value


class HeldOut:
    """Held-out data and the metric on it: the mean over its samples.

    Args:
        data: `(x, y)`, or batches of that form.
        metric: see `Problem`.
        loss: the problem's loss.
        better: "higher" or "lower" for a metric function; None for the others, which are known.

    >>> data = torch.tensor([[1.0, 2.0], [4.0, 3.0]]), torch.tensor([1, 1])
    >>> held_out = HeldOut(data, None, F.cross_entropy)
    >>> held_out.measure(nn.Identity()), held_out.name
    (0.5, 'accuracy')
    """

    def __init__(
        self, data: Any, metric: str | Metric | None, loss: Any, better: str | None = None
    ) -> None:
        self._data = data
        self._metric = metric
        self._better = better
        self._loss = loss
        self._fits: str | None = None

    @property
    def name(self) -> str:
        """The metric's name; where it is chosen by shape, that needs a first measurement.

        A lambda goes by "metric".
        """
        if self._metric is None or isinstance(self._metric, str):
            return self._metric or self._fits or ""
        named = self._metric.func if isinstance(self._metric, partial) else self._metric
        name = str(getattr(named, "__name__", type(named).__name__))
        return name if name.isidentifier() else "metric"

    @property
    def higher(self) -> bool:
        """True if a higher value is better; known where `name` is."""
        return self._better == "higher" if callable(self._metric) else self.name == "accuracy"

    def measure(self, model: Callable[[Any], Any], cast: Callable[[Any], Any] = _as_it_is) -> float:
        """The metric of a model's outputs, averaged over all samples; x and y go through `cast`.

        Raises:
            ValueError: a batch is not a pair, or the metric does not fit the output.
            TrainingError: the model, the loss or the metric raised.
        """
        return self.average(self.outputs(model, cast))

    def outputs(
        self, model: Callable[[Any], Any], cast: Callable[[Any], Any] = _as_it_is
    ) -> Iterable[tuple[Any, Any, Any]]:
        """The output, x and y of each batch that holds a sample, x and y as `cast` makes them."""
        for batch in [self._data] if is_pair(self._data) else self._data:
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                raise not_pair("Problem.held_out", batch)
            x, y = map(cast, batch)
            if samples(y, x) == 0:
                continue
            try:
                output = model(x)
            except Exception as error:
                raise TrainingError(
                    f"the model raised on held-out {described(x)}: {described_error(error)}"
                ) from error
            yield output, x, y

    def average(self, outputs: Iterable[tuple[Any, Any, Any]]) -> float:
        """The metric of these outputs, averaged over all samples (a summed loss is added up)."""
        total, seen = 0.0, 0
        summed = not callable(self._metric) and reduction(self._loss) == "sum"
        for output, x, y in outputs:
            each, count = self._value(output, y, 1 if is_pair(self._data) else samples(y, x))
            total += each
            seen = 1 if summed and self.name == "loss" else seen + count
        if not seen:
            raise ValueError("Problem.held_out: no sample in it; give at least one, or None")
        return total / seen

    def _value(self, output: Any, target: Any, count: int) -> tuple[float, int]:
        """The metric of a batch, added up over `count` samples, and how many of them it judges."""
        if callable(self._metric):
            return self._number(self._metric, output, target) * count, count
        if self._metric is None and self._fits is None:
            known = is_one_of(self._loss, (*CROSS_ENTROPIES, *LOGITS, *PROBABILITIES))
            fits = known and right_ones(output, target, self._loss) is not None
            self._fits = "accuracy" if fits else "loss"
        if self.name == "loss":
            weight = 1 if reduction(self._loss) == "sum" else count
            return self._number(self._loss, output, target) * weight, count
        right = right_ones(output, target, self._loss)
        if right is None:
            raise ValueError(
                f"Problem.metric={self.name!r} does not fit the output {described(output)} and the "
                f"target {described(target)}: it needs (samples, classes) scores and (samples,) "
                "whole numbers, or one score for each sample, targets of 0 and 1 and a binary "
                "cross-entropy; give a function metric(output, target), or 'loss'"
            )
        counted = right if self.name == "accuracy" else ~right
        return counted.sum().item(), right.numel()

    def _number(self, function: Metric, output: Any, target: Any) -> float:
        check_shapes(function, output, target)
        try:
            value = function(output, target)
        except Exception as error:
            raise TrainingError(
                f"the metric {self.name!r} raised on held-out output {described(output)} and "
                f"target {described(target)}: {described_error(error)}"
            ) from error
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):
            raise not_allowed(
                f"Problem.metric: {self.name}(output, target)", value, "one number"
            ) from None


def right_ones(output: Any, target: Any, loss: Any) -> Tensor | None:
    """True for each sample that is classified correctly; None where the shapes do not say.

    Scores (N, C) are compared with classes (N,). Scores (N, C, ...) have their classes in
    dimension 1 only if the loss is a cross-entropy. A single score (N,) or (N, 1) is compared
    with 0 or 1 only if the loss is a binary cross-entropy: above 0 for logits, 0.5 for
    probabilities.

    >>> right_ones(torch.tensor([[0.2], [-3.0]]), torch.ones(2, 1), nn.BCEWithLogitsLoss())
    tensor([[ True],
            [False]])
    >>> right_ones(torch.ones(2, 1), torch.ones(2, 1), nn.MSELoss()) is None
    True
    """
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)):
        return None
    if not output.is_floating_point() or output.ndim == 0:
        return None
    if output.ndim > 1 and output.shape[1] > 1:
        return _right_classes(output, target, loss)
    threshold = decision_threshold(loss)
    single = output.shape == target.shape and output.ndim <= 2
    if threshold is None or not single or not bool(((target == 0) | (target == 1)).all()):
        return None
    return (output > threshold) == (target == 1)


def _right_classes(output: Tensor, target: Tensor, loss: Any) -> Tensor | None:
    whole = not (target.is_floating_point() or target.is_complex() or target.dtype == torch.bool)
    known = is_one_of(loss, CROSS_ENTROPIES)
    if not whole or target.shape != output.shape[:1] + output.shape[2:]:
        return None
    if output.ndim > 2 and not known:
        return None
    right = output.argmax(1) == target
    return right[target != ignored_class(loss)] if known else right


def decision_threshold(loss: Any) -> float | None:
    """The score above which a binary cross-entropy says 1; None for another loss.

    >>> decision_threshold(nn.BCELoss()), decision_threshold(F.mse_loss)
    (0.5, None)
    """
    return 0.0 if is_one_of(loss, LOGITS) else 0.5 if is_one_of(loss, PROBABILITIES) else None


def ignored_class(loss: Any) -> int | None:
    """The target that a cross-entropy does not judge; None for another loss.

    >>> ignored_class(partial(F.cross_entropy, ignore_index=0)), ignored_class(F.mse_loss)
    (0, None)
    """
    return option_of(loss, "ignore_index", -100) if is_one_of(loss, CROSS_ENTROPIES) else None
