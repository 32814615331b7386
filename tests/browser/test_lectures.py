"""Each lecture from its first slide to its last, by keyboard: as slides, and as an app."""

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from front_ends.fixtures import PATIENCE
from front_ends.front_end import FrontEnd

FOLDER = Path(__file__).parents[2] / "notebooks" / "lectures"
LECTURES = ["what_a_gradient_step_really_does", "accumulation_without_tears"]
TYPE = 1.6 * 9 * 100 / 72
"""Pixels of an axis label in a picture of natural size: text_scale times 9 points."""


def scenes_of(cell):
    """The titles of the scenes that a cell writes down, without the marks of code."""
    calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
    named = [call for call in calls if getattr(call.func, "id", "") == "Scene"]
    return [ast.literal_eval(call.args[0]).replace("`", "") for call in named]


def slides_of(name):
    """What is on the slides of a lecture, in order, as (kind, how it begins)."""
    found = []
    for cell in nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells:
        if cell.metadata.slideshow.slide_type == "skip":
            continue
        if cell.cell_type == "markdown":
            found.append(("slide", re.search(r"# (.*)", cell.source)[1]))
        elif scenes := scenes_of(cell):
            found += [("scene", title) for title in scenes]
        else:
            found.append(("question", re.search(r'Predict\(\s*"(.*?)[`"]', cell.source)[1]))
    return found


def runs_off(page):
    """The front end's own picture of what is in the kernel: nothing is running any more."""
    page.wait_for_function(
        """() => ![...document.querySelectorAll('.jp-InputPrompt')]
                     .some((prompt) => prompt.textContent.includes('*'))"""
    )


@pytest.fixture
def deck(front_end):
    """Opens a lecture, runs it and starts the slides, which the server would remember."""
    pytest.importorskip("jupyterlab", "4.5", reason="before, no cell of a slide has the focus")

    def start(name):
        shutil.copy(FOLDER / f"{name}.ipynb", front_end.folder)
        front_end.page.set_viewport_size({"width": 1280, "height": 720})
        front_end.open_lab(f"{name}.ipynb")
        front_end.run_all()
        runs_off(front_end.page)
        front_end.page.evaluate(
            "() => { jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }"
        )
        front_end.page.evaluate("() => jupyterapp.commands.execute('deck:start')")
        return front_end.page

    yield start
    front_end.page.evaluate("() => jupyterapp.commands.execute('deck:stop')")
    front_end.page.wait_for_function("() => !document.body.dataset.jpDeckMode")
    front_end.page.wait_for_timeout(500)  # the setting is on its way to the server


def shown(page, kind, title):
    """Wait until a slide, or a scene, is what the room sees."""
    if kind == "scene":
        place = page.locator(".jp-deck-mod-visible .gradwidgets-title", has_text=title)
        expect(page.locator(".gradwidgets-stage section:focus")).to_have_count(1)
    else:
        place = page.locator(".jp-deck-mod-visible").filter(has_text=title)
    expect(place.first).to_be_in_viewport()


def answer(page):
    """Type in a show of hands and run the experiment; the arrows are the deck's again then."""
    question = page.locator(".jp-deck-mod-visible .gradwidgets-predict")
    question.get_by_role("spinbutton").first.focus()
    page.keyboard.press("Escape")
    expect(page.locator(".jp-deck-mod-visible.jp-Cell:focus")).to_have_count(1)
    question.get_by_role("spinbutton").first.focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("12")
    page.keyboard.press("Enter")
    expect(question.get_by_role("status")).to_contain_text("of 12 hands were right")


@pytest.mark.parametrize("name", LECTURES)
def test_arrow_keys_lead_through_all_slides_and_scenes(deck, name):
    page, slides = deck(name), slides_of(name)
    assert sum(kind == "scene" for kind, _ in slides) >= 10
    shown(page, *slides[0])
    for slide in slides[1:]:
        page.keyboard.press("ArrowRight")
        shown(page, *slide)
        if slide[0] == "question":
            answer(page)
    for slide in slides[-2:-6:-1]:  # a slide or two, and back into the last walkthrough
        page.keyboard.press("ArrowLeft")
        shown(page, *slide)
    page.wait_for_function(
        f"""() => {{
            const img = document.querySelector('.jp-deck-mod-visible .gradwidgets-screen img');
            return img.clientWidth / img.naturalWidth * {TYPE} >= 18;
        }}"""
    )
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.body.dataset.jpDeckMode")


def wait_for_port(port):
    """Every request to Voila runs the lecture, so none is made to find out whether it is there."""
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nobody listens on port {port}")


@pytest.fixture
def voila(chromium, tmp_path):
    """Shows a lecture as an app; what it asks of the network and complains of is remembered."""
    servers, desks = [], []

    def start(name):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        work = shutil.copytree(FOLDER, tmp_path / "lectures")
        command = [sys.executable, "-m", "voila", f"{name}.ipynb", "--no-browser", f"--port={port}"]
        with (tmp_path / "log").open("w", encoding="utf-8") as log:
            env = {**os.environ, "JUPYTER_PATH": str(work)}
            servers.append(subprocess.Popen(command, cwd=work, env=env, stdout=log, stderr=log))
        context = chromium.new_context(viewport={"width": 1280, "height": 720})
        context.set_default_timeout(2 * PATIENCE)
        desks.append(FrontEnd(context.new_page(), f"http://127.0.0.1:{port}", work))
        wait_for_port(port)
        desks[0].page.goto(desks[0].address)
        return desks[0].page

    yield start
    desks[0].page.context.close()
    servers[0].terminate()
    servers[0].wait(timeout=20)
    assert desks[0].foreign == []
    assert desks[0].errors == []


@pytest.mark.parametrize("name", LECTURES)
def test_as_an_app_every_scene_is_reached_by_keyboard(voila, name):
    page = voila(name)
    scenes = [title for kind, title in slides_of(name) if kind == "scene"]
    stages = page.locator(".gradwidgets-stage section")
    stages.last.wait_for()
    seen = []
    for index in range(stages.count()):
        stage = stages.nth(index)
        while not stage.evaluate("stage => stage === document.activeElement"):
            page.keyboard.press("Tab")
        count = int(re.search(r"of (\d+)", stage.get_attribute("aria-label"))[1])
        for number in range(1, count + 1):
            expect(stage).to_have_accessible_name(f"Walkthrough, scene {number} of {count}")
            seen.append(stage.locator(".gradwidgets-title").inner_text())
            page.keyboard.press("PageDown")
    assert seen == scenes
