"""A learner without a browser: starts a server and a kernel, and speaks as a page does."""

from __future__ import annotations

import asyncio
import json
import struct
import time
import uuid
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from benchmarks.classroom.hub import TOKEN

PATIENCE = 600.0
"""Seconds that anything may take for which a learner waits."""
CONFLICT = 409
MOST_BYTES = 2**28
"""Of a message: a lesson's pictures."""

AsyncHTTPClient.configure(None, max_clients=1000)  # at the same time; by itself 10


class CellFailedError(Exception):
    """A cell has raised; the text says what."""


class Headless:
    """A user of the hub, and a kernel on their server.

    Args:
        address: of the hub.
        name: of the user.

    Attributes:
        states: of every widget, by its comm's id, as a page would have them.
    """

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self.states: dict[str, dict[str, Any]] = {}
        self._address = address
        self._socket: WebSocketClientConnection | None = None
        self._session = uuid.uuid4().hex

    async def start(self) -> float:
        """Start the server and a kernel; returns the seconds that it took."""
        begun = time.monotonic()
        await self.start_server()
        await self.start_kernel()
        return time.monotonic() - begun

    async def start_server(self) -> None:
        """Start the server, and wait for it as the hub's page does.

        Raises:
            ConnectionError: it does not start.
        """
        user = f"hub/api/users/{self.name}"
        await self._ask("POST", user, {})
        await self._ask("POST", f"{user}/server", {})
        told = (await self._ask("GET", f"{user}/server/progress")).decode()
        last = json.loads(told.rpartition("data:")[2])  # of its events
        if not last.get("ready"):
            raise ConnectionError(f"{self.name}: {last['message']}")

    async def start_kernel(self, notebook: str = "") -> None:
        """Start a kernel, where a notebook lies, and wait until it answers."""
        asked = {"name": "python3", "path": notebook}
        kernel = json.loads(await self.ask_server("POST", "api/kernels", asked))
        home = f"{self._address}/user/{self.name}/api/kernels"
        channels = f"{home}/{kernel['id']}/channels".replace("http", "ws", 1)
        request = HTTPRequest(channels, headers=self._headers(), request_timeout=PATIENCE)
        self._socket = await websocket_connect(request, max_message_size=MOST_BYTES)
        await self.run("")

    async def ask_server(self, method: str, path: str, body: object = None) -> bytes:
        """The learner's server's answer to a request."""
        return await self._ask(method, f"user/{self.name}/{path}", body)

    async def run(self, code: str) -> str:
        """Run code, and return what it prints.

        Raises:
            CellFailedError: it raises.
        """
        asked = await self._send("execute_request", {"code": code, "stop_on_error": False})
        printed, failed, answered, idle = "", "", False, False
        while not (answered and idle):
            message = await self.hear()
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            answered |= kind == "execute_reply"
            idle |= kind == "status" and content["execution_state"] == "idle"
            if kind == "error":
                failed = f"{self.name}: {content['ename']}: {content['evalue']}"
            printed += content["text"] if kind == "stream" and content["name"] == "stdout" else ""
        if failed:
            raise CellFailedError(failed)
        return printed

    async def tell(self, comm: str, data: dict[str, Any]) -> None:
        """Tell a widget something, as its page does."""
        await self._send("comm_msg", {"comm_id": comm, "data": data})

    def widgets(self, *names: str) -> list[str]:
        """The widgets whose states have these names, in the order in which they came."""
        return [comm for comm, state in self.states.items() if set(names) <= state.keys()]

    async def hear(self) -> dict[str, Any]:
        """The next message of the kernel; what it says of a widget is in `states` then."""
        assert self._socket is not None
        said = await asyncio.wait_for(self._socket.read_message(), PATIENCE)
        message = _parsed(said)
        content = message["content"]
        if message["header"]["msg_type"] in ("comm_open", "comm_msg"):
            told = content["data"].get("state", {}) if isinstance(content["data"], dict) else {}
            self.states.setdefault(content["comm_id"], {}).update(told)
        return message

    def close(self) -> None:
        """Close the connection to the kernel."""
        if self._socket:
            self._socket.close()

    async def _send(self, kind: str, content: dict[str, Any]) -> str:
        assert self._socket is not None
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self._session,
            "username": self.name,
            "version": "5.3",
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self._socket.write_message(json.dumps({**message, "channel": "shell"}))
        return header["msg_id"]

    async def _ask(self, method: str, path: str, body: object = None) -> bytes:
        answer = await AsyncHTTPClient().fetch(
            f"{self._address}/{path}",
            method=method,
            headers=self._headers(),
            body=None if body is None else json.dumps(body),
            request_timeout=PATIENCE,
            raise_error=False,
        )
        if answer.code != CONFLICT:  # a user whom the hub knows already
            answer.rethrow()
        return answer.body

    @staticmethod
    def _headers() -> dict[str, str]:
        return {"Authorization": f"token {TOKEN}"}


def _parsed(said: str | bytes | None) -> dict[str, Any]:
    """A message; one with pictures begins with their number and where each part begins."""
    if said is None:
        raise ConnectionError("the kernel's connection has ended")
    if isinstance(said, bytes):
        (count,) = struct.unpack_from("!i", said)
        begin, end = (*struct.unpack_from(f"!{count}i", said, 4), len(said))[:2]
        said = said[begin:end].decode()
    message: dict[str, Any] = json.loads(said)
    return message
