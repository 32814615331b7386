"""The same walk through every tool, in each front end that is not today's JupyterLab."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from front_ends import html_manager
from front_ends.fixtures import needed, opened, serving
from front_ends.front_end import FrontEnd, write_notebook
from gradwidgets import Recipe, problems, train
from tests.lessons.notebooks import FOLDER

MARIMO = Path(__file__).with_name("marimo_tools.py")
TOOLS = (
    """
from gradwidgets import GradLab, Ledger, Meter, Predict, Recipe, Scene, Stepper, Walkthrough
from gradwidgets.lessons import FactCheck
lab = GradLab(recipe=Recipe(lr=0.5), show=("optimizer", "scale", "momentum"))
display(lab)""",
    "display(Predict('2 + 2?', ['three', 'four'], lambda: ('four', 'It is 4.')))",
    "display(Stepper('line'))",
    "display(Ledger('line'))",
    "display(Meter())",
    """
scenes = [Scene('One', 'As it is.'), Scene('Two', 'With a penalty.', {'l1': 0.1})]
display(Walkthrough(GradLab('line', show=('l1',)), scenes))""",
    "display(FactCheck())",
)
"""One cell each."""
START = Recipe(lr=0.5)


@contextmanager
def notebook7(chromium: Browser, server: Any, _: Path) -> Iterator[FrontEnd]:
    with opened(chromium, *server) as desk:
        desk.show(*TOOLS, notebook7=True)
        yield desk
        desk.page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")


@contextmanager
def nbclassic(chromium: Browser, server: Any, _: Path) -> Iterator[FrontEnd]:
    with opened(chromium, *server) as desk:
        desk.open_classic(desk.write(*TOOLS))
        desk.page.evaluate("Jupyter.notebook.execute_all_cells()")
        yield desk
        expect(desk.page.locator(".code_cell")).to_have_count(len(TOOLS))  # no key reached it
        desk.page.evaluate("Jupyter.notebook.session.delete()")


@contextmanager
def voila(chromium: Browser, _: Any, home: Path) -> Iterator[FrontEnd]:
    """With the template that comes with the lectures, which asks no other machine."""
    work = shutil.copytree(FOLDER / "lectures", home / "work")
    words = ("voila", write_notebook(work, *TOOLS), "--no-browser")
    with (
        serving(*words, folder=work, log=home / "log", JUPYTER_PATH=str(work)) as address,
        opened(chromium, address, work) as desk,
    ):
        desk.page.goto(address)
        yield desk


@contextmanager
def marimo(chromium: Browser, _: Any, home: Path) -> Iterator[FrontEnd]:
    words = ("marimo", "run", str(MARIMO), "--headless", "--no-token")
    with (
        serving(*words, folder=FOLDER, log=home / "log") as address,
        opened(chromium, address, FOLDER) as desk,
    ):
        desk.page.goto(address)
        yield desk


def on_a_page(version: str) -> Callable[[Browser, Any, Path], Any]:
    """A page of html-manager."""

    @contextmanager
    def page(chromium: Browser, server: Any, _: Path) -> Iterator[FrontEnd]:
        needed("npm", package="npm")
        with opened(chromium, *server) as desk:
            html_manager.show(desk, version, TOOLS)
            yield desk
            desk.page.evaluate("leave()")

    return page


PAGES = {f"html-manager {version}": on_a_page(version) for version in html_manager.VERSIONS}
EVERY = {"notebook7": notebook7, "nbclassic": nbclassic, "voila": voila, **PAGES, "marimo": marimo}


@pytest.fixture(scope="module", params=EVERY)
def desk(
    request: pytest.FixtureRequest,
    chromium: Browser,
    server: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """The tools in a front end."""
    home = tmp_path_factory.mktemp("front-end")
    with EVERY[request.param](chromium, server, home) as desk:
        desk.name = request.param
        desk.page.get_by_role("slider").first.wait_for()
        yield desk


@pytest.fixture
def lab(desk: Any) -> Any:
    """The first lab, as it began; what an earlier test did to it has been answered by then."""
    desk.page.get_by_role("button", name="Reset", exact=True).first.click()
    expect(desk.slider("scale")).to_have_attribute("aria-valuetext", "1")
    desk.wait_sentence(train("moons", START).summary())
    return desk


def test_arrow_keys_move_a_slider_and_the_loop_reruns(lab: Any) -> None:
    picture = lab.page.locator(".gradwidgets-screen img").first
    before = picture.get_attribute("src")
    scale = lab.slider("scale")
    scale.focus()
    for _ in range(8):
        scale.press("ArrowRight")
    moved = float(scale.get_attribute("aria-valuetext"))
    ended = train("moons", START.replace(scale=moved)).summary()
    assert moved > 2
    lab.wait_sentence(ended)
    expect(picture).not_to_have_attribute("src", before)
    assert ended in picture.get_attribute("alt")
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 500


def test_other_cells_of_marimo_follow_the_recipe(lab: Any) -> None:
    if lab.name != "marimo":
        pytest.skip("cells of other notebooks run when they are told to")
    follower = lab.page.get_by_text("another cell reads")
    expect(follower).to_contain_text("scale 1")
    scale = lab.slider("scale")
    scale.press("ArrowRight")
    expect(follower).to_contain_text(f"scale {float(scale.get_attribute('aria-valuetext')):.3g}")


def test_lists_pins_and_the_program(lab: Any) -> None:
    page = lab.page
    page.get_by_role("button", name="Pin", exact=True).first.click()
    page.get_by_label("optimizer").first.select_option("Adam")
    adam = Recipe(optimizer="Adam", lr=0.5)
    lab.wait_sentence(train("moons", adam).summary())
    page.get_by_role("button", name="Code", exact=True).first.click()
    code = page.locator(".gradwidgets-listing").first
    expect(code.locator("mark").first).to_contain_text("torch.optim.Adam(")
    code.get_by_role("button", name="Copy").click()
    expect(code.get_by_role("button", name="Copied")).to_be_visible()
    scope: dict[str, Any] = {}
    exec(page.evaluate("navigator.clipboard.readText()"), scope)
    assert scope["losses"] == train("moons", adam).loss.tolist()
    code.locator("pre").press("Escape")
    expect(code.locator("pre")).to_be_hidden()


def test_files_are_saved(lab: Any) -> None:
    files = {"Save numbers": ("moons.csv", train("moons", START).to_csv().encode())}
    files["Save picture"] = ("moons.png", b"\x89PNG")
    for button, (name, begins) in files.items():
        with lab.page.expect_download() as saved:
            lab.page.get_by_role("button", name=button, exact=True).first.click()
        assert saved.value.suggested_filename == name
        assert saved.value.path().read_bytes().startswith(begins)


def test_a_question_is_answered_once_committed(desk: Any) -> None:
    form = desk.page.locator(".gradwidgets-predict")
    form.get_by_label("three").check()
    form.get_by_role("button", name="Commit").press("Enter")
    said = "Not so. The experiment says: four. It is 4."
    expect(form.get_by_role("status")).to_have_text(said)


def test_the_stepper_steps(desk: Any) -> None:
    stepper = desk.page.locator(".gradwidgets-stepper")
    box = stepper.get_by_role("checkbox").first
    box.focus()
    for _ in range(2):
        box.press("d")  # deletes a cell of a notebook that sees it
    box.press("ArrowRight")
    expect(stepper.get_by_role("status").first).to_contain_text("optimizer.zero_grad()")
    expect(stepper.locator("[aria-current=step]").first).to_be_visible()
    stepper.get_by_role("button", name="Previous line").click()
    expect(stepper.get_by_role("status").first).to_contain_text("At the start of update 0")


def test_ledger_and_meter_follow_their_controls(desk: Any) -> None:
    page = desk.page
    page.get_by_label("update", exact=True).press("ArrowRight")
    expect(page.get_by_text("2-norms of every gradient in update 1")).to_be_visible()
    page.get_by_role("checkbox", name="make the last one differ").check()
    expect(page.get_by_label("sizes")).to_have_value("10, 10, 10, 2")
    expect(page.get_by_text("Accumulated over micro-batches of 10, 10, 10, 2")).to_be_visible()


def test_keys_lead_through_a_walkthrough(desk: Any) -> None:
    if desk.name == "marimo":
        pytest.skip("marimo shows the words of a walkthrough")
    stage = desk.page.locator(".gradwidgets-stage section")
    stage.press("ArrowRight")
    expect(stage).to_have_accessible_name("Walkthrough, scene 2 of 2")
    ended = train("line", problems.line.recipe.replace(l1=0.1)).summary()
    expect(desk.page.locator(".gradwidgets-screen [role=status]").last).to_contain_text(ended)


def test_the_fact_check_finds_claims(desk: Any) -> None:
    if desk.name == "marimo":
        expect(desk.page.get_by_text("marimo shows the words of this only")).to_be_visible()
        return
    desk.page.get_by_label("words").fill("halving")
    expect(desk.page.get_by_text("1 of 111 claims")).to_be_visible()


def test_pictures_wait_in_the_browser_while_the_kernel_is_busy(lab: Any) -> None:
    """They came as binary messages; the kernel is asked for none of them."""
    if not lab.name.startswith("html-manager"):
        pytest.skip("test_lab tries this in JupyterLab; the page of html-manager runs code, too")
    scale = lab.slider("scale")
    scale.focus()
    assert lab.page.evaluate("run('lab.wait(prefetched=True)')") == ""
    lab.page.wait_for_timeout(1000)
    lab.page.evaluate("{ run('import time; time.sleep(4)') }")
    for scaled in (0.79, 0.63, 0.5):
        scale.press("ArrowLeft")
        lab.wait_sentence(train("moons", START.replace(scale=scaled)).summary())
