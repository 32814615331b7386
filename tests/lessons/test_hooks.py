"""Lesson 14: what its texts say of hooks beyond what its own cells show."""

import shutil
import warnings
from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.trust.effort import SOAK

COMPILERS = [
    "aot_eager",
    pytest.param(
        "inductor",
        marks=pytest.mark.skipif(
            not SOAK or shutil.which("g++") is None, reason="half a minute, and a C++ compiler"
        ),
    ),
]


def test_autograd_grad_calls_the_tensor_hook_alone():
    w, called = nn.Parameter(torch.ones(2)), []
    w.register_hook(lambda _: called.append("tensor"))
    w.register_post_accumulate_grad_hook(lambda _: called.append("post-accumulate"))
    torch.autograd.grad((3 * w).sum(), w)
    assert (called, w.grad) == (["tensor"], None)


def test_a_post_accumulate_hook_may_change_grad_in_place():
    w = nn.Parameter(torch.ones(2))

    def halve(p):
        p.grad.mul_(0.5)

    w.register_post_accumulate_grad_hook(halve)
    (3 * w).sum().backward()
    assert w.grad.tolist() == [1.5, 1.5]


def test_a_post_accumulate_hook_must_return_nothing():
    w = nn.Parameter(torch.ones(2))
    w.register_post_accumulate_grad_hook(lambda p: p.grad.mul_(0.5))
    with pytest.raises(RuntimeError, match="should return None"):
        (3 * w).sum().backward()


def test_with_a_closure_the_step_pre_hook_comes_before_its_backward():
    w, found = nn.Parameter(torch.ones(1)), []
    optimizer = torch.optim.SGD([w], lr=1.0)
    optimizer.register_step_pre_hook(lambda *_: found.append(w.grad))

    def closure():
        optimizer.zero_grad()
        loss = (3 * w).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert found == [None]
    assert w.item() == 1 - 3


@pytest.mark.parametrize(
    ("fused", "unscale", "scaled"),
    [(False, False, False), (False, True, False), (True, False, True), (True, True, False)],
)
def test_only_a_fused_optimizers_pre_hook_finds_scaled_gradients(fused, unscale, scaled):
    w, found = nn.Parameter(torch.ones(1)), []
    optimizer = torch.optim.SGD([w], lr=1.0, fused=fused)
    optimizer.register_step_pre_hook(lambda *_: found.append(w.grad.item()))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale((3 * w).sum()).backward()
    if unscale:
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    assert found == [3 * 1024 if scaled else 3]


def test_where_parts_cancel_more_parts_may_mean_more_clamping():
    ends = []
    for parts in ([0.04], [1.0, -0.96]):
        w = nn.Parameter(torch.ones(1))
        w.register_hook(lambda gradient: gradient.clamp(-0.05, 0.05))
        for gradient in parts:
            (gradient * w).sum().backward()
        ends.append(w.grad.item())
    assert ends == [pytest.approx(0.04), 0]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_gradient_changed_in_place_changes_for_the_skip_connection(swapped):
    torch.manual_seed(0)
    below, f = nn.Linear(2, 2), nn.Linear(2, 2)
    x = below(torch.randn(4, 2))
    branch = f(x)
    branch.register_hook(lambda gradient: gradient.mul_(0))
    (branch + x if swapped else x + branch).square().mean().backward()
    assert not below.weight.grad.any()


@pytest.mark.parametrize("by", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_one_backward_an_update_may_step_inside_it(by):
    ends = []
    for inside in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
        optimizers = {p: getattr(torch.optim, by)([p], lr=0.01) for p in model.parameters()}

        def finished(p, optimizers=optimizers, inside=inside):
            if inside:
                optimizers[p].step()
                optimizers[p].zero_grad()

        for p in optimizers:
            p.register_post_accumulate_grad_hook(finished)
        for x in torch.randn(10, 8, 8):
            model(x).square().mean().backward()
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad()
        ends.append(nn.utils.parameters_to_vector(optimizers))
    assert ends[0].equal(ends[1])


@pytest.mark.parametrize("layers", [2, 3, 5])
def test_under_checkpointing_all_forward_hooks_but_the_last_are_called_twice(layers):
    part = nn.Sequential(*(nn.Linear(2, 2) for _ in range(layers)))
    calls = Counter()
    for name, layer in part.named_children():
        layer.register_forward_hook(lambda *_, name=name: calls.update([name]))
    checkpoint(part, torch.ones(4, 2), use_reentrant=False).sum().backward()
    assert calls == {str(n): 1 + (n < layers - 1) for n in range(layers)}


@pytest.mark.parametrize("backend", COMPILERS)
@pytest.mark.parametrize(("early", "called"), [(True, 2), (False, 1)])
def test_a_layers_hooks_work_in_a_compiled_model_if_they_come_first(backend, early, called):
    torch.compiler.reset()
    calls, layer = Counter(), nn.Linear(2, 2)
    compiled = torch.compile(nn.Sequential(layer, nn.Tanh()), backend=backend)

    def register():
        layer.register_forward_hook(lambda *_: calls.update(["forward"]))
        layer.register_full_backward_hook(lambda *_: calls.update(["backward"]))
        layer.weight.register_hook(lambda _: calls.update(["tensor"]))
        layer.weight.register_post_accumulate_grad_hook(lambda _: calls.update(["accumulated"]))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for first in (True, False):
            if first == early:
                register()
            compiled(torch.ones(4, 2, requires_grad=True)).sum().backward()
    assert calls["tensor"] == calls["accumulated"] == called
    assert calls["forward"] == calls["backward"] == (called if early else 0)


def test_a_model_may_take_over_a_translation_without_its_hooks():
    torch.compiler.reset()
    calls = Counter()
    for hooked in (False, True):
        layer = nn.Linear(2, 2)
        if hooked:
            layer.register_forward_hook(lambda *_: calls.update(["forward"]))
        compiled = torch.compile(nn.Sequential(layer, nn.Tanh()), backend="aot_eager")
        compiled(torch.ones(4, 2)).sum().backward()
    assert calls["forward"] == 0
