"""A learner's copy of the course: nothing of theirs is lost, whatever the new version brings."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import gradwidgets_notebooks
from gradwidgets_notebooks import course
from gradwidgets_notebooks.__main__ import main
from gradwidgets_notebooks.doctor import Finding
from tests.lessons.notebooks import FOLDER

PACKAGE = Path(gradwidgets_notebooks.__file__).parent
HOMEWORK = PACKAGE.with_name("gradwidgets_homework")
CLASS = PACKAGE.with_name("gradwidgets_class")
LESSON = "03_scaling_gradients.ipynb"
NEW = "03_scaling_gradients_new.ipynb"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course that a test may change, in place of the package's own."""
    copied = tmp_path / "source"
    shutil.copytree(FOLDER, copied, ignore=shutil.ignore_patterns("progress.json"))
    monkeypatch.setattr(course, "course_folder", lambda: copied)
    return copied


@pytest.fixture
def mine(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's copy of it, with two answers given."""
    monkeypatch.chdir(source.parent)
    folder = tmp_path / "mine"
    assert main(["lessons", "mine"]) == 0
    (folder / "progress.json").write_text("{}", encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def change(path: Path, words: str) -> bytes:
    path.write_text(path.read_text(encoding="utf-8").replace("# ", words, 1), encoding="utf-8")
    return path.read_bytes()


def test_the_files_are_imported_with_the_standard_library_alone() -> None:
    own = {PACKAGE.name, HOMEWORK.name, CLASS.name}
    elsewhere = {CLASS / "service.py", HOMEWORK / "nbgrader.py"}  # tornado's and nbgrader's
    files = {path for folder in (PACKAGE, HOMEWORK, CLASS) for path in folder.glob("*.py")}
    for path in files - elsewhere:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                named += [alias.name for alias in node.names if isinstance(node, ast.Import)]
                roots = {name.split(".")[0] for name in named}
                assert roots <= sys.stdlib_module_names | own


def test_a_copy_that_is_made_twice_at_once_is_whole(source: Path, tmp_path: Path) -> None:
    """A hub may start two servers of one learner together."""
    folder = tmp_path / "mine"
    with ThreadPoolExecutor(8) as servers:
        found = list(servers.map(course.bring, [folder] * 8))
    assert all(each.kept == {} for each in found)
    assert sorted(contents(folder)) == sorted([*course.course_files(), course.RECORD])
    assert all(
        (folder / name).read_bytes() == (source / name).read_bytes()
        for name in course.course_files()
    )


def test_a_copy_holds_the_lessons_what_they_need_and_the_homework_as_it_is_released(
    source: Path, mine: Path
) -> None:
    copied = contents(mine)
    assert {name for name in copied if "/" not in name} == {
        *(path.name for path in FOLDER.glob("[0-9]*.ipynb")),
        "claims.json",
        ".gradwidgets.json",
        "progress.json",
    }
    lectures = {name for name in copied if name.startswith("lectures/")}
    assert lectures == {f"lectures/{name}" for name in contents(FOLDER / "lectures")}
    assert all(copied[name] == (source / name).read_bytes() for name in lectures)
    homework = {name: text for name, text in copied.items() if name.startswith("homework/")}
    assert set(homework) == {f"homework/hw{number}.ipynb" for number in range(1, 5)}
    for text in homework.values():
        assert b"SOLUTION" not in text
        assert b"HIDDEN" not in text


def test_links_of_a_copy_lead_to_files_in_it(mine: Path) -> None:
    for path in mine.rglob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                for target in _targets("".join(cell["source"])):
                    assert (path.parent / target).resolve().is_relative_to(mine)
                    assert (path.parent / target).exists()


def _targets(text: str) -> list[str]:
    parts = [part.split(")")[0] for part in text.split("](")[1:]]
    files = [part.split("#")[0] for part in parts if not part.startswith("http")]
    return [name for name in files if name.endswith((".ipynb", ".md", ".json", ".png"))]


def test_update_changes_nothing_where_nothing_is_new(mine: Path, capsys) -> None:
    before = contents(mine)
    assert main(["update", "mine"]) == 0
    assert contents(mine) == before
    assert capsys.readouterr().out.endswith("Nothing is new.\n")


def test_update_brings_new_and_changed_lessons_and_keeps_answers(
    source: Path, mine: Path, capsys
) -> None:
    newer = change(source / LESSON, "# Newer: ")
    (source / "14_more.ipynb").write_bytes(newer)
    assert main(["update", "mine"]) == 0
    assert (mine / LESSON).read_bytes() == (mine / "14_more.ipynb").read_bytes() == newer
    assert (mine / "progress.json").read_text(encoding="utf-8") == "{}"
    said = capsys.readouterr().out
    assert "new:      14_more.ipynb\n" in said
    assert f"replaced: {LESSON}, as you had not changed it\n" in said


def test_a_changed_lesson_is_kept_and_the_newer_one_laid_beside_it_once(
    source: Path, mine: Path, capsys
) -> None:
    work = change(mine / LESSON, "# My work on ")
    newer = change(source / LESSON, "# Newer: ")
    assert main(["update", "mine"]) == 0
    assert f"kept:     {LESSON} with your work; the newer one is {NEW}\n" in capsys.readouterr().out
    assert ((mine / LESSON).read_bytes(), (mine / NEW).read_bytes()) == (work, newer)
    (mine / NEW).unlink()
    assert main(["update", "mine"]) == 0  # it has been seen
    assert not (mine / NEW).exists()


def test_work_in_the_newer_lesson_is_kept_too(source: Path, mine: Path) -> None:
    work = change(mine / LESSON, "# My work on ")
    change(source / LESSON, "# Newer: ")
    main(["update", "mine"])
    more = change(mine / NEW, "# My work on ")
    newest = change(source / LESSON, "# Newest: ")
    main(["update", "mine"])
    assert ((mine / LESSON).read_bytes(), (mine / NEW).read_bytes()) == (work, more)
    assert (mine / NEW.replace("_new", "_new2")).read_bytes() == newest


def test_a_lesson_that_the_learner_took_over_is_followed_again(source: Path, mine: Path) -> None:
    change(mine / LESSON, "# My work on ")
    change(source / LESSON, "# Newer: ")
    main(["update", "mine"])
    (mine / NEW).replace(mine / LESSON)
    newest = change(source / LESSON, "# Newest: ")
    main(["update", "mine"])
    assert (mine / LESSON).read_bytes() == newest
    assert not (mine / NEW).exists()


def test_without_the_record_every_difference_is_the_learners(source: Path, mine: Path) -> None:
    (mine / ".gradwidgets.json").write_text("[1]", encoding="utf-8")
    old = (mine / LESSON).read_bytes()
    newer = change(source / LESSON, "# Newer: ")
    main(["update", "mine"])
    assert ((mine / LESSON).read_bytes(), (mine / NEW).read_bytes()) == (old, newer)


def test_a_lesson_that_is_gone_from_the_course_stays_and_one_that_was_deleted_comes_back(
    source: Path, mine: Path, capsys
) -> None:
    (source / LESSON).unlink()
    (mine / "04_masking_gradients.ipynb").unlink()
    assert main(["update", "mine"]) == 0
    assert (mine / LESSON).exists()
    assert (mine / "04_masking_gradients.ipynb").exists()
    assert f"kept:     {LESSON}, which is no longer part" in capsys.readouterr().out


def test_a_copy_that_was_interrupted_is_completed(
    source: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(source.parent)
    write, written = course._write, []

    def full(path: Path, content: bytes) -> None:
        if len(written) == 5:
            raise OSError("the disk is full")
        written.append(path)
        write(path, content)

    monkeypatch.setattr(course, "_write", full)
    assert main(["lessons", "mine"]) == 1
    monkeypatch.setattr(course, "_write", write)
    assert main(["lessons", "mine"]) == 0
    assert {*contents(tmp_path / "mine")} == {*course.course_files(), ".gradwidgets.json"}


@pytest.mark.usefixtures("source")
def test_a_file_of_the_same_name_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / LESSON).write_text("mine", encoding="utf-8")
    assert course.bring(tmp_path).kept == {LESSON: NEW}
    assert (tmp_path / LESSON).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lessons", "mine"], "mine holds the course already; see `gradwidgets update --help`"),
        (["update", "elsewhere"], "elsewhere holds no course; see `gradwidgets lessons --help`"),
        (["update", "source"], "source is the folder that the course is copied from"),
        (["lessons", "mine/claims.json"], "is not a folder"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    mine: Path, words: list[str], says: str, capsys
) -> None:
    before = contents(mine.parent)
    assert main(words) == 1
    assert says in capsys.readouterr().err
    assert contents(mine.parent) == before


@pytest.mark.parametrize(
    "words", [[], ["lab"], ["lessons"], ["update"], ["doctor"], ["collect"], ["marks"]]
)
def test_every_command_has_help(words: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: gradwidgets")


def test_without_jupyterlab_the_lab_says_what_to_install(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert main(["lab"]) == 1
    assert '-m pip install "gradwidgets[lab]"' in capsys.readouterr().err
    assert contents(tmp_path) == {}


def test_the_doctor_finds_what_is_missing_or_old(monkeypatch, capsys) -> None:
    from importlib import metadata

    from gradwidgets_notebooks import doctor

    versions = {"gradwidgets": "1.0", "torch": "2.13.0+cpu", "numpy": "1.9", "ipywidgets": "8.1"}

    def version(part: str) -> str:
        if part not in versions:
            raise metadata.PackageNotFoundError(part)
        return versions[part]

    asked = [
        "torch>=2.6",
        "numpy<3,>=1.26",
        "jupyterlab>=4; extra == 'lab'",
        "numpy>=9; extra == 'x'",
    ]
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", lambda _: asked)
    monkeypatch.setattr(doctor, "_a_lab", lambda: Finding("a lab", "can be made"))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "torch         2.13.0+cpu\nnumpy         1.9, older than 1.26\n" in said
    assert "jupyterlab    not installed\n              -> " in said
    assert "a kernel      not tried without JupyterLab\n" in said


def test_the_doctor_asks_a_kernel_and_this_python() -> None:
    from gradwidgets_notebooks import doctor

    assert doctor._a_lab() == Finding("a lab", "can be made")
    assert doctor._extensions() == Finding("in JupyterLab", "widgets can be shown")
    assert doctor._a_kernel() == Finding("a kernel", f"answers ({sys.executable})")
