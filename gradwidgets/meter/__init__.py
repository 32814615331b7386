"""The cost of gradient accumulation, and the batch beyond which more samples buy little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.meter.lr_rules import LrRules, Trial, lr_rules
from gradwidgets.meter.noise_scale import NoiseScale, noise_scale, noise_scale_of

if TYPE_CHECKING:
    from gradwidgets.meter.view import Meter

__all__ = ["LrRules", "Meter", "NoiseScale", "Trial", "lr_rules", "noise_scale", "noise_scale_of"]

__getattr__ = lazily(__name__, {"Meter": "gradwidgets.meter.view"})
