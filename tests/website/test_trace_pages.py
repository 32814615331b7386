"""A stepper, a ledger and a meter in a browser that is cut off from every network."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

STEPPER = "labs/01_autograd_and_grad-lab.html"
LEDGER = "labs/inside-ledger.html"
pytestmark = pytest.mark.browser


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [STEPPER, LEDGER])
def test_a_trace_has_no_serious_fault_of_accessibility(opened, name, scheme):
    page = opened(name, scheme=scheme)
    page.get_by_role("status").first.wait_for()
    found = Axe().run(page).response["violations"]
    serious = [
        (each["id"], [node["target"] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("name", [STEPPER, LEDGER])
def test_a_trace_fits_a_phone(opened, name):
    page = opened(name, width=360)
    page.get_by_role("status").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_stepper_in_a_lesson_goes_on_and_back_line_by_line(opened):
    page = opened("lessons/01_autograd_and_grad.html")
    frame = page.locator(".gw-lab iframe").first
    assert frame.get_attribute("title") == "Stepper: line"
    expect(page.locator(".gw-lab figcaption").first).to_have_text(
        "This lab on a page of its own. Every number in it was computed by PyTorch when this site "
        "was made."
    )
    frame.scroll_into_view_if_needed()
    inside = frame.content_frame
    said = inside.get_by_role("status")
    expect(said).to_contain_text("At the start of update 0")
    for _ in range(3):
        button(inside, "Next line ▶").click()
    expect(said).to_have_text("loss.backward() changed .grad of bias and weight.")
    button(inside, "◀ Previous line").click()
    expect(said).to_contain_text("changed loss to")
    inside.get_by_role("combobox", name="lines").select_option("no zero_grad()")
    expect(said).to_contain_text("At the start of update 0")
    expect(inside.get_by_label("switch on: optimizer.zero_grad()")).not_to_be_checked()


def test_lines_move_and_run_as_the_lesson_asks(opened):
    page = opened(STEPPER)
    table = page.locator("td b")
    before = table.all_text_contents()
    for _ in range(3):
        page.get_by_label("move down: loss.backward()").click()
    expect(page.get_by_role("combobox", name="lines")).to_have_value("moved by hand")
    button(page, "Run").click()
    expect(page.get_by_role("status")).to_contain_text("10 updates are finished.")
    assert [*table.all_text_contents()][::2] == before[::2]  # no parameter has moved
    expect(button(page, "Next line ▶")).to_have_attribute("aria-disabled", "true")
    button(page, "Next line ▶").click(force=True)
    expect(page.get_by_role("status")).to_contain_text("10 updates are finished.")
    button(page, "Reset lines").click()
    expect(page.get_by_role("combobox", name="lines")).to_have_value("as written")


def test_what_leads_nowhere_is_disabled_and_does_nothing(opened):
    page = opened(STEPPER)
    other = page.get_by_label("switch off: loss.backward()")
    expect(other).to_have_attribute("aria-disabled", "true")
    other.click(force=True)
    expect(other).to_be_checked()
    expect(page.get_by_label("repeat: loss.backward()")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_label("repeat: optimizer.step()")).to_have_attribute(
        "aria-disabled", "false"
    )
    page.get_by_label("number of updates to run").fill("57")
    expect(button(page, "Run")).to_have_attribute("aria-disabled", "true")
    page.get_by_label("number of updates to run").fill("2")
    expect(button(page, "Run")).to_have_attribute("aria-disabled", "false")


def test_the_keyboard_alone_steps_and_moves_lines(opened):
    page = opened(STEPPER)
    page.get_by_label("switch off: optimizer.zero_grad()").focus()
    said = page.get_by_role("status")
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("optimizer.zero_grad()")
    page.keyboard.press("ArrowLeft")
    expect(said).to_contain_text("At the start of update 0")
    page.keyboard.press("Space")
    expect(page.get_by_role("combobox", name="lines")).to_have_value("no zero_grad()")
    page.keyboard.press("Space")
    expect(page.get_by_role("combobox", name="lines")).to_have_value("as written")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("li code").nth(1)).to_have_text("optimizer.zero_grad()")
    page.keyboard.press("End")
    expect(said).to_contain_text("1 update is finished")


def test_a_ledger_s_slider_visits_every_update(opened):
    page = opened(LEDGER)
    slider = page.get_by_role("slider", name="update")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("caption")).to_have_text("2-norms of every gradient in update 1")
    page.keyboard.press("End")
    expect(page.locator("caption")).to_have_text("2-norms of every gradient in update 59")
    expect(page.locator("p[role=status]")).to_have_text(re.compile(r"^Update 59, loss 0\.\d+"))


def test_without_scripts_the_first_place_stands_in_words(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / STEPPER).as_uri())
    expect(page.locator("pre")).to_contain_text("-> next, * executed last")
    context.close()
