"""In marimo every tool lives, and a lab's recipe is a value that other cells follow."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from front_ends.fixtures import PATIENCE, wait_for
from front_ends.front_end import FrontEnd
from gradwidgets import Recipe, train
from tests.lessons.notebooks import FOLDER

NOTEBOOK = Path(__file__).with_name("marimo_tools.py")
SHOWN = 60
"""Seconds, at most, that a notebook takes to run all its cells."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where marimo serves the notebook as an app."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "marimo", "run", str(NOTEBOOK), "--headless", "--no-token"]
    with subprocess.Popen([*command, f"--port={port}"], cwd=FOLDER) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def desk(chromium: Browser, address: str) -> Iterator[Any]:
    """The notebook in a browser."""
    context = chromium.new_context(viewport={"width": 1366, "height": 1000})
    context.set_default_timeout(PATIENCE)
    desk = FrontEnd(context.new_page(), address, FOLDER)
    desk.page.goto(address)
    desk.page.get_by_role("slider").first.wait_for(timeout=1000 * SHOWN)
    yield desk
    context.close()
    assert desk.foreign == []
    assert desk.errors == []


def test_a_moved_slider_trains_and_other_cells_follow(desk: Any) -> None:
    scale = desk.slider("scale")
    scale.focus()
    for _ in range(8):
        scale.press("ArrowRight")
    moved = float(scale.get_attribute("aria-valuetext"))
    expect(desk.page.get_by_text("another cell reads")).to_contain_text(f"{moved:.3g}")
    expected = train("moons", Recipe(lr=0.5, scale=moved)).summary()
    expect(desk.page.locator(".gradwidgets-screen [role=status]")).to_contain_text(expected)
    picture = desk.page.locator(".gradwidgets-screen img")
    assert train("moons", Recipe(lr=0.5)).summary() in picture.get_attribute("alt")


def test_buttons_lists_and_lines_of_code(desk: Any) -> None:
    desk.page.get_by_role("button", name="Reset", exact=True).click()
    expect(desk.page.get_by_text("another cell reads")).to_contain_text("scale 1")
    desk.page.get_by_label("optimizer").first.select_option("Adam")
    expected = train("moons", Recipe(optimizer="Adam", lr=0.5)).summary()
    expect(desk.page.locator(".gradwidgets-screen [role=status]")).to_contain_text(expected)
    desk.page.get_by_role("button", name="Code").click()
    expect(desk.page.locator(".gradwidgets-listing pre")).to_contain_text("torch.optim.Adam(")


def test_a_question_is_answered_once_committed(desk: Any) -> None:
    desk.page.get_by_label("three").check()
    desk.page.get_by_role("button", name="Commit").click()
    status = desk.page.locator(".gradwidgets-predict [role=status]")
    expect(status).to_have_text("Not so. The experiment says: four. It is 4.")


def test_stepper_ledger_and_meter_answer(desk: Any) -> None:
    page = desk.page
    page.get_by_role("button", name="Next line").click()
    expect(page.locator("[aria-current=step]").first).to_be_visible()
    page.get_by_label("update", exact=True).press("ArrowRight")
    expect(page.get_by_text("2-norms of every gradient in update 1")).to_be_visible()
    page.get_by_role("checkbox", name="make the last one differ").check()
    expect(page.get_by_label("sizes")).to_have_value("10, 10, 10, 2")
    expect(page.get_by_text("Accumulated over micro-batches of 10, 10, 10, 2")).to_be_visible()


def test_what_has_parts_that_marimo_does_not_know_is_shown_as_words(desk: Any) -> None:
    words = "marimo shows the words of this only; it works in JupyterLab."
    expect(desk.page.get_by_text(words)).to_be_visible()
