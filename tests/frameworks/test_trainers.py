"""Trainings by a framework's own trainer, watched from outside."""

from __future__ import annotations

import tempfile
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, TensorDataset

from tests.frameworks.matrix import Training, Watch, held_to_the_same, one

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks' own


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))


def samples(number: int = 48) -> TensorDataset:
    return TensorDataset(torch.randn(number, 10), torch.arange(number) % 2)


def loader() -> DataLoader[Any]:
    return DataLoader(samples(), batch_size=8, shuffle=True)


def _lightning(watch: Watch, automatic: bool, **options: Any) -> nn.Module:
    import lightning

    class Lit(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = automatic
            self.net = net()
            self.made = optim.Adam(self.parameters(), 1e-3)

        def configure_optimizers(self) -> Any:
            return self.made

        def training_step(self, batch: list[Tensor], _: int) -> Any:
            loss = F.cross_entropy(self.net(batch[0]), batch[1])
            if automatic:
                return loss
            optimizer: Any = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            return None

        def validation_step(self, batch: list[Tensor], _: int) -> None:
            F.cross_entropy(self.net(batch[0]), batch[1])

    model, quiet = Lit(), {"logger": False, "enable_checkpointing": False}
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        enable_progress_bar=False,
        enable_model_summary=False,
        **quiet,
        **options,
    )
    with watch(model, model.made):
        trainer.fit(model, loader(), DataLoader(samples(16), batch_size=8))
    return model.net


def lightning_automatic(watch: Watch) -> nn.Module:
    return _lightning(watch, automatic=True)


def lightning_accumulating_and_clipping(watch: Watch) -> nn.Module:
    return _lightning(watch, True, accumulate_grad_batches=4, gradient_clip_val=0.5)


def lightning_bf16(watch: Watch) -> nn.Module:
    return _lightning(watch, True, precision="bf16-mixed")


def lightning_manual(watch: Watch) -> nn.Module:
    return _lightning(watch, automatic=False)


def tokens() -> list[dict[str, list[int]]]:
    drawn = torch.randint(1, 64, (16, 8)).tolist()
    return [{"input_ids": ids, "labels": ids} for ids in drawn]


def gpt2() -> nn.Module:
    import transformers

    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=2)
    )


def hugging_face_arguments(folder: str, **options: Any) -> Any:
    import transformers

    return transformers.TrainingArguments(
        output_dir=folder,
        max_steps=6,
        per_device_train_batch_size=2,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        **options,
    )


def _hugging_face(watch: Watch, model: nn.Module, **options: Any) -> nn.Module:
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(
            model=model, args=hugging_face_arguments(folder, **options), train_dataset=tokens()
        )
        trainer.create_optimizer()
        with watch(trainer.model, trainer.optimizer):
            trainer.train()
    return model


def hugging_face_trainer(watch: Watch) -> nn.Module:
    return _hugging_face(watch, gpt2())


def hugging_face_accumulation_warmup_bf16(watch: Watch) -> nn.Module:
    more = {"gradient_accumulation_steps": 2, "warmup_steps": 3, "bf16": True}
    return _hugging_face(watch, gpt2(), **more)


def hugging_face_checkpointing_adafactor(watch: Watch) -> nn.Module:
    return _hugging_face(watch, gpt2(), gradient_checkpointing=True, optim="adafactor")


def _adapted(watch: Watch, **options: Any) -> nn.Module:
    import peft

    config = peft.LoraConfig(r=4, target_modules=["c_attn"], task_type="CAUSAL_LM", **options)
    return _hugging_face(watch, peft.get_peft_model(gpt2(), config))


def peft_lora(watch: Watch) -> nn.Module:
    return _adapted(watch)


def peft_dora(watch: Watch) -> nn.Module:
    return _adapted(watch, use_dora=True)


def accelerate_accumulating(watch: Watch) -> nn.Module:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    made = net()
    model, optimizer, batches, scheduler = accelerator.prepare(
        made,
        adam := optim.AdamW(made.parameters(), 1e-3),
        loader(),
        optim.lr_scheduler.LinearLR(adam, 0.1, total_iters=3),
    )
    with watch(model, optimizer):
        for x, y in batches:
            with accelerator.accumulate(model):
                accelerator.backward(F.cross_entropy(model(x), y))
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
    return made


def tokenizer() -> Any:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: place for place, word in enumerate(["<pad>", "<eos>", *"abcdefgh"])}
    made = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<eos>", unk_token="<pad>"
    )


def trl_sft(watch: Watch) -> nn.Module:
    import datasets
    import trl

    texts = [" ".join("abcdefgh"[: 3 + number % 5]) for number in range(16)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = trl.SFTConfig(
            output_dir=folder,
            max_steps=4,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            report_to=[],
            use_cpu=True,
            bf16=False,
            disable_tqdm=True,
            save_strategy="no",
        )
        trainer = trl.SFTTrainer(
            model=(model := gpt2()),
            args=arguments,
            train_dataset=datasets.Dataset.from_dict({"text": texts}),
            processing_class=tokenizer(),
        )
        trainer.create_optimizer()
        with watch(trainer.model, trainer.optimizer):
            trainer.train()
    return model


def skorch_classifier(watch: Watch) -> nn.Module:
    import skorch

    made = skorch.NeuralNetClassifier(
        net,
        criterion=nn.CrossEntropyLoss,
        optimizer=optim.Adam,
        max_epochs=2,
        batch_size=8,
        verbose=0,
    ).initialize()
    x, y = samples().tensors
    with watch(made.module_, made.optimizer_):
        made.partial_fit(x.numpy(), y.numpy())
    return made.module_  # type: ignore[no-any-return]


def ignite_trainer(watch: Watch) -> nn.Module:
    from ignite.engine import create_supervised_trainer

    model = net()
    optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)
    trainer = create_supervised_trainer(
        model, optimizer, F.cross_entropy, gradient_accumulation_steps=2
    )
    with watch(model, optimizer):
        trainer.run(loader(), max_epochs=2)
    return model


def _fastai(watch: Watch, made_by: Any) -> nn.Module:
    import fastai.callback.schedule  # noqa: F401, gives a learner its fit_one_cycle
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    model = net()
    batches = DataLoaders.from_dsets(samples(), samples(16), bs=8, device="cpu", num_workers=0)
    learner = Learner(batches, model, loss_func=nn.CrossEntropyLoss(), opt_func=made_by, lr=1e-3)
    learner.create_opt()
    learner.remove_cbs(learner.cbs.filter(lambda one: one.name in ("progress", "recorder")))
    with watch(model, learner.opt):
        learner.fit_one_cycle(2)
    return model


def fastai_own_adam(watch: Watch) -> nn.Module:
    from fastai.optimizer import Adam

    return _fastai(watch, Adam)


def fastai_wrapped_adamw(watch: Watch) -> nn.Module:
    from functools import partial

    from fastai.optimizer import OptimWrapper

    return _fastai(watch, partial(OptimWrapper, opt=optim.AdamW))


def sb3_ppo(watch: Watch) -> nn.Module:
    import stable_baselines3

    made = stable_baselines3.PPO(
        "MlpPolicy", "CartPole-v1", n_steps=32, batch_size=16, n_epochs=2, seed=0, device="cpu"
    )
    with watch(made.policy, made.policy.optimizer):
        made.learn(96)
    return made.policy


def sb3_dqn(watch: Watch) -> nn.Module:
    import stable_baselines3

    made = stable_baselines3.DQN(
        "MlpPolicy",
        "CartPole-v1",
        learning_starts=32,
        target_update_interval=16,
        seed=0,
        device="cpu",
    )
    with watch(made.policy, made.policy.optimizer):
        made.learn(96)
    return made.policy


TRAININGS = [
    *(
        one(training, "lightning")
        for training in (
            lightning_automatic,
            lightning_accumulating_and_clipping,
            lightning_bf16,
            lightning_manual,
        )
    ),
    *(
        one(training, "transformers", "accelerate")
        for training in (
            hugging_face_trainer,
            hugging_face_accumulation_warmup_bf16,
            hugging_face_checkpointing_adafactor,
        )
    ),
    one(peft_lora, "peft", "accelerate"),
    one(peft_dora, "peft", "accelerate"),
    one(accelerate_accumulating, "accelerate"),
    one(trl_sft, "trl", "datasets"),
    one(skorch_classifier, "skorch"),
    one(ignite_trainer, "ignite"),
    one(fastai_own_adam, "fastai"),
    one(fastai_wrapped_adamw, "fastai"),
    one(sb3_ppo, "stable_baselines3"),
    one(sb3_dqn, "stable_baselines3"),
]


@pytest.mark.parametrize("training", TRAININGS)
def test_a_trainer_is_watched_without_a_trace_or_a_false_alarm(training: Training) -> None:
    held_to_the_same(training)
