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
  const now = target => new Promise(done => target(() => done(performance.now())));
  window.pressed = now(f => document.addEventListener('keydown', f, {once: true, capture: true}));
  window.painted = now(f => img.addEventListener(
    'load', () => requestAnimationFrame(f), {once: true}));
}
"""
ELAPSED = "async () => (await window.painted) - (await window.pressed)"


def test_latency(front_end: FrontEnd) -> None:
    """Print the median of a live run, then of runs that the lab has at hand."""
    front_end.show("from gradwidgets import GradLab\nGradLab()")
    front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
    front_end.page.wait_for_timeout(2000)
    front_end.slider("scale").focus()
    print("\n| key press to pixels in JupyterLab | median (ms) | middle half | slowest |")
    print("|---|--:|--:|--:|")
    for name, key in (("live run", "ArrowRight"), ("history at hand", "ArrowLeft")):
        times = [elapsed(front_end, key) for _ in range(PRESSES)]
        low, middle, high = statistics.quantiles(times, n=4)
        print(f"| {name} | {middle:.0f} | {low:.0f} to {high:.0f} | {max(times):.0f} |")


def elapsed(front_end: FrontEnd, key: str) -> float:
    """Milliseconds from one press of a key to the first frame that shows its picture."""
    front_end.page.wait_for_timeout(PAUSE)
    front_end.page.evaluate(ARM)
    front_end.page.keyboard.press(key)
    return float(front_end.page.evaluate(ELAPSED))
