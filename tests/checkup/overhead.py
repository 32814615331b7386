"""How much longer a loop takes under a checkup: `python -m tests.checkup.overhead`.

Rounds with and without alternate, so that a busy machine slows both; the ratio is the median of
the rounds' ratios, its spread their quartiles.
"""

from __future__ import annotations

import statistics
import time
from contextlib import nullcontext
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from gradwidgets.checkup import checkup

PARAMETERS = 600_000


def network() -> nn.Sequential:
    """An MLP for 28x28 images with about 0.6 million parameters."""
    sizes = (784, 512, 320, 128, 10)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def seconds(batch_size: int, updates: int, watched: bool) -> float:
    """Time of the usual loop with Adam, with or without a checkup around it."""
    torch.manual_seed(0)
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(batch_size, 784), torch.randint(10, (batch_size,))
    started = time.perf_counter()
    with checkup(model, optimizer) if watched else nullcontext():
        for _ in range(updates):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return time.perf_counter() - started


def ratios(batch_size: int = 64, updates: int = 20, rounds: int = 15) -> list[float]:
    """Time with a checkup over time without, round by round."""
    seconds(batch_size, updates, watched=True)  # warm up
    return [
        seconds(batch_size, updates, watched=True) / seconds(batch_size, updates, watched=False)
        for _ in range(rounds)
    ]


def main() -> None:
    """Print the median ratio and its quartiles for two batch sizes."""
    count = sum(parameter.numel() for parameter in network().parameters())
    for batch_size in (64, 256):
        low, middle, high = statistics.quantiles(ratios(batch_size), n=4)
        print(
            f"checkup overhead, {count:,} parameters, batch {batch_size}: "
            f"{middle:.2f} ({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
