"""The course for nbgrader: run its commands in this folder. INSTRUCTORS.md says which, and when."""

import os
import re
import sys
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from nbgrader.api import Gradebook
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ComputeChecksums,
    IncludeHeaderFooter,
    InstantiateTests,
    LimitOutput,
    LockCells,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
    SaveCells,
)
from nbgrader.utils import is_grade, is_solution

from gradwidgets import grading
from gradwidgets_homework.nbgrader import ClearToStubs, CourseFile, in_lines, workers


class Repair(NbGraderPreprocessor):
    """Makes a notebook fit for nbgrader, where students or their editors have left it unfit."""

    def preprocess(self, nb, resources):
        """Keep of a student's notebook the cells; of a copied one the last counts."""
        names, solutions = self.cells_of_the_course(resources["nbgrader"])
        nb.metadata = NotebookNode({k: v for k, v in nb.metadata.items() if k == "kernelspec"})
        seen = set()
        for cell in reversed(nb.cells):
            name, told = grade_id(cell), cell.metadata.get("nbgrader")
            known = name in names and name not in seen
            if told is not None and not known:
                self.log.warning("A copy, or no cell of the course's: %r", told)
            cell.metadata = NotebookNode({"nbgrader": told} if known else {})
            if cell.cell_type != "code":
                cell.source = as_text(cell.source)
            seen.add(name)
        restore(nb, names, solutions)
        return nb, resources

    def cells_of_the_course(self, about):
        """The names of the cells that nbgrader knows, and of those that hold a solution only."""
        with Gradebook(about["db_url"]) as book:
            source = book.find_notebook(about["notebook"], about["assignment"])
            solutions = {cell.name for cell in source.solution_cells}
            solutions -= {cell.name for cell in source.grade_cells}
            return [cell.name for cell in source.source_cells], solutions


def restore(nb, names, solutions):
    """Put an empty cell where somebody has deleted a solution; nbgrader puts the tests back."""
    after = 0
    for name, following in zip(names, [*names[1:], ""], strict=True):
        place = place_of(nb, name)
        if place is None and name in solutions:
            place = place_of(nb, following)
            place = after if place is None else place
            nb.cells.insert(place, new_code_cell(metadata={"nbgrader": solution(name)}))
        after = after if place is None else place + 1


def place_of(nb, name):
    """The number of the cell that nbgrader knows by this name; None if there is none."""
    return next((n for n, cell in enumerate(nb.cells) if grade_id(cell) == name), None)


def as_text(words):
    """A student's words without HTML, links and commands of formulas: pages would execute these."""
    return re.sub(r"<(?=[A-Za-z/!?])|\](?=[(:])|\\(?=[A-Za-z])", r"\g<0> ", words)


def grade_id(cell):
    """The name that nbgrader knows a cell by; None if it has none."""
    told = cell.metadata.get("nbgrader")
    name = told.get("grade_id") if isinstance(told, dict) else None
    return name if isinstance(name, str) else None


def solution(name):
    """The metadata of a cell for a student's solution."""
    flags = {"grade": False, "solution": True, "locked": False, "task": False}
    return {**flags, "grade_id": name, "schema_version": 3}


class Judge(NbGraderPreprocessor):
    """Asks the judge, and writes what it says into the cells. No student's code runs in here."""

    def preprocess(self, nb, resources):
        """Write points and feedback into tests, and what was put out into the other cells."""
        about = resources["nbgrader"]
        cells = [cell for cell in nb.cells if cell.cell_type == "code"]
        tests = {cell.metadata.nbgrader.grade_id: cell for cell in cells if is_test(cell)}
        own = [cell for cell in cells if not is_test(cell)]
        submission = grading.Submission(
            tuple(cell.source for cell in own),
            tuple(task.name for task in grading.TASKS.values() if task.cell in tests),
            about["student"],
            grading.files_beside(self.handed_in(about)),
        )
        report = grading.judge_submission(submission, workers())
        for cell, run in zip(own, report.runs, strict=True):
            cell.outputs = outputs_of(run)
        for result in report:
            tests[result.task.cell].outputs = marks_of(result)
        return nb, resources

    def handed_in(self, about):
        """The notebook as it was handed in, with its files beside it."""
        course = self.parent.parent.coursedir
        folder = course.format_path(
            course.submitted_directory, about["student"], about["assignment"]
        )
        return Path(folder) / f"{about['notebook']}.ipynb"


def refuse_links(notebooks, **_):
    """Remove links from what was handed in: they could lead to anybody's files."""
    for folder in {Path(notebook).parent for notebook in notebooks}:
        for file in folder.rglob("*"):
            if file.is_symlink():
                sys.stderr.write(f"{file} is a link and is removed\n")
                file.unlink()


def is_test(cell):
    """True for a cell that holds a mark and no solution."""
    return is_grade(cell) and not is_solution(cell)


def outputs_of(run):
    """What a student's cell has put out, as a notebook keeps it."""
    outputs = [new_output("stream", name="stdout", text=run.output)] if run.output else []
    if run.error:
        outputs.append(new_output("stream", name="stderr", text=f"{in_lines(run.error)}\n"))
    return outputs


def marks_of(result):
    """The feedback, and the points as nbgrader reads them."""
    points = {"text/plain": repr(result.points)}
    return [
        new_output("stream", name="stdout", text=f"{in_lines(str(result))}\n"),
        new_output("execute_result", data=points, execution_count=None),
    ]


c = get_config()  # noqa: F821, nbgrader defines it
c.CourseDirectory.course_id = "gradwidgets"
c.GenerateAssignment.preprocessors = [
    CourseFile,
    IncludeHeaderFooter,
    InstantiateTests,
    LockCells,
    ClearToStubs,
    ClearOutput,
    CheckCellMetadata,
    ComputeChecksums,
    SaveCells,
    ClearHiddenTests,
    ClearMarkScheme,
    ComputeChecksums,
    CheckCellMetadata,
]
c.OverwriteCells.add_missing_cells = True
c.Autograde.sanitize_preprocessors = [
    Repair,
    ClearOutput,
    OverwriteKernelspec,
    OverwriteCells,
    CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    Judge,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.Autograde.pre_convert_hook = refuse_links
os.environ["GRADWIDGETS_SECRET"] = "a word of your own, new every term"
