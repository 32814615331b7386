"""Each callback reports on a healthy training, a broken one, and one that an exception ends."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn, optim

from tests.frameworks.matrix import needs
from tests.frameworks.test_trainers import hugging_face_arguments, loader, samples

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks' own


class StoppedError(Exception):
    """Raised by a model in its third forward."""


class Net(nn.Module):
    """A net whose output is detached if it is broken, and that raises if it is to."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.fault, self.times = fault, 0
        self.first, self.second = nn.Linear(10, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        self.times += self.training
        if self.fault == "raises" and self.times == 3:
            raise StoppedError
        hidden = self.first(x).relu()
        return self.second(hidden.detach() if self.fault == "detached" else hidden)  # type: ignore[no-any-return]


def lightning(fault: str, **options: Any) -> Any:
    import lightning as framework

    from gradwidgets.checkup.callbacks.lightning import CheckupCallback

    class Lit(framework.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net(fault)

        def configure_optimizers(self) -> Any:
            return optim.Adam(self.parameters(), 1e-3)

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            return F.cross_entropy(self.net(batch[0]), batch[1])

    callback = CheckupCallback(**options)
    trainer = framework.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
    )
    return callback, partial(trainer.fit, Lit(), loader())


class Scored(Net):
    def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"loss": F.cross_entropy(super().forward(x), y)}


def hugging_face(fault: str, **options: Any) -> Any:
    import transformers

    from gradwidgets.checkup.callbacks.hugging_face import CheckupCallback

    callback = CheckupCallback(**options)
    rows = [{"x": x, "y": y} for x, y in samples()]
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(
            model=Scored(fault),
            args=hugging_face_arguments(folder, remove_unused_columns=False),
            train_dataset=rows,
            callbacks=[callback],
        )
    return callback, trainer.train


def skorch(fault: str, **options: Any) -> Any:
    from skorch import NeuralNetClassifier

    from gradwidgets.checkup.callbacks.skorch import CheckupCallback

    callback = CheckupCallback(**options)
    net = NeuralNetClassifier(
        Net,
        module__fault=fault,
        train_split=None,
        criterion=nn.CrossEntropyLoss,
        max_epochs=1,
        batch_size=8,
        verbose=0,
        callbacks=[callback],
    )
    x, y = samples().tensors
    return callback, partial(net.fit, x.numpy(), y.numpy())


def fastai(fault: str, **options: Any) -> Any:
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.optimizer import OptimWrapper

    from gradwidgets.checkup.callbacks.fastai import CheckupCallback

    callback = CheckupCallback(**options)
    learner = Learner(
        DataLoaders.from_dsets(samples(), samples(16), bs=8, device="cpu", num_workers=0),
        Net(fault),
        loss_func=nn.CrossEntropyLoss(),
        opt_func=partial(OptimWrapper, opt=optim.AdamW),
        cbs=[callback],
    )
    learner.remove_cbs(learner.cbs.filter(lambda one: one.name in ("progress", "recorder")))
    return callback, partial(learner.fit, 1)


def ignite(fault: str, **options: Any) -> Any:
    from ignite.engine import create_supervised_trainer

    from gradwidgets.checkup.callbacks.ignite import CheckupCallback

    model = Net(fault)
    trainer = create_supervised_trainer(model, optim.SGD(model.parameters(), 0.05), F.cross_entropy)
    callback = CheckupCallback(**options).attach(trainer, model)
    return callback, partial(trainer.run, loader(), max_epochs=1)


def trainers_methods() -> dict[str, Any]:
    """Every attribute of the classes that train, of the frameworks that are loaded."""
    places = {
        "fastai.learner": "Learner",
        "ignite.engine.engine": "Engine",
        "skorch.net": "NeuralNet",
        "transformers.trainer": "Trainer",
    }
    return {
        f"{name}.{attribute}": value
        for module, name in places.items()
        if module in sys.modules
        for attribute, value in vars(getattr(sys.modules[module], name)).items()
    }


CALLBACKS = [
    pytest.param(lightning, marks=needs("lightning"), id="lightning"),
    pytest.param(hugging_face, marks=needs("transformers", "accelerate"), id="hugging_face"),
    pytest.param(skorch, marks=needs("skorch"), id="skorch"),
    pytest.param(fastai, marks=needs("fastai"), id="fastai"),
    pytest.param(ignite, marks=needs("ignite"), id="ignite"),
]
each_callback = pytest.mark.parametrize("build", CALLBACKS)


@each_callback
@pytest.mark.parametrize("fault", ["", "detached"])
def test_a_callback_reports(
    build: Callable[..., Any], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    callback, train = build(fault)
    before = trainers_methods()
    train()
    assert trainers_methods() == before
    report = callback.report
    assert report.complete
    assert report.failures == []
    assert report.steps == 6
    grave = {one.code for one in report.findings if one.severity != "info"}
    assert grave == ({fault} if fault else set()), str(report)
    assert f"checkup: {report.headline}" in capsys.readouterr().err


@each_callback
def test_a_callback_reports_after_an_exception(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    callback, train = build("raises", show=False)
    before = trainers_methods()
    with pytest.raises(StoppedError):
        train()
    assert trainers_methods() == before
    assert callback.report.complete
    assert callback.report.steps == 2
    assert "StoppedError" in str(callback.report.events[-1])
    assert "checkup" not in capsys.readouterr().err


@each_callback
def test_a_callback_ends_after_max_steps(build: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    callback, train = build("", max_steps=2, ignore={"leftover"}, show=False)
    train()
    assert callback.report.steps == 2


@each_callback
def test_options_are_checked_when_a_callback_is_made(build: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="max_steps"):
        build("", max_steps=0)
    with pytest.raises(ValueError, match="no code"):
        build("", ignore={"unknown"})
