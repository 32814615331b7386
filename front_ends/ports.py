"""Ports for servers that are about to start."""

import random
import socket


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Several ones, which differ.

    They lie below those that the system gives to whoever binds to port 0 or connects, such as
    another kernel or a browser: one of these may be taken before the server listens there.
    """
    draw, found = random.SystemRandom(), list[int]()
    while len(found) < count:
        port = draw.randrange(20_000, 32_000)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
