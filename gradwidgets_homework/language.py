"""The language of homework, feedback and checks: gettext, with catalogs in `locale`.

A catalog is a file of text, `locale/LANGUAGE/LC_MESSAGES/homework.po`, and beside it what is read,
made from it by `python develop.py translations`. CONTRIBUTING says how to add a language.
"""

from __future__ import annotations

import gettext as catalogs
import os
from functools import lru_cache
from pathlib import Path

from gradwidgets_homework import settings

FOLDER = Path(__file__).parent / "locale"
DOMAIN = "homework"
LANGUAGE = "GRADWIDGETS_LANGUAGE"
"""The environment variable that chooses the language; it goes before `course.toml`."""


def languages() -> list[str]:
    """The languages that there are; English needs no catalog.

    >>> languages()
    ['de', 'en', 'es']
    """
    return sorted(["en", *(path.name for path in FOLDER.iterdir() if path.is_dir())])


def gettext(message: str) -> str:
    """The text in the language that is chosen, or as `course.toml` has it.

    Args:
        message: the English text. What belongs into it stands there as a name in braces, for
            `.format` to be called on what comes back.

    Raises:
        ValueError: another language is chosen than there are, or `course.toml` is wrong.

    >>> gettext("As it should be.")
    'As it should be.'
    """
    chosen = course_settings()
    if message in chosen.texts:
        return chosen.texts[message]
    return catalog(os.environ.get(LANGUAGE) or chosen.language).gettext(message)


def marked(message: str) -> str:
    """The text itself; the catalogs have it, and `gettext` translates it where it is shown.

    >>> marked("As it should be.")
    'As it should be.'
    """
    return message


def course_settings() -> settings.Settings:
    """The settings that `course.toml` has in the course's folder.

    Raises:
        ValueError: it is wrong.

    >>> course_settings().language
    'en'
    """
    path = settings.course() / settings.FILE
    return _settings(path.absolute(), path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=1)
def _settings(path: Path, _: int) -> settings.Settings:
    return settings.load(path, languages=languages())


@lru_cache
def catalog(language: str) -> catalogs.NullTranslations:
    """The texts of a language.

    Raises:
        ValueError: there is no such language.

    >>> catalog("fr")
    Traceback (most recent call last):
    ValueError: there is no language 'fr'; there are de, en, es
    """
    if language not in languages():
        raise ValueError(f"there is no language {language!r}; there are {', '.join(languages())}")
    return catalogs.translation(DOMAIN, str(FOLDER), [language], fallback=language == "en")
