"""Each lecture from its first slide to its last by a clicker: as slides, and as an app."""

import ast
import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import TimeoutError as Late
from playwright.sync_api import expect

from front_ends.fixtures import opened, serving
from tests.classroom.service import LECTURER, running

FOLDER = Path(__file__).parents[2] / "notebooks" / "lectures"
LECTURES = ["what_a_gradient_step_really_does", "accumulation_without_tears"]
SIZES = [(1280, 720), (1920, 1080), (1024, 768)]
TYPE = 20
"""Pixels that type on a slide must have, for the last row."""
AXES = 1.6 * 9 * 100 / 72
"""Pixels of an axis label in a picture of natural size: text_scale times 9 points."""
SHOWN = ".jp-Deck .jp-deck-mod-visible, .gradwidgets-shown"
FAULTS = """([shown, type, axes]) => {
    const SEEN = { contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true };
    const found = [];
    const remote = document.querySelector('.jp-Deck-Remote, .gradwidgets-remote');
    const arrows = remote.getBoundingClientRect();
    const inside = (cell) => [...cell.querySelectorAll('*')];
    for (const node of [...document.querySelectorAll(shown)].flatMap(inside)) {
        const box = node.getBoundingClientRect();
        const style = getComputedStyle(node);
        if (!box.width || !box.height || !node.checkVisibility(SEEN)) continue;
        if (node.closest('.gradwidgets-words')) continue; // for screen readers only
        const name = `${node.tagName} ${node.className} ${node.textContent.slice(0, 20)}`;
        const said = [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
        const seen = said || node.matches('img, input, select, button');
        const holds = (x, y) => node.contains(document.elementFromPoint(x, y));
        const { left, top, right, bottom } = box;
        if (Math.min(left, top) < -1 || right > innerWidth + 1 || bottom > innerHeight + 1)
            found.push(`outside the window: ${name}`);
        if (node.matches('img, input, select, button') &&
            !(holds(box.left + 2, box.top + 2) && holds(box.right - 2, box.bottom - 2)))
            found.push(`covered or cut off: ${name}`);
        if (seen && box.right > arrows.left && box.bottom > arrows.top)
            found.push(`below the arrows: ${name}`);
        if ((said || node.matches('select, button')) && parseFloat(style.fontSize) < type)
            found.push(`${style.fontSize}: ${name}`);
    }
    const img = document.querySelector(`:is(${shown}) .gradwidgets-screen img`);
    if (img) {
        const { clientWidth, clientHeight, naturalWidth, naturalHeight } = img;
        const scale = Math.min(clientWidth / naturalWidth, clientHeight / naturalHeight);
        if (scale * axes < (innerWidth < 1280 ? 15 : 18)) found.push(`${scale}: picture`);
    }
    return found;
}"""


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
    """Opens a lecture, runs it and starts the slides, as a lecturer does."""

    def start(name, folder=FOLDER):
        shutil.copy(folder / f"{name}.ipynb", front_end.folder)
        front_end.page.set_viewport_size({"width": 1280, "height": 720})
        front_end.open_lab(f"{name}.ipynb")
        front_end.run_all()
        runs_off(front_end.page)
        front_end.page.evaluate("() => jupyterapp.commands.execute('deck:start')")
        return front_end.page

    yield start
    stop(front_end.page)


def stop(page):
    """End the slides."""
    page.evaluate("() => jupyterapp.commands.execute('deck:stop')")
    page.wait_for_function("() => !document.body.dataset.jpDeckMode")
    page.wait_for_timeout(500)  # the setting is on its way to the server


def shown(page, kind, title):
    """Wait until a slide, or a scene, is what the room sees, and all of it."""
    part = ".gradwidgets-title" if kind == "scene" else "h1, legend"
    place = page.locator(f":is({SHOWN}) :is({part})")
    expect(place).to_contain_text([title])


def without_faults(page):
    """Wait until nothing is cut off, covered or small; runs and animations come to rest first."""
    words = [SHOWN, TYPE, AXES]
    try:
        page.wait_for_function(f"words => !({FAULTS})(words).length", arg=words, timeout=20_000)
    except Late:
        assert page.evaluate(FAULTS, words) == []


def there_and_back(page, slides):
    """Every slide and scene by Page Down alone, and by Page Up; at the ends nothing happens."""
    for slide in [*slides, slides[-1]]:
        shown(page, *slide)
        without_faults(page)
        page.keyboard.press("PageDown")
    for slide in [*slides[::-1], slides[0]]:
        shown(page, *slide)
        page.keyboard.press("PageUp")


@pytest.mark.parametrize("name", [*LECTURES, "questions"])
def test_page_down_alone_leads_through_all_slides_and_scenes(deck, name):
    page, slides = deck(name), slides_of(name)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        there_and_back(page, slides)


def test_presses_count_while_the_slides_start(deck):
    page, slides = deck("questions"), slides_of("questions")
    shown(page, *slides[0])  # after "Run All" the active cell was on no slide
    page.keyboard.press("PageDown")
    shown(page, *slides[1])
    stop(page)
    page.evaluate("() => void jupyterapp.commands.execute('deck:start')")
    for _ in range(2):
        page.keyboard.press("PageDown")
    shown(page, *slides[3])  # it went on where it was


def focus(page, place):
    page.locator(f":is({SHOWN}) {place}").first.focus()


def focus_code(page):
    code = page.locator(f":is({SHOWN}) .gradwidgets-listing pre")
    if code.is_visible():  # its button would close it
        code.focus()
    else:
        page.locator(f":is({SHOWN})").get_by_role("button", name="Code", exact=True).click()
    expect(code).to_be_focused()


PLACES = {
    "a slider": lambda page: focus(page, "input[type=range]"),
    "a button": lambda page: focus(page, ".gradwidgets-button-row button"),
    "the list of scenes": lambda page: focus(page, ".gradwidgets-scenes select"),
    "the picture": lambda page: page.locator(f":is({SHOWN}) .gradwidgets-screen img").click(),
    "the body": lambda page: page.evaluate("() => document.activeElement.blur()"),
    "the arrows of the deck": lambda page: page.locator(".jp-Deck-Remote button").last.focus(),
    "an editor": lambda page: page.evaluate("() => document.querySelector('.cm-content').focus()"),
    "the code": focus_code,
}


def test_no_place_is_dead_and_no_key_counts_twice(deck):
    page, slides = deck(LECTURES[0]), slides_of(LECTURES[0])
    shown(page, *slides[0])
    page.locator(":is(.jp-deck-mod-visible) h1").dblclick()  # its text can be edited now
    page.keyboard.press("PageDown")
    shown(page, *slides[1])
    for go_to in PLACES.values():
        go_to(page)
        page.keyboard.press("PageDown")
        shown(page, *slides[2])
        go_to(page)
        page.keyboard.press("PageUp")
        shown(page, *slides[1])
    copy = page.locator(f":is({SHOWN})").get_by_role("button", name="Copy", exact=True)
    assert copy.evaluate("node => parseFloat(getComputedStyle(node).fontSize)") >= TYPE
    for _ in slides[1:8]:  # faster than the picture
        page.keyboard.press("PageDown")
    shown(page, *slides[8])
    assert slides[8][1] == "A long valley"
    page.keyboard.press("b")
    expect(page.locator(".gradwidgets-black")).to_be_visible()
    page.keyboard.press("PageUp")
    expect(page.locator(".gradwidgets-black")).to_have_count(0)
    shown(page, *slides[7])
    for key, at in ((" ", 8), ("ArrowRight", 9), ("ArrowLeft", 8), ("ArrowLeft", 7)):
        page.keyboard.press(key)
        shown(page, *slides[at])
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.body.dataset.jpDeckMode")


def test_hands_are_typed_in_and_the_clicker_goes_on(deck):
    page, slides = deck("questions"), slides_of("questions")
    for _ in range(2):
        page.keyboard.press("PageDown")
    shown(page, *slides[2])
    question = page.locator(f":is({SHOWN}) .gradwidgets-predict")
    question.get_by_role("spinbutton").first.focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("12")
    page.keyboard.press("Enter")
    expect(question.get_by_role("status")).to_contain_text("of 12 hands were right")
    without_faults(page)
    page.keyboard.press("PageDown")
    shown(page, *slides[3])


CLASS = """
import os
os.environ["GRADWIDGETS_CLASS"] = "{address}"
os.environ["GRADWIDGETS_CLASS_TOKEN"] = "{token}"
from gradwidgets import Predict
"""
QUESTION = 'Predict("Is it?", ["yes", "no"], lambda: "yes", tally=True, key="a.b")'


def a_lecture_with_a_class(folder, address):
    """A title, a question, an end; after "Run All" the active cell is on none of these."""
    heads = [nbformat.v4.new_markdown_cell(f"# {word}") for word in ("Title", "The end")]
    said = CLASS.format(address=address, token=LECTURER)
    first, asks, last = map(nbformat.v4.new_code_cell, [said, QUESTION, ""])
    cells = [heads[0], first, asks, heads[1], last]
    for cell, kind in zip(cells, ("slide", "skip", "slide", "slide", "skip"), strict=True):
        cell.metadata["slideshow"] = {"slide_type": kind}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, folder / "asks.ipynb")
    return "asks", folder


def test_a_clicker_asks_the_class_runs_the_experiment_and_goes_on(deck, tmp_path):
    with running(tmp_path) as service:
        page = deck(*a_lecture_with_a_class(tmp_path, service.address))
        shown(page, "slide", "Title")
        page.keyboard.press("PageDown")
        shown(page, "question", "Is it?")
        assert service.ask("GET", "api/asked")[1] == {}
        page.keyboard.press("PageDown")
        slide = page.locator(f":is({SHOWN}) .gradwidgets-predict")
        expect(slide).to_contain_text("The class answers.")
        assert service.ask("GET", "api/asked")[1]["key"] == "a.b"
        service.ask("PUT", "api/answers/a.b", {"choice": "no"})
        expect(slide).to_contain_text("1 answer, 100 %")
        without_faults(page)
        page.keyboard.press("PageDown")
        expect(slide.get_by_role("status")).to_contain_text("0 of 1 answers were right")
        page.keyboard.press("PageDown")
        shown(page, "slide", "The end")
        for title in ("Is it?", "Title"):
            page.keyboard.press("PageUp")
            shown(page, "question" if title == "Is it?" else "slide", title)


def test_a_clicker_goes_on_if_nobody_answers(deck, tmp_path):
    with running(tmp_path) as service:
        page = deck(*a_lecture_with_a_class(tmp_path, service.address))
        page.keyboard.press("PageDown")
        shown(page, "question", "Is it?")
        page.locator(f":is({SHOWN})").get_by_role("button", name="Ask the class").click()
        slide = page.locator(f":is({SHOWN}) .gradwidgets-predict")
        expect(slide).to_contain_text("The class answers.")
        page.keyboard.press("PageDown")
        shown(page, "slide", "The end")
        assert service.ask("GET", "api/asked")[1]["key"] == "a.b"  # nothing has ended it


def test_notes_stand_in_the_window_of_the_presenter_only(deck):
    page, slides = deck(LECTURES[1]), slides_of(LECTURES[1])
    page.keyboard.press("PageDown")
    shown(page, *slides[1])
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Presenter").locator("visible=true").first.click()
    presenter = opened.value
    body = presenter.locator("body")
    expect(body).to_contain_text("Left the loss of each batch")
    expect(body).to_contain_text("planned for minutes 1 to 3")
    expect(body).to_contain_text("Next\nFour parts of 16", use_inner_text=True)
    assert "Left the loss of each batch" not in page.inner_text("body")
    for _ in slides[1:8]:
        presenter.keyboard.press("PageDown")
    shown(page, *slides[8])
    expect(presenter.get_by_role("heading").first).to_contain_text(
        "Parts of 20, 20, 20 and 4 images"
    )
    expect(body).to_contain_text("planned for minutes 14 to 17")
    expect(body).to_contain_text("Next\nA network with BatchNorm", use_inner_text=True)
    presenter.get_by_role("button", name="Back").click()
    shown(page, *slides[7])
    for _ in slides[7:]:
        page.keyboard.press("PageDown")
    expect(body).to_contain_text("Next\nThe end.", use_inner_text=True)
    clock = presenter.locator("header strong")
    presenter.evaluate("() => void 0")
    expect(clock).not_to_have_text("0:00")


@pytest.fixture
def voila(chromium, tmp_path):
    """Shows a lecture as an app."""
    work = shutil.copytree(FOLDER, tmp_path / "lectures")
    with ExitStack() as open_until_the_end:

        def start(*name):
            words = ("voila", *name, "--no-browser")
            places = {"folder": work, "log": tmp_path / "log", "JUPYTER_PATH": str(work)}
            address = open_until_the_end.enter_context(serving(*words, **places))
            desk = open_until_the_end.enter_context(opened(chromium, address, work))
            desk.page.goto(address)
            return desk.page

        yield start


@pytest.mark.parametrize("name", LECTURES)
def test_as_an_app_page_down_alone_leads_through_it(voila, name):
    page, slides = voila(f"{name}.ipynb"), slides_of(name)
    page.locator(".gradwidgets-shown").first.wait_for()
    assert "For the lecturer" not in page.content()
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        there_and_back(page, slides)
    page.get_by_role("button", name="On in the lecture").click()
    shown(page, *slides[1])


def test_the_list_of_lectures_asks_no_other_machine(voila):
    page = voila()
    for name in LECTURES:
        expect(page.get_by_text(f"{name}.ipynb")).to_be_visible()
