"""A class in a browser: the bars on the lecturer's slide, a learner's question, a phone."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import violations, wear
from tests.classroom.service import LECTURER, ROOM, running

LEARNERS = 60
CELL = """
import os
os.environ["GRADWIDGETS_CLASS"] = "{address}"
os.environ["GRADWIDGETS_CLASS_TOKEN"] = "{token}"
from gradwidgets import Predict
guess = Predict(
    "What is `2 + 2`?",
    ["three", "`four`", "<img src=x onerror=alert(1)>"],
    lambda: ("`four`", "Measured: 4."),
    {more},
)
guess
"""


@pytest.fixture
def service(tmp_path):
    with running(tmp_path) as found:
        yield found


def show(front_end, service, token, more):
    front_end.show(CELL.format(address=service.address, token=token, more=more))
    return front_end.page.locator(".gradwidgets-predict")


def vote_at_once(service, key):
    """Sixty learners, 45 of them for the second choice; returns when the last was answered."""

    def vote(number):
        choice = ["`four`", "`four`", "`four`", "three"][number % 4]
        path = f"api/answers/{key}"
        return service.ask("PUT", path, {"choice": choice}, learner=f"learner{number}")

    with ThreadPoolExecutor(LEARNERS) as room:
        said = list(room.map(vote, range(LEARNERS)))
    assert said == [(200, {"kept": True})] * LEARNERS
    return time.monotonic()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_votes_of_sixty_are_drawn_on_the_slide(front_end, service, theme):
    slide = show(front_end, service, LECTURER, "tally=True")
    wear(front_end.page, theme)
    slide.get_by_role("button", name="Ask the class").focus()
    front_end.page.keyboard.press("Enter")
    expect(slide).to_contain_text(f"{service.address}vote with the word {ROOM}")
    key = service.ask("GET", "api/asked")[1]["key"]
    done = vote_at_once(service, key)
    expect(slide).to_contain_text("45 answers, 75 %")
    print(f"\nOn the slide {time.monotonic() - done:.2f} s after the last of {LEARNERS} votes.")
    expect(slide).to_contain_text("15 answers, 25 %")
    shares = slide.locator(".gradwidgets-hands-bar").evaluate_all(
        "bars => bars.map((bar) => bar.firstChild.clientWidth / bar.clientWidth)"
    )
    assert shares == pytest.approx([0.25, 0.75, 0], abs=0.01)
    widths = slide.locator(".gradwidgets-hands-bar").evaluate_all(
        "bars => bars.map((bar) => bar.getBoundingClientRect().width)"
    )
    assert len(set(widths)) == 1
    assert violations(front_end.page) == []
    slide.get_by_role("button", name="Run the experiment").click()
    expect(slide.get_by_role("status")).to_contain_text("45 of 60 answers were right.")
    expect(slide.get_by_role("button", name="Stop asking")).to_be_hidden()
    wear(front_end.page, "Light")


def test_a_learner_reads_where_answers_go_and_declines(front_end, service):
    question = show(front_end, service, ROOM, 'key="sums.more"')
    expect(question).to_contain_text("are sent to the class at 127.0.0.1")
    assert violations(front_end.page) == []
    question.get_by_role("button", name="Do not send").focus()
    front_end.page.keyboard.press("Space")
    expect(question).to_contain_text("Nothing is sent to the class")
    question.get_by_role("radio", name="three").check()
    question.get_by_role("button", name="Commit").click()
    expect(question.get_by_role("status")).to_contain_text("Not so.")
    assert service.lecturer("GET", "api/class") == []


def test_without_a_class_a_question_looks_as_before(front_end):
    front_end.show(CELL.format(address="", token="", more='key="sums.more"'))
    expect(front_end.page.locator(".gradwidgets-class")).to_be_hidden()


def test_a_phone_votes_once_and_deletes_its_vote(chromium, service):
    choices = ["three", "`four`", "<img src=x onerror=alert(1)>"]
    asked = {"key": "a key/with?signs", "question": "What is <b>`2 + 2`</b>?", "choices": choices}
    service.lecturer("PUT", "api/asked", asked)
    context = chromium.new_context(viewport={"width": 375, "height": 667})
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(f"{service.address}vote")
    page.get_by_label("The word on the slide").fill("wrong")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("status")).to_have_text("That is not the word.")
    page.get_by_label("The word on the slide").fill(ROOM)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading")).to_have_text("What is <b>2 + 2</b>?")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.get_by_role("button", name="<img src=x").click()
    expect(page.get_by_role("status")).to_contain_text("You voted: <img")
    assert service.lecturer("PUT", "api/asked", asked)["votes"] == [0, 0, 1]
    page.reload()
    page.get_by_label("The word on the slide").fill(ROOM)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="four").click()
    expect(page.get_by_role("status")).to_contain_text("You have voted on this before")
    page.get_by_role("button", name="Delete my votes").click()
    expect(page.get_by_role("status")).to_have_text("Deleted.")
    assert service.lecturer("PUT", "api/asked", asked)["votes"] == [0, 0, 0]
    refused = [line for line in said if "401" not in line]  # the wrong word, as the browser logs it
    context.close()
    assert refused == []
