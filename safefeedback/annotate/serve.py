"""Runs the study's server until it is stopped."""

from __future__ import annotations

import signal
import socket
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from safefeedback.errors import InputError

PORT = 8000


class _Server(uvicorn.Server):
    """Ends at Ctrl-C and SIGTERM without raising them again, and says that it serves when it heeds them: a Ctrl-C that comes
    earlier may be raised where Python drops it, in a destructor or a callback."""

    def __init__(self, config: uvicorn.Config, announcement: str) -> None:
        super().__init__(config)
        self.announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.announcement, flush=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int | None) -> socket.socket:
    """A socket at that address; without a port, at 8000 or else at any free port.

    Raises:
        InputError: if there is none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in [port] if port is not None else [PORT, 0]:
        sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, number))
            sock.listen(128)  # connections wait until the server is up
            return sock
        except (OSError, OverflowError) as error:
            sock.close()
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
    raise InputError(f"--host {host} --port {port or PORT} cannot be used: {reason}; choose another --port")


def serve(app: Starlette, sock: socket.socket, browser: str | None, announcement: str) -> None:
    """Serves until Ctrl-C or SIGTERM, and prints `announcement` once it does; opens `browser`, an address, if given."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # addresses hold tokens
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
        limit_concurrency=200,
        proxy_headers=False,
    )
    server = _Server(config, announcement)
    if browser is not None:
        webbrowser.open(browser)
    server.run(sockets=[sock])
