"""The ledger of one update: what became of each gradient on its way to the parameter.

    raw, one per micro-batch -> accumulated -> scaled -> masked -> penalised -> clipped -> edited
    -> what the optimizer made of it -> the change of the parameter

It is written by `train`'s own loop: watchers stand between its edits and copy `.grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from gradwidgets.core import Edit, Problem, Recipe, Run, not_allowed
from gradwidgets.ledger.rows import Gradients, Ledger, Row, Values, copied, state_of


def ledger(problem: Problem | str, recipe: Recipe | None = None, update: int = 0) -> Ledger:
    """The ledger of one update, counted from 0.

    Raises:
        ValueError: the run ends before that update is made.
        TrainingError: the model or the loss failed.
    """
    run = Run(problem, recipe)
    if update > 0:
        run.advance(updates=update)
    written = None if update < 0 or len(run.losses) < update else _write(run)
    if written is None:
        allowed = f"one of its {len(run.losses)} updates, counted from 0"
        raise not_allowed("update", update, allowed)
    return written


def ledgers(problem: Problem | str, recipe: Recipe | None = None) -> Iterator[Ledger]:
    """The ledgers of a run's updates in their order, all from one run: for a slider.

    Raises:
        TrainingError: the model or the loss failed.
    """
    run = Run(problem, recipe)
    while (written := _write(run)) is not None:
        yield written


def _write(run: Run) -> Ledger | None:
    """Make one update and write its ledger; None if the run makes no further update."""
    if run.done:
        return None
    made, edits = len(run.losses), run.edits
    watch = _Watch(run.model)
    before, kept = watch.values(), watch.state(run.optimizer)
    run.edits = watch.around(edits)
    try:
        run.advance(updates=1)
    finally:
        run.edits = edits
        watch.remove()
    if len(run.losses) == made:
        return None
    after, state = watch.values(), watch.state(run.optimizer)
    lr = [_lr_of(run.optimizer, p) for p in watch.parameters]
    rows = [
        replace(
            row, before=before[i], after=after[i], state_before=kept[i], state=state[i], lr=lr[i]
        )
        for i, row in enumerate(watch.rows())
    ]
    return Ledger(made, run.losses[-1], watch.active, tuple(rows))


def _lr_of(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> float:
    groups = optimizer.param_groups
    return next(float(g["lr"]) for g in groups if any(p is parameter for p in g["params"]))


class _Watch:
    """Copies the gradients of an update; of an optimizer that evaluates often, the first."""

    def __init__(self, model: nn.Module) -> None:
        self.names = [name for name, _ in model.named_parameters()]
        self.parameters = list(model.parameters())
        self.carried: Gradients = []
        self.raw: list[Gradients] = []
        self.stages: dict[str, Gradients] = {}
        self.active: tuple[str, ...] = ()
        self._handles = [model.register_forward_pre_hook(self._micro_batch)]
        trained = [(i, p) for i, p in enumerate(self.parameters) if p.requires_grad]
        for i, p in trained:
            self._handles.append(p.register_hook(self._added(i)))  # type: ignore[no-untyped-call]

    def remove(self) -> None:
        """Leave the model as it was found."""
        for handle in self._handles:
            handle.remove()

    def around(self, edits: list[tuple[str, Edit]]) -> list[tuple[str, Edit]]:
        """The edits, each with its stage, with a watcher before and after each."""
        watched = [("accumulated", self._watcher("accumulated"))]
        for stage, edit in edits:
            self.active += () if stage in self.active else (stage,)
            watched += [(stage, edit), (stage, self._watcher(stage))]
        return [*watched, ("closed", lambda _: self.stages.setdefault("closed", []))]

    def values(self) -> list[Values]:
        """Every parameter as it is now."""
        return [copied(p) for p in self.parameters]

    def state(self, optimizer: torch.optim.Optimizer) -> list[dict[str, Values]]:
        """What the optimizer keeps of every parameter."""
        return [state_of(optimizer, p) for p in self.parameters]

    def rows(self) -> list[Row]:
        """One row per parameter, with all of its gradients."""
        return [
            Row(
                name=name,
                carried=self.carried[i],
                raw=tuple(micro_batch[i] for micro_batch in self.raw),
                stages={stage: column[i] for stage, column in self.stages.items() if column},
            )
            for i, name in enumerate(self.names)
        ]

    def _gradients(self) -> Gradients:
        return [None if p.grad is None else copied(p.grad) for p in self.parameters]

    def _micro_batch(self, *_: object) -> None:
        if "accumulated" in self.stages:
            return
        if not self.raw:
            self.carried = self._gradients()
        self.raw.append([None] * len(self.parameters))

    def _added(self, index: int) -> Callable[[Tensor], None]:
        def hook(gradient: Tensor) -> None:
            if "accumulated" not in self.stages:
                self.raw[-1][index] = copied(gradient)

        return hook

    def _watcher(self, stage: str) -> Edit:
        def watch(_: object) -> None:
            if "closed" not in self.stages:
                self.stages[stage] = self._gradients()

        return watch
