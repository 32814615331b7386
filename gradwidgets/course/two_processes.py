"""Two processes of this machine that train together, and functions of a notebook that run in both.

A notebook's function is no part of a module that another process could import. So cloudpickle sends
it as code, with the functions, classes and values that it uses. Each process reads them from a pipe
that this one alone writes, and answers with tensors, numbers and texts in a folder that lasts as
long as the two.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, cast

import cloudpickle
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

RANKS = (0, 1)
START = "from gradwidgets.course.two_processes import serve; serve()"
FIRST_LIMIT = 55.0
"""Seconds that the two may take to start."""
LENGTH = 8
"""Bytes that say how long a message is."""

Reply = tuple[Any, str, str]
"""A function's result, what it printed, and its error."""


class TwoProcesses:
    """Two processes; calling it runs a function in both, with the rank as its first argument.

    They start with the first call, or with `start`, and end with this object. After an error that
    leaves one of them waiting, two new ones start with the next call.
    """

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._homes: list[tempfile.TemporaryDirectory[str]] = []
        self._number = 0
        weakref.finalize(self, _end, self._processes, self._homes)

    def start(self) -> None:
        """Start the two, without waiting for them."""
        self.end()
        home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._homes.append(home)
        self._number = 0
        loopback = {"lo", "lo0"} & {name for _, name in socket.if_nameindex()}
        settings = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **({"GLOO_SOCKET_IFNAME": loopback.pop()} if loopback else {}),
        }
        for rank in RANKS:
            process = subprocess.Popen(
                [sys.executable, "-c", START, home.name, str(rank)],
                env=settings,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._processes.append(process)

    def end(self) -> None:
        """End the two."""
        _end(self._processes, self._homes)

    def __call__(self, function: Callable[..., Any], *arguments: Any, limit: float = 20) -> Any:
        """Run `function(rank, *arguments)` in both, and return the list of the two results.

        Raises:
            RuntimeError: the function failed in one of them, waited for more than `limit` seconds,
                or uses something that cannot be sent.
        """
        message = _message((function, arguments))
        try:
            if not self._processes or any(each.poll() is not None for each in self._processes):
                self.start()
            if self._number == 0:
                self._replies(FIRST_LIMIT)
            for process in self._processes:
                pipe = cast(IO[bytes], process.stdin)
                pipe.write(len(message).to_bytes(LENGTH, "big") + message)
                pipe.flush()
            replies = self._replies(limit)
        except BaseException:
            self.end()
            raise
        return _results(replies)

    def _replies(self, limit: float) -> list[Reply]:
        """Wait for both answers. When one process has failed, the other has a second left."""
        last, found = time.monotonic() + limit, dict[int, Reply]()
        while len(found) < len(RANKS):
            for rank in set(RANKS) - set(found):
                ended = self._processes[rank].poll() is not None
                path = Path(self._homes[-1].name) / f"{self._number}.{rank}"
                if path.exists():
                    found[rank] = _read(path)
                    last = min(last, time.monotonic() + 1) if found[rank][2] else last
                elif ended:
                    raise RuntimeError(f"rank {rank} has ended")
            if len(found) < len(RANKS) and time.monotonic() > last:
                raise RuntimeError(_missing(found, limit))
            time.sleep(0.002)
        self._number += 1
        return [found[rank] for rank in RANKS]


def _missing(found: dict[int, Reply], limit: float) -> str:
    """Say why no answer is waited for any longer."""
    errors = [f"in rank {rank}: {error}" for rank, (_, _, error) in found.items() if error]
    if errors:
        return errors[0]
    if len(found) == 1:
        return "one process has finished, and the other one still works or waits for it"
    return f"no answer within {limit:g} seconds"


def _read(path: Path) -> Reply:
    """Read a reply; nothing in it is executed."""
    try:
        reply: Reply = torch.load(path, weights_only=True)
    except pickle.UnpicklingError:
        raise RuntimeError(
            "the result cannot come back; return tensors, numbers, texts, or lists of these"
        ) from None
    return reply


def _results(replies: list[Reply]) -> list[Any]:
    """Show what the two printed, and return their results or raise the first error."""
    for rank, (_, said, _) in enumerate(replies):
        sys.stdout.writelines(f"rank {rank}: {line}\n" for line in said.splitlines())
    for rank, (_, _, error) in enumerate(replies):
        if error:
            raise RuntimeError(f"in rank {rank}: {error}")
    return [result for result, _, _ in replies]


def _end(
    processes: list[subprocess.Popen[bytes]], homes: list[tempfile.TemporaryDirectory[str]]
) -> None:
    for process in processes:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            cast(IO[bytes], process.stdin).close()
    for home in homes:
        home.cleanup()
    processes.clear()
    homes.clear()


def _message(content: object) -> bytes:
    """The bytes to be sent.

    Raises:
        RuntimeError: it uses something that cannot be sent.
    """
    try:
        message: bytes = cloudpickle.dumps(content)
    except (TypeError, AttributeError, ValueError, pickle.PicklingError) as error:
        raise RuntimeError(f"this cannot be sent to another process: {error}") from None
    return message


def serve() -> None:
    """Be one of the two: run what comes in, until nothing more can come."""
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder.as_posix()}/store",  # they meet in a file: no port to collide
        rank=rank,
        world_size=len(RANKS),
        timeout=timedelta(seconds=60),
    )
    DistributedDataParallel(torch.nn.Linear(1, 1))  # the first one takes its time
    number = 0
    _answer(folder / f"{number}.{rank}", (None, "", ""))
    while head := sys.stdin.buffer.read(LENGTH):
        number += 1
        message = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        _answer(folder / f"{number}.{rank}", _called(message, rank))


def _called(message: bytes, rank: int) -> Reply:
    """Call the function that a message holds."""
    said, result, error = io.StringIO(), None, ""
    try:
        function, arguments = cloudpickle.loads(message)
        with contextlib.redirect_stdout(said):
            result = function(rank, *arguments)
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}".splitlines()[0]
    return result, said.getvalue(), error


def _answer(path: Path, reply: Reply) -> None:
    """Write a reply, in one go for who looks for it."""
    part = path.with_name(f"{path.name}.part")
    try:
        torch.save(reply, part)
    except Exception as problem:
        torch.save((None, "", f"the result cannot be sent: {problem}"), part)
    part.replace(path)
