"""A room of sixty votes at the same time, each over a connection of their own."""

from concurrent.futures import ThreadPoolExecutor

from gradwidgets.lessons import Predict
from tests.classroom.service import LECTURER
from tests.classroom.test_learner import wait_until
from tests.front_end import send

CHOICES = ["a quarter as far", "half as far", "just as far"]
LEARNERS = 60


def test_sixty_learners_vote_at_once_and_each_vote_counts(learner, monkeypatch):
    monkeypatch.setenv("GRADWIDGETS_CLASS_TOKEN", LECTURER)
    slide = Predict("How far does it go?", CHOICES, lambda: CHOICES[1], tally=True)
    send(slide, {"kind": "class"})
    wait_until(lambda: learner.ask("GET", "api/asked")[1])
    key = learner.ask("GET", "api/asked")[1]["key"]

    def vote(number):
        body = {"choice": CHOICES[number % 3 % 2]}
        return learner.ask("PUT", f"api/answers/{key}", body, learner=f"learner{number}")

    with ThreadPoolExecutor(LEARNERS) as room:
        said = list(room.map(vote, range(LEARNERS)))
    assert said == [(200, {"kept": True})] * LEARNERS
    wait_until(lambda: slide.class_votes == [40, 20, 0])
    slide.commit(CHOICES[0])
    assert slide.shown["verdict"].endswith("20 of 60 answers were right.")
