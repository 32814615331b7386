"""Rules for values. Each checks one value, once, where it enters the package."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any


def not_allowed(name: str, value: object, allowed: str) -> ValueError:
    """The one wording for a bad value: its name, the value, and what would be right.

    >>> str(not_allowed("lr", -1, "a finite number from 0"))
    'lr=-1 is not allowed; give a finite number from 0'
    """
    shown = " ".join(map(str.strip, repr(value).splitlines()))
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return ValueError(f"{name}={shown} is not allowed; give {allowed}")


@dataclass(frozen=True)
class Number:
    """A finite real number in [low, high]; `above` excludes `low` itself.

    >>> Number(0, 1)("share", 0.5)
    0.5
    >>> Number(0, 1)("share", 2)
    Traceback (most recent call last):
    ValueError: share=2 is not allowed; give a finite number from 0 to 1
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    optional: bool = False

    def __call__(self, name: str, value: object) -> float | None:
        """Return `value` as a float (None stays None where allowed), or raise ValueError."""
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, Real):
            raise not_allowed(name, value, self.allowed)
        try:
            number = float(value)
        except OverflowError:
            raise not_allowed(name, value, self.allowed) from None
        inside = self.low < number if self.above else self.low <= number
        if not (math.isfinite(number) and inside and number <= self.high):
            raise not_allowed(name, value, self.allowed)
        return number

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        words = "a finite number"
        if self.low > -math.inf:
            words += f" {'above' if self.above else 'from'} {self.low:g}"
        if self.high < math.inf:
            words += f" to {self.high:g}"
        return words + (" or None" if self.optional else "")


@dataclass(frozen=True)
class Count:
    """A whole number in [low, high].

    >>> Count()("steps", 3)
    3
    >>> Count()("steps", 0)
    Traceback (most recent call last):
    ValueError: steps=0 is not allowed; give a whole number from 1
    """

    low: int = 1
    high: int = 2**63 - 1
    optional: bool = False

    def __call__(self, name: str, value: object) -> int | None:
        """Return `value` as an int (None stays None where allowed), or raise ValueError."""
        if value is None and self.optional:
            return None
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or not self.low <= int(value) <= self.high:  # type: ignore[call-overload]
            words = f"a whole number from {self.low}"
            if self.high < 2**63 - 1:
                words += f" to {self.high}"
            raise not_allowed(name, value, words + (" or None" if self.optional else ""))
        return int(value)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class OneOf:
    """One of a few words.

    >>> OneOf(("a", "b"))("kind", "c")
    Traceback (most recent call last):
    ValueError: kind='c' is not allowed; give one of 'a', 'b'
    """

    choices: tuple[str, ...]
    optional: bool = False

    def __call__(self, name: str, value: object) -> str | None:
        """Return `value` (None stays None where allowed), or raise ValueError."""
        if value is None and self.optional:
            return None
        if not isinstance(value, str) or value not in self.choices:
            words = "one of " + ", ".join(map(repr, self.choices)) + " or None" * self.optional
            raise not_allowed(name, value, words)
        return value


@dataclass(frozen=True)
class Text:
    """Any non-empty text.

    >>> Text()("name", "")
    Traceback (most recent call last):
    ValueError: name='' is not allowed; give a non-empty text
    """

    allowed: str = "a non-empty text"

    def __call__(self, name: str, value: object) -> str:
        """Return `value`, or raise ValueError."""
        if not isinstance(value, str) or not value:
            raise not_allowed(name, value, self.allowed)
        return value


@dataclass(frozen=True)
class Flag:
    """True or False.

    >>> Flag()("average", True)
    True
    >>> Flag()("average", 1)
    Traceback (most recent call last):
    ValueError: average=1 is not allowed; give True or False
    """

    def __call__(self, name: str, value: object) -> bool:
        """Return `value`, or raise ValueError."""
        if not isinstance(value, bool):
            raise not_allowed(name, value, "True or False")
        return value


@dataclass(frozen=True)
class Edits:
    """A tuple of functions that take the list of parameters. A class is refused: it makes an edit.

    >>> Edits()("edits", (print, 3))
    Traceback (most recent call last):
    ValueError: edits[1]=3 is not allowed; give a function that takes the list of ...
    """

    def __call__(self, name: str, value: object) -> tuple[Any, ...]:
        """Return `value` as a tuple, or raise ValueError."""
        if not isinstance(value, (tuple, list)):
            raise not_allowed(name, value, "a tuple of functions that take the list of parameters")
        for place, edit in enumerate(value):
            if not callable(edit) or isinstance(edit, type):
                wish = "a function that takes the list of parameters, such as Scale(0.5)"
                raise not_allowed(f"{name}[{place}]", edit, wish)
        return tuple(value)


Rule = Any  # one of the classes above: called with (name, value), returns the value or raises
