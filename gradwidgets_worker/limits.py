"""Limits that a worker sets itself before any student's code runs; it cannot raise them again."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]


def _mapped() -> int:
    """Bytes of addresses that this process uses already, where Linux tells; else very many."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    except OSError:
        return 2**62
    return pages * resource.getpagesize()


def limit(memory: int, seconds: int, file_size: int, processes: int | None) -> None:
    """Limit this process and all that it starts.

    Args:
        memory: bytes of each process.
        seconds: processor time of each process.
        file_size: bytes of a file.
        processes: how many there may be, threads included; None sets no limit.
    """
    if resource is None:
        return
    addresses = _mapped() + 2 * memory  # shared memory is no data; threads reserve some
    wanted = {
        "RLIMIT_DATA": memory,
        "RLIMIT_AS": addresses,
        "RLIMIT_CPU": seconds,
        "RLIMIT_FSIZE": file_size,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_CORE": 0,
        "RLIMIT_NPROC": processes,
    }
    for name, value in wanted.items():
        if value is not None and hasattr(resource, name):
            with contextlib.suppress(ValueError, OSError):  # a lower limit is set already
                resource.setrlimit(getattr(resource, name), (value, value))
    with contextlib.suppress(OSError):  # if memory runs out all the same, it is this one that ends
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


def closed_streams() -> tuple[int, int]:
    """Take the streams of the judge away from where student code looks for them.

    Returns:
        The descriptors of questions and of answers. Standard input is empty from now on, and
        what is written to standard output and error is thrown away.
    """
    questions, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
    return questions, answers
