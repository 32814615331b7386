"""What every framework's training is held to: watched or not, it leaves the same numbers."""

from __future__ import annotations

import contextlib
import importlib.util
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradwidgets.checkup import Report, checkup

Watch = Callable[..., AbstractContextManager[Any]]
"""`checkup`, or something that does nothing in its place."""
Training = Callable[[Watch], nn.Module]
"""Builds a tiny model, trains it within `with watch(model, optimizer):` and returns it."""


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip a test, saying so, where a package is not installed; none is imported for this."""
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


def one(training: Training, *packages: str) -> Any:
    """A row of the matrix."""
    return pytest.param(training, id=training.__name__, marks=needs(*packages))


def outcome(training: Training, watch: Watch) -> dict[str, Any]:
    """The parameters and buffers that a training leaves, and the states of the generators."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    model = training(watch)
    left: dict[str, Any] = {
        name: value.tolist() for name, value in model.state_dict().items() if is_tensor(value)
    }
    return left | {
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
    }


def is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def unwatched(*_: object, **__: object) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def held_to_the_same(training: Training, watch: Watch = checkup) -> list[Report]:
    """Train with and without; the numbers are the same, and a healthy loop is not blamed."""
    reports: list[Report] = []

    @contextlib.contextmanager
    def noted(*given: Any) -> Any:
        with watch(*given) as report:
            reports.append(report)
            yield report

    outcome(training, unwatched)  # imports, which may draw random numbers
    expected = outcome(training, unwatched)
    found = outcome(training, noted)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert reports
    for report in reports:
        assert report.failures == []
        assert [one for one in report.findings if one.severity != "info"] == [], str(report)
    return reports
