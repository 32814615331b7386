"""One learner in a browser: signs in, runs the lesson, moves a slider."""

from __future__ import annotations

import random
import time

from playwright.async_api import Page, Playwright

from benchmarks.classroom.hub import chromium
from benchmarks.classroom.shown import sentences
from front_ends.fixtures import FLAGS

MINUTES = 4
"""How long anything may take for which a learner waits."""
MOVES = 20
THINK = (1.0, 3.0)
"""Seconds between an answer and the next press of a key, drawn for each."""

SLIDER = ".gradwidgets-slider input"
READY = """
async () => {
  const context = jupyterapp.shell.currentWidget.sessionContext;
  await context.ready;
  await context.session.kernel.info;
}
"""
RUN = """
async () => {
  await jupyterapp.commands.execute('notebook:run-all-cells');
  const outputs = jupyterapp.shell.currentWidget.content.model.toJSON().cells.flatMap(
    (cell) => cell.outputs ?? []);
  return outputs.filter((each) => each.output_type === 'error').map((each) => each.evalue);
}
"""
ARM = """
([slider, sentences]) => {
  const input = document.querySelector(slider);
  const img = document.querySelector('.gradwidgets-screen img');
  const said = document.querySelector('.gradwidgets-screen [role=status]');
  const now = () => performance.now() - window.pressed;
  window.answered = {};
  img.onload = () => requestAnimationFrame(() => { answered.picture ??= now(); });
  const right = () => said.textContent === sentences[input.getAttribute('aria-valuetext')];
  input.addEventListener('keydown', () => { window.pressed = performance.now(); },
    {once: true, capture: true});
  const watch = new MutationObserver(() => {
    if (!right()) return;
    answered.sentence = now();
    watch.disconnect();
  });
  watch.observe(said, {subtree: true, childList: true, characterData: true});
}
"""
DONE = "() => answered.picture !== undefined && answered.sentence !== undefined"


class Learner:
    """A person at a page of their own.

    Args:
        page: a browser page that nobody else uses.
        name: what they sign in as; their moves depend on it.
        sentences: what must stand under the lab, by the text of the slider.
    """

    def __init__(self, page: Page, name: str, sentences: dict[str, str]) -> None:
        self.name = name
        self._page = page
        self._sentences = sentences
        self._draw = random.Random(name)
        self.pictures: list[float] = []
        self.answers: list[float] = []

    async def sign_in(self, link: str) -> float:
        """Follow the link to the lesson and its kernel; returns the seconds that it took."""
        begun = time.monotonic()
        page = self._page
        await page.goto(link)
        await page.get_by_label("Username:").fill(self.name)
        await page.get_by_label("Password:").fill("any")
        await page.get_by_role("button", name="Sign in").click()
        await page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        await page.evaluate(READY)
        return time.monotonic() - begun

    async def run(self) -> float:
        """Run the whole lesson; returns the seconds that it took.

        Raises:
            AssertionError: a cell failed.
        """
        begun = time.monotonic()
        errors = await self._page.evaluate(RUN)
        assert not errors, f"{self.name} is shown {errors}"
        await self._page.locator(SLIDER).first.wait_for()
        return time.monotonic() - begun

    async def move(self) -> None:
        """Move the first slider, one stop at a time, and wait for the right sentence each time."""
        slider = self._page.locator(SLIDER).first
        await slider.scroll_into_view_if_needed()
        await slider.focus()
        for _ in range(MOVES):
            await self._page.wait_for_timeout(1000 * self._draw.uniform(*THINK))
            await self._page.evaluate(ARM, [SLIDER, self._sentences])
            await self._page.keyboard.press(self._draw.choice(["ArrowLeft", "ArrowRight"]))
            await self._page.wait_for_function(DONE)
            answered = await self._page.evaluate("answered")
            self.pictures.append(answered["picture"] / 1000)
            self.answers.append(answered["sentence"] / 1000)


async def seat(playwright: Playwright, count: int) -> list[Learner]:
    """So many learners, each with a browser profile of their own."""
    browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
    known, learners = sentences(), []
    for number in range(1, count + 1):
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(MINUTES * 60_000)
        learners.append(Learner(await context.new_page(), f"learner{number}", known))
    return learners
