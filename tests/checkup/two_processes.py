"""A process of several: `python -m tests.checkup.two_processes MODE RANK PORT FILE`.

Rank 0 writes what it gathered to the file, as JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import cycle
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.nn.parallel import DistributedDataParallel

from gradwidgets.checkup import checkup, gather_reports
from tests.checkup.loops import Loop, mlp, regression, watched
from tests.checkup.loops.parts import times, usual


def data_of_this_rank() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(dist.get_rank())
    return regression()


def wrapped_module_passed_by(repaired: bool) -> Loop:
    torch.manual_seed(0)
    model = mlp()
    parallel = DistributedDataParallel(model)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    x, y = data_of_this_rank()
    both = {True: parallel, False: model}
    return usual(model, optimizer, lambda: F.mse_loss(both[repaired](x), y))


def wrapped_and_raw_in_turn(repaired: bool) -> Loop:
    torch.manual_seed(0)
    model = mlp()
    parallel = DistributedDataParallel(model)
    optimizer = optim.SGD(parallel.parameters(), lr=0.01)
    x, y = data_of_this_rank()
    called = cycle([parallel, parallel if repaired else parallel.module])
    return usual(parallel, optimizer, lambda: F.mse_loss(next(called)(x), y))


def raw_until_the_last_of_a_group() -> Loop:
    """What has been accumulated is averaged as a whole."""
    torch.manual_seed(0)
    parallel = DistributedDataParallel(mlp())
    optimizer = optim.SGD(parallel.parameters(), lr=0.01)
    x, y = data_of_this_rank()

    def loss() -> torch.Tensor:
        F.mse_loss(parallel.module(x), y).backward()
        return F.mse_loss(parallel(x), y)

    return usual(parallel, optimizer, loss)


def averaged_by_hand() -> Loop:
    torch.manual_seed(0)
    parallel = DistributedDataParallel(mlp())
    optimizer = optim.SGD(parallel.parameters(), lr=0.01)
    x, y = data_of_this_rank()

    def edit() -> None:
        for parameter in parallel.parameters():
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()

    return usual(parallel, optimizer, lambda: F.mse_loss(parallel.module(x), y), edit=edit)


def critic_without_its_wrapper_for_the_generator() -> Loop:
    """The critic's gradients of that pass are cleared unread; a copy judges between the steps."""
    torch.manual_seed(0)
    generator, critic = (DistributedDataParallel(mlp(out=8)) for _ in range(2))
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-3) for m in (generator, critic))
    x, _ = data_of_this_rank()

    def update() -> None:
        fake = generator(x)
        opt_d.zero_grad()
        F.softplus(critic(fake.detach()) - critic.module(x).detach()).mean().backward()
        opt_d.step()
        opt_g.zero_grad()
        F.softplus(-critic.module(fake)).mean().backward()
        opt_g.step()
        with torch.no_grad():
            generator.module(x)

    return Loop([generator, critic], [opt_g, opt_d], times(3, update))


def part_of_the_loss_without_the_wrapper() -> Loop:
    """One backward goes through both: the wrapper averages their sum."""
    torch.manual_seed(0)
    parallel = DistributedDataParallel(mlp())
    optimizer = optim.AdamW(parallel.parameters(), lr=1e-3)
    x, y = data_of_this_rank()

    def loss() -> torch.Tensor:
        return F.mse_loss(parallel(x), y) + 0.1 * F.mse_loss(parallel.module(-x), -y)

    return usual(parallel, optimizer, loss)


HEALTHY = (
    raw_until_the_last_of_a_group,
    averaged_by_hand,
    critic_without_its_wrapper_for_the_generator,
    part_of_the_loss_without_the_wrapper,
)


def healthy() -> None:
    """Watch what resembles a wrapper that the forward skips, and compare the ranks at the end."""
    for build in HEALTHY:
        loop = build()
        report = watched(loop)
        model = nn.ModuleList(loop.model if isinstance(loop.model, list) else [loop.model])
        gathered = gather_reports(report, model, timeout=60)
        grave = [one for one in gathered.findings if one.severity != "info"]
        assert not grave, f"{build.__name__}\n{gathered}"
        assert not report.failures


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


BUILDERS: dict[str, Callable[[bool], Loop]] = {
    "one": without_step,
    "broken in turn": wrapped_and_raw_in_turn,
    "repaired in turn": wrapped_and_raw_in_turn,
}


def main(mode: str, rank: str, port: str, file: str) -> None:
    """Train, gather, and go on training as a user's script would."""
    address = f"tcp://127.0.0.1:{port}"
    limit = timedelta(seconds=60)
    dist.init_process_group("gloo", address, limit, world_size=2, rank=int(rank))
    if mode == "healthy":
        healthy()
        dist.barrier()
        dist.destroy_process_group()
        return
    loop = BUILDERS.get(mode, wrapped_module_passed_by)(not mode.startswith("broken"))
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
