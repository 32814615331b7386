"""Nobody is shut out: the focus is seen, text fits at twice its size, nothing moves unasked."""

import re

import pytest
from playwright.sync_api import expect

from front_ends.front_end import FrontEnd
from tests.browser.test_accessibility import press_everything, show, wear

CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex]"
USABLE = """(each) => {
    if (!each.isConnected || each.tabIndex < 0 || each.disabled) return false;
    each.focus({preventScroll: true});
    return document.activeElement === each;
}"""
UNSEEN = """([scope, controls]) => {
    const signs = ["outlineStyle", "outlineWidth", "boxShadow", "borderColor", "backgroundColor"];
    const look = (each) => {
        const style = getComputedStyle(each);
        return signs.map((sign) => style[sign]).join("; ");
    };
    const all = [...document.querySelectorAll(scope)].flatMap(
        (output) => [...output.querySelectorAll(controls)]);
    const usable = all.filter((each) =>
        each.tabIndex >= 0 && !each.disabled && each.checkVisibility({visibilityProperty: true}));
    const unseen = usable.filter((each) => {
        document.activeElement.blur();
        const before = look(each);
        each.focus({focusVisible: true, preventScroll: true});
        return look(each) === before || document.activeElement !== each;
    });
    return [usable.length, unseen.map((each) => each.outerHTML.slice(0, 200))];
}"""


def test_the_focus_is_seen_on_every_control(front_end):
    front_end.page.set_viewport_size({"width": 1280, "height": 9000})  # every cell is in sight
    page = show(front_end)
    press_everything(page)
    page.keyboard.press("Tab")  # somebody who uses the keyboard
    for theme in ("Dark", "Light"):
        wear(page, theme)
        count, unseen = page.evaluate(UNSEEN, [".jp-OutputArea", CONTROLS])
        assert count > 80
        assert unseen == []
    page.add_style_tag(content=".jp-OutputArea * { outline: none !important }")
    _, unseen = page.evaluate(UNSEEN, [".gradwidgets-stepper", CONTROLS])
    assert len(unseen) > 10  # the check finds what it should


@pytest.mark.parametrize("notebook7", [False, True], ids=["lab", "notebook7"])
def test_no_letter_on_a_control_is_a_shortcut_of_the_notebook(front_end, notebook7):
    front_end.page.set_viewport_size({"width": 1280, "height": 9000})  # every cell is in sight
    page = show(front_end, notebook7=notebook7)
    press_everything(page)
    cells = page.locator(".jp-Notebook .jp-Cell")
    count, tried, taken = cells.count(), 0, []
    for control in page.locator(".jp-OutputArea").locator(CONTROLS).element_handles():
        if not control.evaluate(USABLE):
            continue
        tried += 1
        for key in "ddx":  # in command mode: delete, cut
            page.keyboard.press(key)
        if cells.count() != count:
            taken.append(control.evaluate("each => each.outerHTML.slice(0, 200)"))
            count = cells.count()
    assert (taken, tried > 80) == ([], True), tried


TOO_WIDE = """() => [...document.querySelectorAll(".jp-OutputArea-output")].flatMap((output) =>
    [...output.querySelectorAll("p, label, li, button, summary, select, legend, td, th")].filter(
        (text) => !text.closest(".gradwidgets-bars, .gradwidgets-numbers, [class$=words]")
            && text.checkVisibility()
            && text.getBoundingClientRect().right > output.getBoundingClientRect().right + 1)
).map((text) => text.outerHTML.slice(0, 200))"""


def test_at_twice_the_size_no_text_is_cut_off(chromium, server):
    """A window of 1280 pixels at 200 %; tables of numbers may scroll in their own frames."""
    context = chromium.new_context(
        viewport={"width": 640, "height": 9000}, reduced_motion="reduce", forced_colors="active"
    )
    context.set_default_timeout(60_000)
    page = show(FrontEnd(context.new_page(), *server), notebook7=True)
    assert page.evaluate(TOO_WIDE) == []
    wide = page.locator(".jp-OutputArea-output").evaluate_all(
        "all => all.filter((each) => each.scrollWidth > each.clientWidth + 1)"
        ".map((each) => each.outerHTML.slice(0, 200))"
    )
    assert wide == []
    pictures = page.locator(".jp-OutputArea img:visible")
    pictures = pictures.evaluate_all("all => all.map((e) => e.alt)")
    assert len(pictures) == 5  # the last is of a run that failed before its first update
    assert "Failed before the first update was made." in pictures.pop()
    for words in pictures:
        assert re.search(r"Now: .* the loss was [\d.]+ at the start, .* Gradient norm from", words)
    bars = page.locator(".gradwidgets-bar")
    expect(bars.first).to_have_css("border-top-style", "solid")  # a fill alone would be lost here
    reset = page.get_by_role("button", name="Reset", exact=True).first
    expect(reset).to_have_css("border-top-style", "solid")
    expect(page.get_by_label("animate")).not_to_be_checked()
    moving = page.locator(".jp-OutputArea [class*=gradwidgets]").evaluate_all(
        "all => all.filter((each) => parseFloat(getComputedStyle(each).transitionDuration) > 0)"
        ".map((each) => each.className)"
    )
    assert moving == []
    context.close()
