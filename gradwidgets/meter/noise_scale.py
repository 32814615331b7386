"""The gradient noise scale: the batch size beyond which more samples buy little.

    B_simple = tr(Sigma) / |G|^2

Sigma is the covariance of the gradients of single samples, G their mean (McCandlish et al. 2018,
"An Empirical Model of Large-Batch Training", arXiv:1812.06162, eq. 2.9). It stands for the noise
scale B_noise = tr(H Sigma) / (G^T H G) (eq. 2.8), and equals it where the curvature H is the same
in every direction. To reach a loss, a run with batch B and the best lr for it takes
S_min (1 + B_noise / B) updates and E_min (1 + B / B_noise) samples (section 2.3): at B = B_noise
twice the fewest of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gradwidgets.components import PagedTable, cell
from gradwidgets.core import (
    IsolatedRun,
    Loss,
    Pair,
    Problem,
    Recipe,
    Run,
    as_numbers,
    evaluating,
    is_pair,
    needs_loss,
    not_allowed,
    problems,
    validate,
)
from gradwidgets.meter.measure import (
    MODES,
    Counting,
    Split,
    cast,
    count_tokens,
    first_samples,
    kind_of,
    recipe_sizes,
)

DRAWS = 32
"""Batches drawn for one measurement: so many make an interval of two standard errors a fair one."""
READ = 10_000
"""Samples that are read at most of data that comes in batches."""
CHECKED = 64
"""Samples on which it is tried that the loss is a mean."""
ERRORS = 2.0
"""Standard errors to either side of an estimate: about 95 %."""


@dataclass(frozen=True, repr=False)
class NoiseScale(PagedTable):
    """A measured noise scale; printed as a table of batch sizes, in Jupyter as HTML.

    Args:
        trace: estimate of tr(Sigma), for single samples.
        square: estimate of `|G|^2`; it is unbiased, so that it may be negative.
        low: lower end of the noise scale, in samples: two standard errors (jackknife over the
            batches drawn). NaN if there is none.
        high: upper end; infinite where G is not clearly above its noise.
        sizes: samples in each micro-batch of a batch that was drawn.
        draws: batches that were drawn.
        population: samples in the data that they were drawn from; 0 if that is not known.
        tokens: targets that count in a sample, on average; 0 where each sample has as many.
        after: updates that were made before.
        name: of the problem.

    >>> NoiseScale(trace=20.0, square=2.0, low=8.0, high=13.0, sizes=(4, 4), draws=32).scale
    10.0
    """

    trace: float
    square: float
    low: float
    high: float
    sizes: tuple[int, ...] = ()
    draws: int = 0
    population: int = 0
    tokens: float = 0.0
    after: int = 0
    name: str = ""

    @property
    def clear(self) -> bool:
        """True if the mean gradient is clearly above its noise, so that the scale can be told."""
        return math.isfinite(self.high)

    @property
    def scale(self) -> float:
        """B_simple in samples; NaN if it cannot be told."""
        return self.trace / self.square if self.clear else math.nan

    def steps(self, batch: float) -> float:
        """Updates that a run with this batch takes, over the fewest possible: 1 + B_noise / B.

        >>> NoiseScale(trace=20.0, square=2.0, low=8.0, high=13.0).steps(10)
        2.0
        """
        return 1 + self.scale / batch

    def samples(self, batch: float) -> float:
        """Samples that a run with this batch takes, over the fewest possible: 1 + B / B_noise."""
        return 1 + batch / self.scale if self.scale else math.inf

    def page(self) -> dict[str, Any]:
        """The table as plain data for a `BarTable`."""
        return _page(self)


def noise_scale(
    problem: Problem | str,
    split: Split | None = None,
    mode: str = "train",
    dtype: str | None = None,
    count: Counting = count_tokens,
    *,
    after: int = 0,
    draws: int = DRAWS,
) -> NoiseScale:
    """Measure the noise scale of a problem's gradients from micro-batches.

    Samples are drawn at random with replacement, so that micro-batches are independent; each
    draws dropout masks of its own. (A batch that is drawn without replacement, as `train` does,
    has less noise: by the factor (N - B) / (N - 1) for B of N samples.) The gradients are those of
    the loss, before any edit. Your model and the global random number generators stay as they are.

    A micro-batch weighs as many samples as targets count in it. With unequal counts its gradient is
    a ratio of two means, and the estimate is good to about one part in a micro-batch's samples.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        split: samples in each micro-batch of a batch, or a recipe: those of its first update. None
            takes the problem's recipe.
        mode: one of `gradwidgets.meter.measure.MODES`.
        dtype: "float32" or "float64" for model and data; None leaves them as they are.
        count: how many targets count; what the loss takes the mean of.
        after: train so many updates of the recipe first (with sizes: of the problem's recipe).
        draws: batches that are drawn, all with the same parameters. As many gradients in float64
            are held in memory.

    Raises:
        ValueError: an argument is not allowed, or there is no noise scale: BatchNorm couples the
            samples of a micro-batch, the loss is not the mean over what counts (tried in eval mode
            unless the model is random there, too), or a gradient is not finite.

    >>> noise_scale("moons", [8, 8]).clear
    True
    >>> noise_scale("digits_cnn")
    Traceback (most recent call last):
    ValueError: mode='train' is not allowed; give 'BatchNorm in eval': ...
    """
    problem = problems.get(problem)
    needs_loss(problem, "noise_scale")
    validate.OneOf(tuple(MODES))("mode", mode)
    recipe = split if isinstance(split, Recipe) else problem.recipe
    kind = kind_of(dtype, recipe)
    validate.Count(0, recipe.updates)("after", after)
    validate.Count(2)("draws", draws)
    sizes = _sizes(problem, recipe if split is None else split)
    run = Run(problem, recipe)
    if after:
        run.advance(updates=after)
    data = problem.batches()
    isolation = IsolatedRun(data, recipe.seed)
    with isolation.inside():
        model = run.model.to(kind)
        isolation.choose_threads(model)
        x, y = (cast(part, kind) for part in first_samples(data, READ))
        _refuse_batch_norm(_set_mode(model, mode), mode)
        _refuse_other_than_mean(model, problem.loss, (x, y), count)
        found = _drawn(model, problem.loss, (x, y), sizes, count, draws, recipe.seed)
    per_sample = count(y) / len(y)
    uneven = any(count(y[i : i + 1]) != per_sample for i in range(min(len(y), 1000)))
    return replace(
        found,
        sizes=sizes,
        draws=draws,
        population=len(y) if is_pair(data) or len(y) < READ else 0,
        tokens=per_sample if uneven else 0.0,
        after=min(after, len(run.losses)),
        name=problem.name,
    )


def noise_scale_of(gradients: Tensor, sizes: Sequence[float]) -> NoiseScale:
    """Estimate the noise scale from gradients of micro-batches of your own loop.

    Args:
        gradients: (micro-batches, elements): the gradient of the mean loss of each, all at the same
            parameters, and of samples drawn independently.
        sizes: samples in each micro-batch; at least two.

    Raises:
        ValueError: the shapes do not fit, a size is not above 0, or a gradient is not finite.

    >>> samples = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) + 1
    >>> found = noise_scale_of(samples.reshape(100, 10, 3).mean(1), [10] * 100)
    >>> found.low < 1 < found.high  # tr(Sigma) = 3, |G|^2 = 3
    True
    """
    if gradients.ndim != 2 or len(gradients) != len(sizes) or len(sizes) < 2:
        wish = f"(micro-batches, elements), one row for each of {len(sizes)} sizes, at least two"
        raise not_allowed("gradients of shape", tuple(gradients.shape), wish)
    if not all(size > 0 for size in sizes):
        raise not_allowed("sizes", list(sizes), "sizes above 0")
    rows = as_numbers(gradients).double().cpu().flatten(1)
    weights = torch.tensor(list(sizes), dtype=torch.float64)
    return _estimate(weights[:, None] * rows, weights * rows.square().sum(1), weights, 1)


def unbiased_parts(gradients: Tensor, sizes: Sequence[float]) -> tuple[float, float]:
    """Unbiased estimates of tr(Sigma) and |G|^2 from k independent micro-batches.

    With b_i the sizes, B their sum and g the mean weighted by them:

        tr(Sigma) = sum b_i |g_i - g|^2 / (k - 1)        |G|^2 = |g|^2 - tr(Sigma) / B

    For equal sizes these are eq. A.2 of McCandlish et al. (2018) with B_big = B, B_small = b and
    |G_small|^2 averaged over the micro-batches. Each is right on average; their ratio is not, so
    that many micro-batches are taken together before dividing.

    Args:
        gradients: (micro-batches, elements).
        sizes: samples in each.

    >>> unbiased_parts(torch.tensor([[1.0], [3.0]]), [1, 1])
    (2.0, 3.0)
    """
    rows, weights = gradients.double(), torch.tensor(list(sizes), dtype=torch.float64)
    totals = (weights[:, None] * rows).sum(0).square().sum(), (weights * rows.square().sum(1)).sum()
    trace, square = _parts(*totals, weights.sum(), len(weights))
    return float(trace), float(square)


def _parts(square_of_sum: Tensor, squares: Tensor, samples: Tensor, k: float) -> tuple[Tensor, ...]:
    """The two estimates from |sum b_i g_i|^2, sum b_i |g_i|^2, sum b_i and the number of them."""
    trace = ((squares - square_of_sum / samples) / (k - 1)).clamp(min=0.0)
    return trace, square_of_sum / samples.square() - trace / samples


def _estimate(sums: Tensor, squares: Tensor, samples: Tensor, each: int) -> NoiseScale:
    """The noise scale from batches of `each` micro-batches, with a jackknife over the batches.

    The interval is made for |G|^2 / tr(Sigma), whose denominator is far from zero; the ends of the
    noise scale are one over its ends.

    Args:
        sums: (batches, elements) sum of b_i g_i in each batch.
        squares: (batches,) sum of b_i |g_i|^2.
        samples: (batches,) sum of b_i.
        each: micro-batches in a batch.
    """
    if not sums.isfinite().all():
        raise ValueError("a gradient is not finite: there is no noise scale")
    total, batches = sums.sum(0), len(sums)
    whole = total.square().sum()
    trace, square = _parts(whole, squares.sum(), samples.sum(), each * batches)
    without = whole - 2 * sums @ total + sums.square().sum(1)
    traces, norms = _parts(
        without, squares.sum() - squares, samples.sum() - samples, each * (batches - 1)
    )
    if not traces.all():  # no noise at all in what is left
        end = 0.0 if square > 0 and not trace else math.inf
        return NoiseScale(float(trace), float(square), 0.0, end)
    inverse = norms / traces
    error = ((batches - 1) / batches * (inverse - inverse.mean()).square().sum()).sqrt()
    middle = square / trace
    low, high = float(middle - ERRORS * error), float(middle + ERRORS * error)
    return NoiseScale(
        trace=float(trace),
        square=float(square),
        low=1 / high if high > 0 else math.nan,
        high=1 / low if low > 0 else math.inf,
    )


def _sizes(problem: Problem, split: Split) -> tuple[int, ...]:
    if isinstance(split, Recipe):
        return recipe_sizes(problem, split)
    if not split:
        raise not_allowed("sizes", split, "the size of at least one micro-batch")
    for size in split:
        validate.Count()("sizes", size)
    return tuple(split)


def _set_mode(model: nn.Module, mode: str) -> nn.Module:
    for module in model.modules():
        if isinstance(module, MODES[mode]):
            module.eval()
    return model


def _refuse_batch_norm(model: nn.Module, mode: str) -> None:
    for module in model.modules():
        if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
            wish = (
                "'BatchNorm in eval': in training it normalises a sample by its micro-batch, whose "
                "gradient is then no mean over samples and has no noise scale"
            )
            if module.running_mean is None:
                wish = "a model whose BatchNorm has running statistics: it has no noise scale else"
            raise not_allowed("mode", mode, wish)


@torch.no_grad()
def _refuse_other_than_mean(model: nn.Module, loss: Loss, data: Pair, count: Counting) -> None:
    """Compare the loss of a few samples with the mean of those of two parts, in eval mode."""
    x, y = (part[:CHECKED] for part in data)

    def value(a: int, b: int) -> float:
        return float(loss(model(x[a:b]), y[a:b]))

    near = math.sqrt(torch.finfo(next(model.parameters()).dtype).eps)
    with evaluating(model):
        whole = value(0, len(y))
        if whole != value(0, len(y)):
            return  # the model draws random numbers, or the loss is not a number
        for cut in sorted({1, len(y) // 3, len(y) // 2} - {0, len(y)}):
            weights = count(y[:cut]), count(y[cut:])
            if all(weights):
                parts = value(0, cut), value(cut, len(y))
                _check_mean(whole, parts, weights, near * max(map(abs, (whole, *parts))))


def _check_mean(
    whole: float, parts: tuple[float, float], weights: tuple[int, int], near: float
) -> None:
    mean = sum(w * part for w, part in zip(weights, parts, strict=True)) / sum(weights)
    if abs(whole - mean) <= near:
        return
    if abs(whole - sum(parts)) <= near:
        raise ValueError(
            "Problem.loss: it sums over the samples, so that the gradient grows with the batch; "
            "give the mean, such as reduction='mean'"
        )
    raise ValueError(
        f"Problem.loss: of some samples it is {whole:.4g}, and the mean of its parts is "
        f"{mean:.4g}; the noise scale needs a mean over samples, or over the targets that count: "
        "give `count` if it counts others"
    )


def _drawn(
    model: nn.Module,
    loss: Loss,
    data: Pair,
    sizes: Sequence[int],
    count: Counting,
    draws: int,
    seed: int,
) -> NoiseScale:
    """Draw batches of micro-batches with replacement, and estimate from their gradients."""
    x, y = data
    order = torch.Generator().manual_seed(seed)
    targets = count(y) / len(y)
    trained = [p for p in model.parameters() if p.requires_grad]
    sums, squares, samples = [], [], []
    for _ in range(draws):
        gradients, weights = [], []
        for size in sizes:
            index = torch.randint(len(y), (size,), generator=order).to(y.device)
            weights.append(count(y[index]) / targets if targets else 0.0)
            if not weights[-1]:
                wish = "larger micro-batches: one that was drawn holds no target that counts"
                raise not_allowed("sizes", tuple(sizes), wish)
            model.zero_grad()
            loss(model(x[index.to(x.device)]), y[index]).backward()  # type: ignore[no-untyped-call]
            gradients.append(flat_gradient(trained))
        rows, each = torch.stack(gradients), torch.tensor(weights, dtype=torch.float64)
        sums.append((each[:, None] * rows).sum(0))
        squares.append((each * rows.square().sum(1)).sum())
        samples.append(each.sum())
    return _estimate(torch.stack(sums), torch.stack(squares), torch.stack(samples), len(sizes))


def flat_gradient(parameters: Sequence[Tensor]) -> Tensor:
    """Every `.grad` in one vector of float64 on the CPU; None is zeros."""
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    return torch.cat([as_numbers(each).flatten().cpu().double() for each in gradients])


def _page(found: NoiseScale) -> dict[str, Any]:
    batch = sum(found.sizes)
    sizes = _batches(found, batch)
    top = max((max(found.steps(size), found.samples(size)) for size in sizes), default=1.0)
    rows = [_row(found, size, top, size == batch) for size in sizes]
    title = f"{found.name}: " if found.name else ""
    return {
        "caption": f"{title}Gradient noise scale after {found.after} updates",
        "columns": [
            {"name": "updates, fewest = 1", "help": "1 + noise scale / batch"},
            {"name": "samples, fewest = 1", "help": "1 + batch / noise scale"},
        ],
        "rows": rows,
        "sentence": _sentence(found),
        "notes": list(_notes(found, batch)),
    }


def _batches(found: NoiseScale, batch: int) -> list[int]:
    """Powers of two around the noise scale, and the batch that is used."""
    if not found.clear or not found.scale:
        return []
    middle = round(math.log2(max(1.0, found.scale)))
    powers = {2**power for power in range(max(0, middle - 3), middle + 4)}
    return sorted(powers | ({batch} if batch else set()))


def _row(found: NoiseScale, size: int, top: float, used: bool) -> dict[str, Any]:
    ratios = found.steps(size), found.samples(size)
    cells = [cell(f"{rounded(ratio)} x", ratio / top) for ratio in ratios]
    return {"name": f"batch of {size}{' ◀ here' if used else ''}", "detail": "", "cells": cells}


def _sentence(found: NoiseScale) -> str:
    if not found.trace:
        return "All gradients are the same: one sample tells as much as any batch."
    if found.clear:
        about = f"{rounded(found.scale)} ({rounded(found.low)} to {rounded(found.high)})"
        return (
            f"The noise scale is about {about} samples: a batch far beyond it buys little. With a "
            "batch of that size a run should take about twice the fewest updates, and twice the "
            "fewest samples."
        )
    least = ""
    if found.low > 0:
        least = f" The noise scale is at least about {rounded(found.low)} samples."
    return f"Cannot tell: the mean gradient is not clearly above its noise.{least}"


def _notes(found: NoiseScale, batch: int) -> Iterator[str]:
    if found.draws:
        sizes = ", ".join(map(str, found.sizes[:10])) + ", ..." * (len(found.sizes) > 10)
        yield (
            f"Measured on {found.draws} batches of {batch} samples in micro-batches of {sizes}, "
            "drawn with replacement. It holds at these parameters, and changes as they do."
        )
    if 0 < found.population < (found.scale if found.clear else found.low):
        yield (
            f"That is more than the {found.population} samples that there are. A batch that is "
            "drawn without replacement has less noise, and all samples together have none."
        )
    if found.tokens and found.clear:
        yield (
            f"That is about {rounded(found.scale * found.tokens)} targets that count, "
            f"{rounded(found.tokens)} in a sample on average."
        )
    yield (
        "What follows from it for a run is a model, and no measurement: there the curvature is the "
        "same in every direction, and each batch has the best lr for it (McCandlish et al. 2018). "
        "Take it as an order of magnitude."
    )


def rounded(number: float) -> str:
    """Two digits that count, without an exponent.

    >>> rounded(1234.5), rounded(0.123), rounded(99.9)
    ('1200', '0.12', '100')
    """
    if number < 0.01:
        return "less than 0.01"
    short = float(f"{number:.2g}")
    return f"{short:.0f}" if short >= 10 else f"{short:g}"
