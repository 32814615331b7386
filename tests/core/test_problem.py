"""A problem and a recipe that do not fit are refused by name."""

from __future__ import annotations

import copy
import re
import sys
from functools import partial
from importlib import resources
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Problem, Recipe, TrainingError, problems, train
from tests.examples import double_model, double_problem, doubles


class Weighted(nn.Module):
    """A loss with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((), 3.0, dtype=torch.float64))

    def forward(self, output: Tensor, target: Tensor, power: int = 2) -> Tensor:
        return (self.weight * (output - target).abs() ** power).mean()


def test_a_frozen_parameter_of_a_loss_counts_and_stays_as_it_is() -> None:
    loss = Weighted().requires_grad_(False)
    weighted = train(double_problem(loss=loss), Recipe(lr=0.1, updates=9))
    plain = train(double_problem(), Recipe(lr=0.3, updates=9))
    np.testing.assert_allclose(weighted.loss, 3 * plain.loss, rtol=1e-12)
    assert (loss.weight.item(), loss.weight.grad) == (3.0, None)


class Modes(nn.Module):
    """Three modules whose mode matters."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm1d(3).double(), nn.BatchNorm1d(3).double()
        self.drop, self.last = nn.Dropout(0.3), nn.Linear(3, 2).double()
        for norm in (self.first, self.second):
            nn.init.uniform_(norm.weight)
            nn.init.uniform_(norm.running_mean)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.last(self.drop(self.second(self.first(x))))
        return output


@pytest.mark.parametrize("frozen", [(), ("first",), ("first", "drop"), ("",)], ids=repr)
@pytest.mark.parametrize("kind", ["instance", "factory"])
def test_modules_keep_the_mode_that_they_were_given(kind: str, frozen: tuple[str, ...]) -> None:
    torch.manual_seed(3)
    given = Modes()
    for name in frozen:
        given.get_submodule(name).eval()
    modes = [module.training for module in given.modules()]
    x, y = doubles()

    torch.manual_seed(0)
    model = copy.deepcopy(given)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    losses = []
    for _ in range(7):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    source = given if kind == "instance" else lambda: copy.deepcopy(given)
    problem = double_problem(model=source, held_out=(x, y))
    recipe = Recipe(lr=0.2, updates=7)
    history = train(problem, recipe)
    assert history.loss.tolist() == losses
    assert history.model is not None
    for ours, theirs in zip(history.model.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(history.model.buffers(), model.buffers(), strict=True):
        assert torch.equal(ours, theirs)
    for each in (given, history.model):
        assert [module.training for module in each.modules()] == modes


def test_a_class_that_raises_keeps_its_own_error_as_the_cause() -> None:
    def broken() -> nn.Module:
        raise KeyError("hidden")

    with pytest.raises(ValueError, match=r"broken\(\) raised KeyError: 'hidden'") as raised:
        train(double_problem(model=broken))
    assert isinstance(raised.value.__cause__, KeyError)


@pytest.mark.parametrize("name", ["Muon", "SparseAdam"])
def test_an_optimizer_that_refuses_the_model_is_named(name: str) -> None:
    with pytest.raises((ValueError, TrainingError), match=name):
        train("moons", Recipe(optimizer=name))


def test_a_mask_pattern_without_a_match_names_the_parameters() -> None:
    with pytest.raises(ValueError, match=r"mask_kind='conv\*'.*'0\.weight', '0\.bias'"):
        train("moons", Recipe(mask=0.5, mask_kind="conv*"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "Problem.name=''"),
        ({"model": 3}, "Problem.model=3"),
        ({"loss": None}, "Problem.loss=None"),
        ({"recipe": {"lr": 1}}, "Problem.recipe={'lr': 1}"),
        ({"data": {"x": 1, "label": 2}}, "Problem.data: a dict of 'x', 'label'; give (x, y)"),
        ({"data": [{"x": 1}]}, "Problem.data: a batch must be (x, y), not a dict of 'x'"),
        ({"held_out": [{"x": 1}]}, "Problem.held_out: a batch must be (x, y), not a dict of 'x'"),
        ({"loss": Weighted()}, "the Weighted has parameters of its own, ['weight']"),
        ({"loss": partial(Weighted(), power=1)}, "has parameters of its own, ['weight']"),
    ],
)
def test_a_problem_names_its_bad_argument(fields: dict[str, Any], words: str) -> None:
    good: dict[str, Any] = {
        "name": "p",
        "model": double_model,
        "data": doubles(),
        "loss": F.mse_loss,
    }
    with pytest.raises(ValueError, match=re.escape(words)):
        Problem(**(good | fields))


def test_an_unknown_built_in_problem_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"problem='moon' is unknown.*'moons'"):
        train("moon")


@pytest.mark.parametrize("name", problems.names())
def test_a_built_in_problem_learns_something_with_its_own_recipe(name: str) -> None:
    history = train(name)
    assert history.stopped is None
    assert history.loss[-1] < 0.5 * history.loss[0]


@pytest.mark.parametrize("name", problems.names())
def test_a_built_in_problem_is_the_same_object_and_the_same_data_each_time(name: str) -> None:
    problem = getattr(problems, name)
    assert problem is problems.get(name)
    assert problem.name == name
    assert problem.description.endswith(".")
    x, y = problem.data()
    again = problem.data()
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    assert len(x) == len(y)


def test_the_bowl_is_a_quadratic_of_condition_25_with_its_minimum_at_one_one() -> None:
    x, y = problems.bowl.batches()
    curvature = torch.linalg.eigvalsh(2 * x.T @ x / len(x))
    assert (curvature[-1] / curvature[0]).item() == pytest.approx(25, rel=1e-5)
    solution = torch.linalg.lstsq(x, y).solution
    assert solution.ravel().tolist() == pytest.approx([1, 1], rel=1e-5)


def test_the_digits_are_those_of_scikit_learn_and_every_fifth_is_held_out() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    held_out = np.arange(1797) % 5 == 0
    (x, y), (test_x, test_y) = problems.digits.batches(), problems.digits.held_out_data()
    assert (len(x), len(test_x)) == (1437, 360)
    np.testing.assert_array_equal(16 * test_x, digits.data[held_out])
    np.testing.assert_array_equal(16 * x, digits.data[~held_out])
    np.testing.assert_array_equal(test_y, digits.target[held_out])
    np.testing.assert_array_equal(y, digits.target[~held_out])


def test_the_digits_need_no_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert len(problems.digits_data()[0]) == 1437


def test_padding_tokens_neither_count_in_the_loss_nor_train_their_embedding() -> None:
    history = train("tokens", Recipe(updates=5))
    table = history.parameters["embedding.weight"]
    assert (table[:, 0] == 0).all()
    assert (table[0, 1:] != table[-1, 1:]).any()
    x, y = problems.tokens.batches()
    assert ((y == -100) == (x == 0)).all()


def story() -> list[str]:
    text = resources.files("gradwidgets.core.chars") / "text.txt"
    return text.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("test", [False, True])
def test_chars_are_the_sentences_of_the_story_each_target_the_next_input(test: bool) -> None:
    x, y = problems.chars_data(test)
    every = sorted(set("".join(story())))
    read = []
    for ids, targets in zip(x.tolist(), y.tolist(), strict=True):
        length = targets.index(0)
        read.append("".join(every[i - 1] for i in targets[:length]))
        assert ids == [0, *targets[:length], *[0] * (40 - length)]
        assert targets[length + 1 :] == [-100] * (40 - length)
    expected = [line for i, line in enumerate(story()) if (i % 5 == 0) == test]
    assert read == expected


def test_what_is_held_out_of_chars_is_trained_on_nowhere() -> None:
    assert len(set(story())) == len(story()) == 212


def test_chars_see_no_character_after_their_own_and_are_scored_by_the_embedding() -> None:
    x, _ = problems.chars.batches()
    model = problems.chars.build()
    changed = x.clone()
    changed[:, 20:] = (x[:, 20:] + 7) % 44
    with torch.no_grad():
        scores, others = model(x), model(changed)
        assert torch.equal(scores[:, :20], others[:, :20])
        assert not torch.equal(scores[:, 20:], others[:, 20:])
        torch.testing.assert_close(scores[:, :9], model(x[:, :9]))
    assert scores.shape == (*x.shape, len(set("".join(story()))) + 1)
    assert sum(p.numel() for p in model.parameters()) == 15_392


def test_chars_agree_with_the_encoder_layer_of_pytorch() -> None:
    """`nn.TransformerEncoderLayer` with the same parameters is the block."""
    model = problems.chars.build().double()
    block = nn.TransformerEncoderLayer(
        32, 2, 128, dropout=0.0, batch_first=True, norm_first=True, dtype=torch.float64
    )
    nn.init.zeros_(block.self_attn.in_proj_bias)
    pairs = [(block.self_attn.in_proj_weight, model.query_key_value.weight)]
    modules = [
        (block.self_attn.out_proj, model.attention_output),
        (block.norm1, model.norm1),
        (block.norm2, model.norm2),
        (block.linear1, model.mlp[0]),
        (block.linear2, model.mlp[2]),
    ]
    pairs += [(getattr(a, n), getattr(b, n)) for a, b in modules for n in ("weight", "bias")]
    x, _ = problems.chars.batches()
    mask = nn.Transformer.generate_square_subsequent_mask(41, dtype=torch.float64)
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(nn.init.normal_(ours))
        h = block(model.embedding(x) + model.position.weight, src_mask=mask, is_causal=True)
        expected = F.linear(model.norm3(h), model.embedding.weight)
        torch.testing.assert_close(model(x), expected)


def test_chars_measure_the_held_out_loss_a_mean_over_all_characters() -> None:
    history = train("chars", Recipe(updates=2))
    assert history.metric == "loss"
    assert history.model is not None
    x, y = problems.chars_data(test=True)
    with torch.no_grad():
        scores = history.model(x)
    each = [-s.log_softmax(0)[t] for s, t in zip(scores[y >= 0], y[y >= 0], strict=True)]
    assert history.held_out[-1, 1] == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_clipping_saves_the_chars_from_an_lr_at_which_they_diverge(seed: int) -> None:
    recipe = Recipe(lr=2.0, batch_size=16, seed=seed)
    wild, clipped = train("chars", recipe), train("chars", recipe.replace(max_norm=0.5))
    assert wild.diverged
    assert clipped.loss[-20:].mean() < 2.1


def warmed_up(seed: int, warm_up: int) -> float:
    """Train chars with AdamW whose lr grows linearly to 0.03; the mean of the last 20 losses."""
    torch.manual_seed(seed)
    x, y = problems.chars.batches()
    model, losses = problems.chars.build(), []
    optimizer = torch.optim.AdamW(model.parameters())
    for update in range(200):
        for group in optimizer.param_groups:
            group["lr"] = 0.03 * min(1.0, (update + 1) / warm_up)
        index = torch.randint(len(x), (16,))
        optimizer.zero_grad()
        loss = problems.chars.loss(model(x[index]), y[index])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-20:]) / 20


@pytest.mark.parametrize("seed", range(3))
def test_warm_up_helps_the_chars_at_a_large_lr(seed: int) -> None:
    with torch.random.fork_rng():
        assert warmed_up(seed, warm_up=50) < warmed_up(seed, warm_up=1) - 0.1
