"""Scenarios on an event loop, as in a notebook's kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE = 120
"""Seconds after which what has not come never will."""


def on_a_loop(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario to its end on an event loop of its own."""

    async def limited() -> None:
        await asyncio.wait_for(scenario(), PATIENCE)

    asyncio.run(limited())


async def until(condition: Callable[[], object]) -> None:
    """Let the loop work until the condition holds."""
    while not condition():
        await asyncio.sleep(0.005)
