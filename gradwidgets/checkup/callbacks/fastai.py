"""A callback for fastai's `Learner`."""

from __future__ import annotations

from fastai.callback.core import Callback, CancelEpochException, CancelFitException
from fastai.learner import Learner

from gradwidgets.checkup.callbacks.reporter import Reporter


class CheckupCallback(Reporter, Callback):  # type: ignore[misc]
    """Watches `learner.fit`: `Learner(..., cbs=[CheckupCallback()])`.

    The steps of fastai's own optimizers cannot be seen, as those are none of torch's; an
    `OptimWrapper` of one of torch's can.
    """

    def before_fit(self) -> None:
        """Begin."""
        self.begin(self.learn.model)
        goes_on = (CancelEpochException, CancelFitException)
        self.end_on_error(Learner, "_do_epoch", lambda one: one is self.learn, goes_on)

    def after_fit(self) -> None:
        """Report."""
        self.end()
