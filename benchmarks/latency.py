"""From key press or click to what changes on the page, in real JupyterLab in headless Chromium.

Run by `make bench`, as `pytest -p front_ends.fixtures -s benchmarks/latency.py`.
"""

from __future__ import annotations

import statistics

from benchmarks import page
from front_ends.front_end import FrontEnd

PRESSES = 24
PAUSE = 1500
"""Milliseconds between two presses, so that each finds the kernel idle, and what it can know."""
LAB = "from gradwidgets import GradLab\nGradLab()"
ALONE = "from gradwidgets import GradLab\nGradLab(look_ahead=False)"
WAYS = {
    "a slider whose range was swept ahead": (LAB, ("scale",)),
    "each time another slider than before": (LAB, ("scale", "learning rate", "L2 penalty")),
    "nothing prepared: a live run": (ALONE, ("scale",)),
}
"""The cell, and the sliders to move in turn."""
AWAY = {"scale": "ArrowLeft", "learning rate": "ArrowLeft", "L2 penalty": "ArrowRight"}

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
    """When the first and the last picture come after a key press."""
    lines = [
        "| key press to pixels in JupyterLab | median (ms) | middle half | 95 % | slowest |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, (cell, labels) in WAYS.items():
        front_end.show(cell)
        front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
        front_end.slider(labels[0]).focus()
        front_end.page.wait_for_timeout(4000)
        turns = (labels * PRESSES)[:PRESSES]
        frames = [press(front_end, label) for label in turns]  # never twice the same recipe
        for which, place in (("first change", 0), ("last change", -1)):
            figures = spread([each[place] for each in frames])
            lines.append(f"| {name}, {which} | {figures} |")
    page.put("Key press to pixels", lines)
    print("", *lines, sep="\n")


def spread(times: list[float]) -> str:
    """Median, middle half, 95th percentile and slowest, as cells of a table."""
    low, middle, high = statistics.quantiles(times, n=4)
    late = statistics.quantiles(times, n=20)[-1]
    return f"{middle:.0f} | {low:.0f} to {high:.0f} | {late:.0f} | {max(times):.0f}"


def press(front_end: FrontEnd, label: str) -> list[float]:
    """Milliseconds from a key press, away from the start, to each new picture that it leads to."""
    front_end.slider(label).focus()
    front_end.page.evaluate(ARM)
    front_end.page.keyboard.press(AWAY[label])
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
    """How long a click takes to change the page, beside a click that does nothing."""
    front_end.show(ANSWERS)
    front_end.page.wait_for_selector(".gradwidgets-bars table")
    front_end.page.get_by_role("spinbutton").fill("1000000")
    front_end.page.wait_for_timeout(3000)
    lines = [
        "| click to change on the page | median (ms) | middle half | 95 % | slowest | ratio |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    empty = 0.0
    for name, action in ACTIONS.items():
        times = [click(front_end, action) for _ in range(CLICKS)]
        middle = statistics.median(times)
        empty = empty or middle
        lines.append(f"| {name} | {spread(times)} | {middle / empty:.2f} |")
    page.put("Clicks", lines)
    print("", *lines, sep="\n")


def click(front_end: FrontEnd, action: tuple[str, str, int]) -> float:
    """Milliseconds from one click to the first change that it leads to."""
    front_end.page.wait_for_timeout(PAUSE / 3)
    return float(front_end.page.evaluate(CLICK, list(action)))
