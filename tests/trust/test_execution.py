"""Nothing that came from outside is executed: what the package executes is its own, and why."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwidgets.core import Recipe
from gradwidgets.script import script
from tests.trust.effort import tried

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gradwidgets"
CONFIG = ROOT / "notebooks/homework/nbgrader_config.py"
FILES = [CONFIG, *sorted(p for home in ROOT.glob("gradwidgets*/") for p in home.rglob("*.py"))]
"""All Python that the wheel holds: the package, what stands beside it, a course's settings."""
NAMES = {"eval", "exec", "compile", "__import__", "import_module"}
"""Functions that make code of a text, or load some by name."""
METHODS = {"import_module", "get_code", "exec_module", "load", "loads", "loadtxt", "genfromtxt"}
METHODS |= {"fromfile", "unpack", "extractall", "run_path", "run_module"}
"""The same of a module or an object, and those that read a file or a text, perhaps a pickle."""
MODULES = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
MODULES |= {"subprocess", "ctypes", "runpy", "code", "multiprocessing"}
STARTS = re.compile(
    r"system|popen|startfile|fork(pty)?|(exec|spawn)[lv]p?e?|posix_spawnp?|create_subprocess_\w+"
)
"""Functions of `os` and `asyncio` that start a process."""
RUNNERS = {
    ("checkup/__main__.py", "runpy"): "runs the script that the user names, as python would",
    ("course/two_processes.py", "cloudpickle"): "the learner's own functions, on their way",
    ("course/two_processes.py", "pickle"): "its errors by name; what comes back is not unpickled",
    ("course/two_processes.py", "subprocess"): "the two processes that lesson 12 is about",
    ("grading/process.py", "subprocess"): "the worker that runs a student's code",
    ("grading/sandbox.py", "subprocess"): "tries if bubblewrap works",
    (
        "gradwidgets_notebooks/doctor.py",
        "subprocess",
    ): "makes a lab in a new Python, for `gradwidgets doctor`",
}
"""Where one of these is imported, and what for."""
EXCEPTIONS = {
    ("_lazy.py", "import_module"): "a name of the package's own table",
    ("checkup", "loads"): "JSON: reports of other ranks; see test_ranks",
    ("checkup", "run_module"): "the module that the user names on the command line",
    ("checkup", "run_path"): "the script that the user names on the command line",
    ("core", "loadtxt"): "numbers of the package's own table",
    ("core", "loads"): "JSON; see test_texts",
    ("course", "import_module"): "its own lessons",
    ("course", "load"): "with weights_only: what the two processes of lesson 12 answer",
    ("course", "loads"): "the learner's own functions, in these two, from a pipe of their own",
    ("grading", "loads"): "JSON: a notebook that was handed in",
    ("gradwidgets_class", "loads"): "JSON: what a learner's kernel or a phone sends",
    ("gradwidgets_homework", "load"): "`course.toml`: TOML",
    ("gradwidgets_homework", "loads"): "the same; JSON: a notebook that was handed in",
    ("gradwidgets_notebooks", "loads"): "JSON: which lessons it has copied",
    ("gradwidgets_worker", "compile"): "a student's cells: that is what a worker is for",
    ("gradwidgets_worker", "eval"): "the same",
    ("gradwidgets_worker", "import_module"): "PyTorch's compiler, when a student asks for it",
    ("gradwidgets_worker", "loads"): "JSON from the judge",
    ("gradwidgets_worker", "unpack"): "the length of a frame: four bytes",
    ("lessons", "compile"): "a lesson's cells, which the learner asks to be run",
    ("lessons", "exec"): "the same",
    ("lessons", "loads"): "JSON; see test_texts",
    ("stepper", "compile"): "lines of `script`, as the learner sees them",
    ("stepper", "eval"): "what a loop of `script` goes through",
    ("stepper", "exec"): "these lines; the learner moves them, and types none",
}
"""Where code is made or a text is read: the folder, the function, and what of."""


def uses(tree: ast.AST) -> Iterator[str]:
    """The name that is called, for each call that is watched."""
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in NAMES:
            yield called.id
        if isinstance(called, ast.Attribute) and called.attr in METHODS:
            yield called.attr


def place(path: Path) -> Path:
    """A file's place in the package, or else beside it."""
    return path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else ROOT)


def test_code_is_made_and_texts_are_read_only_where_it_is_known_of_what() -> None:
    found = {
        (place(path).parts[0], use)
        for path in FILES
        for use in uses(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == EXCEPTIONS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: place(path).as_posix())
def test_nothing_is_unpickled_and_no_process_is_started(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found = {(place(path).as_posix(), module.split(".")[0]) for module in modules}
        assert {name for _, name in found - RUNNERS.keys()} & MODULES == set()
        names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        names += [node.attr] if isinstance(node, ast.Attribute) else []
        assert not any(map(STARTS.fullmatch, names))


def test_every_package_is_looked_through() -> None:
    wheel = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = set(re.findall(r'^  "/(gradwidgets\w*)",$', wheel, re.MULTILINE))
    assert len(packages) > 5
    assert packages == {path.relative_to(ROOT).parts[0] for path in FILES} - {"notebooks"}


def test_the_scan_sees_what_it_should() -> None:
    text = "def f(x):\n    exec(x)\n    torch.load(x)\n    re.compile(x)\n[eval(y) for y in z]"
    assert set(uses(ast.parse(text))) == {"exec", "load", "eval"}


def shape(program: str) -> str:
    """A program without its texts."""
    tree = ast.parse(program)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


@tried(100, soak=1000)
@given(st.text("'\"\\\n\r{}()#;_ eval\0\u2028") | st.text())
def test_a_text_in_a_recipe_stays_a_text_in_the_program_that_the_stepper_executes(
    text: str,
) -> None:
    def program(word: str) -> str:
        options = {"line_search_fn": word}
        return script(
            "line", Recipe("LBFGS", options=options, mask=0.5, mask_kind=f"weigh[t{word}]")
        )

    try:
        hostile = program(text)
    except ValueError:
        return  # the pattern matches nothing
    assert shape(hostile) == shape(program("x"))
