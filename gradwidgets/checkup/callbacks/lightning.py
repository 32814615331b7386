"""A callback for Lightning's `Trainer`."""

from __future__ import annotations

from typing import Any

try:
    from lightning.pytorch import Callback
except ImportError:
    from pytorch_lightning import Callback

from gradwidgets.checkup.callbacks.reporter import Reporter


class CheckupCallback(Callback, Reporter):  # type: ignore[misc]
    """Watches `trainer.fit`: `Trainer(callbacks=[CheckupCallback(max_steps=50)])`."""

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Begin."""
        self.begin(pl_module)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Report."""
        self.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ARG002
        """Report what was seen until then."""
        self.end(exception)
