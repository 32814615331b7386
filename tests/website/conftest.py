"""The site that the tests look at: a few pages of each kind, or the whole of it."""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib as mpl
import pytest

from front_ends.fixtures import chromium  # noqa: F401, a fixture
from website.__main__ import SAMPLE
from website.build import build
from website.live import ROOT

WHOLE = os.environ.get("GRADWIDGETS_SITE") == "whole"
ADDRESSES = {
    "SITE_ADDRESS": "https://course.example/gradwidgets",
    "SITE_REPOSITORY": "https://github.com/someone/gradwidgets",
    "SITE_HUB": "https://hub.example",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests without a browser first: its event loop goes on, and widgets would put off work."""
    items.sort(key=lambda item: "chromium" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site, with all addresses given."""
    mpl.use("agg")
    with pytest.MonkeyPatch.context() as patch:
        for name, address in ADDRESSES.items():
            patch.setenv(name, address)
        folder = tmp_path_factory.mktemp("site") / "site"
        return build(folder, ROOT / "build" / "site-work", None if WHOLE else SAMPLE)


@pytest.fixture(scope="session")
def pages(site: Path) -> list[str]:
    """All pages but the files of labs, by their address in the site."""
    found = [path.relative_to(site).as_posix() for path in site.rglob("*.html")]
    return sorted(name for name in found if not name.startswith("labs/"))


@pytest.fixture
def opened(chromium, site):  # noqa: F811, the fixture above
    """Opens pages; fails on requests but for files, and on what is logged as an error."""
    contexts, requests, errors = [], [], []

    def open_page(name, width=1280, scheme="light", script=None):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        context.set_offline(True)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        if script:
            page.add_init_script(script)  # the theme's own scripts may then fail
        else:
            page.on("pageerror", lambda error: errors.append(f"{name}: {error}"))
            page.on(
                "console",
                lambda said: said.type == "error" and errors.append(f"{name}: {said.text}"),
            )
        page.goto((site / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
