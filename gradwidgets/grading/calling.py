"""A student's function is called: quietly, and with an eye on what it leaves behind."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from gradwidgets.grading.verdict import Function, Wrong


def call(function: Function, *arguments: Any) -> Any:
    """What the function returns; what it prints and warns is not shown.

    An interrupt (nbgrader's time-out) passes through.

    Raises:
        Wrong: it raised something.
    """
    quiet = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            return function(*arguments)
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split())
        raise Wrong(f"It raises {type(error).__name__}: {message[:120]}") from None
    finally:
        torch.set_grad_enabled(True)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Demand that the global generators are left as found; put them back.

    Raises:
        Wrong: they are not.
    """
    ours, theirs, numpys = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        yield
        left = {
            "torch": torch.get_rng_state().tolist() == ours.tolist(),
            "random": random.getstate() == theirs,
            "numpy": all(map(np.array_equal, np.random.get_state(), numpys)),
        }
    finally:
        torch.set_rng_state(ours)
        random.setstate(theirs)
        np.random.set_state(numpys)
    for whose, untouched in left.items():
        if not untouched:
            raise Wrong(f"The global random number generator of {whose} is not as it was found.")
