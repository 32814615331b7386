"""A callback for skorch's `NeuralNet`."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from gradwidgets.checkup.callbacks.reporter import Reporter


class CheckupCallback(Reporter, Callback):  # type: ignore[misc]
    """Watches `net.fit`: `NeuralNetClassifier(..., callbacks=[("checkup", CheckupCallback())])`."""

    def _get_param_names(self) -> list[str]:
        return ["max_steps", "ignore", "show"]

    def on_train_begin(self, net: Any, *_: Any, **__: Any) -> None:
        """Begin."""
        self.begin(net.module_)
        self.end_on_error(NeuralNet, "fit_loop", lambda one: one is net)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Report."""
        self.end()
