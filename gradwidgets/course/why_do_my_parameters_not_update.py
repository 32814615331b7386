"""Lesson 09, "Why do my parameters not update?"."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.functional import mse_loss

from gradwidgets.checkup import Report, checkup
from gradwidgets.course.measuring import kind_of
from gradwidgets.lessons import Lesson

lesson = Lesson("why_do_my_parameters_not_update")

Update = Callable[[], object]
Bed = tuple[nn.Module, torch.optim.Optimizer, Update]


def mean_step(clear: bool, seed: int) -> float:
    """Mean length of the first 100 steps of the tutorial's loop."""
    torch.manual_seed(seed)
    model = nn.Linear(10, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    total = 0.0
    for _ in range(100):
        x, y = torch.randn(64, 10), torch.randn(64, 1)
        if clear:
            optimizer.zero_grad()
        mse_loss(model(x), y).backward()
        before = model.weight.detach().clone()
        optimizer.step()
        total += (model.weight.detach() - before).norm().item()
    return total / 100


@lesson.question(
    "You forget `zero_grad()` in this loop. How long are its steps, compared with those of the "
    "loop that clears?",
    {
        "much shorter": "That would follow if `backward()` averaged. It does not divide by "
        "anything.",
        "about as long": "The old gradients are still in `.grad`, and `step()` uses all of it.",
        "much longer": "`backward()` adds. Every step applies all earlier gradients once more.",
    },
)
def steps_without_clearing() -> tuple[str, str]:
    """Compare the mean step of both loops with five seeds."""
    ratios = [mean_step(False, seed) / mean_step(True, seed) for seed in range(5)]
    low, high = min(ratios), max(ratios)
    answer = "much longer" if low > 2 else "much shorter" if high < 0.5 else "about as long"
    return answer, (
        f"With each of five seeds the mean step is {low:.0f} to {high:.0f} times as long."
    )


class Sliced(nn.Module):
    """Two layers and a parameter of its own, which is written last."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(8, 5)
        self.linear2 = nn.Linear(5, 1)
        self.extra = nn.Parameter(torch.randn(5))


@lesson.question(
    "A model sets `self.linear1`, then `self.linear2` (two `nn.Linear`), and last `self.extra`, an "
    "`nn.Parameter`. Which one does `list(model.parameters())[:-1]` leave out?",
    {
        "`extra`": "It is written last, but it is not listed last.",
        "`linear2.weight`": "A layer lists its weight before its bias.",
        "`linear2.bias`": "A module's own parameters come first, those of its layers after them.",
    },
)
def left_out() -> tuple[str, str]:
    """List the names of the parameters."""
    names = [name for name, _ in Sliced().named_parameters()]
    return f"`{names[-1]}`", f"They are listed as {', '.join(names)}."


class Listed(nn.Module):
    """Two layers in a Python list, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(8, 16), nn.Linear(16, 16)]
        self.head = nn.Linear(16, 1)


@lesson.question(
    "How many parameters does this model list in `model.parameters()`?",
    {
        "6": "It would if the layers stood in an `nn.ModuleList`.",
        "2": "A module finds layers that are its attributes. It does not look into lists.",
        "0": "The head is an attribute, and is found.",
    },
)
def listed_parameters() -> tuple[str, str]:
    """Count what a model with a list of layers lists."""
    names = [name for name, _ in Listed().named_parameters()]
    return str(len(names)), f"They are {' and '.join(names)}."


@lesson.exercise
def check_all_but(all_but: Callable[[nn.Module, str], object]) -> str:
    """Check a function that lists all parameters of a model but one."""
    for model in _models():
        names = [name for name, _ in model.named_parameters()]
        for name in names:
            before = copy.deepcopy(model)
            wanted = {id(p): each for each, p in model.named_parameters() if each != name}
            said = _wrong_list(all_but(model, name), wanted)
            if not _same(model, before):
                return "Not yet: it has changed the model. It should only choose parameters."
            if said:
                return f"Not yet: asked to leave out {name!r} of {names}, {said}."
    return "Right. The name is left out, and nothing else."


def _models() -> list[nn.Module]:
    """Models in which a name is part of another, and values or shapes are the same twice."""
    twins = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    twins[1].load_state_dict(twins[0].state_dict())
    named = nn.Module()
    named.layer, named.layer2 = nn.Linear(2, 2), nn.Linear(2, 2)
    named.bias, named.bias2 = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2))
    return [Sliced(), twins, named]


def _wrong_list(found: object, wanted: dict[int, str]) -> str:
    """The fault of a list of parameters; "" if it has none."""
    if isinstance(found, torch.Tensor) or not isinstance(found, Iterable):
        return f"it returns {kind_of(found)}"
    given = list(found)
    strangers = [type(each).__name__ for each in given if not isinstance(each, nn.Parameter)]
    if strangers:
        return f"it returns a {strangers[0]} among them, not only the model's parameters"
    if len(given) != len(wanted):
        return f"it returns {len(given)} parameters in place of {len(wanted)}"
    if {id(p) for p in given} != set(wanted):
        return "it returns others than those of the model that are left"
    return ""


def _same(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = dict(one.named_parameters()), dict(other.named_parameters())
    return ours.keys() == theirs.keys() and all(
        torch.equal(p, theirs[name]) and p.requires_grad == theirs[name].requires_grad
        for name, p in ours.items()
    )


CAUSES = {
    "A": "cleared-before-step",
    "B": "not-cleared",
    "C": "detached",
    "D": "update-too-small",
    "E": "frozen",
    "F": "vanishing",
    "G": "not-in-model",
}
"""What is wrong with each bed of the ward. Reading this is cheating; `checkup` is asked, too."""


def ward(name: str) -> Bed:
    """The model, the optimizer and one update of a loop in which one link is cut."""
    cause = CAUSES[name]
    torch.manual_seed(0)
    body = [part for _ in range(8) for part in (nn.Linear(16, 16), nn.Sigmoid())]
    model = nn.Sequential(
        nn.Linear(8, 16), nn.Tanh(), *(body if cause == "vanishing" else []), nn.Linear(16, 1)
    ).double()
    lr = {"update-too-small": 1e-9, "vanishing": 0.01}.get(cause, 0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    x = torch.randn(64, 8, dtype=torch.float64)
    y = x.sum(1, keepdim=True)
    if cause == "frozen":
        model[0].requires_grad_(False)
    if cause == "not-in-model":
        model = copy.deepcopy(model)

    def update() -> None:
        if cause != "not-cleared":
            optimizer.zero_grad()
        hidden = model[0](x)
        output = model[1:](hidden.detach() if cause == "detached" else hidden)
        mse_loss(output, y).backward()
        if cause == "cleared-before-step":
            optimizer.zero_grad()
        optimizer.step()

    return model, optimizer, update


def examined(bed: Bed) -> Report:
    """The report of `checkup` on three updates."""
    model, optimizer, update = bed
    with checkup(model, optimizer) as report:
        for _ in range(3):
            update()
    return report


def _first_code(report: Report) -> str:
    """The code of the gravest finding, or "" where there is none."""
    grave = [each.code for each in report.findings if each.severity != "info"]
    return next(iter([*grave, *sorted(report.codes)]), "")


@lesson.exercise
def check_ward(diagnosis: object) -> str:
    """Check a cause for each bed against what `checkup` finds."""
    if not isinstance(diagnosis, dict):
        return "Not yet: diagnosis should be a dictionary with a cause for each bed."
    given = {bed: _code(diagnosis.get(bed)) for bed in CAUSES}
    for bed, code in given.items():
        if code not in CAUSES.values():
            known = ", ".join(sorted(CAUSES.values()))
            return f"Not yet: bed {bed} has {diagnosis.get(bed)!r}; give it one of {known}."
    wrong = [bed for bed, code in given.items() if code != _first_code(examined(ward(bed)))]
    if wrong:
        return f"Not yet: {len(CAUSES) - len(wrong)} are right. Look again at {', '.join(wrong)}."
    return "Right. Your diagnosis and checkup's agree on all seven."


def _code(cause: object) -> str:
    return cause.strip(" `").lower().replace("_", "-") if isinstance(cause, str) else ""


SHAPES = [(1,), (1, 16), (16,), (16, 8)]
"""Of the parameters of the network to be mended."""


@lesson.exercise
def check_mended(
    net: Callable[[], nn.Module],
    update: Callable[[nn.Module, torch.optim.Optimizer, torch.Tensor, torch.Tensor], object],
) -> str:
    """Check a network and its update: `checkup` finds no fault, and the loss falls."""
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x = torch.randn(64, 8)
    y = x[:, :1] * x[:, 1:2]
    first = _error(model, x, y)
    if first is None:
        return f"Not yet: the model should give one number for each of the {len(x)} samples."
    report = examined((model, optimizer, lambda: update(model, optimizer, x, y)))
    if any(each.severity != "info" for each in report.findings):
        return f"Not yet: {report.headline}."
    if sorted(tuple(p.shape) for p in model.parameters()) != SHAPES:
        return "Not yet: keep the two layers, nn.Linear(8, 16) and nn.Linear(16, 1)."
    for _ in range(300):
        update(model, optimizer, x, y)
    last = _error(model, x, y)
    if last is None or not last < 0.3 * first:
        return f"Not yet: checkup is content, but the error goes from {first:.2f} to {last:.2f}."
    return f"Right. Nothing wrong is seen, and the error falls from {first:.2f} to {last:.2f}."


def _error(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float | None:
    """The mean squared error, whatever the shape of the output; None if its size is wrong."""
    with torch.no_grad():
        output = model(x)
    return mse_loss(output.flatten(), y.flatten()).item() if output.numel() == y.numel() else None
