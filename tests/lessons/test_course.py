"""The course: its answers, its exercises, what it tells to do in a lab, and how long it is."""

import importlib
import json
import re
from itertools import pairwise

import pytest

from gradwidgets import Stepper
from gradwidgets.course import LESSONS, progress
from tests.lessons import sizes
from tests.lessons.notebooks import (
    FOLDER,
    is_code,
    is_exercise,
    is_install,
    read,
    run,
    solutions,
    solve,
)
from tests.lessons.references import ANSWERS, answers_of, outputs_of
from tests.lessons.sizes import lines_in, path_of, words_in

WORDS, LINES = 1300, 150
KNOWN = json.loads(ANSWERS.read_text(encoding="utf-8"))


def module_of(name):
    return importlib.import_module(f"gradwidgets.course.{name}")


def cells_of(name):
    return read(path_of(name)).cells


def questions_in(cells, module):
    """(index of the cell, name) of each question that a notebook shows."""
    for index, cell in enumerate(cells):
        for name in re.findall(rf"\b{module}\.(\w+)\(", cell.source) if is_code(cell) else ():
            if name in module_of(module).lesson.questions:
                yield index, name


def test_the_lessons_have_the_order_of_their_notebooks():
    names = [re.sub(r"^\d+_", "", path.stem) for path in sorted(FOLDER.glob("*.ipynb"))]
    assert [name for name in names if name in LESSONS] == list(LESSONS)
    assert len(progress().rows) == len(LESSONS)


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.single_precision("lessons print figures of single precision")
def test_the_experiments_say_what_they_said(name):
    """`make execute` writes the answers; whoever changes one reads what it says."""
    assert answers_of(name) == KNOWN[name]


@pytest.mark.parametrize("name", LESSONS)
def test_every_question_is_asked_once_and_explained_in_a_fold(name):
    cells = cells_of(name)
    asked = list(questions_in(cells, name))
    assert sorted(each for _, each in asked) == sorted(module_of(name).lesson.questions)
    for index, question in asked:
        after = next(
            cell
            for cell in cells[index + 1 :]
            if not is_code(cell) and len(cell.source.split()) > 40
        )
        assert after.source.startswith("<details><summary>What happened</summary>"), question


@pytest.mark.parametrize("name", LESSONS)
def test_no_answer_stands_open_in_the_notebook(name):
    """Neither reasons nor outputs, no folded code, and no checks of the makers."""
    cells = cells_of(name)
    text = "\n".join(re.sub(r"<details>.*?</details>", "", c.source, flags=re.S) for c in cells)
    for question in module_of(name).lesson.questions.values():
        assert not [reason for reason in question.why.values() if reason in text]
    for sign in ("assert ", ".reveal(", "Predict("):
        assert sign not in text
    for cell in filter(is_code, cells):
        assert not cell.outputs
        assert "jupyter" not in cell.metadata or is_install(cell)


@pytest.mark.parametrize("name", LESSONS)
def test_a_question_reads_as_plain_text_with_code(name):
    for question in module_of(name).lesson.questions.values():
        for text in (question.text, *question.why, *question.why.values()):
            prose = re.sub(r"`[^`]*`", "", text)
            assert "`" not in prose
            assert not re.search(r"\*\w", prose), f"{text!r}: asterisks are shown as they are"


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_short(name):
    cells = cells_of(name)
    assert words_in(cells) <= WORDS
    assert lines_in(cells) <= LINES


def test_the_table_of_lengths_is_what_the_lessons_have():
    """`python -m tests.lessons.sizes` writes it."""
    assert sizes.TABLE.search(sizes.PAGE.read_text(encoding="utf-8"))[0] == sizes.table()


@pytest.fixture(scope="module", params=LESSONS)
def executed(request):
    """(name, cells, what the notebook's variables were before each cell is run)."""
    return request.param, cells_of(request.param)


@pytest.mark.single_precision("lessons print figures of single precision")
def test_right_solutions_pass_and_wrong_ones_do_not(executed):
    name, cells = executed
    tried = importlib.import_module(f"tests.lessons.solutions.{name}")
    told = solutions(path_of(name))
    assert set(tried.RIGHT) == set(tried.WRONG) == set(told)
    space = {"__name__": "__main__"}
    for cell in filter(is_code, cells):
        run(cell.source, space)
        if not is_exercise(cell):
            continue
        right, wrong = tried.RIGHT[cell.id], tried.WRONG[cell.id]
        assert (len(right) >= 5, len(wrong) >= 8) == (True, True), cell.id
        for solution in wrong:
            said = said_of(cell, solution, space)
            assert said.startswith("Not yet"), f"{cell.id} takes {solution!r}: {said}"
        for solution in [*right, told[cell.id]]:
            said = said_of(cell, solution, space)
            assert said.startswith("Right"), f"{cell.id} refuses {solution!r}: {said}"


def said_of(cell, solution, space):
    """What a check says, beginning from the notebook's state and its labs from their start."""
    for lab in [value for value in space.values() if hasattr(value, "controls")]:
        lab.reset()
        lab.wait()
    return run(solve(cell, solution), dict(space))


@pytest.mark.single_precision("lessons print figures of single precision")
def test_what_a_lesson_promises_is_seen_in_its_labs(executed):
    name, cells = executed
    asked = importlib.import_module(f"tests.lessons.instructions.{name}").INSTRUCTIONS
    texts = {cell.id: cell.source for cell in cells}
    space = {"__name__": "__main__"}
    for cell in filter(is_code, cells):
        run(cell.source, space)
    for each in asked:
        assert each.says in texts[each.cell], f"{each.cell}: {each.says!r}"
        lab = space[each.lab]
        runs = [settled(lab, {}), *[settled(lab, move) for move in each.moves]]
        assert each.seen(*runs), f"{each.cell}: {each.says!r}"


def settled(lab, move):
    """What a lab or a stepper shows after moves from its start."""
    return stepped(lab, move) if isinstance(lab, Stepper) else dragged(lab, move)


def stepped(stepper, move):
    """Lines by their text go down by so many places; "run" is the number of updates then made."""
    stepper.act("reset")
    stepper.act("restart")
    for text, places in move.items():
        for _ in range(places if text != "run" else 0):
            stepper.act("move", [each.text for each in stepper.engine.statements].index(text), 1)
    stepper.act("run", move.get("run", 0))
    return stepper.engine.snapshot


def dragged(lab, move):
    lab.reset()
    for control, value in move.items():
        lab.controls[control].value = value
    lab.wait()
    return lab.history


@pytest.mark.parametrize("name", LESSONS)
def test_every_instruction_in_a_text_is_checked(name):
    """A sentence that tells to move a control of a lab stands in the list of instructions."""
    asked = importlib.import_module(f"tests.lessons.instructions.{name}").INSTRUCTIONS
    covered = " ".join(" ".join(each.says.split()) for each in asked)
    controls = (
        r"\*(?:scale|mask|mask_by|L1|L2|lr|momentum|max_norm|clip|accumulation steps|batch size)\*"
    )
    telling = re.compile(
        rf"(?:Move|Set|Pull|Drag|Raise|Lower|Turn|Choose|Switch)\b[^.:;]*?{controls}", re.IGNORECASE
    )
    for cell in cells_of(name):
        if not is_code(cell):
            for sentence in re.split(r"(?<=[.:;])\s", " ".join(cell.source.split())):
                if found := telling.search(sentence):
                    assert any(part in covered for part in (found[0], sentence)), sentence


def test_references_hold_every_cell_of_a_notebook():
    for name in LESSONS:
        path = path_of(name)
        assert set(outputs_of(path)) == {cell.id for cell in read(path).cells if is_code(cell)}


def test_a_solution_follows_each_exercise():
    for name in LESSONS:
        for cell, after in pairwise(cells_of(name)):
            if is_exercise(cell):
                folds = re.findall(r"<summary>(.*?)</summary>", after.source)
                assert folds == ["First hint", "Second hint", "Solution"]
