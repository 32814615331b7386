"""A real `gradwidgets class` for tests, and learners who speak HTTP to it as anybody could."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from front_ends.ports import free_port

ROOM, LECTURER = "tulips", "the-lecturer-s-own"


class Service(NamedTuple):
    """Where it is, and the file that it keeps."""

    address: str
    file: Path

    def ask(
        self, method: str, path: str, body: object = None, token: str = ROOM, learner: str = "ada"
    ) -> tuple[int, Any]:
        """Status and content of an answer."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=30)
        headers = {"Authorization": f"token {token}", "X-Learner": f"{learner:-<16}"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
        connection.request(method, f"/{path}", data, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        kind = answer.headers.get("Content-Type", "")
        return answer.status, json.loads(said) if "json" in kind else said.decode()

    def lecturer(self, method: str, path: str, body: object = None) -> Any:
        """What the lecturer is answered."""
        status, said = self.ask(method, path, body, LECTURER)
        assert status == 200, said
        return said


@contextmanager
def running(folder: Path, port: int = 0, *options: str) -> Iterator[Service]:
    """The service in a process of its own."""
    port = port or free_port()
    words = {"GRADWIDGETS_CLASS_WORD": ROOM, "GRADWIDGETS_CLASS_LECTURER_WORD": LECTURER}
    command = [sys.executable, "-m", "gradwidgets_notebooks", "class", f"--port={port}", *options]
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **words}, stdout=log, stderr=log
        )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            time.sleep(0.1)
        yield Service(f"http://127.0.0.1:{port}/", folder / "gradwidgets-class.sqlite")
    finally:
        process.terminate()
        process.wait(timeout=30)
