"""A callback for the `Trainer` of Hugging Face's transformers, and those of TRL built on it."""

from __future__ import annotations

from typing import Any

from transformers import Trainer, TrainerCallback

from gradwidgets.checkup.callbacks.reporter import Reporter


class CheckupCallback(TrainerCallback, Reporter):
    """Watches `trainer.train`: `Trainer(..., callbacks=[CheckupCallback(max_steps=50)])`."""

    def on_train_begin(self, *_: Any, model: Any = None, **__: Any) -> None:
        """Begin."""
        self.begin(model)
        within = "_run_epoch" if hasattr(Trainer, "_run_epoch") else "training_step"  # before 5.0
        self.end_on_error(Trainer, within, lambda one: self in one.callback_handler.callbacks)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Report."""
        self.end()
