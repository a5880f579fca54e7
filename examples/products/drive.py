"""What the demo drives the app with: a uvicorn of its own, and timed requests.

Each request has a connection of its own and is read to its end, so that hundreds at once need no pool.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
START_DEADLINE_SECONDS = 20.0
ANSWER_DEADLINE_SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    """A response and how long the client waited for all of it."""

    status: int
    fields: dict[str, str]  # names in lower case
    body: bytes
    seconds: float

    @property
    def cache(self) -> str:
        """The cache's word: HIT, MISS, STALE or BYPASS."""
        return self.fields.get("x-cache", "-")

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Client:
    """Requests to the app on one port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def get(self, target: str, fields: dict[str, str] | None = None) -> Answer:
        """GET a path with its query."""
        return await asyncio.wait_for(self._exchange("GET", target, fields or {}, b""), ANSWER_DEADLINE_SECONDS)

    async def put(self, target: str, value: object) -> Answer:
        """PUT a value as JSON."""
        fields = {"Content-Type": "application/json"}
        return await asyncio.wait_for(
            self._exchange("PUT", target, fields, json.dumps(value).encode()), ANSWER_DEADLINE_SECONDS
        )

    async def _exchange(self, method: str, target: str, fields: dict[str, str], body: bytes) -> Answer:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}:{self._port}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        lines += [f"Content-Length: {len(body)}"] if body else []
        started = time.perf_counter()
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
            received = await reader.read(-1)
        finally:
            writer.close()
        seconds = time.perf_counter() - started
        head, _, content = received.partition(b"\r\n\r\n")
        status_line, *field_lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in field_lines)
        received_fields = {name.lower(): value.strip() for name, _, value in pairs}
        return Answer(int(status_line.split()[1]), received_fields, content, seconds)


@asynccontextmanager
async def serving(app: str, environment: dict[str, str]) -> AsyncIterator[Client]:
    """A uvicorn with the app (`module:name`) on a free port, from ready to ended; gives a client for it."""
    port = free_port()
    options = ["--host", HOST, "--port", str(port), "--log-level", "error", "--backlog", "4096"]
    server = subprocess.Popen(  # noqa: ASYNC220 - once, before there is anything to delay
        [sys.executable, "-m", "uvicorn", app, *options], env=os.environ | environment
    )
    try:
        await ready(server, port)
        yield Client(port)
    finally:
        server.terminate()
        server.wait(timeout=10)


async def ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Return as soon as the server accepts a connection; raise if it ends first or takes too long."""
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with status {server.returncode} before it was ready")
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise TimeoutError(f"the server was not ready after {START_DEADLINE_SECONDS} s")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
