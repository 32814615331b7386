"""Every test of the core runs on one thread, as a small model does in `train`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

pytest.register_assert_rewrite("tests.examples")  # failing comparisons are shown in full


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The order of additions, so the last bit of a sum, depends on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
