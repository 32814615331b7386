"""The cost of gradient accumulation, and the batch beyond which more samples buy little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.meter.noise_scale import NoiseScale, noise_scale, noise_scale_of

if TYPE_CHECKING:
    from gradwidgets.meter.view import Meter

__all__ = ["Meter", "NoiseScale", "noise_scale", "noise_scale_of"]

__getattr__ = lazily(__name__, {"Meter": "gradwidgets.meter.view"})
