"""The layout of the package: which folder may import which, and what each of them loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gradwidgets"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "checkup": set(),
    "grading": {"core"},
    "script": {"core"},
    "sweep": {"core"},
    "plots": {"core"},
    "export": {"core", "script", "sweep", "plots"},
    "components": {"core"},
    "stepper": {"core", "script", "components"},
    "ledger": {"core", "components"},
    "meter": {"core", "sweep", "components"},
    "lab": {"core", "script", "sweep", "plots", "export", "components"},
    "lessons": {"core", "components", "lab"},
    "course": {"core", "checkup", "sweep", "script", "grading", "lab", "lessons", "meter"},
}
"""Who may import whom, each folder from another's face only."""

PLAIN = {"torch", "numpy"}
LIBRARIES = {
    "core": PLAIN,
    "script": PLAIN,
    "sweep": PLAIN,
    "checkup": {"torch"},
    "plots": PLAIN | {"matplotlib"},
    "export": PLAIN | {"matplotlib"},
}
"""The only libraries that a folder's files import, and that its face loads of `VIEWS`."""

FRAMEWORKS = {
    "checkup": {"lightning", "pytorch_lightning", "transformers", "skorch", "fastai", "ignite"}
}
"""What files in a folder's `callbacks` import besides; nothing imports these files."""

VIEWS = ("matplotlib", "ipywidgets", "IPython", "anywidget")
FACES_WITHOUT_WIDGETS = [*LIBRARIES, "stepper", "ledger", "meter", "grading"]
WITH_WIDGETS = {"components", "lab", "lessons", "course"}
PLAIN_COMPONENTS = {"PagedTable", "as_text", "cell"}
VIEW_FILES = {"view.py", "controls.py"}
"""In the other folders only these may import ipywidgets or `components`."""


def short(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def room(module: str) -> str:
    """The folder of the package that a dotted name stands in; "" if there is none."""
    parts = module.split(".")
    return parts[1] if parts[0] == "gradwidgets" and len(parts) > 1 else ""


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that a file imports, wherever in it, types included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{short(path)}: write the import with the package's name"
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=short)
def test_a_folder_imports_others_by_their_face_and_down_the_table(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0]
    for module, _ in imports_of(path):
        if module.split(".")[0] != "gradwidgets" or room(module) in (here, "_lazy"):
            continue
        there = room(module)
        assert there in MAY_IMPORT[here], f"{short(path)} imports {module or 'gradwidgets'}"
        assert module == f"gradwidgets.{there}", f"{module}: past the face of {there}"


def test_the_table_has_every_folder_and_no_circle() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(MAY_IMPORT) == folders
    left = dict(MAY_IMPORT)
    while left:
        free = {name for name, below in left.items() if not below & set(left)}
        assert free, f"a circle among {sorted(left)}"
        left = {name: below for name, below in left.items() if name not in free}


def test_no_files_import_each_other_in_a_circle_types_included() -> None:
    names = {
        path: ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in FILES
    }
    path_of = {name.removesuffix(".__init__"): path for path, name in names.items()}
    below: dict[Path, set[Path]] = {}
    for path in FILES:
        if path.name == "__init__.py":
            continue  # a face imports its files, and none of them imports the face
        found = {
            path_of.get(f"{module}.{name}", path_of.get(module))
            for module, name in imports_of(path)
        }
        below[path] = {one for one in found if one and one.name != "__init__.py"}
    while below:
        free = {path for path, needs in below.items() if not needs & set(below)}
        assert free, f"a circle among {sorted(map(short, below))}"
        below = {path: needs for path, needs in below.items() if path not in free}


@pytest.mark.parametrize("folder", LIBRARIES)
def test_a_folder_imports_its_libraries_only(folder: str) -> None:
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        roots = {module.split(".")[0] for module, _ in imports_of(path)}
        allowed = LIBRARIES[folder] | {"gradwidgets"}
        if path.parent.name == "callbacks":
            allowed |= FRAMEWORKS[folder]
        foreign = roots - sys.stdlib_module_names - allowed
        assert not foreign, f"{short(path)} imports {foreign}"


@pytest.mark.parametrize("path", FILES, ids=short)
def test_only_views_import_widgets(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0]
    if here in WITH_WIDGETS or path.name in VIEW_FILES:
        return
    for module, name in imports_of(path):
        root = module.split(".")[0]
        assert root not in ("ipywidgets", "anywidget", "IPython"), f"{short(path)} imports {root}"
        assert room(module) != "components" or name in PLAIN_COMPONENTS, f"{short(path)}: {name}"


@pytest.mark.parametrize("folder", FACES_WITHOUT_WIDGETS)
def test_a_face_loads_no_view_that_it_does_not_need(folder: str) -> None:
    allowed = LIBRARIES.get(folder, PLAIN)
    program = f"""
import sys
import gradwidgets.{folder}
print([name for name in {VIEWS} if name in sys.modules and name not in {allowed}])
"""
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[]\n"
