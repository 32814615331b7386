"""A worker's process: started, asked with a time limit, and ended with all that it has started."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

from gradwidgets.grading.judge import Lost
from gradwidgets.grading.sandbox import Limits, Surroundings
from gradwidgets_homework import gettext
from gradwidgets_worker import Data, read_frame, write_frame

START = 180.0
"""Seconds for Python and PyTorch to start on a busy machine."""

USUAL_START = 5.0
"""Seconds that they usually take: where it is twice that, all limits of time are doubled."""

LONGEST_ANSWER = 1_000_000
"""Bytes that an answer may have."""


class Worker:
    """A process that runs cells and plays questions. Nothing that it sends is executed here.

    Attributes:
        slowness: how many times slower than usual this machine is now; at least 1,
            and 0 before it has started.
    """

    def __init__(self, limits: Limits) -> None:
        self._surroundings = Surroundings(limits)
        self._numbers = itertools.count()
        self._process = subprocess.Popen(
            self._surroundings.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._surroundings.folder,
            env=self._surroundings.environment,
            start_new_session=True,
        )
        self._started = _begin(self._start)
        self.slowness = 0.0

    def ask(self, message: Data, seconds: float) -> Data:
        """Send a message and wait for the answer.

        Raises:
            Lost: none came, or none that can be read; the process has been ended.
            RuntimeError: the process does not start.
        """
        self.await_start()
        numbered = {"id": next(self._numbers), **message}
        seconds *= self.slowness
        try:
            return _outcome(_begin(lambda: self._exchange(numbered)), seconds)
        except TimeoutError:
            said = gettext("It did not end within {seconds:.0f} seconds.").format(seconds=seconds)
        except (EOFError, OSError):
            said = gettext("It ended the Python process.")
        except (ValueError, KeyError):
            said = gettext("What came back is no answer to what was asked.")
        self.end()
        raise Lost(said)

    def end(self) -> None:
        """End the process and all that it has started; what it has written is gone."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        if self._surroundings.folder:
            _end_all_at_home_in(self._surroundings.folder)
        self._surroundings.remove()

    def _start(self) -> Data:
        """Wait for the first frame; says after how many seconds it came."""
        begun = time.monotonic()
        assert self._process.stdout is not None
        read_frame(self._process.stdout)
        return {"seconds": time.monotonic() - begun}

    def await_start(self) -> None:
        """Wait until the worker can be asked.

        Raises:
            RuntimeError: it does not start.
        """
        if self.slowness:
            return
        try:
            took = _outcome(self._started, START)["seconds"]
        except (TimeoutError, EOFError, ValueError):
            self._process.kill()
            assert self._process.stderr is not None
            said = self._process.stderr.read().decode(errors="replace")
            self.end()
            raise RuntimeError(f"the process for student code does not start: {said}") from None
        self.slowness = max(1.0, took / USUAL_START)

    def _exchange(self, message: Data) -> Data:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        write_frame(self._process.stdin, message)
        answer = read_frame(self._process.stdout, LONGEST_ANSWER)
        if answer.pop("id") != message["id"]:
            raise ValueError("an answer to another question")
        return answer


class Workers:
    """A supply of workers: while one is busy, the next one starts.

    Args:
        limits: of each worker.
        ahead: how many are started before they are asked for.

    >>> workers = Workers()
    >>> worker = workers.take()
    >>> worker.ask({"run": "print(6 * 7, end='')"}, seconds=10.0)["output"]
    '42'
    >>> worker.end()
    """

    def __init__(self, limits: Limits | None = None, ahead: int = 0) -> None:
        self.limits = limits or Limits()
        self._ahead = ahead
        self._waiting: list[Worker] = []

    def take(self) -> Worker:
        """A worker that knows nothing yet."""
        while len(self._waiting) <= self._ahead:
            self._waiting.append(Worker(self.limits))
        return self._waiting.pop(0)

    def end(self) -> None:
        """End those that nobody took."""
        while self._waiting:
            self._waiting.pop().end()


Outcome: TypeAlias = "queue.SimpleQueue[Any]"


def _begin(action: Callable[[], Data]) -> Outcome:
    """Do something that may never end, in a thread that is left behind if it does not."""
    outcome: Outcome = queue.SimpleQueue()

    def act() -> None:
        try:
            outcome.put(action())
        except Exception as error:
            outcome.put(error)

    Thread(target=act, daemon=True).start()
    return outcome


def _outcome(outcome: Outcome, seconds: float) -> Data:
    """The outcome, once it is there.

    Raises:
        TimeoutError: nothing in time.
    """
    try:
        found = outcome.get(timeout=max(seconds, 0.0))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(found, Exception):
        raise found
    data: Data = found
    return data


def _end_all_at_home_in(folder: str) -> None:
    """End processes that left the worker's group, where Linux shows them by their HOME."""
    mark = f"HOME={folder}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)
