"""The buffers of a model, to be put back to what they were."""

from __future__ import annotations

from torch import Tensor, nn


class Buffers:
    """Every buffer of a model as it is now; a model may put another tensor in its place later.

    Attributes:
        copies: their values, None where there is none.
    """

    def __init__(self, model: nn.Module) -> None:
        self._held = [
            (module, name, buffer)
            for module in model.modules()
            for name, buffer in module._buffers.items()
        ]
        self.copies = [None if b is None else b.detach().clone() for *_, b in self._held]

    def restore(self) -> None:
        """Put every buffer back, to the last bit."""
        for (module, name, buffer), copy in zip(self._held, self.copies, strict=True):
            module._buffers[name] = buffer
            if buffer is not None and copy is not None:
                _fill(buffer, copy)


def _fill(buffer: Tensor, values: Tensor) -> None:
    if buffer.shape == values.shape:
        buffer.data.copy_(values)
    else:  # it was resized in place
        buffer.data = values.clone()
