"""The whole site, or some pages of it, from the sources to files for any web server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from gradwidgets.components import script_of, style_of
from gradwidgets.lessons import predict
from website import card, codes, fact_check, finish, inside, lessons, markup
from website.address import Addresses
from website.labs import frame
from website.live import ROOT, widgets_of

SOURCE = Path(__file__).with_name("source")
NOTEBOOKS = ROOT / "notebooks"
LECTURES = NOTEBOOKS / "lectures"
LIVE_ON_FRONT = "00_start_here-first-lab.html"
FACES = (
    "gradwidgets",
    "gradwidgets.checkup",
    "gradwidgets.core",
    "gradwidgets.sweep",
    "gradwidgets.script",
    "gradwidgets.lab",
    "gradwidgets.stepper",
    "gradwidgets.ledger",
    "gradwidgets.meter",
    "gradwidgets.lessons",
    "gradwidgets.grading",
    "gradwidgets.plots",
    "gradwidgets.export",
)
"""The faces whose functions and classes the reference holds; the first offers those of others."""


@dataclass(frozen=True)
class Part:
    """Some pages only, for a test; the rest of the site is left out.

    Args:
        lessons: names of notebooks.
        claims: ids of claims.
        codes: codes of checkup.
        faces: those whose reference is built.
    """

    lessons: Sequence[str]
    claims: Sequence[str]
    codes: Sequence[str]
    faces: Sequence[str] = ()


NO_LECTURE = "const joinLecture = () => ({ leave() {} });\n"
"""A question of a page is in no lecture; so it takes no keys but its own."""


def build(site: Path, work: Path, part: Part | None = None) -> Path:
    """Build the site.

    Args:
        site: the folder of the site, which is emptied first.
        work: a folder for what a later build can use again: widgets, Sphinx's own files.
        part: some pages only; None builds all.

    Raises:
        RuntimeError: a lesson's cell failed, or Sphinx warned of something.
    """
    addresses = Addresses.given()
    source = work / "source"
    for folder in (site, source):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCE, source)
    site.mkdir(parents=True)
    _scripts(source / "_static")
    card.save(source / "_static" / "card.png")
    books = _books(part)
    pages = {path.stem: f"{folder}/{path.stem}" for path, folder in books.items()}
    widgets = widgets_of(list(books), work / "widgets")
    for path, folder in widgets.items():
        place = path.relative_to(ROOT).as_posix()
        lessons.write(
            lessons.Book(path, place, pages[path.stem], pages, addresses), folder, source, site
        )
    only = (None, None) if part is None else (set(part.claims), set(part.codes))
    fact_check.write(source, NOTEBOOKS, pages, only[0])
    codes.write(source, only[1])
    inside.write(source, site, work / "widgets", pages)
    _lists(source, books, pages)
    _reference(source, FACES if part is None else part.faces)
    _front(source / "index.md", site)
    _sphinx(source, site, work / "doctrees")
    finish.finish(site, addresses)
    return site


def _books(part: Part | None) -> dict[Path, str]:
    """The notebooks, and the folder of the site that each one's page is in."""
    course = dict.fromkeys(sorted(NOTEBOOKS.glob("*.ipynb")), "lessons")
    if part is not None:
        return {path: folder for path, folder in course.items() if path.stem in part.lessons}
    return {**course, **dict.fromkeys(sorted(LECTURES.glob("*.ipynb")), "teach")}


def _scripts(static: Path) -> None:
    """The question's own script and style, as files that a page can load without a module."""
    script = NO_LECTURE + script_of(predict.__file__)
    whole, count = re.subn(
        r"^export default \{ render \};$",
        "window.gradwidgetsPredict = { render };",
        script,
        flags=re.MULTILINE,
    )
    assert count == 1
    (static / "predict.js").write_text(f"(() => {{\n{whole}}})();\n", encoding="utf-8")
    (static / "predict.css").write_text(style_of(predict.__file__), encoding="utf-8")


def _lists(source: Path, books: Mapping[Path, str], pages: Mapping[str, str]) -> None:
    """The pages that list others: lessons, what a teacher needs, how to install."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    course = [path.stem for path, folder in books.items() if folder == "lessons"]
    talks = [path.stem for path, folder in books.items() if folder == "teach"]
    table = "\n".join(_local(line, "lessons/index", pages) for line in _lesson_rows(readme))
    _page(source / "lessons/index.md", f"# Lessons\n\n{table}\n", course)
    hub = (ROOT / "hub/README.md").read_text(encoding="utf-8")
    homework = (NOTEBOOKS / "homework/INSTRUCTORS.md").read_text(encoding="utf-8")
    teaching = _section(readme, "**Teach.**", "## Your own problem")
    for name, text in (("homework", homework), ("hub", hub)):
        _page(source / f"teach/{name}.md", _local(text, f"teach/{name}", pages), [])
    text = f"# Teach\n\n{_local(teaching, 'teach/index', pages)}"
    _page(source / "teach/index.md", text, [*talks, "homework", "hub"])
    install = _section(readme, "## Install", "## What you can do with it")
    text = _local(install.replace("## Install", "# Install"), "install", pages)
    _page(source / "install.md", text, [])


def _lesson_rows(readme: str) -> list[str]:
    """The table of lessons, without rows that are of none, such as homework."""
    lines = readme.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("| lesson"))
    rows = [line for line in lines if re.match(r"\| \[\d\d ", line)]
    return [*lines[start : start + 2], *rows]


def _section(text: str, begin: str, end: str) -> str:
    """What stands between two places of a text, the first included."""
    return text[text.index(begin) : text.index(end)]


def _page(path: Path, text: str, below: Sequence[str]) -> None:
    tree = "```{toctree}\n:hidden:\n" + "\n".join(below) + "\n```\n" if below else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n\n{tree}", encoding="utf-8")


LOCAL = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\((?!https?:)([^)\s]+)\)")
OTHERS = {
    "INSTRUCTORS.md": "teach/homework",
    "hub/README.md": "teach/hub",
    "CODES.md": "checkup/index",
}


def _local(text: str, here: str, pages: Mapping[str, str]) -> str:
    """Markdown of the repository whose links lead to the site's pages, or are words only."""
    addresses = Addresses.given()

    def way(found: re.Match[str]) -> str:
        words, target = found.groups()
        path = target.partition("#")[0]
        name = path.rpartition("/")[2].removesuffix(".ipynb")
        page = pages.get(name) or next((to for end, to in OTHERS.items() if path.endswith(end)), "")
        if target.startswith("#"):
            return found[0]
        if page:
            return f'<a href="{markup.relative(page, here)}.html">{words}</a>'
        if addresses.repository and (ROOT / path).exists():
            return f"[{words}]({addresses.repository}/blob/main/{path})"
        return words

    return LOCAL.sub(way, text)


def _reference(source: Path, faces: Sequence[str]) -> None:
    """The reference: a page for each face, made from its docstrings."""
    folder = source / "api"
    folder.mkdir(parents=True, exist_ok=True)
    for face in faces:
        module = import_module(face)
        homes = {name: _home(getattr(module, name), face) for name in module.__all__}
        others = {name: home for name, home in homes.items() if home != face}
        text = f"{face}\n{'=' * len(face)}\n\n.. automodule:: {face}\n"
        if others:
            text += f"   :exclude-members: {', '.join(others)}\n\nAlso offered here:\n\n"
        for name, home in others.items():
            place = f":doc:`{home}`" if home in faces else f"``{home}``"
            text += f"* ``{name}``, of {place}\n"
        (folder / f"{face}.rst").write_text(text, encoding="utf-8")
    listed = "\n".join(f"* [`{face}`]({face}.rst)" for face in faces)
    text = (
        f"# API reference\n\nWhat each folder of the package offers, with examples.\n\n{listed}\n"
    )
    _page(folder / "index.md", text, faces)


def _home(value: object, face: str) -> str:
    """The face that describes what this one offers: the one in whose folder it is written."""
    written = getattr(value, "__module__", face)
    return max((one for one in FACES[1:] if f"{written}.".startswith(f"{one}.")), default=face)


def _front(path: Path, site: Path) -> None:
    """Put the lab into the first page."""
    shown = (site / "labs" / LIVE_ON_FRONT).is_file()
    lab = frame("Lab: two half moons", f"labs/{LIVE_ON_FRONT}").replace('"lazy"', '"eager"')
    path.write_text(
        path.read_text("utf-8").replace("LAB", lab if shown else "", 1), encoding="utf-8"
    )


def _sphinx(source: Path, site: Path, doctrees: Path) -> None:
    words = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(doctrees), str(source), str(site)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GRADWIDGETS_PROGRESS": ""}
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", *words], env=env, capture_output=True, text=True
    )
    if run.returncode:
        raise RuntimeError(f"Sphinx warns:\n{run.stdout}{run.stderr}")
