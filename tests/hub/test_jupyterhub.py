"""A class on a real JupyterHub, set up as hub/ advises: `make test-hub`, which brings its proxy."""

import asyncio
import json
import os
import stat
import urllib.error
import urllib.request

import pytest

pytest.importorskip("jupyterhub", reason="`make test-hub` installs JupyterHub")

from benchmarks.classroom.headless import CellFailedError, Headless
from benchmarks.classroom.hub import PROXY, running_hub
from benchmarks.classroom.large import MOVES, hold

pytestmark = pytest.mark.skipif(not PROXY.exists(), reason="`make test-hub` installs the proxy")

QUESTION = """
from gradwidgets import Predict
from gradwidgets.lessons import classroom
question = Predict("Is `2 + 2` more than 3?", ["yes", "no"], lambda: "yes", {more})
"""
ANSWER = """
print(question.class_line)
question.commit("{choice}")
classroom.SENDER.wait()
print(classroom.kept()["answers"])
"""
ASK = """
import asyncio
question._press_class()
for _ in range(300):
    await asyncio.sleep(0.1)
    if sum(question.class_votes) == 2:
        break
print(question.class_votes, question.class_line)
"""


def status(address, token, method="GET"):
    """What the class answers to somebody who has only a token, or none."""
    headers = {"Authorization": f"token {token}"} if token else {}
    request = urllib.request.Request(address, headers=headers, method=method)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as refused:
        return refused.code


async def hold_class(address):
    ada, bob, lecturer = people = [Headless(address, each) for each in ("ada", "bob", "lecturer")]
    said = {}
    for one in people:
        await one.start()
    try:
        for one, choice in ((ada, "yes"), (bob, "no")):
            await one.run(QUESTION.format(more='key="sums.more"'))
            said[one.name] = await one.run(ANSWER.format(choice=choice))
        await lecturer.run(QUESTION.format(more='key="sums.more", tally=True'))
        said["votes"] = await lecturer.run(ASK)
        said["class"] = await lecturer.run("print(classroom.members())")
        with pytest.raises(CellFailedError, match="only the lecturer may do that"):
            await ada.run("classroom.members()")
        await ada.run("classroom.delete()")
        said["without ada"] = await lecturer.run("print(len(classroom.members()))")
        said["place"] = await ada.run("import os; print(classroom.address())")
        said["token"] = await ada.run("print(os.environ['JUPYTERHUB_API_TOKEN'])")
    finally:
        for one in people:
            one.close()
    return said


def test_two_users_answer_and_the_lecturer_sees_it(tmp_path):
    with running_hub(tmp_path) as address:
        said = asyncio.run(hold_class(address))
        place, token = said["place"].strip(), said["token"].strip()
        assert status(f"{place}api/me", token) == 200
        assert status(f"{place}api/class", token) == 403
        assert status(f"{place}api/me", "") == 401
        assert status(f"{place}api/me", "0" * 32) == 401
        through_the_proxy = f"{address}/services/class/api/me"
        assert status(through_the_proxy, token) == 200
        assert status(through_the_proxy, "") == 401
        assert status(f"{address}/services/class/vote", "") == 404  # nobody gave phones a word
    line = "Your choices and solved exercises are sent to the class at 127.0.0.1:"
    assert said["ada"].startswith(line)
    assert said["ada"].endswith("without your name.\n{'sums.more': 'yes'}\n")
    assert said["votes"] == "[1, 1] The class answers.\n"
    members = json.loads(said["class"].replace("'", '"'))
    assert [each["learner"] for each in members] == ["learner 1", "learner 2"]
    assert said["without ada"] == "1\n"
    (file,) = tmp_path.rglob("gradwidgets-class.sqlite")
    kept = b"".join(path.read_bytes() for path in file.parent.glob("gradwidgets-class.sqlite*"))
    assert not [name for name in (b"ada", b"bob") if name in kept]
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) & 0o077 == 0


def test_a_learner_without_a_browser_does_the_lesson(tmp_path):
    with running_hub(tmp_path) as address:
        held = asyncio.run(hold(2, address, whole=True))
    assert len(held.servers.waits) == len(held.lesson.waits) == len(held.first) == 2
    assert len(held.answers) == MOVES  # of one of them
    assert held.lesson.used["kernel"] > held.lesson.used["hub"] > 0
    assert held.lesson.held["kernel"] > held.servers.held["kernel"] == 0
