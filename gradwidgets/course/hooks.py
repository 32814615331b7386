"""Lesson 14, "Where can I touch a gradient?"."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gradwidgets.course.measuring import seeded
from gradwidgets.lessons import Lesson

lesson = Lesson("hooks")


@lesson.question(
    "`w.grad` holds 3, from the first micro-batch. The gradient of the second one is 5, and "
    "nothing clears in between. What is a tensor hook on `w` handed in the second `backward()`?",
    {
        "5": "This `backward()` has computed 5. The hook is called before it is added.",
        "8": "That is what `.grad` holds a moment later, when the hook has been called.",
        "3": "That is in `.grad` already. The hook is handed what is new.",
    },
)
def handed_to_a_tensor_hook() -> tuple[str, str]:
    """Send back 3 and then 5, and keep what the hook is handed."""
    w, handed = nn.Parameter(torch.ones(1, dtype=torch.float64)), list[float]()
    w.register_hook(lambda gradient: handed.append(gradient.item()))
    for x in (3.0, 5.0):
        (x * w).sum().backward()
    return f"{handed[1]:.0f}", f"It is handed {handed[0]:.0f}, then {handed[1]:.0f}."


@lesson.question(
    "A full backward hook on the first layer of a model prints `layer.weight.grad`. It is the "
    "first `backward()`, and the input is data, which needs no gradient. What is printed?",
    {
        "the weight's gradient": "The hook waits for the gradient of the input, not of the weight.",
        "None": "The input needs no gradient, so the hook is called before the weight has one.",
        "nothing: the hook is not called": "It is called, at another time than its name suggests.",
    },
)
def seen_by_a_full_backward_hook() -> tuple[str, str]:
    """Register it on the first of two layers."""
    first, model = _two_layers()
    seen = list[Tensor | None]()
    first.register_full_backward_hook(lambda layer, *_: seen.append(layer.weight.grad))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of an input without a gradient
        model(torch.ones(4, 2, dtype=torch.float64)).sum().backward()
    if not seen:
        return "nothing: the hook is not called", "It is called 0 times."
    answer = "None" if seen[0] is None else "the weight's gradient"
    return answer, f"It is called {len(seen)} time, and finds {answer}."


def _two_layers() -> tuple[nn.Linear, nn.Sequential]:
    """The first layer, and the model that begins with it."""
    with seeded(0):
        first = nn.Linear(2, 2)
        return first, nn.Sequential(first, nn.Tanh(), nn.Linear(2, 2)).double()


def _model_of_checks() -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


@lesson.question(
    "A skip connection: `y = x + f(x)`. To switch the branch off for `backward()`, a hook on the "
    "result of `f` is `lambda g: g.mul_(0)`. Which gradient do the layers below `x` get?",
    {
        "the gradient of the skip connection": "That is what `lambda g: 0 * g` does: it returns "
        "a new tensor.",
        "none: it is 0": "Both sides of the addition were handed the same tensor, and the hook has "
        "written zeros into it.",
        "all of it, from both paths": "The branch is off. But not the branch alone.",
    },
)
def changed_in_place() -> tuple[str, str]:
    """Let 1 come back through the skip connection and 2 through the branch."""
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    x = 1 * w
    branch = 2 * x
    branch.register_hook(lambda gradient: gradient.mul_(0))
    (x + branch).sum().backward()
    assert w.grad is not None
    answers = {
        0: "none: it is 0",
        1: "the gradient of the skip connection",
        3: "all of it, from both paths",
    }
    got = int(w.grad.item())
    return answers[got], f"Of 1 through the skip connection and 2 through f, {got} arrives."


@lesson.question(
    "A hook on each parameter steps and clears inside `backward()`. The loop accumulates: 4 "
    "micro-batches, each loss divided by 4, then `optimizer.step()`. How many updates are made?",
    {
        "1, with their mean": "Nobody waits for the sum: each gradient is used and cleared.",
        "4, each with a quarter of a gradient": "Every `backward()` steps.",
        "none": "The gradients are gone when `backward()` returns. But they have been used.",
    },
)
def stepped_inside() -> tuple[str, str]:
    """Write down the weight after each `backward()`, and after the step at the end."""
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([w], lr=0.1)

    def step_and_clear(_: Tensor) -> None:
        optimizer.step()
        optimizer.zero_grad()

    w.register_post_accumulate_grad_hook(step_and_clear)
    values = [w.item()]
    for x in (1.0, 2.0, 3.0, 4.0):
        ((x * w).sum() / 4).backward()
        values.append(w.item())
    optimizer.step()
    values.append(w.item())
    updates = sum(a != b for a, b in pairwise(values))
    answers = {0: "none", 1: "1, with their mean", 4: "4, each with a quarter of a gradient"}
    return answers[updates], f"The weight has changed {updates} times."


@lesson.question(
    "One forward pass and one `backward()`, with `checkpoint(part, x, use_reentrant=False)`. How "
    "often are called: a forward hook on the part's first layer, a tensor hook on its weight?",
    {
        "once and once": "The first layer has to compute once more, and its hook goes with it.",
        "twice and once": "The layer computes twice. Its gradient is computed once.",
        "twice and twice": "What is computed again is the forward pass, not the gradient.",
    },
)
def under_checkpointing() -> tuple[str, str]:
    """Count the calls of both hooks."""
    (first, part), calls = _two_layers(), Counter[str]()
    first.register_forward_hook(lambda *_: calls.update(["forward"]))
    first.weight.register_hook(lambda _: calls.update(["tensor"]))
    x = torch.ones(4, 2, dtype=torch.float64)
    checkpoint(part, x, use_reentrant=False).sum().backward()
    words = {1: "once", 2: "twice"}
    forward, tensor = words[calls["forward"]], words[calls["tensor"]]
    return f"{forward} and {tensor}", f"The forward hook is called {forward}."


def _refused(error: Exception) -> str:
    return f"Not yet: it raises {type(error).__name__}: {str(error).splitlines()[0]}"


@lesson.exercise
def check_watch(watch: Callable[[nn.Module], Any]) -> str:
    """Check the norms that hooks write down against gradients of `torch.autograd.grad`."""
    model = _model_of_checks()
    model.get_parameter("0.bias").requires_grad_(False)
    unwatched = copy.deepcopy(model)
    data = torch.linspace(-1, 1, 45, dtype=torch.float64).reshape(3, 5, 3).sin()
    try:
        pair = watch(model)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            return "Not yet: two things are to be returned, the norms and the handles."
        norms, handles = pair
        if not isinstance(norms, Mapping):
            return f"Not yet: the norms are to be a dict of lists, not {norms!r}."
        for x in data[:2]:
            model(x).square().mean().backward()
    except (RuntimeError, TypeError, ValueError) as error:
        return _refused(error)
    expected = [_gradients(unwatched, x) for x in data[:2]]
    return (
        _no_numbers(norms)
        or _written_down({name: list(kept) for name, kept in norms.items()}, expected)
        or _changed(model, expected)
        or _goes_on(model, norms, handles, data[2])
        or "Right. Each list holds the norm of each backward's own gradient."
    )


def _gradients(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    loss = model(x).square().mean()
    return dict(zip(learning, torch.autograd.grad(loss, list(learning.values())), strict=True))


def _no_numbers(norms: Mapping[str, Any]) -> str:
    """A sentence on the first entry that is no list of numbers, or an empty one."""
    for name, kept in norms.items():
        if not isinstance(kept, Collection) or not all(map(_is_number, kept)):
            return f"Not yet: the norms of {name!r} are to be a list of numbers, not {kept!r}."
    return ""


def _is_number(each: Any) -> bool:
    try:
        float(each)
    except (RuntimeError, TypeError, ValueError):
        return False
    return True


def _written_down(norms: dict[str, list[Any]], expected: list[dict[str, Tensor]]) -> str:
    """A sentence on the first list that is wrong, or an empty one."""
    for name, gradient in expected[0].items():
        kept = norms.get(name, [])
        if len(kept) != len(expected):
            return f"Not yet: after 2 backward() the list of {name!r} has {len(kept)} entries."
        total = (gradient + expected[1][name]).norm().item()
        for nth, each in enumerate(expected):
            found, right = float(kept[nth]), each[name].norm().item()
            if not abs(found - right) < 1e-9:
                as_sum = " That is the norm of the sum." if abs(found - total) < 1e-9 else ""
                return (
                    f"Not yet: for backward() number {nth + 1} the list of {name!r} holds "
                    f"{found:.4f}. The norm of that gradient is {right:.4f}.{as_sum}"
                )
    extra = [name for name, kept in norms.items() if kept and name not in expected[0]]
    return f"Not yet: {extra[0]!r} is no parameter with a gradient." if extra else ""


def _changed(model: nn.Module, expected: list[dict[str, Tensor]]) -> str:
    for name, p in model.named_parameters():
        if name not in expected[0]:
            continue
        total = expected[0][name] + expected[1][name]
        if p.grad is None or not torch.allclose(p.grad, total, atol=1e-12):
            return f"Not yet: the lists are right, but the gradient of {name!r} has changed."
    return ""


def _goes_on(model: nn.Module, norms: Any, handles: Any, x: Tensor) -> str:
    try:
        for handle in handles:
            handle.remove()
    except (AttributeError, TypeError):
        return "Not yet: the second thing to return is a list of handles."
    before = {name: len(kept) for name, kept in norms.items()}
    model(x).square().mean().backward()
    if before != {name: len(kept) for name, kept in norms.items()}:
        return "Not yet: all handles are removed, and yet a hook writes on."
    return ""


MAX_NORM = 0.5
"""What `check_clip_before_step` clips to."""


@lesson.exercise
def check_clip_before_step(clip_before_step: Callable[[torch.optim.Optimizer, float], Any]) -> str:
    """Check a clip that hangs on an optimizer against updates computed by hand."""
    model = _model_of_checks()
    unused = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD(model[2].parameters(), lr=1.0)
    optimizer.add_param_group({"params": [*model[0].parameters(), unused]})
    start = copy.deepcopy(model)
    try:
        handle = clip_before_step(optimizer, MAX_NORM)
        for scale in SCALES:
            _update(model, optimizer, scale)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        return _refused(error)
    by_hand = copy.deepcopy(start)
    for scale in SCALES:
        _update_by_hand(by_hand, scale, MAX_NORM)
    if not _same(model, by_hand):
        return _guessed(start, model)
    if not hasattr(handle, "remove"):
        return f"Not yet: the clip is right, but a handle is to be returned, not {handle!r}."
    handle.remove()
    _update(model, optimizer, SCALES[0])
    _update_by_hand(by_hand, SCALES[0], None)
    if not _same(model, by_hand):
        return "Not yet: the handle is removed, and yet the gradients are clipped."
    return "Right. The sum of both micro-batches is clipped once, as one vector."


SCALES = (20.0, 0.001, 20.0)
"""What the losses of the check's updates are multiplied by: large, small, large."""


def _losses(model: nn.Module, scale: float) -> list[Tensor]:
    """Those of two micro-batches; the same ones at each update."""
    x = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(2, 4, 3)
    return [scale * (model(part) - 1).square().mean() / 2 for part in (x[0], x[1].cos())]


def _update(model: nn.Module, optimizer: torch.optim.Optimizer, scale: float) -> None:
    optimizer.zero_grad()
    for loss in _losses(model, scale):
        loss.backward()
    optimizer.step()


def _update_by_hand(model: nn.Module, scale: float, max_norm: float | None) -> None:
    parameters = list(model.parameters())
    total = torch.stack(_losses(model, scale)).sum()
    gradients = torch.autograd.grad(total, parameters)
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    factor = 1.0 if max_norm is None else min(1.0, max_norm / norm)
    with torch.no_grad():
        for p, gradient in zip(parameters, gradients, strict=True):
            p.sub_(factor * gradient)


def _same(model: nn.Module, other: nn.Module) -> bool:
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(p, q, atol=1e-4) for p, q in pairs)


def _guessed(start: nn.Module, model: nn.Module) -> str:
    """Say that nothing is clipped where that is so."""
    free = copy.deepcopy(start)
    for scale in SCALES:
        _update_by_hand(free, scale, None)
    if _same(model, free):
        return "Not yet: the steps are those without any clipping."
    return (
        "Not yet: the steps are not those of the clipped gradient. Is the sum of all micro-batches "
        "clipped, as one vector over all groups, and only if it is longer than max_norm?"
    )
