"""A callback for fastai's `Learner`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastai.callback.core import Callback
from fastai.learner import Learner

from gradwidgets.checkup.callbacks.reporter import Reporter, end_on_error


class CheckupCallback(Reporter, Callback):  # type: ignore[misc]
    """Watches `learner.fit`: `Learner(..., cbs=[CheckupCallback()])`.

    The steps of fastai's own optimizers cannot be seen, as those are none of torch's; an
    `OptimWrapper` of one of torch's can.
    """

    def before_fit(self) -> None:
        """Begin."""
        self.begin(self.learn.model)

    def after_fit(self) -> None:
        """Report."""
        self.end()


def _reporters(learner: Any) -> Iterator[Reporter]:
    return (one for one in learner.cbs if isinstance(one, Reporter))


end_on_error(Learner, "fit", _reporters)
