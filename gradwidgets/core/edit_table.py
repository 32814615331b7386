"""The table of the edits that a recipe can ask for: everything about each edit in one place.

Training, programs, sweeps, the stepper and the ledger read this table and its order. To add an
edit, give `Recipe` a field, write a class below and put it into `EDITS`: see CONTRIBUTING.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from gradwidgets.core.edits import MASK_KINDS, Clip, Edit, Mask, Penalty, Scale
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.validate import not_allowed

Piece = tuple[str, tuple[str, ...]]
"""A piece of a program, and the settings that it belongs to."""
SweptEdit = Callable[[Tensor, Tensor], object]
"""Takes values and gradients of all replicas, both (R, elements), and changes the gradients."""


@dataclass(frozen=True)
class WrittenModel:
    """A model as it appears in a program: `model`, with parameters `p`.

    Args:
        names: the names of its parameters.
        regular: every parameter gets a gradient and has a dimension; the program need not check.
        sparse: a layer makes sparse gradients, which the program makes dense.
        sign: the method that gives the sign of its numbers; "sgn" where there are complex ones.

    >>> print(WrittenModel(("weight",)).each("scale", "p.grad.mul_(2.0)"))
    for p in model.parameters():  # scale
        p.grad.mul_(2.0)
    """

    names: tuple[str, ...]
    regular: bool = True
    sparse: bool = False
    sign: str = "sign"

    def each(self, comment: str, *body: str, over: str = "p in model.parameters()") -> str:
        """A loop over parameters that have a gradient, with a comment on what it does."""
        known = [] if self.regular else ["if p.grad is None:", "    continue"]
        inner = "".join(f"\n    {line}" for line in (*known, *body))
        return f"for {over}:  # {comment}{inner}"


class TableEdit:
    """An entry of the table: one edit in all its forms.

    Attributes:
        stage: the name of a gradient after it, as a column of the ledger.
        help: the same in a few words.
        settings: the fields of `Recipe` that it reads, `seed` aside.
        names: the names that its program gives to things of its own.
        takes_sparse: its lines change sparse gradients as well as dense ones.
    """

    stage: str
    help: str
    settings: tuple[str, ...]
    names: tuple[str, ...] = ()
    takes_sparse: bool = False

    def edit(self, recipe: Recipe, model: nn.Module) -> Edit | None:
        """The edit that the recipe asks for on this model; None where it changes nothing.

        Raises:
            ValueError: a setting does not fit the model.
        """
        raise NotImplementedError

    def lines(self, recipe: Recipe, model: WrittenModel) -> Iterator[Piece]:
        """The edit as lines of a program; none if it changes nothing."""
        raise NotImplementedError

    def setup(self, recipe: Recipe, model: WrittenModel) -> str:
        """Lines of the program before its loop, if it needs any."""
        return ""

    def sweep(self, recipes: Sequence[Recipe], model: nn.Module) -> SweptEdit | None:
        """The edit for many replicas, one per recipe; None if it changes nothing.

        An entry that leaves this out is swept one value after another, with a warning.
        """
        raise NotImplementedError

    @property
    def sweeps(self) -> bool:
        """True if `sweep` is written."""
        return type(self).sweep is not TableEdit.sweep


class ScaleEntry(TableEdit):
    """Multiplies by `Recipe.scale`."""

    stage = "scaled"
    help = ".grad after the scale"
    settings = ("scale",)
    takes_sparse = True

    def edit(self, recipe: Recipe, model: nn.Module) -> Edit | None:
        """`Scale`."""
        return Scale(recipe.scale) if recipe.scale != 1 else None

    def lines(self, recipe: Recipe, model: WrittenModel) -> Iterator[Piece]:
        """One product for each parameter."""
        if recipe.scale != 1:
            yield model.each("scale", f"p.grad.mul_({recipe.scale!r})"), ("scale",)

    def sweep(self, recipes: Sequence[Recipe], model: nn.Module) -> SweptEdit | None:
        """A factor for each replica."""
        factors = _column([r.scale for r in recipes], unless=1.0, like=model)
        return None if factors is None else lambda _, gradients: gradients.mul_(factors)


class MaskEntry(TableEdit):
    """Zeroes the elements that `Recipe.mask` and `mask_kind` choose."""

    stage = "masked"
    help = ".grad after the mask"
    settings = ("mask", "mask_kind")
    names = ("chosen", "draw", "hidden", "masked", "place", "rows")

    def edit(self, recipe: Recipe, model: nn.Module) -> Mask | None:
        """`Mask`, of its own kinds or of the parameters that a pattern names."""
        if not recipe.mask:
            return None
        if recipe.mask_kind in MASK_KINDS:
            return Mask(recipe.mask, recipe.mask_kind, recipe.seed)
        names = matching(recipe.mask_kind, [name for name, _ in model.named_parameters()])
        return Mask(recipe.mask, only=map(model.get_parameter, names))

    def lines(self, recipe: Recipe, model: WrittenModel) -> Iterator[Piece]:
        """Leading slices, or the elements that were chosen before the loop."""
        if not recipe.mask:
            return
        if recipe.mask_kind != "unit":
            line = model.each("mask", "p.grad[chosen] = 0", over="p, chosen in hidden")
        elif model.regular:
            line = model.each("mask", f"p.grad[: round({recipe.mask!r} * len(p))] = 0")
        else:
            rows = f"rows[: round({recipe.mask!r} * len(rows))] = 0"
            line = model.each("mask", "rows = torch.atleast_1d(p.grad)", rows)
        yield line, self.settings

    def setup(self, recipe: Recipe, model: WrittenModel) -> str:
        """Chooses the elements, as `Mask` does: by their place, whatever the memory format."""
        if not recipe.mask or recipe.mask_kind == "unit":
            return ""
        over, place, before = "model.parameters()", "torch.arange(p.numel())", ""
        if recipe.mask_kind == "random":
            place = "torch.randperm(p.numel(), generator=draw).argsort()"
            before = f"draw = torch.Generator().manual_seed({recipe.seed})\n"
        elif recipe.mask_kind != "first":
            over = "map(model.get_parameter, masked)"
            before = f"masked = {_written(matching(recipe.mask_kind, model.names))}\n"
        return f"""\
{before}hidden = []  # what the mask zeroes, the same at every update
for p in {over}:
    place = {place}
    hidden.append((p, place.view(p.shape) < round({recipe.mask!r} * p.numel())))"""

    def sweep(self, recipes: Sequence[Recipe], model: nn.Module) -> SweptEdit | None:
        """A flag for each element of each replica."""
        if not any(recipe.mask for recipe in recipes):
            return None
        parameters = list(model.parameters())
        known: dict[tuple[float, str, int], Tensor] = {}
        for recipe in recipes:
            key = (recipe.mask, recipe.mask_kind, recipe.seed)
            if key not in known:
                mask = self.edit(recipe, model) or Mask(0.0)
                known[key] = torch.cat([h.flatten() for h in mask.hidden(parameters)])
        hidden = torch.stack([known[r.mask, r.mask_kind, r.seed] for r in recipes])
        return lambda _, gradients: gradients.masked_fill_(hidden, 0)


class PenaltyEntry(TableEdit):
    """Adds the gradients of the penalties `Recipe.l1` and `l2`."""

    stage = "penalised"
    help = ".grad after the penalty"
    settings = ("l1", "l2")

    def edit(self, recipe: Recipe, model: nn.Module) -> Edit | None:
        """`Penalty`."""
        if not (recipe.l1 or recipe.l2):
            return None
        if recipe.optimizer == "SparseAdam":
            wish = "one that takes dense gradients: with l1 or l2 they are dense"
            raise not_allowed("Recipe.optimizer", recipe.optimizer, wish)
        return Penalty(recipe.l1, recipe.l2)

    def lines(self, recipe: Recipe, model: WrittenModel) -> Iterator[Piece]:
        """One sum for each parameter and each penalty."""
        order = ["not scaled"] * (recipe.scale != 1)
        order += ["masked elements get it too"] * (recipe.mask > 0)
        after = f"  # {'; '.join(order)}" if order else ""
        if recipe.l1:
            line = f"p.grad.add_(p.detach().{model.sign}(), alpha={recipe.l1!r}){after}"
            yield model.each("L1 penalty", line), ("l1",)
        if recipe.l2:
            line = f"p.grad.add_(p.detach(), alpha={recipe.l2!r}){after}"
            yield model.each("L2 penalty (weight decay in the gradient)", line), ("l2",)

    def sweep(self, recipes: Sequence[Recipe], model: nn.Module) -> SweptEdit | None:
        """Two strengths for each replica."""
        l1 = _column([r.l1 for r in recipes], unless=0.0, like=model)
        l2 = _column([r.l2 for r in recipes], unless=0.0, like=model)
        if l1 is None and l2 is None:
            return None

        def penalise(values: Tensor, gradients: Tensor) -> None:
            if l1 is not None:
                gradients.addcmul_(values.sign(), l1)
            if l2 is not None:
                gradients.addcmul_(values, l2)

        return penalise


class ClipEntry(TableEdit):
    """Shrinks all gradients together to the joint norm `Recipe.max_norm`."""

    stage = "clipped"
    help = ".grad after clipping"
    settings = ("max_norm",)

    def edit(self, recipe: Recipe, model: nn.Module) -> Edit | None:
        """`Clip`."""
        return None if recipe.max_norm is None else Clip(recipe.max_norm)

    def lines(self, recipe: Recipe, model: WrittenModel) -> Iterator[Piece]:
        """PyTorch's own function."""
        if recipe.max_norm is not None:
            call = f"torch.nn.utils.clip_grad_norm_(model.parameters(), {recipe.max_norm!r})"
            yield f"{call}  # clip all gradients together", ("max_norm",)

    def sweep(self, recipes: Sequence[Recipe], model: nn.Module) -> SweptEdit | None:
        """A joint norm for each replica, computed as `clip_grad_norm_` does."""
        limits = [math.inf if r.max_norm is None else r.max_norm for r in recipes]
        limit = _column(limits, unless=math.inf, like=model)
        if limit is None:
            return None

        sizes = [p.numel() for p in model.parameters()]

        def clip(_: Tensor, gradients: Tensor) -> None:
            parts = torch.split(gradients, sizes, dim=1)
            norms = torch.stack([torch.linalg.vector_norm(part, dim=1) for part in parts], 1)
            total = torch.linalg.vector_norm(norms, dim=1, keepdim=True)
            share = ((total + 1e-6).reciprocal() * limit).clamp(max=1.0)  # as a number / a tensor
            gradients.mul_(torch.where(limit.isinf(), 1.0, share))

        return clip


EDITS: tuple[TableEdit, ...] = (ScaleEntry(), MaskEntry(), PenaltyEntry(), ClipEntry())
"""The edits in the order in which they are made; those of `Recipe.edits` come after them."""


def edits_of(recipe: Recipe, model: nn.Module) -> list[tuple[str, Edit]]:
    """The recipe's edits that have an effect, in their order, each with its stage.

    An edit of the user's is copied, so that what it remembers begins with each run. (A plain
    function is not: what it keeps in a global or in its closure lasts from run to run.)

    Raises:
        ValueError: `mask_kind` is a pattern that matches no parameter of `model`, or an edit
            cannot be copied.

    >>> [stage for stage, _ in edits_of(Recipe(max_norm=1.0, scale=2.0), nn.Linear(1, 1))]
    ['scaled', 'clipped']
    """
    made = [(entry.stage, entry.edit(recipe, model)) for entry in EDITS]
    own = [("edited", _copied(edit)) for edit in recipe.edits]
    return [*((stage, edit) for stage, edit in made if edit is not None), *own]


def _copied(edit: Edit) -> Edit:
    try:
        return copy.deepcopy(edit)
    except Exception as error:
        wish = "what copy.deepcopy can copy, so that each run begins with the edit as given"
        raise not_allowed("Recipe.edits", edit, wish) from error


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names of parameters that match `pattern` (as `fnmatch` reads it).

    Raises:
        ValueError: there is none.
    """
    everyone = list(names)
    found = [name for name in everyone if fnmatchcase(name, pattern)]
    if not found:
        raise not_allowed("mask_kind", pattern, f"a pattern that matches one of {everyone}")
    return found


def _written(names: list[str]) -> str:
    """The list in a program: on one line, or one name a line where there are many."""
    if len(str(names)) <= 80:
        return str(names)
    return "".join(["[\n", *(f"    {name!r},\n" for name in names), "]"])


def _column(values: list[float], unless: float, like: nn.Module) -> Tensor | None:
    """(R, 1) the values, or None if all of them are `unless`, which changes nothing."""
    if all(value == unless for value in values):
        return None
    first = next(like.parameters())
    return torch.tensor(values, dtype=first.dtype, device=first.device).unsqueeze(1)
