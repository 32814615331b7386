"""Every test here drives a real Chromium."""

import pytest

from front_ends.fixtures import chromium, front_end, server  # noqa: F401, fixtures


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser" in str(item.fspath):
            item.add_marker(pytest.mark.browser)
