"""A process of several: `python -m tests.checkup.two_processes MODE RANK PORT FILE`.

Rank 0 writes what it gathered to the file, as JSON.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import optim
from torch.nn.parallel import DistributedDataParallel

from gradwidgets.checkup import checkup, gather_reports
from tests.checkup.loops import Loop, mlp, regression
from tests.checkup.loops.parts import usual


def wrapped_module_passed_by(repaired: bool) -> Loop:
    torch.manual_seed(0)
    model = mlp()
    parallel = DistributedDataParallel(model)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    torch.manual_seed(dist.get_rank())  # each rank has data of its own
    x, y = regression()
    called = parallel if repaired else model
    return usual(model, optimizer, lambda: F.mse_loss(called(x), y))


def without_step(_: bool) -> Loop:
    """Rank 1 never steps; nothing is exchanged."""
    torch.manual_seed(0)
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.0)

    def train() -> None:
        F.mse_loss(model(x), y).backward()
        if dist.get_rank() == 0:
            optimizer.step()

    return Loop(model, optimizer, train)


def main(mode: str, rank: str, port: str, file: str) -> None:
    """Train, gather, and go on training as a user's script would."""
    address = f"tcp://127.0.0.1:{port}"
    limit = timedelta(seconds=60)
    dist.init_process_group("gloo", address, limit, world_size=2, rank=int(rank))
    loop = (without_step if mode == "one" else wrapped_module_passed_by)(mode != "broken")
    before = torch.get_rng_state()
    with checkup(loop.model, loop.optimizer) as report:
        loop.train()
    after = torch.get_rng_state()
    if mode != "late" or rank == "0":
        report = gather_reports(report, loop.model, timeout=0.5 if mode == "late" else 60)
    total = torch.ones(1)
    dist.all_reduce(total)
    dist.all_reduce(total, group=dist.new_group())
    assert total == 4
    assert torch.equal(before, after)
    if rank == "0":
        Path(file).write_text(report.to_json(), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
