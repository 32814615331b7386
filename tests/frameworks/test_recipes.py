"""The examples of FRAMEWORKS.md, run as they stand: healthy, and with a learning rate of 0."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn, optim

from gradwidgets.checkup import Report
from tests.frameworks.matrix import needs
from tests.frameworks.test_trainers import gpt2, loader, net, tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks' own

PAGE = Path(__file__).parents[2] / "FRAMEWORKS.md"
RECIPES = dict(
    re.findall(
        r"^## (.+?)\n.*?```python\n(.*?)```",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)


def accelerate(lr: float, _: str) -> dict[str, Any]:
    from accelerate import Accelerator

    model = net()
    return {
        "accelerator": Accelerator(cpu=True, gradient_accumulation_steps=2),
        "model": model,
        "optimizer": optim.AdamW(model.parameters(), lr),
        "batches": loader(),
        "criterion": nn.CrossEntropyLoss(),
    }


def supervised(lr: float, folder: str) -> dict[str, Any]:
    import datasets
    import trl

    arguments = trl.SFTConfig(
        output_dir=folder,
        max_steps=4,
        learning_rate=lr,
        per_device_train_batch_size=2,
        report_to=[],
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        save_strategy="no",
    )
    words = [" ".join("abcdefgh"[: 3 + number % 5]) for number in range(16)]
    texts = datasets.Dataset.from_dict({"text": words})
    return {"model": gpt2(), "arguments": arguments, "texts": texts, "tokenizer": tokenizer()}


def ppo(lr: float, _: str) -> dict[str, Any]:
    import stable_baselines3

    options: Any = {"n_steps": 32, "batch_size": 16, "n_epochs": 2, "seed": 0, "device": "cpu"}
    made = stable_baselines3.PPO("MlpPolicy", "CartPole-v1", learning_rate=lr, **options)
    return {"algorithm": made}


def dqn(lr: float, _: str) -> dict[str, Any]:
    import stable_baselines3

    options: Any = {"learning_starts": 32, "target_update_interval": 16, "seed": 0}
    made = stable_baselines3.DQN(
        "MlpPolicy", "CartPole-v1", learning_rate=lr, device="cpu", **options
    )
    return {"algorithm": made}


def sac(lr: float, _: str) -> dict[str, Any]:
    """Several optimizers, which are found as they step."""
    import stable_baselines3

    made = stable_baselines3.SAC(
        "MlpPolicy", "Pendulum-v1", learning_rate=lr, learning_starts=32, seed=0, device="cpu"
    )
    return {"algorithm": made}


def images(lr: float, _: str) -> dict[str, Any]:
    drawn = [(torch.randn(8, 3, 32, 32), torch.arange(8) % 4) for _ in range(3)]
    criterion = nn.CrossEntropyLoss()
    return {"name": "test_resnet", "lr": lr, "batches": drawn, "criterion": criterion}


SETTINGS = [
    pytest.param("accelerate", accelerate, marks=needs("accelerate")),
    pytest.param("TRL", supervised, marks=needs("trl", "datasets")),
    pytest.param("Stable-Baselines3", ppo, marks=needs("stable_baselines3")),
    pytest.param("Stable-Baselines3", dqn, marks=needs("stable_baselines3")),
    pytest.param("Stable-Baselines3", sac, marks=needs("stable_baselines3")),
    pytest.param("timm", images, marks=needs("timm", "torchvision")),
]


@pytest.fixture
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as made:
        yield made


def run(name: str, setting: Callable[[float, str], dict[str, Any]], lr: float, at: str) -> Report:
    torch.manual_seed(0)
    text = RECIPES[name]
    if setting is sac:
        text = text.replace(", algorithm.policy.optimizer", "")
    scope = setting(lr, at)
    exec(compile(text, f"FRAMEWORKS.md, {name}", "exec"), scope)
    report = scope["report"]
    assert isinstance(report, Report)
    assert report.steps
    assert not report.failures
    return report


def told(report: Report) -> set[str]:
    return {one.code for one in report.findings if one.severity != "info"}


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_a_recipe_says_nothing_of_a_healthy_training(
    name: str, setting: Callable[[float, str], dict[str, Any]], folder: str
) -> None:
    assert told(run(name, setting, 1e-3, folder)) == set()


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_a_recipe_names_a_fault(
    name: str, setting: Callable[[float, str], dict[str, Any]], folder: str
) -> None:
    assert told(run(name, setting, 0.0, folder)) == {"zero-lr"}


def test_every_recipe_is_run() -> None:
    assert RECIPES.keys() == {parameters.values[0] for parameters in SETTINGS}
