"""What the site costs: to build, to load, and from a key press to the next frame.

`python -m benchmarks.site` builds it twice, from nothing and again; with `pages`, it measures the
one in build/site as it is.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Page, sync_playwright

from benchmarks import page
from front_ends.fixtures import FLAGS, needed

ROOT = Path(__file__).parents[1]
SITE, WORK = ROOT / "build" / "site", ROOT / "build" / "site-work"
PAGES = ("index.html", "lessons/00_start_here.html", "fact_check.html")
LABS = ("00_start_here-first-lab", "00_start_here-digits-lab", "13_schedules-lab")
STEPS = 20
"""Presses of each slider there, and as many back."""
PAUSE = 40
"""Milliseconds between two presses: more than two frames."""

WATCH = """
() => {
  window.moves = [];
  addEventListener("input", ({ timeStamp: pressed }) => {
    const began = performance.now();
    const { port1, port2 } = new MessageChannel();
    let frame;
    port1.onmessage = () => {  // the first task after the frame
      const painted = performance.now();
      moves.push([painted - pressed, painted - frame + done - began]);
    };
    let done;
    addEventListener("input", () => (done = performance.now()), { once: true });
    requestAnimationFrame(() => { frame = performance.now(); port2.postMessage(0); });
  }, { capture: true });
}
"""
"""Of each move: milliseconds from the key to the end of the next frame, and those that the page's
program, its layout and its painting took of them; the rest was waiting for the frame to begin."""


def main(words: list[str]) -> int:
    """Measure, and put what was found into BENCHMARKS.md."""
    if "pages" not in words:
        lines = list(builds())
        page.put("The site: building", lines)
        print("", *lines, sep="\n")
    lines = [*sizes(), "", *moves()]
    page.put("The site: pages", lines)
    print("", *lines, sep="\n")
    return 0


def builds() -> Iterator[str]:
    """Build from nothing, and again, two notebooks at a time."""
    shutil.rmtree(WORK, ignore_errors=True)
    yield "| build of the whole site | seconds | of processors |\n|---|--:|--:|"
    for name in ("from nothing", "again, nothing changed"):
        began, before = time.monotonic(), _children()
        subprocess.run([sys.executable, "-m", "website"], cwd=ROOT, check=True)
        yield f"| {name} | {time.monotonic() - began:.0f} | {_children() - before:.0f} |"


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sizes() -> Iterator[str]:
    """How large the site is, a lab, and all that a page loads before a lab is scrolled to."""
    files = [path.stat().st_size for path in SITE.rglob("*") if path.is_file()]
    labs = sorted(path.stat().st_size for path in (SITE / "labs").iterdir())
    yield "| as files, not compressed | kB |\n|---|--:|"
    yield f"| the whole site, {len(files)} files | {_kilo(sum(files))} |"
    middle = statistics.median(labs)
    yield f"| a lab, the median of {len(labs)} | {_kilo(middle)} |"
    yield f"| the largest lab | {_kilo(labs[-1])} |"
    for name, size in first_paints().items():
        yield f"| {name}, before a lab is scrolled to | {_kilo(size)} |"


def _kilo(size: float) -> str:
    return f"{size / 1000:,.0f}"


def first_paints() -> Mapping[str, int]:
    """Bytes of the files that each page loads at once; only the first page begins with a lab."""
    found = {}
    for name, opened in _opened(PAGES):
        loaded: set[str] = set()
        opened.on("request", lambda request, loaded=loaded: loaded.add(request.url))
        opened.reload()
        files = {Path(unquote(urlsplit(url).path)) for url in loaded if url.startswith("file:")}
        own = [path for path in files if path.parent.name != "labs" or name == PAGES[0]]
        found[name] = sum(path.stat().st_size for path in own)
    return found


def moves() -> Iterator[str]:
    """Each slider of some labs, there and back, in Chromium without a graphics card."""
    yield "| a slider of a lab is moved | moves | median (ms) | 95 % | slowest |"
    yield "|---|--:|--:|--:|--:|"
    for name, opened in _opened([f"labs/{lab}.html" for lab in LABS]):
        sliders = opened.get_by_role("slider")
        sliders.first.wait_for()
        opened.evaluate(WATCH)
        for number in range(sliders.count()):
            sliders.nth(number).focus()
            for key in ["ArrowRight"] * STEPS + ["ArrowLeft"] * STEPS:
                opened.keyboard.press(key)
                opened.wait_for_timeout(PAUSE)
        title = Path(name).stem
        for what, times in zip(("key to frame", "of that, work"), _times(opened), strict=True):
            late = statistics.quantiles(times, n=20)[-1]
            yield (
                f"| {title}, {what} | {len(times)} | {statistics.median(times):.1f} "
                f"| {late:.1f} | {max(times):.1f} |"
            )


def _times(opened: Page) -> tuple[list[float], list[float]]:
    found = opened.evaluate("moves")
    return [total for total, _ in found], [work for _, work in found]


def _opened(names: Iterator[str] | tuple[str, ...] | list[str]) -> Iterator[tuple[str, Page]]:
    """Each page in a browser that is cut off from every network."""
    chromium = needed("chromium", "chromium-browser", "chrome", package="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name in names:
            opened = browser.new_page(viewport={"width": 1280, "height": 900}, offline=True)
            opened.goto((SITE / name).as_uri())
            yield name, opened
            opened.close()
        browser.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
