"""8x8 images of handwritten digits, in a file beside this one; its licence is LICENCE.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Digits(NamedTuple):
    """The images and their labels.

    Args:
        data: (1797, 64) counts of dark pixels from 0 to 16, float64.
        target: (1797,) the digits, int64.
    """

    data: np.ndarray[Any, np.dtype[np.float64]]
    target: np.ndarray[Any, np.dtype[np.int64]]


def load_digits() -> Digits:
    """The same as scikit-learn's `sklearn.datasets.load_digits()`, without scikit-learn.

    >>> load_digits().data.shape
    (1797, 64)
    """
    table = np.loadtxt(Path(__file__).with_name("digits.csv.gz"), delimiter=",")
    return Digits(table[:, :-1], table[:, -1].astype(np.int64))
