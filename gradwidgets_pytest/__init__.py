"""A pytest plugin: the fixture `checkup`, which fails a test whose training loop is broken.

It stands outside `gradwidgets`, so that pytest, which loads it at every start, loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradwidgets.checkup import Report


@pytest.fixture
def checkup() -> Callable[..., AbstractContextManager[Report]]:
    """`gradwidgets.checkup`, but a block whose report holds an error fails the test.

    def test_loop(checkup):
        with checkup(model, optimizer, ignore={"accumulating"}):
            train(model, optimizer, a_few_batches)
    """
    from gradwidgets.checkup import checkup as watch

    @contextmanager
    def watched(*args: Any, **options: Any) -> Iterator[Report]:
        __tracebackhide__ = True
        with watch(*args, **options) as report:
            yield report
        report.raise_for_errors()

    return watched
