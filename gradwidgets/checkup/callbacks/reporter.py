"""The part that callbacks share: a watch from the beginning of a training to its end or error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from torch import nn

from gradwidgets.checkup.report import Report
from gradwidgets.checkup.watch import Ignore, Watch, checkup
from gradwidgets.checkup.wrapping import Call, wrapped


class Reporter:
    """Watches a model between `begin` and `end`, and writes the report to stderr.

    Of several processes each has a report; only the first, of RANK 0, writes it.

    Args:
        max_steps: The number of optimizer steps to watch; None watches all of them.
        ignore: As of `checkup`.
        show: False writes nothing.

    Raises:
        ValueError: If `checkup` does not take `max_steps` or `ignore`.
    """

    def __init__(self, max_steps: int | None = None, ignore: Ignore = (), show: bool = True):
        checkup(nn.Identity(), max_steps=max_steps, ignore=ignore)  # in time to say what is wrong
        self.max_steps, self.ignore, self.show = max_steps, ignore, show
        self.report = Report()
        self._watch: Watch | None = None
        self._open = ExitStack()

    def begin(self, model: nn.Module | Sequence[nn.Module]) -> None:
        """Begin to watch; the optimizers are found as they step."""
        self.end()
        try:
            self._watch = checkup(model, max_steps=self.max_steps, ignore=self.ignore)
        except TypeError as error:  # a trainer whose model is no module trains all the same
            self.report = Report(failures=[str(error)], complete=True)
        else:
            self.report = self._watch.start()

    def end_on_error(
        self,
        owner: type[Any],
        name: str,
        is_ours: Callable[[Any], bool],
        unless: tuple[type[BaseException], ...] = (),
    ) -> None:
        """Until `end`, end when a method of the trainer raises, as the trainer has no hook for it.

        Args:
            owner: The trainer's class.
            name: A method that is called after `begin`, and within which everything trains.
            is_ours: Tells whether a trainer is the one that this callback is for.
            unless: Exceptions by which the framework itself goes on elsewhere.
        """

        def around(call: Call, trainer: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return call(trainer, *args, **kwargs)
            except BaseException as error:
                if is_ours(trainer) and not isinstance(error, unless):
                    self.end(error)
                raise

        if self._watch is not None:
            self._open.enter_context(wrapped(owner, name, around))

    def end(self, error: BaseException | None = None) -> None:
        """Fill the report and write it; without effect if nothing is watched."""
        watch, self._watch = self._watch, None
        self._open.close()
        if watch is None:
            return
        watch.stop(error)
        if self.show and os.environ.get("RANK", "0") == "0":
            self.report.show(sys.stderr)
