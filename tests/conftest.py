"""The whole suite under a default dtype of the user's: `make test-float64`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

pytest.register_assert_rewrite("tests.examples")  # failing comparisons are shown in full

DTYPE = getattr(torch, os.environ.get("GRADWIDGETS_DTYPE", "float32"))
torch.set_default_dtype(DTYPE)  # what tests build while they are collected has it, too

SINGLE = {
    "scaler": "a GradScaler overflows in single precision only",
    "infinite_gradient": "a gradient that overflows in single precision only",
    "converted_on_creation": "a tensor becomes another one where its dtype is not the default",
    "diverge": "a loss leaves the numbers of single precision much earlier",
    "where_it_is_unstable": "a loss leaves the numbers of single precision much earlier",
    "wrong_rules_cost": "torch draws other numbers in double precision",
    "ragged_samples": "torch draws other numbers in double precision",
    "every_control_answers": "torch draws other numbers in double precision",
    "batch_norm_statistics": "torch draws other numbers in double precision",
    "two_dropout_layers": "torch draws other numbers in double precision",
    "what_it_says_in_its_lesson": "lessons print figures of single precision",
    "solutions_pass_and_wrong_ones": "lessons print figures of single precision",
    "single_precision": "it measures the rounding of single precision",
    "a_loader_and_an_own_model": "it asks for the usual default",
}
"""Parts of names of tests whose figures are those of single precision, and why."""


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
    if DTYPE is torch.float32:
        return
    for item in items:
        for part, reason in SINGLE.items():
            if part in item.name:
                item.add_marker(pytest.mark.skip(reason=reason))
