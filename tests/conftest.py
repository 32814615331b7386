"""The whole suite under a default dtype of the user's: `make test-float64`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest
import torch

pytest.register_assert_rewrite("tests.examples")  # failing comparisons are shown in full

hypothesis.settings.register_profile("a shared machine", deadline=None)
hypothesis.settings.load_profile("a shared machine")
DTYPE = getattr(torch, os.environ.get("GRADWIDGETS_DTYPE", "float32"))
torch.set_default_dtype(DTYPE)  # what tests build while they are collected has it, too


@pytest.fixture(autouse=True)
def _default_dtype() -> Iterator[None]:
    """Each test begins with the default dtype of this run, whatever the one before has set."""
    torch.set_default_dtype(DTYPE)
    yield
    torch.set_default_dtype(DTYPE)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The order of additions, so the last bit of a sum, depends on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what `single_precision` marks: its figures are not those of another default dtype."""
    if DTYPE is torch.float32:
        return
    for item in items:
        if marker := item.get_closest_marker("single_precision"):
            (reason,) = marker.args
            item.add_marker(pytest.mark.skip(reason=reason))
