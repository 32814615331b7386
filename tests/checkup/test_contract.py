"""What a checkup promises beside its diagnosis: it changes nothing, and it leaves nothing."""

from __future__ import annotations

import contextlib
import copy
import gc
import json
import re
import weakref
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.nn.modules import module as module_hooks
from torch.nn.utils import clip_grad
from torch.optim import Optimizer
from torch.optim import optimizer as optimizer_hooks

from gradwidgets.checkup import checkup
from gradwidgets.checkup.report import SECTIONS
from tests.checkup.loops import BETWEEN_PROCESSES, Case, Loop, cnn, collect, images, mlp, regression

LESSON = Path(__file__).parents[2] / "notebooks" / "09_why_do_my_parameters_not_update.ipynb"
HEALTHY = collect().healthy


def _state(loop: Loop) -> list[torch.Tensor]:
    """Every number that training leaves behind, the generator's state included."""
    modules = loop.model if isinstance(loop.model, (list, tuple)) else [loop.model]
    kept = [torch.get_rng_state()]
    for module in modules:
        kept += [value for _, value in sorted(module.state_dict().items())]
        kept += [p.grad.to_dense() for p in module.parameters() if p.grad is not None]
        kept += [torch.tensor(p._version) for p in module.parameters()]
    return kept


@pytest.mark.parametrize("case", HEALTHY, ids=lambda case: case.name)
def test_training_is_bit_identical_with_and_without(case: Case) -> None:
    torch.manual_seed(0)
    plain = case.build()
    plain.train()
    expected = _state(plain)

    torch.manual_seed(0)
    watched = case.build()
    with checkup(watched.model, watched.optimizer):
        watched.train()
    found = _state(watched)

    assert len(expected) == len(found)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def _everything_wrapped() -> list[object]:
    return [
        torch.Tensor.backward,
        vars(torch.autograd)["backward"],
        vars(torch.autograd)["grad"],
        vars(Optimizer)["zero_grad"],
        vars(nn.Module)["zero_grad"],
        *(vars(torch.amp.GradScaler)[name] for name in ("scale", "step", "unscale_")),
        *(vars(clip_grad)[name] for name in ("_clip_grads_with_norm_", "clip_grad_value_")),
        nn.utils.clip_grad_value_,
        len(module_hooks._global_forward_hooks),
        len(optimizer_hooks._global_optimizer_pre_hooks),
        len(optimizer_hooks._global_optimizer_post_hooks),
    ]


class StoppedError(Exception):
    """Raised inside a watched loop."""


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_the_identical_object_again(fails: bool) -> None:
    before = _everything_wrapped()
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters())
    vars_before = set(vars(model)), set(vars(optimizer))
    with contextlib.suppress(StoppedError), checkup(model, optimizer):
        assert _everything_wrapped() != before, "it must be listening"
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        if fails:
            raise StoppedError
    after = _everything_wrapped()
    assert all(a is b or a == b for a, b in zip(before, after, strict=True))
    assert (set(vars(model)), set(vars(optimizer))) == vars_before
    assert all(not p._post_accumulate_grad_hooks for p in model.parameters())


def test_report_is_complete_after_an_exception() -> None:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.0)

    def train():
        for _ in range(2):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
        raise StoppedError("in the third")

    with pytest.raises(StoppedError), checkup(model, optimizer) as report:
        train()
    assert report.complete
    assert report.codes == {"zero-lr"}
    assert report.events[-1].detail == "StoppedError: in the third"


def test_nothing_is_kept_alive() -> None:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters())
    with checkup(model, optimizer) as report:
        out = model(x)
        F.mse_loss(out, y).backward()
        optimizer.step()
    kept = [weakref.ref(model), weakref.ref(optimizer), weakref.ref(out)]
    del model, optimizer, out
    gc.collect()
    assert report.complete
    assert not any(reference() is not None for reference in kept)


def test_copies_made_inside_carry_nothing_away() -> None:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer) as report:
        model(x)
        twin = copy.deepcopy(model)
    events = len(report.events)
    F.cross_entropy(twin(x), y).backward()
    assert len(report.events) == events
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in twin.modules())


def test_text_while_watching_says_so() -> None:
    model = mlp()
    with checkup(model, optim.SGD(model.parameters(), lr=0.1)) as report:
        assert "still watching" in str(report)
        assert "still watching" in report._repr_html_()
    assert "still watching" not in repr(report)


class _Balance(HTMLParser):
    """Counts open tags and collects text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, _attributes):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_is_escaped_and_complete() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = {"<script>alert(1)</script>": nn.Parameter(torch.ones(1))}
            self.linear = nn.Linear(8, 1)

        def forward(self, x):
            return self.linear(x) + sum(self.parts.values())

    model, (x, y) = Odd(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer) as report:
        F.mse_loss(model(x), y).backward()
        optimizer.step()
    page = _Balance()
    page.feed(report._repr_html_())
    assert not page.open
    assert "<script>" not in report._repr_html_()
    assert "<script>alert(1)</script>" in page.text
    (finding,) = report.findings
    assert all(part in page.text for part in (finding.code, finding.message, finding.fix))
    assert "lesson 09, Wiring" in page.text


def test_every_code_leads_to_its_section_of_the_lesson() -> None:
    cells = [cell["source"] for cell in json.loads(LESSON.read_text(encoding="utf-8"))["cells"]]
    (table,) = [lines for lines in cells if "### Wiring\n" in lines]
    found: dict[str, set[str]] = {}
    for line in table:
        if line.startswith("### "):
            section = found.setdefault(line.removeprefix("### ").strip(), set())
        elif line.startswith("| ") and (code := re.match("`(.+?)`", line.split("|")[3].strip())):
            section.add(code[1])
    assert found == SECTIONS
    raised = {code for case in collect().broken for code in case.codes}
    assert raised | BETWEEN_PROCESSES == set().union(*SECTIONS.values())


def test_the_package_offers_the_function_under_its_name() -> None:
    import gradwidgets

    assert gradwidgets.checkup is checkup


def test_timeline_tells_the_loop_as_it_happened() -> None:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer) as report:
        for p in model.parameters():
            p.grad = None
        F.mse_loss(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        optimizer.step()
        for p in model.parameters():
            p.grad = None
        F.mse_loss(model(x), y).backward()
    kinds = [event.kind for event in report.events]
    assert kinds == ["forward", "backward", "edit", "step", "forward", "clear", "backward"]


@pytest.mark.parametrize(
    ("model", "optimizer", "named"),
    [
        ("model", optim.SGD(mlp().parameters(), lr=0.1), "model must be"),
        (mlp(), "sgd", "optimizer must be"),
        (mlp(), [None], "optimizer must be"),
    ],
)
def test_wrong_arguments_are_named(model: object, optimizer: object, named: str) -> None:
    with pytest.raises(TypeError, match=named), checkup(model, optimizer):
        pass


def test_findings_put_the_root_first_and_fold_what_follows() -> None:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    with checkup(model, optimizer) as report:
        for _ in range(3):
            optimizer.zero_grad()
            torch.tensor(F.mse_loss(model(x), y).item(), requires_grad=True).backward()
            optimizer.step()
    assert [f.code for f in report.findings] == ["no-graph", "no-backward"]
    assert [f.severity for f in report.findings] == ["error", "info"]
    assert "follows from no-graph" in report.findings[1].message
