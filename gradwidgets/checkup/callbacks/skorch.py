"""A callback for skorch's `NeuralNet`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from gradwidgets.checkup.callbacks.reporter import Reporter, end_on_error


class CheckupCallback(Reporter, Callback):  # type: ignore[misc]
    """Watches `net.fit`: `NeuralNetClassifier(..., callbacks=[("checkup", CheckupCallback())])`."""

    def _get_param_names(self) -> list[str]:
        return ["max_steps", "ignore", "show"]

    def on_train_begin(self, net: Any, *_: Any, **__: Any) -> None:
        """Begin."""
        self.begin(net.module_)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Report."""
        self.end()


def _reporters(net: Any) -> Iterator[Reporter]:
    return (one for _, one in getattr(net, "callbacks_", []) if isinstance(one, Reporter))


end_on_error(NeuralNet, "partial_fit", _reporters)
