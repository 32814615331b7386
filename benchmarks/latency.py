"""From key press on the slider to changed pixels, in real JupyterLab in headless Chromium.

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
