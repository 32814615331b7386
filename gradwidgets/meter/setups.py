"""Small problems for the accumulation meter, with one knob for each thing that spoils it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Count, Number, OneOf, Problem, not_allowed, problems
from gradwidgets.meter.measure import IGNORE_INDEX

SAMPLES, FEATURES, HIDDEN = 32, 8, 16
SEQUENCES, TOKENS, WORDS = 8, 12, 11
NORMALISATIONS: dict[str, tuple[Callable[[int], nn.Module], ...]] = {
    "none": (),
    "batch": (nn.BatchNorm1d,),
    "layer": (nn.LayerNorm,),
}
REDUCTIONS = {
    "mean": F.mse_loss,
    "sum": lambda output, target: F.mse_loss(output, target, reduction="sum"),
}


def samples(
    normalisation: str = "none", dropout: float = 0.0, layers: int = 1, reduction: str = "mean"
) -> Problem:
    """32 samples of eight features for a tanh network of 16 units a layer, in float64.

    Args:
        normalisation: "none", "batch" (BatchNorm) or "layer" (LayerNorm), before each tanh.
        dropout: share of the units that are dropped after each tanh.
        layers: number of hidden layers.
        reduction: "mean" or "sum" of the squared errors.

    Raises:
        ValueError: an argument is not allowed.
    """
    OneOf(tuple(NORMALISATIONS))("normalisation", normalisation)
    OneOf(tuple(REDUCTIONS))("reduction", reduction)
    Number(0, 1)("dropout", dropout)
    Count()("layers", layers)

    def model() -> nn.Module:
        parts: list[nn.Module] = []
        for layer in range(layers):
            parts += [nn.Linear(HIDDEN if layer else FEATURES, HIDDEN)]
            parts += [norm(HIDDEN) for norm in NORMALISATIONS[normalisation]]
            parts += [nn.Tanh(), *([nn.Dropout(dropout)] if dropout else [])]
        return nn.Sequential(*parts, nn.Linear(HIDDEN, 1)).double()

    return Problem("samples", model, _samples, REDUCTIONS[reduction])


def tokens(lengths: Sequence[int] = (12, 10, 3, 2, 11, 1, 2, 2)) -> Problem:
    """Sequences of 12 tokens, each labelled up to its length and padding beyond, in float64.

    Args:
        lengths: labelled tokens in each sequence.

    Raises:
        ValueError: there is no sequence, or a length is not within 1 to 12.
    """
    if not lengths or not all(1 <= length <= TOKENS for length in lengths):
        raise not_allowed("lengths", lengths, f"whole numbers from 1 to {TOKENS}")

    def model() -> nn.Module:
        return nn.Sequential(nn.Embedding(WORDS, 8), nn.Linear(8, WORDS)).double()

    def data() -> tuple[Tensor, Tensor]:
        model()  # a plain program draws the weights first, and then the words
        words = torch.randint(0, WORDS, (len(lengths), TOKENS))
        labels = torch.randint(0, WORDS, (len(lengths), TOKENS))
        padding = torch.arange(TOKENS) >= torch.tensor(list(lengths)).unsqueeze(1)
        return words, labels.masked_fill(padding, IGNORE_INDEX)

    return Problem("tokens", model, data, problems.token_loss)


def padded_lengths(padding: float, sequences: int = SEQUENCES) -> tuple[int, ...]:
    """Lengths whose unevenness is one number: 0 has no padding, 1 lengths from 1 to 12.

    Raises:
        ValueError: `padding` is not within 0 to 1, or there is no sequence.
    """
    Number(0, 1)("padding", padding)
    Count()("sequences", sequences)
    places = [place / max(1, sequences - 1) for place in range(sequences)]
    return tuple(TOKENS - round(padding * place * (TOKENS - 1)) for place in places)


def _samples() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(SAMPLES, FEATURES, generator=draw, dtype=torch.float64)
    return x, torch.randn(SAMPLES, 1, generator=draw, dtype=torch.float64)
