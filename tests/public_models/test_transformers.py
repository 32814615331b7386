"""A GPT-2 and a BERT of Hugging Face, built from tiny configurations: nothing is downloaded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradwidgets import Problem, Recipe, train
from tests.public_models.by_hand import check

transformers = pytest.importorskip("transformers", reason="pip install '.[dev]'")

DRAW = torch.Generator().manual_seed(0)
RECIPE = Recipe(optimizer="AdamW", lr=0.01, updates=6)


def make_gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=40, n_positions=16, n_embd=16, n_layer=2, n_head=2)
    return GPT2LMHeadModel(config).double()


def make_bert() -> nn.Module:
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    return BertForMaskedLM(config).double()


def step(net: nn.Module, given: Any) -> Tensor:
    return net(**given).loss


def judged(given: Any) -> Tensor:
    return (given["labels"] != -100).sum()


def sentences(count: int, hidden: bool) -> dict[str, Tensor]:
    """Random tokens with padding; where `hidden`, only every third is to be predicted."""
    ids = torch.randint(0, 40, (count, 12), generator=DRAW)
    seen = torch.ones(count, 12, dtype=torch.long)
    seen[0, 7:] = 0
    labels = torch.where(seen == 1, ids, -100)
    if hidden:
        labels[:, torch.arange(12) % 3 > 0] = -100
    return {"input_ids": ids, "attention_mask": seen, "labels": labels}


@pytest.mark.parametrize("make", [make_gpt2, make_bert])
def test_a_language_model_trains_as_by_hand(make: Any) -> None:
    check(make, [sentences(4, make is make_bert)], step, RECIPE)


def test_the_loss_of_unequal_micro_batches_is_that_of_all_their_tokens() -> None:
    parts = [sentences(2, False), sentences(5, False)]

    def quiet() -> nn.Module:
        return make_gpt2().eval()

    problem = Problem("two", quiet, parts, step=step, samples=judged)
    history = train(problem, Recipe(accumulation_steps=2, updates=1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = quiet()
    both = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    shifted = [int((part["labels"][:, 1:] != -100).sum()) for part in parts]
    assert history.loss[0] == pytest.approx(net(**both).loss.item(), rel=0.02)
    losses = [net(**part).loss.item() for part in parts]
    counts = [int(judged(part)) for part in parts]
    mean = sum(a * b for a, b in zip(losses, counts, strict=True)) / sum(counts)
    assert history.loss[0] == pytest.approx(mean, rel=1e-14)
    assert shifted != counts
