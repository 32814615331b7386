"""From key press or click to what changes on the page, in real JupyterLab in headless Chromium.

Run by `make bench`, as `pytest -p tests.browser.conftest -s benchmarks/latency.py`.
"""

from __future__ import annotations

import statistics

from tests.browser.front_end import FrontEnd

PRESSES = 18
PAUSE = 600
"""Milliseconds between two presses, so that each finds the kernel idle."""

ARM = """
() => {
  const img = document.querySelector('.gradwidgets-screen img');
  window.frames_at = [];
  document.addEventListener('keydown', () => { window.pressed = performance.now(); },
    {once: true, capture: true});
  img.onload = () => requestAnimationFrame(() => frames_at.push(performance.now() - pressed));
}
"""


def test_latency(front_end: FrontEnd) -> None:
    """Print when the first and the last picture come: live runs, then runs at hand."""
    front_end.show("from gradwidgets import GradLab\nGradLab()")
    front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
    front_end.page.wait_for_timeout(2000)
    front_end.slider("scale").focus()
    print("\n| key press to pixels in JupyterLab | median (ms) | middle half | slowest |")
    print("|---|--:|--:|--:|")
    for name, key in (("live run", "ArrowRight"), ("history at hand", "ArrowLeft")):
        frames = [press(front_end, key) for _ in range(PRESSES)]
        for which, place in (("first change", 0), ("last change", -1)):
            times = [each[place] for each in frames]
            low, middle, high = statistics.quantiles(times, n=4)
            figures = f"{middle:.0f} | {low:.0f} to {high:.0f} | {max(times):.0f}"
            print(f"| {name}, {which} | {figures} |")


def press(front_end: FrontEnd, key: str) -> list[float]:
    """Milliseconds from one press of a key to each new picture that it leads to."""
    front_end.page.evaluate(ARM)
    front_end.page.keyboard.press(key)
    front_end.page.wait_for_timeout(PAUSE)
    return [float(at) for at in front_end.page.evaluate("frames_at")]


CLICKS = 20
ANSWERS = """
from IPython.display import display
import ipywidgets
from gradwidgets import Ledger, Meter, Recipe, Stepper
button, answer = ipywidgets.Button(description="Empty"), ipywidgets.Label("0")
button.on_click(lambda _: setattr(answer, "value", str(int(answer.value) + 1)))
many = Recipe(optimizer="Adam", accumulation_steps=3, updates=1_000_000)
display(ipywidgets.VBox([button, answer]), Stepper("moons", many))
display(Ledger("moons", Recipe(scale=0.1, l2=0.1, max_norm=0.1)), Meter(ragged=True))
"""
CLICK = """
([click, answer, rank]) => new Promise((resolve) => {
  const begun = performance.now();
  const watched = document.querySelector(answer);
  new MutationObserver((_, observer) => {
    observer.disconnect();
    resolve(performance.now() - begun);
  }).observe(watched, {subtree: true, childList: true, characterData: true, attributes: true});
  const control = [...document.querySelectorAll(click)][rank];
  if (control.type !== "range") return control.click();
  control.value = (control.valueAsNumber + 1) % (1 + Number(control.max));
  control.dispatchEvent(new Event("input"));
})
"""
STATUS = ".gradwidgets-stepper [role=status]"
ACTIONS = {
    "an empty ipywidgets button": (".widget-button", ".widget-label", 0),
    "stepper, next line": (".gradwidgets-buttons button", STATUS, 2),
    "stepper, previous line": (".gradwidgets-buttons button", STATUS, 1),
    "stepper, finish update": (".gradwidgets-buttons button", STATUS, 3),
    "stepper, run a million updates, and cancel": (".gradwidgets-buttons button", STATUS, 4),
    "stepper, switch a line": (".gradwidgets-stepper li input", ".gradwidgets-stepper ol", 1),
    "ledger, slider": (".gradwidgets-slider input", "[aria-label^='2-norms']", 0),
    "meter, micro-batches": (".gradwidgets-slider input", "[aria-label^='Accumulated']", 1),
}


def test_clicks(front_end: FrontEnd) -> None:
    """Print how long a click takes to change the page, beside a click that does nothing."""
    front_end.show(ANSWERS)
    front_end.page.wait_for_selector(".gradwidgets-bars table")
    front_end.page.get_by_role("spinbutton").fill("1000000")
    front_end.page.wait_for_timeout(3000)
    print("\n| click to change on the page | median (ms) | middle half | slowest | ratio |")
    print("|---|--:|--:|--:|--:|")
    empty = 0.0
    for name, action in ACTIONS.items():
        times = [click(front_end, action) for _ in range(CLICKS)]
        low, middle, high = statistics.quantiles(times, n=4)
        empty = empty or middle
        figures = f"{middle:.0f} | {low:.0f} to {high:.0f} | {max(times):.0f}"
        print(f"| {name} | {figures} | {middle / empty:.2f} |")


def click(front_end: FrontEnd, action: tuple[str, str, int]) -> float:
    """Milliseconds from one click to the first change that it leads to."""
    front_end.page.wait_for_timeout(PAUSE / 3)
    return float(front_end.page.evaluate(CLICK, list(action)))
