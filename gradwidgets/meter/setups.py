"""Small problems for the accumulation meter, with one knob for each thing that spoils it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Problem, problems, validate
from gradwidgets.meter.measure import IGNORE_INDEX

SAMPLES, FEATURES, HIDDEN = 32, 8, 16
SEQUENCES, TOKENS, WORDS = 8, 12, 11


def samples(batch_norm: bool = False, dropout: float = 0.0) -> Problem:
    """32 samples of eight features for a tanh network of 16 units a layer, in float64.

    Args:
        batch_norm: whether BatchNorm stands before each tanh.
        dropout: share of the units that are dropped after each tanh. The network then has two
            hidden layers: with one, micro-batches draw what the full batch draws.

    Raises:
        ValueError: `dropout` is not within 0 to 1.
    """
    validate.Number(0, 1)("dropout", dropout)

    def model() -> nn.Module:
        parts: list[nn.Module] = []
        for inputs in (FEATURES, HIDDEN) if dropout else (FEATURES,):
            parts += [nn.Linear(inputs, HIDDEN), *([nn.BatchNorm1d(HIDDEN)] if batch_norm else [])]
            parts += [nn.Tanh(), *([nn.Dropout(dropout)] if dropout else [])]
        return nn.Sequential(*parts, nn.Linear(HIDDEN, 1)).double()

    draw = torch.Generator().manual_seed(3)
    x = torch.randn(SAMPLES, FEATURES, generator=draw, dtype=torch.float64)
    y = torch.randn(SAMPLES, 1, generator=draw, dtype=torch.float64)
    return Problem("samples", model, (x, y), F.mse_loss)


def tokens(lengths: Sequence[int]) -> Problem:
    """Sequences of 12 tokens, each labelled up to its length and padding beyond, in float64.

    Args:
        lengths: labelled tokens in each sequence, from 1 to 12.
    """

    def model() -> nn.Module:
        return nn.Sequential(nn.Embedding(WORDS, 8), nn.Linear(8, WORDS)).double()

    def data() -> tuple[Tensor, Tensor]:
        model()  # a plain program draws the weights first, and then the words
        words = torch.randint(0, WORDS, (len(lengths), TOKENS))
        labels = torch.randint(0, WORDS, (len(lengths), TOKENS))
        padding = torch.arange(TOKENS) >= torch.tensor(list(lengths)).unsqueeze(1)
        return words, labels.masked_fill(padding, IGNORE_INDEX)

    return Problem("tokens", model, data, problems.token_loss)


def padded_lengths(padding: float) -> tuple[int, ...]:
    """Lengths of eight sequences: `padding` 0 has none, 1 has lengths from 1 to 12.

    Raises:
        ValueError: `padding` is not within 0 to 1.

    >>> padded_lengths(1.0)
    (12, 10, 9, 7, 6, 4, 3, 1)
    """
    validate.Number(0, 1)("padding", padding)
    places = [place / (SEQUENCES - 1) for place in range(SEQUENCES)]
    return tuple(TOKENS - round(padding * place * (TOKENS - 1)) for place in places)
