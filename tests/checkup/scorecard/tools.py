"""Each tool with its best chance on a loop: how it is called, what it says, what its words mean.

A rival is imported when it is asked. The codes that a rival's word stands for are read generously:
every cause that somebody who reads the word would come to look at.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import zip_longest
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn

from tests.checkup.loops import Case, Loop
from tests.checkup.scorecard.first_losses import (
    Given,
    first_call,
    first_losses,
    models_of,
    optimizers_of,
)


class Word(NamedTuple):
    """One finding, by the name that the tool gives it."""

    name: str
    alarm: bool
    """True if it is graver than information."""


@dataclass(frozen=True)
class Tool:
    """How a tool is asked about a loop, and the causes that each of its words stands for."""

    name: str
    ask: Callable[[Case], list[Word]]
    meaning: dict[str, set[str]] | None
    """For each word the codes of checkup that it stands for; None: its words are the codes."""
    chance: str
    """How it is called: a sentence of the page."""

    @property
    def version(self) -> str:
        """The version that is installed."""
        return metadata.version(self.name) if self.meaning else metadata.version("gradwidgets")

    def means(self, word: str) -> set[str]:
        """The codes that a word stands for."""
        return {word} if self.meaning is None else self.meaning.get(word, set())

    @property
    def scope(self) -> set[str] | None:
        """All codes that it has a word for; None: all there are."""
        return None if self.meaning is None else set().union(*self.meaning.values())


def _checkup(case: Case) -> list[Word]:
    return [Word(one.code, one.severity != "info") for one in case.run().findings]


def _guardtower(case: Case) -> list[Word]:
    import guardtower

    found = []
    loop = case.loop()
    if first_losses(case.loop()) is not None:
        lead, given = first_call(loop)
        report = guardtower.audit(
            whole(loop),
            partial(first_losses, loop, lead, given),
            optimizer=joined(loop),
            inputs=_float_leaves(given),
        )
        found = [
            Word(one.check, one.severity.label in ("WARN", "FAIL"))
            for one in report
            if one.severity.label != "INFO" or one.check in ("frozen", "weight_tying")
        ]
    loop = case.loop()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(RuntimeError))
        watches = [
            stack.enter_context(guardtower.monitor(model, on_nonfinite="warn"))
            for model in models_of(loop)
        ]
        loop.train()
    return found + [Word("monitor", True) for watch in watches if watch.hits]


def whole(loop: Loop) -> nn.Module:
    """The loop's model, or its models in a list of modules."""
    models = models_of(loop)
    return models[0] if len(models) == 1 else nn.ModuleList(models)


def joined(loop: Loop) -> Any:
    """The loop's optimizer, or its optimizers as one; None if it has none."""
    optimizers = [one for one in optimizers_of(loop) if hasattr(one, "param_groups")]
    return optimizers[0] if len(optimizers) == 1 else Joined(optimizers) if optimizers else None


class Joined:
    """Several optimizers as one, for tools that take one."""

    def __init__(self, optimizers: list[Any]) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for one in self.optimizers for group in one.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for one in self.optimizers:
            one.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        for one in self.optimizers:
            one.step()

    def state_dict(self) -> dict[str, Any]:
        return {str(place): one.state_dict() for place, one in enumerate(self.optimizers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for place, one in enumerate(self.optimizers):
            one.load_state_dict(state[str(place)])


def _float_leaves(given: Given | None) -> list[Tensor] | None:
    tensors = [one for one in given[0] if isinstance(one, Tensor)] if given else []
    return [one for one in tensors if one.is_floating_point() and one.is_leaf] or None


def _torch_audit(case: Case) -> list[Word]:
    import torch_audit

    loop = case.loop()
    models, optimizers = models_of(loop), optimizers_of(loop)
    pairs = zip_longest(models, optimizers, fillvalue=None)
    auditors = [
        torch_audit.autopatch(
            model or whole(loop), optimizer=optimizer, every_n_steps=1, ignore_rules=HINTS
        )
        for model, optimizer in pairs
    ]
    with contextlib.suppress(RuntimeError), _audited_backward(auditors):
        loop.train()
    found = [finding for one in auditors for finding in one.finish(report=False).findings]
    return [Word(one.rule_id, one.severity.value != "INFO") for one in found]


HINTS = {"TA200", "TA201", "TA202", "TA203", "TA400", "TA401", "TA402", "TA403", "TA404"}
"""Rules of torch-audit about speed and style: they do not say that a training goes wrong."""


@contextlib.contextmanager
def _audited_backward(auditors: list[Any]) -> Iterator[None]:
    """Every backward followed by the auditors' BACKWARD phase, as their wrapper mode does it."""
    plain = torch.autograd.backward

    class Done:
        @staticmethod
        def backward() -> None:
            """Nothing: the backward has been done."""

    def backward(*args: Any, **kwargs: Any) -> None:
        plain(*args, **kwargs)
        for auditor in auditors:
            auditor.backward(Done)

    with mock.patch.object(torch.autograd, "backward", backward):
        yield


def _torchtest2(case: Case) -> list[Word]:
    import torchtest2

    if first_losses(case.loop()) is None:
        return []
    loop = case.loop()
    lead, given = first_call(loop)
    report = torchtest2.check_model(
        whole(loop),
        given or ((), {}),
        loss_fn=lambda loss: loss,
        forward_fn=lambda _, given, __: first_losses(loop, lead, given if lead else None),
        eval_forward_fn=lambda _, given: lead(*given[0], **given[1]) if lead else torch.zeros(2),
        optimizer=joined(loop),
        skip=() if lead else OF_OUTPUTS,
    )
    found = [Word(one.name, True) for one in report.failures]
    return found + [Word(one.name, one.name != "overfit_batch") for one in report.warnings]


OF_OUTPUTS = (
    *("output_finite", "output_varies", "eval_determinism", "input_dependency"),
    "batch_independence",
)
"""Checks of torchtest2 that need a call of the model as a whole."""


_GUARDTOWER = {
    "loss": {"no-graph", "detached", "non-finite", "broadcast-loss"},
    "backward": {"no-graph"},
    "grad_connectivity": {
        *("detached", "zero-gradient", "no-graph", "unregistered", "not-in-model", "grad-unused"),
        "vanishing",
    },
    "optimizer_coverage": {
        *("not-in-optimizer", "not-in-model", "frozen", "unregistered", "duplicate"),
        "optimizer-replaced",
    },
    "frozen": {"frozen", "frozen-statistics"},
    "weight_tying": {"duplicate"},
    "train_mode": {"eval-mode"},
    "nonfinite": {"non-finite", "exploding", "update-too-large"},
    "monitor": {"non-finite", "exploding", "update-too-large"},
    "grad_norms": {"exploding", "vanishing", "zero-gradient", "amp-scale", "update-too-large"},
    "dead_relu": {"zero-gradient", "vanishing"},
    "input_dependency": {"detached", "zero-gradient", "no-graph"},
}

_TORCH_AUDIT = {
    "TA100": {"non-finite", "exploding", "update-too-large", "amp-skipping"},
    "TA102": {"exploding", "update-too-large", "amp-scale", "clip-misplaced"},
    "TA103": {"zero-gradient", "vanishing", "detached", "clipped-away"},
    "TA104": {
        *("no-backward", "no-graph", "detached", "cleared-before-step", "step-before-backward"),
        *("frozen", "not-in-model", "unregistered"),
    },
    "TA105": {"zero-gradient", "vanishing"},
    "TA301": {"exploding", "update-too-large", "non-finite"},
    "TA302": {"zero-gradient"},
    "TA305": {"non-finite"},
    "TA405": {"zero-gradient", "mask-undone"},
    "TA500": {"detached", "not-in-optimizer", "not-in-model", "unregistered"},
}

_TORCHTEST2 = {
    "loss": {"no-graph", "detached", "non-finite", "broadcast-loss"},
    "output_finite": {"non-finite", "exploding", "update-too-large"},
    "output_varies": {"zero-gradient"},
    "eval_determinism": {"eval-mode"},
    "initial_loss": {"loss-input", "exploding", "ascending", "broadcast-loss"},
    "optimizer_coverage": {
        *("not-in-optimizer", "not-in-model", "frozen", "unregistered", "duplicate"),
        "optimizer-replaced",
    },
    "gradient_flow": {
        *("detached", "zero-gradient", "no-graph", "unregistered", "not-in-model", "grad-unused"),
        "vanishing",
    },
    "gradient_magnitude": {
        *("exploding", "vanishing", "non-finite", "update-too-large", "amp-scale")
    },
    "params_change": {
        *("zero-lr", "update-too-small", "not-in-optimizer", "not-in-model", "frozen"),
        *("zero-gradient", "detached", "update-undone", "clipped-away", "vanishing"),
    },
    "frozen_params": {"frozen", "frozen-statistics"},
    "input_dependency": {"detached", "zero-gradient"},
    "overfit_batch": {
        *("zero-lr", "update-too-small", "update-too-large", "ascending", "exploding"),
        *("vanishing", "non-finite", "loss-input", "broadcast-loss", "zero-gradient"),
        "not-detached",
    },
}

TOOLS = (
    Tool("checkup", _checkup, None, "`with checkup(model, optimizer):` around the loop."),
    Tool(
        "guardtower",
        _guardtower,
        _GUARDTOWER,
        "`audit` with the closure, the inputs and all optimizers; then `monitor` around the whole "
        "loop, built again.",
    ),
    Tool(
        "torch-audit",
        _torch_audit,
        _TORCH_AUDIT,
        "`autopatch` at every step around the whole loop, with its checks before the start, and "
        "its BACKWARD phase after every backward, as its wrapper mode has it. Its rules about "
        f"speed and style ({', '.join(sorted(HINTS))}) are switched off: on healthy loops they "
        "would be false alarms.",
    ),
    Tool(
        "torchtest2",
        _torchtest2,
        _TORCHTEST2,
        "`check_model` with the arguments of the first call, the closure as `forward_fn`, and all "
        "optimizers. A warning of `overfit_batch` is information here: its manual says that the "
        "loss went down, just not far enough.",
    ),
)


def asked(tool: Tool, case: Case) -> list[Word]:
    """Everything that a tool says about a loop, each word once, the gravest of its kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        words = tool.ask(case)
    alarms = {word.name for word in words if word.alarm}
    return [Word(name, name in alarms) for name in dict.fromkeys(word.name for word in words)]
