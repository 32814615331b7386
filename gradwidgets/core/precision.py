"""Precision: how a run stores its parameters, what it computes in, and how its steps are rounded.

`Recipe.dtype` does one of three things.

    "float64", "float32", "bfloat16", "float16": `model.to(dtype)` before the optimizer is made; x
        and y are cast to it, too, where they are floating-point tensors. Forward, loss, backward,
        edits and step are then made in it, as far as PyTorch does not widen them itself.
    "bfloat16 autocast": parameters, data and step stay as they are. Forward and loss are computed
        under `torch.autocast`, which casts the operands of products, not those of losses, and
        leaves float64 alone.
    "float16 autocast": the same in float16, whose smallest positive number is 6e-8. So a
        `torch.amp.GradScaler` multiplies the loss before backward(), and divides the gradients
        before the edits. Where a gradient is not finite it skips the step, and halves its factor.

`Recipe.rounding` says how a step is stored in parameters of `LOW`, which have few significant bits:
a step of less than half a unit in the last place is lost when it is rounded to nearest.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.core.built_optimizer import each_of, needs_closure
from gradwidgets.core.optimizers import name_of
from gradwidgets.core.recipe import STORAGE, Recipe
from gradwidgets.core.validate import not_allowed

LOW = (torch.bfloat16, torch.float16)
"""Types with fewer significant bits than float32: 8 and 11, in place of 24."""
Built = Optimizer | list[Optimizer]
Kinds = frozenset[tuple[torch.dtype, str]]
"""The types of a model's parameters, each with its kind of device."""


def kinds_of(model: nn.Module) -> Kinds:
    """The types and devices of a model's parameters.

    >>> kinds_of(nn.Linear(1, 1).bfloat16())
    frozenset({(torch.bfloat16, 'cpu')})
    """
    return frozenset((p.dtype, p.device.type) for p in model.parameters())


def storage_of(recipe: Recipe) -> torch.dtype | None:
    """The type that a recipe casts model and data to; None if it casts neither.

    >>> storage_of(Recipe(dtype="float16")), storage_of(Recipe(dtype="float16 autocast"))
    (torch.float16, None)
    """
    return getattr(torch, recipe.dtype) if recipe.dtype in STORAGE else None


@dataclass(frozen=True)
class PrecisionPlan:
    """The parts of a precision that a run and its program have in common.

    Args:
        storage: the type that parameters, buffers and floating-point data are cast to, or None.
        autocast: the type that forward and loss are computed in, or None.
        scaled: whether a `GradScaler` scales the loss.
        rounding: "nearest", "stochastic" or "master copy"; the first where no parameter has a
            type of `LOW`.

    >>> PrecisionPlan.of(Recipe(dtype="float16 autocast"), kinds_of(nn.Linear(1, 1))).scaled
    True
    """

    storage: torch.dtype | None
    autocast: torch.dtype | None
    scaled: bool
    rounding: str

    @classmethod
    def of(cls, recipe: Recipe, kinds: Kinds) -> PrecisionPlan:
        """The plan for a model as it is built.

        Raises:
            ValueError: the precision does not go with another setting, or with the model.
        """
        name, storage = recipe.dtype or "", storage_of(recipe)
        dtype = getattr(torch, name.split()[0]) if name else None
        stored = {storage or kind for kind, _ in kinds}
        low = not stored.isdisjoint(LOW)
        plan = cls(
            storage=storage,
            autocast=None if storage else dtype,
            scaled=name == "float16 autocast",
            rounding=recipe.rounding if low else "nearest",
        )
        if name:
            plan._check(recipe, kinds)
        if plan.widens and not {torch.float32, *LOW}.issuperset(stored):
            wish = "'nearest' for a model that has parameters of float64 or complex numbers, too"
            raise not_allowed("Recipe.rounding", recipe.rounding, wish)
        return plan

    @property
    def functions(self) -> list[str]:
        """The functions that a program of it defines, in full."""
        return [inspect.getsource(stochastic).rstrip()] * (self.rounding == "stochastic")

    @property
    def widens(self) -> bool:
        """True if the optimizer steps a float32 copy of the model."""
        return self.rounding != "nearest"

    def refuse_closure(self, recipe: Recipe) -> None:
        """Raise ValueError where an optimizer that needs a closure cannot be stepped so."""
        optimizer = name_of(recipe.optimizer)
        if self.scaled:
            wish = f"another one with {optimizer}: a GradScaler takes no closure"
            raise not_allowed("Recipe.dtype", recipe.dtype, wish)
        if self.widens:
            wish = f"'nearest' with {optimizer}, which runs the model within its step"
            raise not_allowed("Recipe.rounding", recipe.rounding, wish)

    def _check(self, recipe: Recipe, kinds: Kinds) -> None:
        elsewhere = sorted({device for _, device in kinds} - {"cpu"})
        if elsewhere:
            raise not_allowed("Recipe.dtype", recipe.dtype, f"None for a model on {elsewhere}")
        if self.storage and any(kind.is_complex for kind, _ in kinds):
            wish = "None, or an autocast, for a model with complex parameters"
            raise not_allowed("Recipe.dtype", recipe.dtype, wish)
        if self.scaled and recipe.clear == "never":
            wish = (
                "another one with clear='never': scaled gradients would be added to those of "
                "before, which are not scaled any more"
            )
            raise not_allowed("Recipe.dtype", recipe.dtype, wish)


def stochastic(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Round float32 up or down to a neighbour in `dtype`, at random, right on average."""
    kind = torch.finfo(dtype)
    power = (values.view(torch.int32) & 0x7F800000).view(torch.float32)  # 1, 2, 4 ... below |value|
    spacing = (power * kind.eps).clamp(min=kind.tiny * kind.eps)  # from neighbour to neighbour
    steps = values / spacing
    below = steps.floor()
    up = torch.rand_like(values) < steps - below  # the nearer, the more often
    return ((below + up) * spacing).to(dtype)


class Precision:
    """The precision of one run. Make it, and use it, within the run's `IsolatedRun.inside()`.

    Args:
        recipe: its `dtype` and `rounding` are meant.
        model: is cast in place, if so asked; its optimizer must not have been built yet.
        watched: whether `lost` is measured, for that takes a second step in float64.

    Attributes:
        plan: what is done.
        stepped: the module whose parameters the optimizer steps: the model, or a float32 copy.
        scaler: the `GradScaler`, or None.
        lost: for each step the share of elements that rounding held in place; see `History.lost`.
        skipped: the numbers of the steps that the scaler has skipped, from 0; with several
            optimizers, those of one at least.

    Raises:
        ValueError: see `PrecisionPlan.of`.

    >>> model = nn.Linear(2, 1)
    >>> precision = Precision(Recipe(dtype="bfloat16"), model)
    >>> model.weight.dtype, precision.cast(torch.ones(1)).dtype
    (torch.bfloat16, torch.bfloat16)
    """

    def __init__(self, recipe: Recipe, model: nn.Module, watched: bool = False) -> None:
        self.plan = PrecisionPlan.of(recipe, kinds_of(model))
        self.model = model.to(self.plan.storage) if self.plan.storage else model
        self.stepped = _widened(recipe, model) if self.plan.widens else model
        self._copied: list[tuple[Tensor, Tensor]] = []  # each parameter and its float32 copy
        if self.plan.widens:
            self._copied = list(zip(model.parameters(), self.stepped.parameters(), strict=True))
        self.scaler = torch.amp.GradScaler("cpu") if self.plan.scaled else None
        self.lost: list[float] = []
        self.skipped: list[int] = []
        self._steps = 0
        low = any(dtype in LOW for dtype, _ in kinds_of(model))
        self._watched = watched and (low or recipe.dtype not in (None, "float64"))
        self._recipe = recipe
        self._exact: tuple[nn.Module, list[Optimizer]] | None = None
        self._overflow = False

    def optimizer(self, build: Callable[[nn.Module], Built]) -> Built:
        """The run's optimizer, as `build` makes it for a module; and one in float64 to watch it.

        Raises:
            ValueError: it needs a closure, which the precision does not allow.
        """
        built = build(self.stepped)
        if needs_closure(built):
            self.plan.refuse_closure(self._recipe)
        elif self._watched:
            with suppress(Exception), torch.random.fork_rng([]):  # not what is made only once
                exact = copy.deepcopy(self.stepped).double()
                self._exact = (exact, each_of(build(exact)))
        return built

    def cast(self, value: Any) -> Any:
        """Return x or y as the model takes it: floating-point tensors in the type of `storage`."""
        if self.plan.storage and isinstance(value, Tensor) and value.is_floating_point():
            return value.to(self.plan.storage)
        return value

    def computing(self) -> AbstractContextManager[object]:
        """Surrounds forward and loss."""
        if self.plan.autocast is None:
            return nullcontext()
        return torch.autocast("cpu", dtype=self.plan.autocast)

    def backward(self, loss: Tensor) -> None:
        """`loss.backward()`, of a scaled loss if there is a scaler."""
        (self.scaler.scale(loss) if self.scaler else loss).backward()  # type: ignore[no-untyped-call]

    def zero_grad(self, optimizers: Sequence[Optimizer], set_to_none: bool) -> None:
        """Clear the model's gradients; those of a copy are written again at each step."""
        for each in [self.model] if self._copied else optimizers:
            each.zero_grad(set_to_none=set_to_none)

    @property
    def names(self) -> dict[str, Any]:
        """The things that a program of it has by name, but for models and optimizers."""
        return {"scaler": self.scaler, "stochastic": stochastic}

    @property
    def scale(self) -> float:
        """The factor on what backward() adds to `.grad` now; 1 without a scaler."""
        return self.scaler.get_scale() if self.scaler else 1.0

    def unscale(self, optimizers: Sequence[Optimizer]) -> None:
        """Divide the gradients by the scaler's factor, before they are edited."""
        if self.scaler:
            for optimizer in optimizers:
                self.scaler.unscale_(optimizer)
            self._overflow = not all(map(_finite, _gradients(optimizers)))

    def step(self, optimizers: Sequence[Optimizer]) -> None:
        """`optimizer.step()` of each, and what belongs to it: the scaler's part, the rounding."""
        for p, wide in self._copied:
            wide.grad = None if p.grad is None else p.grad.float()
        held = self._watch(optimizers) if self._exact and not self._overflow else None
        for optimizer in optimizers:
            self.scaler.step(optimizer) if self.scaler else optimizer.step()
        if self.scaler:
            self.scaler.update()
        if self._copied:
            self._store()
        if self._overflow:
            self.skipped.append(self._steps)
        if self._exact:
            self.lost.append(held() if held else 0.0)
        self._steps += 1

    @torch.no_grad()
    def _store(self) -> None:
        """Round the copy's values into the parameters."""
        for p, wide in self._copied:
            if self.plan.rounding == "stochastic":
                p.copy_(stochastic(wide, p.dtype))
                wide.copy_(p)  # what is left of the step is forgotten
            else:
                p.copy_(wide)

    def _watch(self, optimizers: Sequence[Optimizer]) -> Callable[[], float] | None:
        """Make the step in float64; the result compares it with what is stored, afterwards.

        An optimizer of one's own may not allow that: then nothing is measured.
        """
        assert self._exact is not None
        exact, exact_optimizers = self._exact
        kept = self.stepped if self.plan.rounding == "master copy" else self.model
        before = [p.detach().clone() for p in kept.parameters()]
        try:
            with torch.random.fork_rng([]):
                _put(self.stepped, exact)
                for own, optimizer in zip(exact_optimizers, optimizers, strict=True):
                    own.load_state_dict(copy.deepcopy(optimizer.state_dict()))
                    own.step()
        except Exception:
            self._exact = None
            self.lost.clear()
            return None
        return lambda: _held(before, list(exact.parameters()), list(kept.parameters()))


@torch.no_grad()
def _put(source: nn.Module, target: nn.Module) -> None:
    """Copy values and gradients into a model of another type."""
    for p, q in zip(source.parameters(), target.parameters(), strict=True):
        q.copy_(p)
        q.grad = None if p.grad is None else p.grad.to(q.dtype)


def _held(before: Sequence[Tensor], exact: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Of the elements that the exact step moves, the share that are as before; 0 if none moves."""
    moved = held = 0
    for old, aim, new in zip(before, exact, after, strict=True):
        moving = aim != old
        moved += int(moving.sum())
        held += int((moving & (new == old)).sum())
    return held / moved if moved else 0.0


def _widened(recipe: Recipe, model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model).float()
    except Exception as error:
        wish = f"'nearest' for a model that cannot be copied ({error})"
        raise not_allowed("Recipe.rounding", recipe.rounding, wish) from error


def _gradients(optimizers: Sequence[Optimizer]) -> list[Tensor]:
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return [p.grad for group in groups for p in group["params"] if p.grad is not None]


def _finite(gradient: Tensor) -> bool:
    numbers = gradient.coalesce().values() if gradient.is_sparse else gradient
    return bool(torch.isfinite(numbers).all())
