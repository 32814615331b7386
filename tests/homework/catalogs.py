"""The catalogs of translations: made from the messages of today, and compiled.

`python -m tests.homework.catalogs` takes new messages into each catalog, takes old ones out, and
compiles it. A message without a translation stays empty there, and a test fails until it has one.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

from babel import Locale
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from gradwidgets.grading import TASKS
from gradwidgets_homework.language import DOMAIN, FOLDER
from gradwidgets_homework.release import is_text
from tests.homework.opened import HOMEWORK, ROOT, opened

CALLS = ("gettext", "marked")
"""Functions whose first argument is a message."""
CODE = (ROOT / "gradwidgets_homework", ROOT / "gradwidgets" / "grading", HOMEWORK)
SENTENCE = re.compile(r"[A-Z`{].* .*\.", re.DOTALL)
"""A text of a check is a finding, if it looks like one; it is handed around before it is shown."""


def messages() -> dict[str, str]:
    """Every message, and where it stands."""
    found: dict[str, str] = {}
    for source in sorted(opened().glob("source/*/*.ipynb")):
        for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]:
            if is_text(cell):
                found["".join(cell["source"])] = f"{source.stem} {cell['id']}"
    for path in (path for folder in CODE for path in sorted(folder.glob("*.py"))):
        for message in of_code(path):
            found.setdefault(message, path.relative_to(ROOT).as_posix())
    for check in (check for task in TASKS.values() for check in task.checks):
        found.setdefault(check.title, "gradwidgets/grading, the title of a check")
    return found


def of_code(path: Path) -> Iterator[str]:
    """The messages of a program."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) for part in _no_messages(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name, first = getattr(node.func, "id", ""), node.args[0]
            if name in CALLS and isinstance(first, ast.Constant):
                yield str(first.value)
        if path.parent.name == "grading" and isinstance(node, ast.Constant):
            text = str(node.value)
            if id(node) not in parts and SENTENCE.fullmatch(text):
                yield text


def _no_messages(node: ast.AST) -> Iterator[ast.AST]:
    """Docstrings, and what stands in f-strings."""
    if isinstance(node, ast.Expr):
        yield node.value
    if isinstance(node, ast.JoinedStr):
        yield from ast.walk(node)


def file_of(language: str, kind: str = "po") -> Path:
    """A language's catalog, as text or compiled."""
    return FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.{kind}"


def read(language: str) -> Catalog:
    """A language's catalog, from its text."""
    path = file_of(language)
    if not path.exists():
        return Catalog(locale=language)
    return read_po(io.BytesIO(path.read_bytes()), locale=language)


def compiled(catalog: Catalog) -> bytes:
    """The catalog as gettext reads it."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def write(language: str, known: dict[str, str] | None = None) -> None:
    """Write a language's catalog anew: the messages of today, with the translations that it has."""
    before = read(language)
    catalog = Catalog(
        locale=language,
        domain=DOMAIN,
        project="gradwidgets",
        version="0",
        last_translator="the gradwidgets authors",
        language_team=language,
        msgid_bugs_address="see SECURITY.md and the issue templates",
        header_comment=f"# {Locale.parse(language).english_name}, of the homework of gradwidgets.",
        fuzzy=False,
    )
    catalog.revision_date = catalog.creation_date = before.creation_date
    for message, place in messages().items():
        old = before.get(message)
        text = (known or {}).get(message) or (old.string if old else "")
        catalog.add(message, str(text), auto_comments=[place])
    file = io.BytesIO()
    write_po(file, catalog, width=100, omit_header=False, sort_output=False)
    file_of(language).parent.mkdir(parents=True, exist_ok=True)
    file_of(language).write_bytes(file.getvalue())
    file_of(language, "mo").write_bytes(compiled(read(language)))


if __name__ == "__main__":
    for folder in sorted(FOLDER.iterdir()):
        write(folder.name)
