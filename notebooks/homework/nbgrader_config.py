"""The course for nbgrader: run its commands in this folder. INSTRUCTORS.md says which, and when."""

import os
import tempfile

from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_output
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    Execute,
    IgnorePattern,
    LimitOutput,
    NbGraderPreprocessor,
    SaveAutoGrades,
)
from nbgrader.utils import is_grade, is_solution


class TellStudent(NbGraderPreprocessor):
    """Names the student to the checks, which draw other numbers for each."""

    def preprocess(self, nb, resources):
        """Put the name where the kernel finds it."""
        os.environ["GRADWIDGETS_STUDENT"] = resources["nbgrader"]["student"]
        return nb, resources


class ExecuteWhatCanBe(Execute):
    """Executes in an empty folder: a `torch.py` that is handed in, too, is not what is imported.

    A kernel that dies costs its student the cells from there on, and nobody else anything.
    """

    def preprocess(self, nb, resources, km=None):
        """Execute; after a death, note it in the cell that it was in and in all after it."""
        with tempfile.TemporaryDirectory() as empty:
            resources["metadata"]["path"] = empty
            return self._preprocess(nb, resources, km)

    def _preprocess(self, nb, resources, km):
        try:
            return super().preprocess(nb, resources, km)
        except DeadKernelError:
            self.log.warning("the kernel of %s has died", resources["nbgrader"]["student"])
            cells = [cell for cell in nb.cells if cell.cell_type == "code"]
            begun = [cell for cell in cells if cell.execution_count]
            for cell in [*begun[-1:], *(cell for cell in cells if not cell.execution_count)]:
                cell.outputs = [error("DeadKernelError", "the Python process ended early")]
            return nb, resources


class DemandVerdict(NbGraderPreprocessor):
    """A test counts if it ends in one number, and in no error.

    nbgrader gives full marks to a test that says nothing, takes the first of several numbers, and
    gives nothing for a test with a warning.
    """

    def preprocess_cell(self, cell, resources, _):
        """Leave a test as it is, or put an error in it."""
        if cell.cell_type != "code" or not is_grade(cell) or is_solution(cell):
            return cell, resources
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        if said(cell, "error") or len(said(cell, "execute_result")) != 1:
            kept = [output for output in cell.outputs if output.output_type != "execute_result"]
            cell.outputs = [error("NoVerdict", "this test did not end in one number"), *kept]
        return cell, resources


def said(cell, kind):
    """The outputs of a cell that are of this kind."""
    return [output for output in cell.outputs if output.output_type == kind]


def error(name, value):
    """An output that nbgrader takes for a failed test."""
    return new_output("error", ename=name, evalue=value, traceback=[f"{name}: {value}"])


c = get_config()  # noqa: F821, nbgrader defines it
c.CourseDirectory.course_id = "gradwidgets"
c.ClearSolutions.code_stub = {"python": "...  # your lines"}
c.ClearSolutions.text_stub = "Your answer."
c.OverwriteCells.add_missing_cells = True
c.Execute.timeout = 60
c.Autograde.autograde_preprocessors = [
    TellStudent,
    ExecuteWhatCanBe,
    DemandVerdict,
    IgnorePattern,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
os.environ.setdefault("GRADWIDGETS_SECRET", "a word of your own, new every term")
