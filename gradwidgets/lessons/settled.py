"""`Settled`: in which contexts a claim holds, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Mapping


class Settled:
    """Contexts in which a claim was tried, and its verdict; shows itself as text.

    Args:
        contexts: by what a context is called, whether the claim holds there.

    Raises:
        ValueError: there is no context.

    Attributes:
        verdict: "true" if it holds in all, "false" if in none, else "true if".

    >>> Settled({"a step an epoch": True, "a step a batch": False})
    holds: a step an epoch
    fails: a step a batch
    verdict: true if
    """

    def __init__(self, contexts: Mapping[str, bool]) -> None:
        if not contexts:
            raise ValueError("contexts={}: name at least one in which the claim was tried")
        self.contexts = dict(contexts)
        held = set(self.contexts.values())
        self.verdict = "true if" if len(held) == 2 else "true" if held == {True} else "false"

    def __repr__(self) -> str:
        """A line for each context, and the verdict."""
        lines = [
            f"{'holds' if holds else 'fails'}: {name}" for name, holds in self.contexts.items()
        ]
        return "\n".join([*lines, f"verdict: {self.verdict}"])
