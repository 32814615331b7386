"""Every test here drives a real Chromium."""

import pytest

from front_ends.fixtures import chromium, front_end, opened, server  # noqa: F401, fixtures


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser" in str(item.fspath):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module", params=[False, True], ids=["lab", "notebook7"])
def notebook(chromium, server, request):  # noqa: F811, fixtures
    """A notebook of one cell, in JupyterLab and in Notebook 7, open for all tests of a file."""
    with opened(chromium, *server) as desk:
        desk.show("", notebook7=request.param)
        yield desk
        desk.page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
