"""A learner's walk through a lesson: no answer is seen first, and what is done is kept."""

import json
import shutil

import pytest
from playwright.sync_api import expect

from gradwidgets.course import LESSONS
from tests.lessons.references import ANSWERS
from tests.lessons.sizes import path_of
from tests.lessons.test_course import cells_of, module_of, questions_in
from tests.trust.effort import SOAK

WALKED = LESSONS if SOAK else LESSONS[:1]
"""`make soak` walks through all lessons; a lesson takes a minute."""
KNOWN = json.loads(ANSWERS.read_text(encoding="utf-8"))
ERROR = "Error displaying widget"
ALL_CELLS = """
setInterval(() => {
  const notebook = window.jupyterapp?.shell?.currentWidget?.content;
  if (notebook?.notebookConfig && notebook.notebookConfig.windowingMode !== "none")
    notebook.notebookConfig = { ...notebook.notebookConfig, windowingMode: "none" };
}, 200);
"""
"""Has JupyterLab draw cells out of sight, too. Its own settings arrive later, and undo it once."""

PAST_THE_EDGE = """() => {
  const notebook = document.querySelector(".jp-WindowedPanel-outer");
  return notebook.scrollWidth - notebook.clientWidth;
}"""
"""By how much a notebook is wider than the window, so that all of it moves sideways."""
BROKEN = """() => [...document.querySelectorAll(".jp-OutputArea-output pre")]
  .map((pre) => { for (let at = pre; at; at = at.parentElement) at.open = true; return pre; })
  .filter((pre) => !pre.closest('[data-mime-type="application/vnd.jupyter.stdout"]'))
  .filter((pre) => pre.checkVisibility() && getComputedStyle(pre).whiteSpace !== "pre")
  .map((pre) => pre.textContent.slice(0, 80))"""
"""Tables and programs with lines that break in a narrow window."""


@pytest.fixture(params=WALKED)
def walk(request, front_end):
    """(the desk with a fresh copy of a lesson open, its name, its questions in their order)."""
    name, path = request.param, path_of(request.param)
    (front_end.folder / "progress.json").unlink(missing_ok=True)
    shutil.copy(path, front_end.folder)
    front_end.page.set_viewport_size({"width": 1366, "height": 900})
    front_end.page.add_init_script(ALL_CELLS)
    front_end.open_lab(path.name)
    questions = module_of(name).lesson.questions
    return front_end, name, [questions[each] for _, each in questions_in(cells_of(name), name)]


def choice_for(question, index):
    """A right choice for every second question, and a wrong one for the others."""
    right = KNOWN[question.key.split(".")[0]][question.key.split(".")[1]][0]
    return right if index % 2 else next(each for each in question.why if each != right)


def forms(desk):
    return desk.page.locator(".gradwidgets-predict")


def test_a_lesson_from_its_first_cell_to_its_reopening(walk):
    desk, name, questions = walk
    desk.run_all()
    expect(forms(desk)).to_have_count(len(questions))
    for index, question in enumerate(questions):
        form = forms(desk).nth(index)
        assert not any(reason in form.inner_text() for reason in question.why.values())
        commit(form, list(question.why).index(choice_for(question, index)))
        expect(form).to_have_attribute("data-state", "right" if index % 2 else "wrong")
        for reason in question.why.values():
            expect(form).to_contain_text(reason.replace("`", ""))
    nothing_is_cut_off(desk)

    save_and_leave(desk)
    desk.open_lab(path_of(name).name)
    for index, question in enumerate(questions):
        expect(desk.page.get_by_text(f"(x) {choice_for(question, index)}")).to_be_visible()
    expect(desk.page.get_by_text(ERROR).locator("visible=true")).to_have_count(0)
    desk.errors.clear()  # JupyterLab's own complaint of widgets that are gone

    desk.run_all()
    for index in range(len(questions)):
        state = "right" if index % 2 else "wrong"
        expect(forms(desk).nth(index)).to_have_attribute("data-state", state)
    kept = json.loads((desk.folder / "progress.json").read_text(encoding="utf-8"))
    assert kept["answers"] == {q.key: choice_for(q, i) for i, q in enumerate(questions)}
    desk.page.set_viewport_size({"width": 390, "height": 844})
    desk.page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    expect(desk.page.locator("#jp-left-stack")).to_be_hidden()
    nothing_is_cut_off(desk)
    assert desk.page.evaluate(PAST_THE_EDGE) == 0
    assert desk.page.evaluate(BROKEN) == []


def commit(form, index):
    form.get_by_role("radio").nth(index).check()
    form.get_by_role("button", name="Commit").click()


def nothing_is_cut_off(desk):
    """Outputs are as wide as their place, but for code and tables that scroll."""
    cut = desk.page.evaluate(
        """() => [...document.querySelectorAll(".gradwidgets-predict, .gradwidgets-screen")]
               .filter((node) => node.scrollWidth > node.clientWidth + 1)
               .map((node) => node.textContent.slice(0, 80))"""
    )
    assert cut == []


def save_and_leave(desk):
    """Save the notebook, end its kernel and close the page."""
    desk.page.evaluate(
        """async () => {
            await jupyterapp.commands.execute("docmanager:save");
            await jupyterapp.serviceManager.sessions.shutdownAll();
        }"""
    )
    desk.page.goto("about:blank")
