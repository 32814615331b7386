import pytest

from gradwidgets.lessons import classroom, progress
from tests.classroom.service import ROOM, running


@pytest.fixture
def service(tmp_path):
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def told(monkeypatch, tmp_path):
    """A learner who has told no class anything yet."""
    monkeypatch.setattr(progress, "_told", {})
    monkeypatch.setattr(classroom, "SENDER", classroom.Sender())
    monkeypatch.setenv("GRADWIDGETS_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)


@pytest.fixture
def learner(service, told, monkeypatch):  # noqa: ARG001, it is clean
    """Gives this process the address and the room's word."""
    monkeypatch.setenv("GRADWIDGETS_CLASS", service.address)
    monkeypatch.setenv("GRADWIDGETS_CLASS_TOKEN", ROOM)
    return service
