"""Other seeds draw other numbers, and a story notices figures that do not fit it."""

import random
import re

import pytest
import torch

from gradwidgets import problems, train
from tests.lessons.notebooks import PATHS
from tests.lessons.references import text_of
from tests.lessons.seeds import SHIFTS, judged, other_seeds, questions
from tests.lessons.stories import STORIES

FIGURE = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?|True|False")
TOLD = [(lesson, cell) for lesson, cells in STORIES.items() for cell in cells]


def draws():
    torch.manual_seed(3)
    generator = torch.Generator().manual_seed(3)
    run = train(problems.moons, problems.moons.recipe.replace(updates=2))
    return torch.rand(1).item(), torch.rand(1, generator=generator).item(), run.loss[0]


def test_other_seeds_change_every_kind_of_draw_and_are_gone_afterwards():
    before, state = draws(), torch.get_rng_state()
    with other_seeds(1000):
        shifted = draws()
    assert torch.equal(torch.get_rng_state(), state)
    assert draws() == before
    assert all(one != other for one, other in zip(before, shifted, strict=True))


def test_a_seed_is_the_one_that_is_asked_for():
    with other_seeds(1000):
        torch.manual_seed(3)
        shifted = torch.rand(1)
    torch.manual_seed(1003)
    assert torch.equal(torch.rand(1), shifted)


def test_an_answer_that_is_lucky_does_not_hold():
    said = ["yes", *["yes"] * 8, "no", "no"]
    found = judged("a.b", said, lambda each: each == "yes")
    assert (found.same, found.differs, found.wrong, found.holds) == (8, True, "no", False)
    assert judged("a.b", ["yes"] * 11, lambda each: each == "yes").holds


def test_answers_of_a_lesson_are_the_same_with_other_seeds():
    found = list(questions("masking_gradients"))
    assert len(SHIFTS) == 10
    assert all(each.holds for each in found)
    assert sum(each.differs for each in found) >= 4


@pytest.mark.parametrize(("lesson", "cell"), TOLD)
def test_a_story_fits_what_its_cell_puts_out_and_not_every_order_of_its_figures(lesson, cell):
    text = text_of(next(path for path in PATHS if path.stem[3:] == lesson), cell)
    story = STORIES[lesson][cell]
    assert story(text)
    assert not all(fits(story, shuffled(text, random.Random(seed))) for seed in range(20))


def shuffled(text, dice):
    """A text with its figures, True and False in another order."""
    figures = FIGURE.findall(text)
    dice.shuffle(figures)
    return FIGURE.sub(lambda _: figures.pop(), text)


def fits(story, text):
    """False also for a text that cannot be read."""
    try:
        return story(text)
    except (ValueError, TypeError, LookupError, ZeroDivisionError, AttributeError):
        return False
