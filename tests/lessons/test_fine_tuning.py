"""Lesson 15: what its texts say beyond what its own cells show."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from gradwidgets import Problem, Recipe, problems, train
from gradwidgets.course import fine_tuning


@pytest.mark.parametrize(("first", "frozen_is_better"), [(0, False), (450, True)])
def test_which_images_there_are_decides_what_freezing_does_to_others(first, frozen_is_better):
    torch.set_default_dtype(torch.float64)  # as in the lesson
    (x, y), (held_x, held_y) = problems.digits.batches(), problems.digits.held_out_data()
    few = x[first : first + 50], (y[first : first + 50] >= 5).long()

    def model():
        return nn.Sequential(fine_tuning.pretrained_body(), nn.Linear(32, 2))

    task = Problem("5 or more", model, few, cross_entropy, held_out=(held_x, (held_y >= 5).long()))
    free, frozen = (
        train(task, Recipe(lr=0.2, updates=200, groups={"0.*": {"frozen_until": until}}))
        for until in (0, 200)
    )
    assert (frozen.accuracy[-1, 1] > free.accuracy[-1, 1]) == frozen_is_better


def moved_by(name, a, b, updates=1):
    """How far A and B are from their start, with lr 0.1."""
    x = torch.linspace(-1, 1, 32).reshape(4, 8)
    start = [a.detach().clone(), b.detach().clone()]
    optimizer = getattr(torch.optim, name)([a, b], lr=0.1)
    for _ in range(updates):
        optimizer.zero_grad()
        (x @ a.T @ b.T - 1).square().mean().backward()
        optimizer.step()
    return [(p - q).norm().item() for p, q in zip((a, b), start, strict=True)]


def matrices(a=1.0):
    torch.manual_seed(0)
    return nn.Parameter(a * torch.randn(2, 8)), nn.Parameter(torch.zeros(5, 2))


def test_what_moves_a_in_adamws_first_update_is_its_weight_decay():
    a, b = matrices()
    decay = 0.1 * 0.01 * a.norm().item()  # lr times the default of weight_decay
    assert moved_by("AdamW", a, b)[0] == pytest.approx(decay, rel=1e-4)
    assert moved_by("Adam", *matrices())[0] == 0


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_two_matrices_of_zeros_never_move(name):
    assert moved_by(name, *matrices(a=0.0), updates=50) == [0, 0]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_both_move_once_b_has(name):
    assert all(moved_by(name, *matrices(), updates=2))


def test_a_head_behind_a_block_without_a_graph_learns():
    block, head = nn.Linear(4, 4), nn.Linear(4, 1)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad"):
        output = checkpoint(block, torch.ones(8, 4), use_reentrant=True)
    head(output).sum().backward()
    assert block.weight.grad is None
    assert head.weight.grad.any()


@pytest.mark.parametrize(("reentrant", "learns"), [(True, False), (False, True)])
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_lora_in_a_checkpointed_block_behind_a_frozen_embedding(reentrant, learns):
    a, b = matrices()
    words, head = nn.Embedding(3, 8).requires_grad_(False), nn.Linear(5, 1)

    def block(x):
        return x @ a.T @ b.T

    output = checkpoint(block, words(torch.tensor([0, 1, 2])), use_reentrant=reentrant)
    head(output).sum().backward()
    assert (b.grad is not None) == learns


@pytest.mark.parametrize("shared", [False, True])
def test_all_rows_have_a_gradient_if_the_output_layer_shares_them(shared):
    torch.manual_seed(0)
    words, output = nn.Embedding(4, 2), nn.Linear(2, 4, bias=False)
    if shared:
        output.weight = words.weight
    cross_entropy(output(words(torch.tensor([0, 1]))), torch.tensor([1, 0])).backward()
    assert words.weight.grad.any(1).tolist() == [True, True, shared, shared]
