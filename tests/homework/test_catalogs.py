"""The translations: whole, with the placeholders and the code of the English texts, compiled."""

from __future__ import annotations

import importlib
import json
import re

import pytest
import torch

pytest.importorskip("nbgrader", reason="the extra `homework` is not installed")
from gradwidgets import grading
from gradwidgets_homework import gettext, languages
from gradwidgets_homework.settings import placeholders
from tests.grading.right import right_sources
from tests.grading.wrong import WRONG
from tests.homework import catalogs
from tests.homework.opened import HOMEWORK

SOME_WRONG = [(task, source) for task, sources in WRONG.items() for source in [*sources, ""]]
SOME_WRONG += [(task, "\n".join(right_sources())) for task in grading.TASKS]
TRANSLATED = [language for language in languages() if language != "en"]


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_has_a_translation_with_the_same_placeholders_and_code(language):
    found = {str(one.id): str(one.string) for one in catalogs.read(language) if one.id}
    assert set(found) == set(catalogs.messages()), "python develop.py translations"
    for message, text in found.items():
        assert text.strip(), f"{language}: {message[:60]!r} has no translation"
        assert text != message, f"{language}: {message[:60]!r}"
        assert placeholders(text) == placeholders(message), message
        assert code_of(text) == code_of(message), message
        assert text.count("\n|") == message.count("\n|"), message


def code_of(text: str) -> set[str]:
    """What stands between backticks, without the comments of code, which are translated."""
    return {" ".join(part.split("#")[0].split()) for part in re.findall(r"`([^`]+)`", text)}


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_read_is_made_from_the_text(language):
    compiled = catalogs.compiled(catalogs.read(language))
    assert catalogs.file_of(language, "mo").read_bytes() == compiled, "develop.py translations"


def test_the_language_is_the_environments_or_the_courses(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADWIDGETS_COURSE", str(tmp_path))
    monkeypatch.delenv("GRADWIDGETS_LANGUAGE", raising=False)
    assert gettext("Your answer.") == "Your answer."
    (tmp_path / "course.toml").write_text('language = "de"\n', encoding="utf-8")
    assert gettext("Your answer.") == "Deine Antwort."
    monkeypatch.setenv("GRADWIDGETS_LANGUAGE", "es")
    assert gettext("Your answer.") == "Tu respuesta."
    assert gettext("Nobody has translated this.") == "Nobody has translated this."
    monkeypatch.setenv("GRADWIDGETS_LANGUAGE", "fr")
    with pytest.raises(ValueError, match="no language 'fr'; there are de, en, es"):
        gettext("Your answer.")


def test_a_text_of_the_instructors_goes_before_every_translation(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADWIDGETS_COURSE", str(tmp_path))
    monkeypatch.setenv("GRADWIDGETS_LANGUAGE", "de")
    told = '[texts]\n"Your answer." = "Write here."\n'
    (tmp_path / "course.toml").write_text(told, encoding="utf-8")
    assert gettext("Your answer.") == "Write here."


@pytest.mark.parametrize("language", languages())
def test_the_course_file_names_every_language(language):
    assert f'"{language}"' in (HOMEWORK / "course.toml").read_text(encoding="utf-8")


def test_released_texts_are_those_of_the_catalogs():
    """So a learner reads nothing that a translator has not seen."""
    known = set(catalogs.messages())
    for path in HOMEWORK.glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                assert "".join(cell["source"]) in known


def test_what_the_judge_says_is_in_the_catalogs(monkeypatch):
    """Of right functions, of wrong ones, of none: every sentence is a message."""
    said = set()
    for name in ("check", "judge", "wrong"):
        module = importlib.import_module(
            f"gradwidgets.grading.{name}"
        )  # a face has functions of the name
        monkeypatch.setattr(module, "gettext", lambda text: said.add(text) or text)
    for task, source in SOME_WRONG:
        space: dict[str, object] = {"torch": torch, "nn": torch.nn}
        exec(source, space)
        str(grading.judge(task, space))
    assert len(said) > 60
    assert said <= set(catalogs.messages())
