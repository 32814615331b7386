"""What is prepared for a slider's stops is what the lab says in the end."""

from playwright.sync_api import expect

SHOW = 'from gradwidgets import GradLab\nlab = GradLab(show=("scale",))\nlab'


def test_the_sentence_that_waits_for_a_stop_is_the_lab_s_own(front_end):
    """Near the border of stability, where another rounding would give another verdict."""
    front_end.show(SHOW)
    front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
    front_end.slider("scale").focus()
    front_end.run("assert lab.wait(prefetched=True)")
    front_end.page.keyboard.press("End")
    status = front_end.page.locator(".gradwidgets-screen [role=status]").first
    expect(status).to_contain_text("The start ended at")
    for _ in range(6):
        front_end.page.keyboard.press("ArrowLeft")
        stop = front_end.slider("scale").get_attribute("aria-valuetext")
        front_end.page.wait_for_timeout(100)
        at_once = front_end.sentence()
        front_end.run(
            "from gradwidgets import train\nassert lab.wait()\n"
            f"assert {stop!r} in lab.controls['scale'].texts[lab.controls['scale'].index]\n"
            f"assert {at_once!r}.startswith(train('moons', lab.recipe).summary()), {at_once!r}"
        )
        assert front_end.sentence() == at_once
