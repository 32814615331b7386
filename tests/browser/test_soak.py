"""Random dragging, for as long as GRADWIDGETS_SOAK_MINUTES says: nothing grows, slows or fails."""

from __future__ import annotations

import os
import random
import re
import time
from statistics import median

MINUTES = float(os.environ.get("GRADWIDGETS_SOAK_MINUTES", "0.3"))
SLIDERS = ("scale", "mask", "L2 penalty", "accumulation steps", "learning rate")
KEYS = ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End")
BUTTONS = ("Pin", "Unpin", "Reset", "10 seeds", "10 seeds", "Code", "Share", "Unpin", "Reset")
LAB = """
import gc, psutil
from gradwidgets import GradLab

def resident():
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6

lab = GradLab()
lab
"""
PROBE = """
([label, shift]) => new Promise((resolve, reject) => {
    const named = [...document.querySelectorAll('.gradwidgets-slider label')];
    const slider = document.getElementById(named.find((l) => l.textContent === label).htmlFor);
    const picture = document.querySelector('.gradwidgets-screen img');
    const begun = performance.now();
    new MutationObserver((_, observer) => {
        observer.disconnect();
        resolve(performance.now() - begun);
    }).observe(picture, {attributes: true, attributeFilter: ['src']});
    slider.value = (slider.valueAsNumber + shift) % (Number(slider.max) + 1);
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    setTimeout(() => reject(new Error('no picture in a minute')), 60_000);
})
"""


class Hand:
    """Somebody who drags sliders, presses keys and buttons, and never reads."""

    def __init__(self, desk, seed):
        self.desk, self.draw = desk, random.Random(seed)

    def plays(self):
        """For a few seconds: a burst of keys, a drag of the mouse, or a button."""
        slider = self.desk.slider(self.draw.choice(SLIDERS))
        kind = self.draw.random()
        if kind < 0.1:
            name = self.draw.choice(BUTTONS)
            self.desk.page.get_by_role("button", name=name, exact=True).click()
        elif kind < 0.5:
            slider.focus()
            for _ in range(self.draw.randint(5, 40)):
                self.desk.page.keyboard.press(self.draw.choice(KEYS))
                self.desk.page.wait_for_timeout(self.draw.choice((0, 30, 100)))
        else:
            self.drags(slider)
        self.desk.page.wait_for_timeout(self.draw.choice((0, 200, 1000)))

    def drags(self, slider):
        slider.scroll_into_view_if_needed()
        box, mouse = slider.bounding_box(), self.desk.page.mouse
        middle = box["y"] + box["height"] / 2
        mouse.move(box["x"] + box["width"] / 2, middle)
        mouse.down()
        for _ in range(self.draw.randint(3, 12)):
            there = box["x"] + self.draw.random() * box["width"]
            mouse.move(there, middle, steps=self.draw.randint(2, 12))
        mouse.up()

    def measures(self):
        """Megabytes of the kernel, and the milliseconds from a move to its picture."""
        self.desk.page.get_by_role("button", name="Reset").click()
        self.desk.wait_sentence("On a plateau")
        self.desk.page.wait_for_timeout(1500)  # what is trained ahead is there
        waits = [self.desk.page.evaluate(PROBE, ["scale", 7]) for _ in range(3)]
        return memory(self.desk), median(waits)


def memory(desk):
    """Megabytes of the kernel."""
    return desk.page.evaluate(
        """async () => {
            const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const ask = {code: "", user_expressions: {it: "resident()"}};
            const { content } = await kernel.requestExecute(ask).done;
            return Number(content.user_expressions.it.data["text/plain"]);
        }"""
    )


def test_random_dragging_leaves_memory_flat_and_the_lab_as_quick_as_at_first(front_end):
    log = front_end.folder.parent / "log"
    said = len(log.read_text(encoding="utf-8"))
    front_end.show(LAB)
    front_end.wait_sentence("On a plateau")
    hand = Hand(front_end, seed=int(MINUTES * 100))
    hand.plays()
    figures, begun = [hand.measures()], time.monotonic()
    end, turns = begun + 60 * MINUTES, 0
    while time.monotonic() < end:
        pause = min(time.monotonic() + max(6 * MINUTES, 4), end)
        while time.monotonic() < pause:
            hand.plays()
            turns += 1
        figures.append(hand.measures())
    report(figures, turns)
    few = max(1, len(figures) // 3)
    first, last = figures[:few], figures[-few:]
    assert median(mb for mb, _ in last) - median(mb for mb, _ in first) < 40
    assert median(ms for _, ms in last) < 3 * median(ms for _, ms in first) + 100
    complaints = re.findall(
        r".*(?:Traceback|Error|Exception).*", log.read_text(encoding="utf-8")[said:]
    )
    assert complaints == []


def report(figures, turns):
    """What was seen, for `pytest -s`."""
    print(f"\n{MINUTES:g} minutes, {turns} turns of the hand")
    for megabytes, milliseconds in figures:
        print(f"  {megabytes:6.1f} MB  {milliseconds:7.1f} ms")
