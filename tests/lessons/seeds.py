"""Every experiment of the course with other seeds: a story must not rest on one lucky draw.

`make seeds`, or `python -m tests.lessons.seeds [LESSON...]`, tries each question and each cell that
settles claims as it stands and with ten other seeds. It prints how often the answer is the same,
and fails where that is not so each time.
"""

import importlib
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import matplotlib as mpl
from IPython.utils.capture import capture_output

from gradwidgets.course import LESSONS
from gradwidgets.lessons.claims import claims_of, read_cells, source_of
from gradwidgets.lessons.fact_check import run_cell
from gradwidgets.lessons.needed_cells import needed_cells
from tests.lessons.notebooks import PATHS
from tests.lessons.other_seeds import other_seeds
from tests.lessons.stories import STORIES

SHIFTS = range(1000, 11000, 1000)
"""What is added to every seed; experiments that draw several times use small numbers."""


@dataclass(frozen=True)
class Tried:
    """An experiment with other seeds.

    Args:
        name: its lesson and its name, or the id of its cell.
        differs: if its figures differ from seed to seed.
        same: in how many of the tries its answer is the same, or its story holds.
        wrong: what it says with the first seed where that is not so.
    """

    name: str
    differs: bool
    same: int
    wrong: str = ""

    @property
    def holds(self):
        """True if it comes out so each time."""
        return self.same == len(SHIFTS)


def judged(name, said, holds):
    """Compare what an experiment says as it stands (the first of `said`) and with other seeds."""
    wrong = [each for each in said[1:] if not holds(each)]
    return Tried(name, len(set(said)) > 1, len(said) - 1 - len(wrong), str((*wrong, "")[0]))


def questions(lesson):
    """The questions of a lesson; the answer must be the same."""
    said = [answers(lesson, shift) for shift in (0, *SHIFTS)]
    for name, as_it_stands in said[0].items():
        right = as_it_stands[0]
        yield judged(f"{lesson}.{name}", [e[name] for e in said], lambda e, r=right: e[0] == r)


def answers(lesson, shift):
    """What each question's experiment says with the seeds shifted."""
    with other_seeds(shift):
        module = importlib.reload(importlib.import_module(f"gradwidgets.course.{lesson}"))
        return {name: each.experiment() for name, each in module.lesson.questions.items()}


def claims(lesson):
    """The cells of a lesson that settle claims; where figures differ, their story must hold."""
    path = next(path for path in PATHS if path.stem[3:] == lesson)
    said = [texts(path, shift) for shift in (0, *SHIFTS)]
    for cell, as_it_stands in said[0].items():
        story = STORIES.get(lesson, {}).get(cell, as_it_stands.__eq__)
        yield judged(f"{lesson}: {cell}", [each[cell] for each in said], story)


def texts(path, shift):
    """What each cell that settles a claim puts out as text, with the seeds shifted."""
    cells = read_cells(path)
    settling = [cell["id"] for cell in cells if cell["cell_type"] == "code" and claims_of(cell)]
    space, found = {"__name__": "__main__"}, {}
    with other_seeds(shift), mpl.rc_context({"backend": "agg"}):
        for cell in needed_cells(cells, settling):
            with capture_output() as out:
                run_cell(source_of(cell), cell["id"], space)
            shown = [f"{each.data['text/plain']}\n" for each in out.outputs]
            found[cell["id"]] = "".join([out.stdout, *shown])
    return {name: found[name] for name in settling}


def tried(lesson):
    """All experiments of a lesson."""
    return [*(questions(lesson) if lesson in LESSONS else ()), *claims(lesson)]


def main(lessons):
    """Print a line for each experiment; return True if all of them hold."""
    everything = []
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for found in pool.map(tried, lessons):
            for each in found:
                often = (
                    f"{each.same} of {len(SHIFTS)}"
                    if each.differs
                    else "the same figures each time"
                )
                print(f"{each.name:60} {often}", flush=True)
                if not each.holds:
                    print(f"    does not hold: {each.wrong}", flush=True)
            everything += found
    differing = [each for each in everything if each.differs]
    broken = [each.name for each in everything if not each.holds]
    print(f"{len(everything)} experiments, figures of {len(differing)} differ; broken: {broken}")
    return not broken


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:] or [*LESSONS, "documentation"]))
