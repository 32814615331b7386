"""Lesson 12: its program runs under torchrun as a file of its own; what its texts say of DDP."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

from gradwidgets.course.two_processes import TwoProcesses
from tests.lessons.notebooks import FOLDER, read

RUNS = 10
ONE_GPU = (
    "import torch\n\ntorch.cuda.is_available = lambda: True\ntorch.cuda.device_count = lambda: 1\n"
)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Runs the program with so many processes."""
    (text,) = (
        cell.source
        for cell in read(FOLDER / "12_beyond_one_process.ipynb").cells
        if cell.id == "take"
    )
    folder = tmp_path_factory.mktemp("train")
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    (folder / "train.py").write_text(program, encoding="utf-8")
    (folder / "one_gpu.py").write_text(ONE_GPU + program, encoding="utf-8")
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(processes, file="train.py"):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={processes}", file]
        return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)

    return start


def losses(done):
    return [float(loss) for loss in re.findall(r"^update \d+: loss (\S+)$", done.stdout, re.M)]


def test_the_program_ends_cleanly_each_time(started):
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(started, [2] * RUNS))
    for done in runs:
        assert done.returncode == 0, done.stderr
        assert "terminate called" not in done.stderr
        assert len(losses(done)) == 20
    assert len({done.stdout for done in runs}) == 1


def test_three_unequal_shares_give_the_losses_of_one_process(started):
    alone, three = started(1), started(3)
    assert len(losses(alone)) == 20
    assert losses(three) == pytest.approx(losses(alone), abs=2e-4)


def test_with_fewer_gpus_than_processes_all_take_the_cpu(started):
    done = started(2, "one_gpu.py")
    assert done.returncode == 0, done.stderr
    assert losses(done) == losses(started(2))


@pytest.fixture(scope="module")
def both():
    processes = TwoProcesses()
    yield processes
    processes.end()


def batch(rank):
    torch.manual_seed(10 + rank)
    return torch.randn(8, 3)


def model_with_norm():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def gradient_in_ddp(rank, way):
    """The exchanges, and the gradient of the bias, after a backward or two."""
    torch.manual_seed(0)
    ddp, calls, x = DistributedDataParallel(nn.Linear(3, 1)), [], batch(rank)

    def counted(_, bucket):
        calls.append(bucket.index())
        return default_hooks.allreduce_hook(None, bucket)

    ddp.register_comm_hook(None, counted)
    if way == "ddp.module(x)":
        ddp.module(x).square().mean().backward()
    elif way == "ddp(x)":
        ddp(x).square().mean().backward()
    else:
        with ddp.no_sync():
            loss = ddp(x).square().mean()
            if way == "all outside the next time":
                loss.backward()
        (ddp(x).square().mean() if way == "all outside the next time" else loss).backward()
    return len(calls), ddp.module.bias.grad.item()


@pytest.mark.parametrize(
    ("way", "exchanges"),
    [
        ("ddp(x)", 1),
        ("ddp.module(x)", 0),
        ("forward inside no_sync()", 0),
        ("all outside the next time", 1),
    ],
)
def test_ddp_averages_in_the_backward_of_its_own_forward_pass(both, way, exchanges):
    (calls, one), (_, other) = both(gradient_in_ddp, way)
    assert calls == exchanges
    assert (one == other) == bool(exchanges)


def three_updates(rank, wrapped):
    """BatchNorm's running mean before each forward pass, and the parameters at the end."""
    model, means = model_with_norm(), []
    model[1].register_forward_pre_hook(lambda norm, _: means.append(norm.running_mean.tolist()))
    net = DistributedDataParallel(model) if wrapped else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(batch(rank)).square().mean().backward()
        if not wrapped:
            for p in model.parameters():
                dist.all_reduce(p.grad)
                p.grad /= dist.get_world_size()
        optimizer.step()
    return means, nn.utils.parameters_to_vector(model.parameters()).tolist()


@pytest.mark.parametrize("wrapped", [False, True])
def test_ddp_sends_buffers_and_an_average_by_hand_does_not(both, wrapped):
    (means, end), (other_means, other_end) = both(three_updates, wrapped)
    assert end == other_end
    equal = [one == other for one, other in zip(means, other_means, strict=True)]
    assert equal == [True, wrapped, wrapped]


def gap_of(rank, weight_decay):
    """The parameters before and after 50 averaged updates from a start of this rank's own."""
    torch.manual_seed(rank)
    model = nn.Linear(3, 1)
    start = nn.utils.parameters_to_vector(model.parameters()).detach()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=weight_decay)
    for _ in range(50):
        optimizer.zero_grad()
        model(batch(rank)).square().mean().backward()
        for p in model.parameters():
            dist.all_reduce(p.grad)
            p.grad /= dist.get_world_size()
        optimizer.step()
    return start, nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_weight_decay_draws_two_starts_together(both, decay):
    (start, end), (other_start, other_end) = both(gap_of, decay)
    before, after = (start - other_start).norm().item(), (end - other_end).norm().item()
    assert after == pytest.approx((1 - 0.1 * decay) ** 50 * before, rel=1e-4)


def test_an_exchange_too_many_is_paired_with_a_later_one(both):
    def one_too_many(rank):
        if rank == 0:
            dist.all_reduce(torch.tensor([100.0]))
        total = torch.tensor([1.0])
        dist.all_reduce(total)
        if rank == 1:
            dist.all_reduce(torch.tensor([7.0]))
        return total.item()

    assert both(one_too_many) == [8, 101]
