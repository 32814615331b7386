"""Pages opened from the disk, in a browser that is cut off from every network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.website.conftest import WHOLE
from tests.website.test_files import ANSWERS

KINDS = (
    "index.html",
    "404.html",
    "search.html",
    "fact_check.html",
    "inside.html",
    "install.html",
    "lessons/index.html",
    "lessons/00_start_here.html",
    "teach/index.html",
    "teach/hub.html",
    "checkup/index.html",
    "checkup/not-cleared.html",
    "claims/000-02.html",
    "api/gradwidgets.sweep.html",
)
"""A page of each kind."""
LESSON = "lessons/00_start_here.html"
FIRST_PAINT = 500_000
"""Bytes of all files that a page loads before a lab is scrolled to, not compressed."""
LISTS = ("api/", "search.html")
"""Where something is looked up: all names of a folder, or the index of all words."""
DARK = KINDS if WHOLE else ("index.html", LESSON, "fact_check.html")
LOOKED_AT = [*((name, "light") for name in KINDS), *((name, "dark") for name in DARK)]
NO_STORAGE = """
Object.defineProperty(window, "localStorage", { get() { throw new Error("no storage"); } });
"""
pytestmark = pytest.mark.browser


def questions(page):
    return page.locator(".gw-question")


@pytest.mark.parametrize(("name", "scheme"), LOOKED_AT)
def test_a_page_has_no_serious_fault_of_accessibility(opened, name, scheme):
    page = opened(name, scheme=scheme)
    found = Axe().run(page, options={"preload": False}).response["violations"]
    serious = [
        (each["id"], [node["target"] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_no_page_is_wider_than_the_screen(opened, site, width):
    page = opened("index.html", width)
    wide = []
    for name in KINDS:
        page.goto((site / name).as_uri())
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(name)
    assert wide == []


def test_every_page_opens_and_scrolls_without_a_request(opened, site, pages):
    page = opened("index.html")
    for name in pages:
        page.goto((site / name).as_uri())
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")


def test_a_page_is_light_before_a_lab_is_scrolled_to(opened, site, pages):
    page = opened("index.html")
    loaded = set()
    page.on("request", lambda request: loaded.add(request.url))
    heavy = {}
    for name in pages if WHOLE else KINDS:
        if name.startswith(LISTS):
            continue
        loaded.clear()
        page.goto((site / name).as_uri())
        files = [Path(unquote(urlsplit(url).path)) for url in loaded if url.startswith("file:")]
        at_once = [path for path in files if path.parent.name != "labs" or name == "index.html"]
        assert len(at_once) > 5 or name == "404.html"  # styles and scripts are among them
        if (size := sum(path.stat().st_size for path in at_once)) > FIRST_PAINT:
            heavy[name] = size
    assert heavy == {}


def test_no_answer_can_be_read_before_a_choice_is_made(opened, site):
    lessons = sorted((site / "lessons").glob("[0-9]*.html"))
    assert lessons
    page = opened(LESSON)
    for lesson in lessons:
        page.goto(lesson.as_uri())
        text = page.locator("body").inner_text()
        for _, sentence in ANSWERS.get(lesson.stem[3:], {}).values():
            assert not sentence or sentence not in text, lesson.name
        source = lesson.read_text("utf-8")
        assert not any(s in source for _, s in ANSWERS.get(lesson.stem[3:], {}).values() if s)


def test_a_choice_is_answered_and_kept(opened):
    page = opened(LESSON)
    first = questions(page).first
    asked = json.loads(first.get_attribute("data-asked"))
    answer, sentence = ANSWERS["start_here"]["scale_100"]
    wrong = next(choice for choice in asked["choices"] if choice != answer)
    commit = first.get_by_role("button", name="Commit")
    expect(commit).to_be_disabled()
    first.get_by_label(wrong).check()
    commit.click()
    status = first.get_by_role("status")
    expect(status).to_have_text(f"Not so. The experiment says: {answer}. {sentence}")
    expect(status).to_be_focused()
    page.reload()
    first = questions(page).first
    expect(first.get_by_role("status")).to_contain_text(f"The experiment says: {answer}")
    expect(first.get_by_text("your choice", exact=True)).to_be_visible()
    expect(first.get_by_text("measured", exact=True)).to_be_visible()
    assert questions(page).count() > 1
    expect(questions(page).nth(1).get_by_role("button", name="Commit")).to_be_visible()


def test_the_keyboard_alone_answers_a_question(opened):
    page = opened(LESSON)
    first = questions(page).first
    first.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(first.get_by_role("status")).to_contain_text("The experiment says")


def test_a_question_works_where_nothing_can_be_kept(opened):
    page = opened(LESSON, script=NO_STORAGE)
    first = questions(page).first
    first.get_by_role("radio").last.check()
    first.get_by_role("button", name="Commit").click()
    expect(first.get_by_role("status")).to_contain_text("The experiment says")


def test_a_lab_loads_when_it_is_scrolled_to_and_answers(opened):
    page = opened(LESSON)
    frame = page.locator(".gw-lab iframe").last
    assert frame.get_attribute("loading") == "lazy"
    frame.scroll_into_view_if_needed()
    inside = frame.content_frame
    slider = inside.get_by_role("slider").first
    said = inside.get_by_role("status").first
    before = said.text_content()
    slider.focus()
    page.keyboard.press("End")
    expect(said).not_to_have_text(before)


def test_a_lab_s_frame_grows_to_what_the_lab_says(opened):
    page = opened(LESSON)
    frame = page.locator(".gw-lab iframe").first
    frame.scroll_into_view_if_needed()
    frame.content_frame.get_by_role("slider").first.wait_for()
    frame.content_frame.locator("body").evaluate(
        "() => parent.postMessage({ gradwidgets: 'height', height: 1234.2 }, '*')"
    )
    expect(frame).to_have_attribute("height", "1235")


@pytest.mark.parametrize("name", [LESSON, "lessons/01_autograd_and_grad.html", "inside.html"])
def test_what_is_in_a_frame_has_the_theme_that_the_reader_chose(opened, name):
    page = opened(name)
    frame = page.locator(".gw-lab iframe").first
    frame.scroll_into_view_if_needed()
    inside = frame.content_frame.locator("html")
    inside.locator("input").first.wait_for()
    for chosen in ("Dark", "Light"):
        page.get_by_role("button", name="Color mode").click()
        page.get_by_role("button", name=chosen, exact=True).click()
        expect(inside).to_have_css("color-scheme", chosen.lower())
    page.get_by_role("button", name="Color mode").click()
    page.get_by_role("button", name="Dark", exact=True).click()
    page.reload()
    page.locator(".gw-lab iframe").first.scroll_into_view_if_needed()
    expect(inside).to_have_css("color-scheme", "dark")


@pytest.mark.parametrize("name", ["index.html", LESSON, "checkup/not-cleared.html", "inside.html"])
def test_on_a_phone_nothing_of_the_ways_to_other_pages_is_cut_off(opened, name):
    page = opened(name, 390)
    ways = page.locator(".prev-next-area a")
    assert ways.count() > 0
    cut = ways.evaluate_all("all => all.filter((way) => way.scrollWidth > way.clientWidth).length")
    assert cut == 0


def test_on_a_phone_the_list_of_places_goes_away_when_a_place_is_chosen(opened):
    page = opened(LESSON, 390)
    page.get_by_role("button", name="Toggle secondary sidebar").click()
    places = page.get_by_role("dialog")
    places.get_by_role("link", name="2. The four lines").click()
    expect(places).to_have_count(0)
    expect(page.get_by_role("heading", name="2. The four lines")).to_be_in_viewport()


def test_every_button_that_opens_a_list_of_places_has_one(opened, site):
    page = opened("index.html", 390)
    for name in KINDS:
        page.goto((site / name).as_uri())
        buttons = page.locator("button.secondary-toggle:visible").count()
        assert bool(buttons) == bool(page.locator(".bd-sidebar-secondary").count()), name


def test_the_first_page_offers_three_ways_side_by_side(opened):
    page = opened("index.html")
    ways = page.locator(".gw-ways > section")
    boxes = [way.bounding_box() for way in ways.all()]
    assert [way.get_by_role("heading").count() for way in ways.all()] == [1, 1, 1]
    assert len({box["y"] for box in boxes}) == 1


def test_the_page_of_all_lessons_is_a_table(opened):
    page = opened("lessons/index.html")
    rows = page.locator("article table tbody tr")
    assert rows.count() == 18
    assert "|" not in page.locator("article").inner_text()


def test_the_page_in_place_of_any_other_loads_nothing_and_leads_home(chromium, site):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    asked, errors = [], []
    page = context.new_page()
    page.on("console", lambda said: said.type == "error" and errors.append(said.text))

    def served(route):
        asked.append(route.request.url)
        file = site / urlsplit(route.request.url).path.removeprefix("/gradwidgets/")
        missing = not file.is_file()
        route.fulfill(status=404 if missing else 200, path=site / "404.html" if missing else file)

    page.route("https://course.example/**", served)
    lost = "https://course.example/gradwidgets/lessons/of/old"
    page.goto(lost)
    assert asked == [lost]
    expect(page.get_by_role("heading", level=1)).not_to_have_css("font-weight", "700")
    page.get_by_role("link", name="the first page").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Learn what")
    assert [text for text in errors if "404" not in text] == []
    context.close()


def test_claims_are_found_by_words_and_verdict_and_the_address_keeps_them(opened):
    page = opened("fact_check.html")
    rows = page.locator("tbody tr")
    everything = rows.count()
    page.get_by_label("Words").fill("halves")
    status = page.locator(".gw-search").get_by_role("status")
    shown = page.locator("tbody tr:visible").count()
    assert 0 < shown < everything
    expect(status).to_have_text(f"{shown} of {everything} claims")
    page.get_by_label("Verdict").select_option("true")
    assert "words=halves&verdict=true" in page.url
    page.reload()
    expect(page.get_by_label("Words")).to_have_value("halves")
    expect(page.get_by_label("Verdict")).to_have_value("true")


def test_the_search_finds_a_code_by_its_symptom_without_a_server(opened, site):
    page = opened("index.html")
    page.goto((site / "search.html").as_uri() + "?q=detached")
    found = page.locator("#search-results a")
    found.first.wait_for()
    assert any(re.search(r"checkup/detached\.html", a) for a in _addresses(found))


def _addresses(links):
    return links.evaluate_all("all => all.map(({ href }) => href)")
