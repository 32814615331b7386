"""Every tool on every loop, each trial in a process of its own, with a time limit."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import NamedTuple

import torch

from tests.checkup.loops import Case
from tests.checkup.scorecard.tools import Tool, Word, asked

LIMIT = 60.0
"""Seconds that a tool may take for one loop."""
AT_ONCE = 2
"""Trials that run side by side, each on one thread."""


class Trial(NamedTuple):
    """What a tool said about a loop."""

    tool: Tool
    case: Case
    """A broken loop (with codes), or one that is healthy or repaired (without)."""
    words: list[Word]
    failure: str = ""
    """How the tool failed: its exception, or the time limit."""

    @property
    def alarm(self) -> bool:
        """True if it said something graver than information."""
        return any(word.alarm for word in self.words)

    @property
    def right(self) -> bool:
        """True if a word of any severity stands for the loop's fault."""
        return any(self.tool.means(word.name) & set(self.case.codes) for word in self.words)

    @property
    def in_scope(self) -> bool:
        """True if the tool has a word for the loop's fault."""
        scope = self.tool.scope
        return scope is None or bool(scope & set(self.case.codes))


def trials(tools: Sequence[Tool], cases: Sequence[Case]) -> Iterator[Trial]:
    """Every tool on every loop, in order."""
    importlib.import_module("torch._dynamo")  # or each process would import it by itself
    pairs = [(tool, case) for tool in tools for case in cases]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda pair: trial(*pair), pairs)


def trial(tool: Tool, case: Case, limit: float = LIMIT) -> Trial:
    """One tool on one loop, in a forked process that is ended after the limit in seconds."""
    context = multiprocessing.get_context("fork")  # imports PyTorch once for all
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(tool, case, sending))
    process.start()
    sending.close()
    try:
        if not receiving.poll(limit):
            return Trial(tool, case, [], f"took more than {limit:g} s")
        words, failure = receiving.recv()
        return Trial(tool, case, [Word(*word) for word in words], failure)
    except EOFError:
        return Trial(tool, case, [], "its process ended without a word")
    finally:
        process.kill()
        process.join()


def _tell(tool: Tool, case: Case, sending: Connection) -> None:
    gc.freeze()  # what came with the fork is not freed here: its threads are not there
    torch.set_num_threads(1)
    try:
        sending.send(([tuple(word) for word in asked(tool, case)], ""))
    except Exception as error:
        sending.send(([], f"{type(error).__name__}: {error}"))
