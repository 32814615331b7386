"""Bars under a slider as they are seen: unknown stops as dots, then a bar for each."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

SHOW = "from gradwidgets import GradLab\nlab = GradLab(show=('scale', 'lr'))\nlab"
BARS = ".gradwidgets-outcome-bars"
WATCH = """
() => {
  const bars = document.querySelector('.gradwidgets-outcome-bars');
  const count = (kind) => bars.querySelectorAll(kind).length;
  window.drawn = [];
  new MutationObserver(() => drawn.push([count(".unknown"), count("rect")]))
    .observe(bars, {childList: true});
}
"""


@pytest.fixture
def lab(front_end):
    front_end.show(SHOW)
    front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
    return front_end


def known(lab):
    """Focus the slider and wait until all of its 52 stops are known."""
    lab.slider("scale").focus()
    lab.page.wait_for_function(
        "bars => document.querySelector(bars).querySelectorAll('rect').length === 52", arg=BARS
    )


def looked_at(lab):
    """What is seen of the bars under the first slider: (height, width, 3)."""
    shot = lab.page.locator(BARS).first.screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))


def contrasts(pixels):
    """For each of 52 stops the highest contrast with the corner, as WCAG 2.1 defines it."""
    share = pixels / 255
    linear = np.where(share <= 0.03928, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    light = linear @ (0.2126, 0.7152, 0.0722) + 0.05
    ratio = np.maximum(light, light[0, 0]) / np.minimum(light, light[0, 0])
    inner = ratio[:, 8:-8]  # the thumb's places end half a thumb before the track does
    edges = np.linspace(0, inner.shape[1], 53).round().astype(int)
    return np.array([inner[:, a:b].max() for a, b in pairwise(edges)])


def test_stops_are_dots_until_they_are_known_and_then_bars(lab):
    lab.page.evaluate(WATCH)
    known(lab)
    drawn = lab.page.evaluate("drawn")
    assert drawn[0][0] == 52 - drawn[0][1] > 40  # but for the start, and what was a move away
    assert drawn[-1] == [0, 52]
    dots = [dots for dots, _ in drawn]
    assert dots == sorted(dots, reverse=True)
    assert contrasts(looked_at(lab)).min() >= 3


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_forced_colours_keep_bars_and_dots_to_be_seen(lab, dark):
    scheme = "dark" if dark else "light"
    lab.page.emulate_media(forced_colors="active", color_scheme=scheme)
    lab.page.evaluate(
        "light => { document.body.dataset.jpThemeLight = light; }", str(not dark).lower()
    )
    known(lab)
    pixels = looked_at(lab)
    assert contrasts(pixels).min() >= 3
    assert pixels[0, 0].max() < 128 if dark else pixels[0, 0].min() > 128
    lab.run("lab.controls['scale'].bars = [[0.5, ''], [1.0, 'rises']] + [None] * 50")
    lab.page.wait_for_function(
        "bars => document.querySelector(bars).querySelectorAll('rect').length === 2", arg=BARS
    )
    assert contrasts(looked_at(lab)).min() >= 3
