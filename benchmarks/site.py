"""What the site costs: to build, to load, to paint, and from a key press to the next frame.

`python -m benchmarks.site` builds it twice, from nothing and again; with `pages`, it measures the
one in build/site as it is.
"""

from __future__ import annotations

import gzip
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import page
from front_ends.fixtures import FLAGS, needed

ROOT = Path(__file__).parents[1]
SITE, WORK = ROOT / "build" / "site", ROOT / "build" / "site-work"
PAGES = ("index.html", "lessons/00_start_here.html", "fact_check.html")
CODES = ("checkup/no-step.html",)
LABS = ("00_start_here-first-lab", "00_start_here-digits-lab", "13_schedules-lab")
STEPS = 20
"""Presses of each slider there, and as many back."""
PAUSE = 40
"""Milliseconds between two presses: more than two frames."""

PHONE = {"viewport": {"width": 412, "height": 823}, "is_mobile": True, "has_touch": True}
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 204_800, "uploadThroughput": 96_000}
"""Milliseconds, and bytes a second: what Lighthouse takes for a phone on a slow 4G network."""
SLOWER = 4
"""How many times as long the phone's processor takes as this one, by Lighthouse, too."""
LOADS = 3
PAINTED = """() => new Promise((found) => {
  const look = () => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    if (paint) found(paint.startTime);
    else setTimeout(look, 50);
  };
  look();
})"""

OTHERS = """\
(TensorFlow Playground, the best known page of this kind, trains in the page. Its documentation
names neither a size nor a frame time, and its files were not at hand where this was measured.)"""

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
    lines = [*sizes(), "", *paints(), "", *moves(), "", OTHERS]
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


def paints() -> Iterator[str]:
    """First paints by Chromium's own throttling, of files that a web server packs."""
    yield "| first paint on a slow phone | median (ms) | fastest | slowest | kB, packed |"
    yield "|---|--:|--:|--:|--:|"
    lessons = sorted(f"lessons/{path.name}" for path in (SITE / "lessons").glob("[0-9]*.html"))
    with _served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        for name in [PAGES[0], *lessons, *PAGES[2:], *CODES]:
            loads = [_first_paint(browser, f"{address}/{name}") for _ in range(LOADS)]
            times = [time for time, _ in loads]
            figures = [statistics.median(times), min(times), max(times), loads[-1][1]]
            yield f"| {name} | {' | '.join(f'{figure:.0f}' for figure in figures)} |"


def _first_paint(browser: Browser, address: str) -> tuple[float, float]:
    """Milliseconds to a page's first paint, and the kB that it has loaded then or soon after."""
    context = browser.new_context(**PHONE)
    opened = context.new_page()
    tools = context.new_cdp_session(opened)
    sizes: list[float] = []
    tools.on("Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"]))
    tools.send("Network.enable")
    tools.send("Network.emulateNetworkConditions", SLOW)
    tools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    opened.goto(address)
    found = opened.evaluate(PAINTED)
    context.close()
    return found, sum(sizes) / 1000


class _Packed(SimpleHTTPRequestHandler):
    """Sends the site's files packed by gzip, as web servers do."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        body = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _served() -> Iterator[str]:
    """The address of the site on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Packed, directory=str(SITE))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        for name in names:
            opened = browser.new_page(viewport={"width": 1280, "height": 900}, offline=True)
            opened.goto((SITE / name).as_uri())
            yield name, opened
            opened.close()
        browser.close()


def _chromium() -> str:
    return needed("chromium", "chromium-browser", "chrome", package="chromium")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
