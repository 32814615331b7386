"""Lessons may set the default dtype; no other test sees it."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_dtype_afterwards():
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)
