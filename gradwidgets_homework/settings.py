"""The instructor's small file, `course.toml`: points, numbers, texts and the language."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "course.toml"
NUMBERS = ("float32", "float64", "clip_rounding")
"""The numbers of checks: the error, as a share, that values of a type, and clipping, may have."""
COURSE = "GRADWIDGETS_COURSE"
"""The environment variable that names the course's folder; without it, it is the present one."""


@dataclass(frozen=True)
class Settings:
    """The choices of an instructor.

    Args:
        language: of homework, feedback and checks, such as "de".
        points: of tasks, by their names; the others keep theirs.
        numbers: of checks, such as the rounding that clipping may have.
        texts: for an English text one of your own, in the homework and in its feedback.

    >>> Settings(points={"train_step": 10}).points_of("train_step", 5)
    10.0
    >>> Settings().points_of("train_step", 5)
    5.0
    """

    language: str = "en"
    points: Mapping[str, float] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def points_of(self, task: str, otherwise: float) -> float:
        """The points of a task."""
        return float(self.points.get(task, otherwise))


def load(
    path: Path,
    tasks: Collection[str] = (),
    numbers: Collection[str] = NUMBERS,
    languages: Collection[str] = (),
) -> Settings:
    """The settings of a file; those that it does not name are as they were.

    Args:
        path: of `course.toml`; there need be none.
        tasks: the tasks that there are; () if that is not known.
        numbers: the numbers that there are.
        languages: those that there are; () if that is not known.

    Raises:
        ValueError: the file is no TOML, or has a name or a value that is not allowed.

    >>> load(Path("nowhere") / "course.toml")
    Settings(language='en', points={}, numbers={}, texts={})
    """
    if not path.is_file():
        return Settings()
    said = _toml(path)
    unknown = sorted(set(said) - {"language", "points", "numbers", "texts"})
    if unknown:
        raise ValueError(
            f"{path}: there is no setting {unknown[0]!r}; "
            "there are language, points, numbers, texts"
        )
    language = said.get("language", "en")
    if languages and language not in languages:
        raise ValueError(f"{path}: language = {language!r}; there are {', '.join(languages)}")
    return Settings(
        str(language),
        _numbers(path, "points", said.get("points", {}), tasks),
        _numbers(path, "numbers", said.get("numbers", {}), numbers),
        _texts(path, said.get("texts", {})),
    )


def _toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except ValueError as error:  # of TOML, or of the encoding
        raise ValueError(f"{path} cannot be read: {error}") from error


def _numbers(path: Path, section: str, said: object, known: Collection[str]) -> dict[str, float]:
    if not isinstance(said, dict):
        raise ValueError(f"{path}: [{section}] should be a table, as in [{section}]")
    for name, value in said.items():
        if known and name not in known:
            raise ValueError(f"{path}: [{section}] {name}: there are {', '.join(sorted(known))}")
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not right or not math.isfinite(value) or value < 0:
            raise ValueError(f"{path}: [{section}] {name} = {value!r} should be a number >= 0")
    return {name: float(value) for name, value in said.items()}


def _texts(path: Path, said: object) -> dict[str, str]:
    if not isinstance(said, dict) or not all(isinstance(text, str) for text in said.values()):
        raise ValueError(f'{path}: [texts] should have lines such as "English text" = "Your text"')
    for english, text in said.items():
        foreign = placeholders(text) - placeholders(english)
        if foreign:
            raise ValueError(f"{path}: [texts] {text!r} has {{{foreign.pop()}}}, {english!r} not")
    return dict(said)


def placeholders(text: str) -> set[str]:
    """The names in braces that a text has for what is put into it; a lone brace is none.

    >>> placeholders("With momentum {momentum} it moves.")
    {'momentum'}
    """
    return set(re.findall(r"\{(\w+)[^{}]*\}", text))


def course() -> Path:
    """The course's folder."""
    return Path(os.environ.get(COURSE, "."))
