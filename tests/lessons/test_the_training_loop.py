"""Lesson 08: its template runs as a file of its own, and its cheat sheet is true line by line."""

import re
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gradwidgets.course import the_training_loop as lesson
from tests.lessons.notebooks import FOLDER, read

CELLS = {cell.id: cell.source for cell in read(FOLDER / "08_the_training_loop.ipynb").cells}
SHEET = dict(re.findall(r"^\| (\d+) \| (.*) \|$", CELLS["sheet"], re.MULTILINE))
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
DRIVER = """
import sys

if __name__ == "__main__":
    device, dtype = sys.argv[1], getattr(torch, sys.argv[2])
    torch.manual_seed(0)
    x = torch.randn(100, 4)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]])
    model = torch.nn.Linear(4, 1).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler(device, enabled=dtype == torch.float16)
    batches = list(zip(x.split(8), y.split(8)))
    for epoch in range(30):
        train_epoch(
            model, optimizer, scaler, torch.nn.functional.mse_loss, batches, device, dtype
        )
    print(torch.nn.functional.mse_loss(model(x.to(device)), y.to(device)).item())
"""


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_template_is_a_program_of_its_own(tmp_path, device, dtype):
    (tmp_path / "train.py").write_text(CELLS["right"] + DRIVER, encoding="utf-8")
    command = [sys.executable, "-I", "-W", "error", "train.py", device, dtype]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout) < 0.01


@pytest.fixture(scope="module")
def train_epoch():
    space = {}
    exec(CELLS["right"], space)
    return space["train_epoch"]


class Recorded:
    """A batch's tensor that can do nothing but move."""

    def __init__(self, tensor, devices):
        self.tensor, self.devices = tensor, devices

    def __len__(self):
        return len(self.tensor)

    def to(self, device):
        self.devices.append(device)
        return self.tensor


def test_the_template_moves_every_batch(train_epoch):
    model, optimizer, x, y = fresh()
    devices = []
    batches = [(Recorded(x, devices), Recorded(y, devices))] * 3
    off = torch.amp.GradScaler("cpu", enabled=False)
    train_epoch(model, optimizer, off, cross_entropy, batches, "cpu", torch.bfloat16)
    assert devices == ["cpu"] * 6


def test_the_template_makes_the_updates_of_large_batches(train_epoch):
    """Clipped, from groups of unequal batches, behind a layer that the optimizer does not hold."""
    torch.manual_seed(0)
    data = [(torch.randn(n, 5), torch.randint(3, (n,))) for n in (2, 7, 3, 4, 5)]
    foreign, (head, optimizer, *_) = nn.Linear(5, 5), fresh()
    ours = head.weight.detach().clone(), head.bias.detach().clone()
    for group in (data[:4], data[4:]):
        x, y = (torch.cat(parts) for parts in zip(*group, strict=True))
        weight, bias = (p.requires_grad_() for p in ours)
        loss = cross_entropy(foreign(x).detach() @ weight.T + bias, y)
        grads = torch.autograd.grad(loss, (weight, bias))
        norm = sum(g.square().sum() for g in grads).sqrt()
        ours = [
            (p - 0.1 * g * min(1.0, 0.2 / norm)).detach()
            for p, g in zip((weight, bias), grads, strict=True)
        ]
    model, off = nn.Sequential(foreign, head), torch.amp.GradScaler("cpu", enabled=False)
    train_epoch(model, optimizer, off, cross_entropy, data, "cpu", torch.bfloat16, max_norm=0.2)
    for yours, mine in zip(head.parameters(), ours, strict=True):
        assert torch.allclose(yours, mine, atol=2e-3)


def test_a_scaler_made_each_epoch_skips_every_step_with_any_seed():
    for seed in range(10):
        assert lesson.skipped_steps(each_epoch=True, seed=seed, epochs=4) == (20, 20)
        skipped, _ = lesson.skipped_steps(each_epoch=False, seed=seed)
        assert 10 <= skipped <= 16


def fresh(**options):
    """A small model, its SGD, and a batch."""
    torch.manual_seed(1)
    model = nn.Linear(5, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, **options)
    return model, optimizer, torch.randn(12, 5), torch.randint(3, (12,))


def joint(model):
    return nn.utils.get_total_norm([p.grad for p in model.parameters()]).item()


def moved(model, act):
    """How far the parameters go while `act` is called."""
    before = lesson.flat(model)
    act()
    return (lesson.flat(model) - before).norm().item()


def scaled(scale=8.0):
    model, optimizer, x, y = fresh()
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    scaler.scale(cross_entropy(model(x), y)).backward()
    return model, optimizer, scaler


CHECKS = {}


def line(text):
    """Make a function the check of a line of the sheet."""

    def checked(function):
        CHECKS[text] = function
        return function

    return checked


@line(
    "`optimizer.zero_grad()` | anywhere, but not between a `backward()` and the `step()` that it "
    "is for"
)
def zero_grad():
    usual, still = lesson.after(lesson.USUAL), lesson.flat(lesson.new_model())
    for at in range(4):
        order = [line for line in lesson.USUAL if line != "zero_grad"]
        order.insert(at, "zero_grad")
        assert torch.equal(lesson.after(tuple(order)), still if at == 2 else usual)


@line("`with autocast(...):` | forward and loss only; parameters and `.grad` keep their 32 bits")
def autocast():
    for dtype in (torch.float16, torch.bfloat16):
        model, _, x, y = fresh()
        with torch.amp.autocast("cpu", dtype=dtype):
            output = model(x)
            output.retain_grad()
            loss = cross_entropy(output, y)
        loss.backward()
        assert output.dtype == output.grad.dtype == dtype
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert {p.grad.dtype for p in model.parameters()} == {torch.float32}


@line(
    "`loss * len(x) / samples` | parts add up to the large batch's gradient, if the loss is a "
    "plain mean and no layer mixes samples"
)
def shares():
    parts = (slice(0, 2), slice(2, 9), slice(9, 12))

    def apart(model, loss_of):
        _, _, x, y = fresh()
        loss_of(model(x), y).backward()
        large = model[0].weight.grad.clone()
        model.zero_grad()
        for part in parts:
            (loss_of(model(x[part]), y[part]) * len(x[part]) / len(x)).backward()
        return ((model[0].weight.grad - large).norm() / large.norm()).item()

    model = fresh()[0]
    weighted = nn.CrossEntropyLoss(torch.tensor([1.0, 5.0, 10.0]))
    assert apart(nn.Sequential(model), cross_entropy) < 1e-6
    assert apart(nn.Sequential(fresh()[0]), weighted) > 0.01
    assert apart(nn.Sequential(fresh()[0], nn.BatchNorm1d(3)), cross_entropy) > 0.01


@line("`scaler.scale(loss).backward()` | adds to `.grad`, times the scale")
def scale():
    model, _, x, y = fresh()
    cross_entropy(model(x), y).backward()
    norm = joint(model)
    model, _, scaler = scaled()
    assert joint(model) == pytest.approx(8 * norm)
    scaler.scale(cross_entropy(model(x), y)).backward()
    assert joint(model) == pytest.approx(16 * norm)


@line("`scaler.unscale_(optimizer)` | once, before you look at `.grad` or edit it")
def unscale():
    model, optimizer, scaler = scaled()
    norm = joint(model)
    scaler.unscale_(optimizer)
    assert joint(model) == pytest.approx(norm / 8)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    assert lesson.clipped_step(unscale=True) == pytest.approx(0.1, rel=1e-3)
    assert lesson.clipped_step(unscale=False) < 1e-5


@line(
    "`clip_grad_norm_(held, max_norm)` | after `backward()`, before `step()`; skips None; returns "
    "the norm before"
)
def clip():
    far = {}
    for place in ("before backward", "between", "after step", "nowhere"):
        model, optimizer, x, y = fresh()
        start = lesson.flat(model)
        loss = cross_entropy(model(x), y)
        for now in ("before backward", "between", "after step"):
            if place == now:
                returned = nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.01)
            if now == "before backward":
                loss.backward()
                norm = joint(model)
            elif now == "between":
                optimizer.step()
        far[place] = (lesson.flat(model) - start).norm().item()
        if place == "before backward":
            assert returned == 0
        if place == "between":
            assert returned == pytest.approx(norm)
    assert far["between"] == pytest.approx(0.001, rel=1e-3)
    assert far["before backward"] == far["after step"] == far["nowhere"] > 0.01


@line("*held* | what the optimizer holds: foreign gradients count in the norm")
def held():
    for seed in range(3):
        assert lesson.head_step("all", seed) < 0.7 * lesson.head_step("head", seed)


@line(
    "`scaler.step(optimizer)` | skips the step if a gradient is not finite; raises if there is "
    "none at all"
)
def step():
    model, optimizer, scaler = scaled()
    model.bias.grad[0] = float("inf")
    assert moved(model, lambda: scaler.step(optimizer)) == 0
    model, optimizer, scaler = scaled()
    assert moved(model, lambda: scaler.step(optimizer)) > 0
    model, optimizer, scaler = scaled()
    model.bias.grad = None
    assert moved(model, lambda: scaler.step(optimizer)) > 0
    model, optimizer, scaler = scaled()
    optimizer.zero_grad()
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.step(optimizer)


@line("`scaler.update()` | halves the scale after a skipped step")
def update():
    model, optimizer, scaler = scaled()
    model.bias.grad[0] = float("inf")
    scaler.step(optimizer)
    assert scaler.get_scale() == 8.0
    scaler.update()
    assert scaler.get_scale() == 4.0


@line("`GradScaler(device)` | one for the whole run")
def one_scaler():
    assert lesson.skipped_steps(each_epoch=True) == (100, 100)
    assert lesson.skipped_steps(each_epoch=False)[0] < 20


@line("`optimizer.step()` | leaves `.grad` as it is: call it twice, and SGD moves twice")
def twice():
    model, optimizer, x, y = fresh()
    cross_entropy(model(x), y).backward()
    gradient = model.weight.grad.clone()
    first, second = (moved(model, optimizer.step) for _ in range(2))
    assert torch.equal(model.weight.grad, gradient)
    assert first == pytest.approx(second, rel=1e-5)
    assert first > 0


@line("the last group | step it, too, even if it is incomplete")
def last_group():
    model, optimizer, x, y = fresh()
    made = []
    optimizer.register_step_post_hook(lambda *_: made.append(1))
    space = {}
    exec(CELLS["right"], space)
    off = torch.amp.GradScaler("cpu", enabled=False)
    space["train_epoch"](
        model, optimizer, off, cross_entropy, [(x, y)] * 10, "cpu", torch.bfloat16, steps=4
    )
    assert len(made) == 3


@line("`loss.item()` | for the record: a number, without the graph")
def item():
    model, _, x, y = fresh()
    loss = cross_entropy(model(x), y)
    assert loss.grad_fn is not None
    assert type(loss.item()) is float


@line("`model.eval()`, `no_grad()` | for measuring; `model.train()` afterwards")
def measuring():
    model = nn.Sequential(nn.Linear(5, 50), nn.Dropout(0.5))
    x = torch.randn(12, 5)
    assert not torch.equal(model(x), model(x))
    model.eval()
    with torch.no_grad():
        once, again = model(x), model(x)
    assert torch.equal(once, again)
    assert not once.requires_grad
    model.train()
    assert not torch.equal(model(x), model(x))


@line("checkpoint | model, optimizer *and* scaler")
def checkpoint():
    """Of each of the three, one that is not restored goes on elsewhere."""
    saved = run_of(2)
    states = [each.state_dict() for each in saved]
    true = run_of(3)
    ends = {}
    for left_out in (None, 0, 1, 2):
        loaded = made(seed=5)
        for i, (each, state) in enumerate(zip(loaded, states, strict=True)):
            if i != left_out:
                each.load_state_dict(state)
        go(*loaded, 1)
        ends[left_out] = lesson.flat(loaded[0]), loaded[2].get_scale()
    goal = lesson.flat(true[0]), true[2].get_scale()
    for left_out, (place, scale) in ends.items():
        same = torch.allclose(place, goal[0]) and scale == goal[1]
        assert same == (left_out is None), left_out


def made(seed=1):
    torch.manual_seed(seed)
    model = nn.Linear(5, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1)


def run_of(updates):
    model, optimizer, scaler = made()
    go(model, optimizer, scaler, updates)
    return model, optimizer, scaler


def go(model, optimizer, scaler, updates):
    _, _, x, y = fresh()
    for _ in range(updates):
        optimizer.zero_grad()
        scaler.scale(cross_entropy(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()


def test_every_line_of_the_sheet_has_a_check():
    assert sorted(CHECKS) == sorted(SHEET.values())
    assert list(SHEET) == [str(n + 1) for n in range(len(SHEET))]


@pytest.mark.parametrize("text", CHECKS)
def test_the_sheet_is_true(text):
    CHECKS[text]()
