"""Whatever the model, the optimizer and the modes: a loop runs as if nobody watched."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn, optim
from torch.nn.utils import parametrizations, parametrize
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from gradwidgets.checkup import (
    Report,
    anatomy,
    checkup,
    criterion,
    graph,
    loss_reading,
    step_readings,
    tensors,
)
from gradwidgets.checkup.gradient_log import GradientLog
from gradwidgets.checkup.inventory import Inventory

Steps = Callable[[nn.Module, Any], None]


class Noisy(nn.Module):
    """A parametrization that draws a random number each time it is computed."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight * torch.rand(())


class Counts(nn.Module):
    """A model that remembers how often each of its own methods and properties was used."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.register_buffer("used", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)

    @property
    def weight(self) -> Tensor:
        self.used += 1
        return self.inner.weight

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Any:
        self.used += 1
        return super().named_parameters(prefix, recurse)

    def named_modules(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("not for others")

    modules = children = parameters = named_modules


class Bare(nn.Linear):
    """A layer of torch's that has lost its weight, as a flattened or quantised one has."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.flat = nn.Parameter(torch.cat([self.weight.detach().flatten(), self.bias.detach()]))
        del self.weight
        self.bias = None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.flat[:6].view(2, 3), self.flat[6:])


class Lazy(dict):  # type: ignore[type-arg]
    """A dict that loads when it is read."""

    def items(self) -> Any:
        raise RuntimeError("loads from the network")

    __iter__ = values = items


class WithLazy(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 2))
        self.tables = Lazy(a=torch.ones(2, requires_grad=True))


def noisy() -> nn.Module:
    layer = nn.Linear(3, 2)
    parametrize.register_parametrization(layer, "weight", Noisy())
    return layer


def counts() -> nn.Module:
    return Counts()


MODELS: dict[str, Callable[[], nn.Module]] = {
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 2)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(3, 2)),
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(3, 2)),
    "noisy": noisy,
    "methods of its own": counts,
    "no weight": Bare,
    "lazy attribute": WithLazy,
    "embedding": lambda: nn.Sequential(nn.Flatten(), noisy(), nn.BatchNorm1d(2), nn.Dropout(0.5)),
}


def held(model: nn.Module) -> list[Tensor]:
    return list((model.inner if isinstance(model, Counts) else model).parameters())


def ordinary(model: nn.Module, optimizer: Any) -> None:
    x, y = torch.randn(6, 3), torch.arange(6) % 2
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def nothing(_: nn.Module, __: Any) -> None:
    pass


def outcome(build: Callable[[], nn.Module], steps: Steps, watch: bool) -> tuple[Any, Report | None]:
    """Every number that a loop leaves behind; the generators' states, too."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    model = build()
    optimizer = optim.Adam(held(model), lr=0.01)
    with checkup(model, optimizer) if watch else contextlib.nullcontext() as report:
        steps(model, optimizer)
    left = {name: value.tolist() for name, value in nn.Module.state_dict(model).items()}
    states = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
    return (left, [p._version for p in held(model)], states), report


@pytest.mark.parametrize("steps", [ordinary, nothing])
@pytest.mark.parametrize("name", MODELS)
def test_nothing_of_the_users_is_run_by_looking(name: str, steps: Steps) -> None:
    expected, _ = outcome(MODELS[name], steps, watch=False)
    found, report = outcome(MODELS[name], steps, watch=True)
    assert found == expected
    assert report is not None
    assert report.failures == []
    assert report.codes == set()


class Seen(TorchFunctionMode):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def __torch_function__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append(str(func))
        return func(*args, **(kwargs or {}))


class Dispatched(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_dispatch__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mode", [Seen, Dispatched])
def test_modes_of_the_user_see_the_same_operations(mode: type[Any]) -> None:
    def calls(watch: bool) -> list[str]:
        model = nn.Linear(3, 2)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        with mode() as seen, checkup(model, optimizer) if watch else contextlib.nullcontext():
            ordinary(model, optimizer)
        return seen.calls  # type: ignore[no-any-return]

    assert calls(watch=True) == calls(watch=False) != []


def test_losses_that_can_be_gone_through_once_are() -> None:
    model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer) as report:
        torch.autograd.backward(model(torch.ones(1, 3))[0] for _ in range(2))
        optimizer.step()
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [[2.0, 2.0, 2.0]]
    assert report.failures == []


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def test_an_error_without_a_text_is_the_users_own() -> None:
    model = nn.Linear(3, 1)
    with (
        pytest.raises(UnreadableError),
        checkup(model, optim.SGD(model.parameters(), lr=0.1)) as report,
    ):
        raise UnreadableError
    assert report.complete
    assert "UnreadableError" in str(report)


PARTS = [
    *(
        (anatomy, name)
        for name in ("named_modules", "named_parameters", "hidden_tensors", "untied")
    ),
    *((anatomy, name) for name in ("is_spread", "ignored_flags", "own_parameters", "is_layer")),
    *((graph, name) for name in ("put_mark", "tensors_in", "marks_of")),
    (loss_reading, "read_loss"),
    (criterion, "factor"),
    *((criterion, name) for name in ("direction", "spread", "misfit", "attached")),
    *((step_readings, name) for name in ("begin", "end", "edit", "first_non_finite")),
    *((tensors, name) for name in ("local", "_stride")),
    *((GradientLog, name) for name in vars(GradientLog) if not name.startswith("__")),
    *((Inventory, name) for name in vars(Inventory) if not name.startswith("__")),
]


@pytest.mark.parametrize(("owner", "name"), PARTS, ids=lambda part: getattr(part, "__name__", part))
@pytest.mark.filterwarnings("error")
def test_whatever_fails_in_a_watch_the_loop_does_not_notice(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    def build() -> nn.Module:
        return nn.Linear(3, 2)

    expected, _ = outcome(build, ordinary, watch=False)
    monkeypatch.setattr(owner, name, planted)
    found, report = outcome(build, ordinary, watch=True)
    assert found == expected
    assert report is not None
    assert report.complete
    assert report.codes == set() or report.failures


class Plain:
    """An optimizer that is none of torch's, as those of fastai."""

    def __init__(self, parameters: Any) -> None:
        self.parameters = list(parameters)

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    def step(self) -> None:
        with torch.no_grad():
            for p in self.parameters:
                p.sub_(0.1 * p.grad)


class Keeps:
    """A wrapper that is no optimizer itself."""

    def __init__(self, name: str, inner: Any) -> None:
        vars(self)[name] = inner

    def zero_grad(self) -> None:
        next(iter(vars(self).values())).zero_grad()

    def step(self) -> None:
        next(iter(vars(self).values())).step()


class Prepared(optim.Optimizer):
    """A wrapper that is an optimizer by its class alone, as accelerate's."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.optimizer = optimizer

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)

    def step(self, closure: Any = None) -> Any:
        return self.optimizer.step(closure)


class WithoutRate(optim.Optimizer):
    """Finds its own lr within a step; the groups say None, as those of Adafactor."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": None})

    def step(self, _: Any = None) -> Any:
        with torch.no_grad():
            for p in self.param_groups[0]["params"]:
                p.sub_(0.1 * p.grad)


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "optimizer": lambda inner: Keeps("optimizer", inner),
    "_optimizer": lambda inner: Keeps("_optimizer", inner),
    "opt": lambda inner: Keeps("opt", inner),
    "a class of torch's": Prepared,
    "two deep": lambda inner: Keeps("optimizer", Prepared(inner)),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_optimizers_are_looked_through(wrapper: str) -> None:
    def watched(train: Callable[[nn.Module, Any], None]) -> Report:
        model = nn.Linear(3, 2)
        given = WRAPPERS[wrapper](optim.SGD(model.parameters(), lr=0.1))
        with checkup(model, given) as report:
            train(model, given)
        return report

    def without_backward(model: nn.Module, optimizer: Any) -> None:
        for _ in range(3):
            F.cross_entropy(model(torch.randn(6, 3)), torch.arange(6) % 2)
            optimizer.step()

    assert watched(without_backward).codes == {"no-backward"}
    assert watched(ordinary).codes == set()


def test_an_optimizer_of_another_kind_is_said_to_be_unseen() -> None:
    model = nn.Linear(3, 2)
    optimizer = Plain(model.parameters())
    before = model.weight.detach().clone()
    with checkup(model, optimizer) as report:  # type: ignore[arg-type]
        ordinary(model, optimizer)
    assert not torch.equal(model.weight, before)
    assert report.codes == set()
    assert "not checked: the steps of Plain, which is no torch.optim.Optimizer" in str(report)


class Items:
    """A list of its own, as fastai's `L`."""

    def __init__(self, items: Any) -> None:
        self.items = list(items)


class InLists(Plain):
    """An optimizer that keeps its parameters in lists of lists, as those of fastai."""

    def __init__(self, parameters: Any) -> None:
        self.param_lists = Items([Items(parameters)])

    @property
    def parameters(self) -> Any:
        return self.param_lists.items[0].items


@pytest.mark.parametrize("kind", [Plain, InLists])
def test_an_optimizer_of_another_kind_is_found_and_said_to_be_unseen(kind: type[Plain]) -> None:
    model = nn.Linear(3, 2)
    optimizer = kind(model.parameters())
    with checkup(model) as report:
        ordinary(model, optimizer)
    assert report.codes == set()
    assert report.unseen == [f"the steps of {kind.__name__}, which is no torch.optim.Optimizer"]


def test_an_lr_that_is_no_number_is_none_to_judge() -> None:
    model = nn.Linear(3, 2)
    optimizer = WithoutRate(model.parameters())
    with checkup(model, optimizer) as report:
        ordinary(model, optimizer)
    assert (report.codes, report.failures, report.steps) == (set(), [], 3)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x)))


@pytest.mark.parametrize("kind", ["wrapper", "in place", "part"])
def test_cold_compilation_gives_the_same_graphs_without_breaks(kind: str) -> None:
    from torch._dynamo.utils import counters

    def compiled(watch: bool) -> tuple[int, int, list[float]]:
        torch._dynamo.reset()
        counters.clear()
        torch.manual_seed(0)
        model = forward = Net()
        if kind == "wrapper":
            forward = torch.compile(model, fullgraph=True, backend="aot_eager")
        elif kind == "in place":
            model.compile(fullgraph=True, backend="aot_eager")
        else:
            model.first = torch.compile(model.first, fullgraph=True, backend="aot_eager")
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            with checkup(model, optimizer) if watch else contextlib.nullcontext() as report:
                ordinary(forward, optimizer)
            if report:
                assert report.codes == set()
                assert "torch.compile" in str(report.unseen)
        ordinary(forward, optimizer)
        breaks = sum(counters["graph_break"].values())
        return counters["stats"]["unique_graphs"], breaks, model.second.weight.flatten().tolist()

    expected = compiled(watch=False)
    assert compiled(watch=True) == expected
    assert expected[0] >= 1


@pytest.fixture
def alone() -> Iterator[None]:
    """A process group of this process only."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def sharded() -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    mesh = init_device_mesh("cpu", (1,))
    fully_shard(model[0], mesh=mesh)
    return fully_shard(model, mesh=mesh)  # type: ignore[return-value]


def in_columns() -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    return parallelize_module(model, init_device_mesh("cpu", (1,)), plan)  # type: ignore[return-value]


def fsdp() -> nn.Module:
    from torch.distributed.fsdp import FullyShardedDataParallel

    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    cpu = torch.device("cpu")
    return FullyShardedDataParallel(model, device_id=cpu, use_orig_params=True)


def ddp() -> nn.Module:
    return nn.parallel.DistributedDataParallel(Net())


@pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed")
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("build", [sharded, in_columns, fsdp, ddp], ids=lambda f: f.__name__)
@pytest.mark.usefixtures("alone")
def test_models_of_several_processes_are_trained_as_ever(build: Callable[[], nn.Module]) -> None:
    def trained(watch: bool) -> tuple[list[Any], Report | None]:
        torch.manual_seed(0)
        model = build()
        optimizer = optim.AdamW(model.parameters(), lr=0.01)
        with checkup(model, optimizer) if watch else contextlib.nullcontext() as report:
            ordinary(model, optimizer)
        return [tensors.local(p).tolist() for p in model.parameters()], report

    expected, _ = trained(watch=False)
    found, report = trained(watch=True)
    assert found == expected
    assert report is not None
    assert report.codes == set()
    assert report.failures == []
    assert bool(report.unseen) == (build is not ddp)
