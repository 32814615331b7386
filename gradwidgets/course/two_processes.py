"""Two processes of this machine that train together, and functions of a notebook that run in both.

A notebook's function is no part of a module that another process could import. So it is sent as
code, with the values that it uses. Each process reads them from a pipe that this one alone writes,
and answers with tensors, numbers and texts in a folder that lasts as long as the two.
"""

from __future__ import annotations

import builtins
import contextlib
import dis
import importlib
import io
import marshal
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
import types
import weakref
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, cast

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


class _Sender(pickle.Pickler):
    """Pickles functions that no other process can import as code and what they use."""

    def reducer_override(self, value: Any) -> Any:
        """The parts to make again what pickle would only name."""
        if isinstance(value, types.ModuleType):
            return importlib.import_module, (value.__name__,)
        if isinstance(value, types.CodeType):
            return marshal.loads, (marshal.dumps(value),)
        if isinstance(value, type) and value.__module__ == "__main__":
            raise TypeError(f"{value.__name__} is a class of this notebook; send functions")
        if isinstance(value, types.FunctionType) and not _can_be_imported(value):
            made_of = value.__code__, value.__name__, _module_of(value)
            return _function, made_of, _used_by(value), None, None, _fill
        return NotImplemented


def _message(content: object) -> bytes:
    """The bytes to be sent.

    Raises:
        RuntimeError: it uses something that cannot be sent.
    """
    file = io.BytesIO()
    try:
        _Sender(file).dump(content)
    except (TypeError, AttributeError, ValueError, pickle.PicklingError) as error:
        raise RuntimeError(f"this cannot be sent to another process: {error}") from None
    return file.getvalue()


def _can_be_imported(function: types.FunctionType) -> bool:
    if function.__module__ == "__main__":
        return False
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function


def _module_of(function: types.FunctionType) -> str:
    """The module that holds a function's global names; "" for the notebook."""
    name = function.__globals__.get("__name__", "__main__")
    known = vars(sys.modules[name]) if name in sys.modules else None
    return name if name != "__main__" and known is function.__globals__ else ""


def _used_by(function: types.FunctionType) -> dict[str, Any]:
    """The values that make a function what it is, apart from its code."""
    space: dict[str, Any] = {} if _module_of(function) else function.__globals__
    filled = {}
    for index, cell in enumerate(function.__closure__ or ()):
        with contextlib.suppress(ValueError):  # an empty one
            filled[index] = cell.cell_contents
    return {
        "space": {name: space[name] for name in _global_names(function.__code__) if name in space},
        "cells": filled,
        "defaults": function.__defaults__,
        "keywords": function.__kwdefaults__,
        "attributes": function.__dict__,
    }


def _global_names(code: types.CodeType) -> Iterator[str]:
    for each in dis.get_instructions(code):
        if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield each.argval
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _global_names(part)


_space: dict[str, Any] = {}
"""In a process of the two: the global names of the functions that it has been sent last."""


def _function(code: types.CodeType, name: str, module: str) -> types.FunctionType:
    """A function without the values that it uses."""
    space = vars(importlib.import_module(module)) if module else _space
    cells = tuple(types.CellType() for _ in code.co_freevars)
    return types.FunctionType(code, space, name, closure=cells)


def _fill(function: types.FunctionType, used: dict[str, Any]) -> None:
    """Give a function what `_used_by` has found."""
    _space.update(used["space"])
    for index, value in used["cells"].items():
        cast(Any, function.__closure__)[index].cell_contents = value
    function.__defaults__ = used["defaults"]
    function.__kwdefaults__ = used["keywords"]
    function.__dict__.update(used["attributes"])


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
    _space.clear()
    _space.update(__name__="__main__", __builtins__=builtins)
    try:
        function, arguments = pickle.loads(message)
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
