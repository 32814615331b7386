"""Play a question: make a model from data, take steps with it, say what is there after each.

A question is data: parameters with their gradients, layers that name them by number, an optimizer,
and steps. The answer is data, too: all that a step has left behind. No question says what is right.
"""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradwidgets_worker.cells import captured, told
from gradwidgets_worker.frames import Data, decoded, encoded

OPTIONS = ("lr", "momentum", "weight_decay")
"""The options of an optimizer's groups that an answer tells."""

MOST_ITEMS = 200
"""Items that an answer tells of a list."""


def squared(output: Tensor, target: Tensor) -> Tensor:
    """The loss that students get: the mean squared error."""
    return ((output - target) ** 2).mean()


class Detach(nn.Module):
    """Passes values on, and no gradients back."""

    def forward(self, x: Tensor) -> Tensor:
        """The same values without their graph."""
        return x.detach()


class Centre(nn.Module):
    """Subtracts the mean over the samples that it sees, as BatchNorm does in training."""

    def forward(self, x: Tensor) -> Tensor:
        """Samples (rows) around zero."""
        return x - x.mean(0)


def play(question: Data, function: Callable[..., Any]) -> Data:
    """Take the steps of a question with a student's function.

    Returns:
        `seen`: what was there after each step. `raised`: the exception that ended the steps, if one
        did. `drawn`: the next number of each global generator.
    """
    with _generators(question["seed"]), captured(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scene = Scene(question, function)
        seen: list[Data] = []
        raised = None
        for step in question["steps"]:
            try:
                with torch.enable_grad():
                    scene.take(step)
            except (Exception, SystemExit) as error:
                raised = told(error)
                break
            seen.append(scene.seen())
        return {"seen": seen, "raised": raised, "drawn": _drawn()}


class Scene:
    """The objects of one question.

    Numbers have PyTorch's default type and device, as in the notebook's own examples.
    """

    def __init__(self, question: Data, function: Callable[..., Any]) -> None:
        self.function = function
        self.dtype = torch.get_default_dtype()
        if self.dtype not in (torch.float32, torch.float64):
            self.dtype = torch.float32
        self.parameters = [nn.Parameter(self._tensor(each)) for each in question["parameters"]]
        pairs = zip(self.parameters, question["gradients"], question["requires_grad"], strict=True)
        for parameter, gradient, trains in pairs:
            parameter.grad = None if gradient is None else self._tensor(gradient)
            parameter.requires_grad_(trains)
        self.model = self._sequence(question["layers"])
        self.model.train(question["training"])
        self.optimizer: torch.optim.Optimizer | None = None
        if question["optimizer"]:
            options = dict(question["optimizer"])
            groups = [
                {**group, "params": [self.parameters[index] for index in group["params"]]}
                for group in options.pop("groups")
            ]
            self.optimizer = _optimizer(options.pop("kind"), groups, options)
        self.given: list[Tensor] = []
        self.returned: Any = None

    def take(self, step: Sequence[Any]) -> None:
        """Take one step: its name, and what it needs."""
        name, *needs = step
        steps: dict[str, Callable[..., None]] = {
            "call": self._call,
            "backward": self._backward,
            "gradients": self._set_gradients,
            "optimizer from what it returned": self._make_optimizer,
            "zero_grad": lambda set_to_none: self._own_optimizer.zero_grad(set_to_none),
            "step": lambda: self._own_optimizer.step(),
        }
        steps[name](*needs)

    def _call(self, *needs: Any) -> None:
        self.given = []
        self.returned = self.function(*(self._value(each) for each in needs))

    def _backward(self, x: Data, y: Data) -> None:
        loss = squared(self.model(self._tensor(x)), self._tensor(y))
        loss.backward()  # type: ignore[no-untyped-call]

    def _set_gradients(self, *gradients: Data) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = self._tensor(gradient)

    def _make_optimizer(self, kind: str, options: Data) -> None:
        self.optimizer = _optimizer(kind, self.returned, options)

    @property
    def _own_optimizer(self) -> torch.optim.Optimizer:
        assert self.optimizer is not None
        return self.optimizer

    def seen(self) -> Data:
        """All that can be seen of the objects now."""
        return {
            "parameters": [_array(each) for each in self.parameters],
            "gradients": [None if p.grad is None else _array(p.grad) for p in self.parameters],
            "training": bool(self.model.training),
            "groups": [self._group(each) for each in self._groups()],
            "given": [_array(each) for each in self.given],
            "returned": _told_value(self.returned),
        }

    def _groups(self) -> list[Data]:
        return self.optimizer.param_groups if self.optimizer else []

    def _group(self, group: Data) -> Data:
        numbers = {id(parameter): index for index, parameter in enumerate(self.parameters)}
        held = [numbers.get(id(parameter), -1) for parameter in group["params"]]
        options = {name: float(group[name]).hex() for name in OPTIONS if name in group}
        return {"params": held, **options}

    def _tensor(self, data: Data) -> Tensor:
        values = decoded(data)
        dtype = torch.bool if values.dtype == bool else self.dtype
        return torch.tensor(values.tolist(), dtype=dtype).reshape(values.shape)

    def _sequence(self, layers: Sequence[Data]) -> nn.Sequential:
        return nn.Sequential(*map(self._layer, layers))

    def _layer(self, data: Data) -> nn.Module:
        kind = data["kind"]
        if kind == "sequence":
            return self._sequence(data["layers"])
        if kind in ("linear", "norm"):
            weight, bias = self.parameters[data["weight"]], self.parameters[data["bias"]]
            # on "meta" no generator is asked for the numbers of a layer
            layer: nn.Module = (
                nn.Linear(weight.shape[1], weight.shape[0], device="meta")
                if kind == "linear"
                else nn.LayerNorm(weight.shape[0], device="meta")
            )
            layer.weight, layer.bias = weight, bias
            return layer
        return {"tanh": nn.Tanh, "centre": Centre, "detach": Detach}[kind]()

    def _value(self, data: Any) -> Any:
        """An argument of the function, from its description."""
        if not isinstance(data, dict):
            return data
        ((kind, value),) = data.items()
        if kind == "array":
            self.given.append(self._tensor(value))
            return self.given[-1]
        return getattr(self, f"_value_{kind}")(value)

    def _value_object(self, name: str) -> Any:
        named = {"model": self.model, "optimizer": self.optimizer, "loss": squared}
        return list(self.parameters) if name == "parameters" else named[name]

    def _value_layer(self, path: Sequence[int]) -> nn.Module:
        layer: nn.Module = self.model
        for index in path:
            layer = list(layer.children())[index]
        return layer

    def _value_list(self, items: Sequence[Any]) -> list[Any]:
        return [self._value(each) for each in items]

    def _value_tuple(self, items: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(self._value(each) for each in items)

    def _value_by_parameter(self, values: Sequence[Any]) -> dict[nn.Parameter, Any]:
        return dict(zip(self.parameters, map(self._value, values), strict=True))

    def _value_table(self, numbers: Sequence[float]) -> Callable[[int], float]:
        return lambda n: numbers[n] if 0 <= n < len(numbers) else 0.0


def _optimizer(kind: str, groups: Any, options: Data) -> torch.optim.Optimizer:
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "SGD": torch.optim.SGD,
        "AdamW": torch.optim.AdamW,
    }
    return kinds[kind](groups, **options)


def _array(tensor: Any) -> Data:
    """The values of a tensor; of anything else its type."""
    if not isinstance(tensor, Tensor):
        return {"dtype": type(tensor).__name__}
    plain = tensor.detach().cpu()
    if plain.dtype not in (torch.float32, torch.float64, torch.bool):
        return {"dtype": str(plain.dtype).removeprefix("torch.")}
    return encoded(plain.resolve_conj().contiguous().numpy())


def _told_value(value: Any, depth: int = 2) -> Data:
    """The type of a value, and the value if it is a number, a text, or a list of such."""
    if isinstance(value, np.generic):
        value = value.item()
    kind = type(value).__name__
    if isinstance(value, str):
        return {"type": "str", "value": str.__str__(value)[:200]}
    if type(value) is float:
        return {"type": kind, "value": value.hex()}
    if type(value) is list and depth:
        return {"type": kind, "items": [_told_value(v, depth - 1) for v in value[:MOST_ITEMS]]}
    return {"type": kind}


@contextlib.contextmanager
def _generators(seed: int) -> Iterator[None]:
    """Seed the global generators, and put them back afterwards."""
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        random.setstate(before[1])
        np.random.set_state(before[2])


def _drawn() -> dict[str, str]:
    """The next number of each global generator."""
    return {
        "torch": float(torch.rand((), device="cpu", dtype=torch.float64)).hex(),
        "random": random.random().hex(),
        "numpy": float(np.random.random()).hex(),
    }
