"""The command `gradwidgets class`."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the command to those of `gradwidgets`.

    Args:
        commands: what `add_subparsers` of argparse has returned.
    """
    parser = commands.add_parser("class", help="collect what a class answers, and show it live")
    parser.set_defaults(run=_hold)
    parser.description = (
        "Collects the answers of a class, for the lecturer to show live: on this machine until "
        "Ctrl+C, or as a service of a JupyterHub, whose users then need no words. "
        "GRADWIDGETS_CLASS_WORD and GRADWIDGETS_CLASS_LECTURER_WORD in the environment are the "
        "words of the room and of the lecturer, which are drawn otherwise."
    )
    parser.add_argument(
        "--ip",
        default="127.0.0.1",
        help="where to listen; 0.0.0.0 lets the whole network in (default: this machine only)",
    )
    parser.add_argument("--port", type=int, default=8765, help="where to listen (default: 8765)")
    parser.add_argument("--address", default="", help="how others reach it, if not by ip and port")
    parser.add_argument(
        "--lecturers",
        metavar="GROUP",
        default="lecturers",
        help="on a hub: the group whose users may see the class and ask it (default: lecturers)",
    )
    parser.add_argument(
        "--file",
        type=Path,
        default=Path("gradwidgets-class.sqlite"),
        help="where answers are kept (default: gradwidgets-class.sqlite)",
    )
    parser.add_argument(
        "--days", type=float, default=120.0, help="how long answers are kept (default: 120)"
    )


def _hold(told: argparse.Namespace) -> int:
    """Run the service of a class until it is stopped."""
    for needed in ("tornado", *["jupyterhub"] * ("JUPYTERHUB_SERVICE_PREFIX" in os.environ)):
        if importlib.util.find_spec(needed) is None:
            raise ValueError(f"a class needs {needed}, which is not installed for this Python")
    from gradwidgets_class import Store, service  # they need what has just been looked for

    here = service.place(told.ip, told.port, told.address, os.environ)
    way_in = service.door(told.lecturers, os.environ)
    try:
        store = Store(told.file)
    except sqlite3.DatabaseError as problem:
        raise ValueError(f"{told.file} cannot keep a class: {problem}") from None
    print(f"Answers are kept in {told.file.resolve()} for {told.days:g} days.")
    for line in way_in.invitation(here.address):
        print(line, flush=True)
    with suppress(KeyboardInterrupt):  # how a class ends
        asyncio.run(service.serve(store, told.days, here, way_in))
    return 0
