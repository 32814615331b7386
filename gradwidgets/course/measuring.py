"""Used by the experiments and checks of several lessons: seeds, parameters, choices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["flat", "kind_of", "nearest", "seeded"]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The random numbers of a seed inside, and the learner's own again afterwards.

    >>> with seeded(0):
    ...     first = torch.rand(2)
    >>> with seeded(0):
    ...     bool((torch.rand(2) == first).all())
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def flat(model: nn.Module) -> Tensor:
    """A copy of all parameters of a model as one vector, (elements,)."""
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def nearest(value: float, choices: Mapping[float, str]) -> str:
    """The choice whose number is nearest to a value.

    >>> nearest(0.52, {0.5: "half", 1.0: "all"})
    'half'
    """
    return choices[min(choices, key=lambda each: abs(each - value))]


def kind_of(value: object) -> str:
    """A value's type, as a check names what it was given.

    >>> kind_of(None), kind_of(0.5), kind_of(2)
    ('nothing', 'a float', 'an int')
    """
    name = type(value).__name__
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    return "nothing" if value is None else f"{article} {name}"
