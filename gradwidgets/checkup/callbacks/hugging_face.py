"""A callback for the `Trainer` of Hugging Face's transformers, and those of TRL built on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transformers import Trainer, TrainerCallback

from gradwidgets.checkup.callbacks.reporter import Reporter, end_on_error


class CheckupCallback(TrainerCallback, Reporter):
    """Watches `trainer.train`: `Trainer(..., callbacks=[CheckupCallback(max_steps=50)])`."""

    def on_train_begin(self, *_: Any, model: Any = None, **__: Any) -> None:
        """Begin."""
        self.begin(model)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Report."""
        self.end()


def _reporters(trainer: Any) -> Iterator[Reporter]:
    return (one for one in trainer.callback_handler.callbacks if isinstance(one, Reporter))


end_on_error(Trainer, "train", _reporters)
