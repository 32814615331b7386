"""What belongs to whoever calls the package, and must be as it was."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def surroundings() -> dict[str, Any]:
    """All that a run could disturb."""
    return {
        "torch's random numbers": torch.get_rng_state().tolist(),
        "numpy's": [
            part.tolist() if hasattr(part, "tolist") else part for part in np.random.get_state()
        ],
        "python's": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "anomalies": torch.is_anomaly_enabled(),
        "denormals": (torch.tensor(2e-310, dtype=torch.float64) / 2).item(),
    }
