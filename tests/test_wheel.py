"""The wheel: it holds the course, and works with nothing of the repository beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from front_ends.ports import free_port
from gradwidgets_notebooks import course_files
from gradwidgets_notebooks.course import FOR_INSTRUCTORS
from tests.test_project import ROOT, tomllib

COURSE = "gradwidgets_notebooks/course/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `pip wheel` does, without a network."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def start(words: list[str], installed: Path, home: Path, **options) -> subprocess.Popen[str]:
    """Python, with the unpacked wheel in front of everything else, at home in a folder."""
    env = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= dict.fromkeys(("HOME", "USERPROFILE", "APPDATA"), str(home))
    return subprocess.Popen(
        [sys.executable, *words], cwd=home, env=env, text=True, encoding="utf-8", **options
    )


def run(words: list[str], installed: Path, home: Path) -> str:
    process = start(words, installed, home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def test_it_holds_the_course_and_none_of_the_solutions(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        texts = [archive.read(name) for name in names if name.startswith(COURSE)]
    held = sorted(name for name in names if name.startswith(COURSE))
    assert held == sorted(f"{COURSE}{name}" for name in (*course_files(), *FOR_INSTRUCTORS))
    assert not any(b"BEGIN SOLUTION" in text or b"BEGIN HIDDEN" in text for text in texts)
    assert not any("locked" in name or "tests/" in name for name in names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "gradwidgets",
        "gradwidgets_class",
        "gradwidgets_homework",
        "gradwidgets_notebooks",
        "gradwidgets_pytest",
        "gradwidgets_worker",
    }
    assert wheel.stat().st_size < 1_000_000


def test_its_commands_write_into_their_folder_only(installed: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    run(["-m", "gradwidgets_notebooks", "lessons"], installed, tmp_path)
    run(["-m", "gradwidgets", "update"], installed, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["gradwidgets-course"]
    assert {path: path.stat().st_mtime_ns for path in installed.rglob("*")} == before


def test_the_fact_check_finds_its_claims(installed: Path, tmp_path: Path) -> None:
    program = """
import gradwidgets
from gradwidgets.lessons import FactCheck
print(gradwidgets.__file__, len(FactCheck().claims))
"""
    file, count = run(["-c", program], installed, tmp_path).split()
    assert Path(file).is_relative_to(installed)
    claims = json.loads((ROOT / "notebooks/claims.json").read_text(encoding="utf-8"))["claims"]
    assert int(count) == len(claims) > 90


def test_lab_serves_the_course_and_leads_to_the_first_lesson(
    installed: Path, tmp_path: Path
) -> None:
    port = free_port()
    options = [f"--port={port}", "--ServerApp.port_retries=0", "--ServerApp.allow_root=True"]
    words = ["-m", "gradwidgets", "lab", "mine", "--no-browser", "--", *options]
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        token = "--IdentityProvider.token="
        process = start([*words, token], installed, tmp_path, stdout=log, stderr=log)
        try:
            landed = answer(f"{address}/").geturl()
            served = json.loads(answer(f"{address}/api/contents/").read())["content"]
        finally:
            process.terminate()
            process.wait(timeout=60)
    assert landed == f"{address}/lab/tree/00_start_here.ipynb"
    copied = {path.name for path in (tmp_path / "mine").iterdir()}
    assert {entry["name"] for entry in served} == copied - {".gradwidgets.json"}
    assert "00_start_here.ipynb" in copied


def answer(address: str):
    for _ in range(300):
        try:
            return urllib.request.urlopen(address, timeout=10)
        except OSError:  # not there yet
            time.sleep(0.2)
    raise TimeoutError(f"no answer from {address}")


def test_its_page_for_an_index_needs_no_file_beside_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    targets = re.findall(r"\]\(([^)\s]+)", metadata.get_payload())
    assert targets
    assert all(target.startswith(("https://", "#")) for target in targets)
    assert metadata["License-Expression"] == "BSD-3-Clause AND CC-BY-4.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_the_lessons_that_it_takes_are_those_that_a_copy_takes() -> None:
    from gradwidgets_notebooks.course import PATTERNS

    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    taken = hatch["build"]["targets"]["wheel"]["include"]
    lessons = [pattern for pattern in taken if pattern.startswith("/notebooks")]
    assert lessons == [f"/notebooks/{pattern}" for pattern in (*PATTERNS, *FOR_INSTRUCTORS)]
