"""What a checkup costs: `python -m tests.checkup.overhead`, and the rows of the benchmarks.

Rounds with and without alternate, so that a busy machine slows both; the ratio is the median of
the rounds' ratios, its spread their quartiles. Time is the processor's, not the clock's.
"""

from __future__ import annotations

import gc
import statistics
import time
import weakref
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn, optim
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gradwidgets.checkup import checkup

PARAMETERS = 600_000
BATCH_SIZES = (64, 32, 8)
OPTIMIZERS = ("SGD", "Adam")
UPDATES = 20


def network() -> nn.Sequential:
    """An MLP for 28x28 images with about 0.6 million parameters."""
    sizes = (784, 512, 320, 128, 10)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def usual_loop(optimizer: str, batch_size: int, watched: bool, updates: int = UPDATES) -> None:
    """The usual loop, with or without a checkup around it."""
    torch.manual_seed(0)
    model = network()
    trained = getattr(optim, optimizer)(model.parameters(), lr=1e-3)
    x, y = torch.randn(batch_size, 784), torch.randint(10, (batch_size,))
    with checkup(model, trained) if watched else nullcontext():
        for _ in range(updates):
            trained.zero_grad()
            F.cross_entropy(model(x), y).backward()
            trained.step()


def seconds(optimizer: str, batch_size: int, watched: bool) -> float:
    """Processor time of the loop."""
    started = time.process_time()
    usual_loop(optimizer, batch_size, watched)
    return time.process_time() - started


def ratios(optimizer: str, batch_size: int, rounds: int = 25) -> list[float]:
    """Time with a checkup over time without, round by round."""
    seconds(optimizer, batch_size, watched=True)  # warm up
    return [
        seconds(optimizer, batch_size, watched=True) / seconds(optimizer, batch_size, watched=False)
        for _ in range(rounds)
    ]


class Weighing(TorchDispatchMode):
    """Adds up the bytes of the storages alive that operations within it have made."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._weigh(tensor.untyped_storage())
        return result

    def _weigh(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.alive += size
        self.most = max(self.most, self.alive)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size


def most_bytes(optimizer: str, watched: bool) -> int:
    """The most that the loop has allocated at any moment, its model included."""
    gc.collect()
    with Weighing() as scales:
        usual_loop(optimizer, 8, watched, updates=6)
    return scales.most


def copies_of_the_parameters(optimizer: str) -> float:
    """What a watch adds to the most that is allocated, in copies of the parameters."""
    model = sum(p.numel() * p.element_size() for p in network().parameters())
    return (most_bytes(optimizer, watched=True) - most_bytes(optimizer, watched=False)) / model


def main() -> None:
    """Print the median ratio and its quartiles, and the memory, for every loop."""
    count = sum(parameter.numel() for parameter in network().parameters())
    print(f"checkup around {UPDATES} updates of {count:,} parameters")
    for optimizer in OPTIMIZERS:
        print(f"{optimizer}: memory, {copies_of_the_parameters(optimizer):.2f} copies more")
        for size in BATCH_SIZES:
            low, middle, high = statistics.quantiles(ratios(optimizer, size), n=4)
            print(f"{optimizer}, batch {size}: {middle:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
