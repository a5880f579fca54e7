"""Real servers and a real client: uvicorn on a free port of this machine, and HTTP/1.1 over a socket of its own.

``serving`` runs uvicorn on the test's own loop, so that a test may hold an application back with an
``asyncio.Event`` while real sockets carry the bytes. ``serving_process`` runs it as a program, the way people do.
Nothing here waits for time to pass: everything waits for a condition, with a deadline.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn

from tests.responses import Fields
from tests.waiting import DEADLINE_SECONDS, eventually

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[1]

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer(Fields):
    """A whole response. Header names are in lower case, lines in their order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def pairs(self) -> Iterator[tuple[str, str]]:
        return iter(self.headers)


class Connection:
    """One connection of a client: a request at a time, its response read piece by piece."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str) -> None:
        self._reader = reader
        self._writer = writer
        self.authority = authority
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)

    async def send(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> None:
        """Sends a whole request."""
        if self._protocol.our_state is h11.DONE:
            self._protocol.start_next_cycle()
        lines = [("Host", self.authority), *headers]
        if body:
            lines.append(("Content-Length", str(len(body))))
        events: list[h11.Event] = [h11.Request(method=method, target=target, headers=lines)]
        if body:
            events.append(h11.Data(data=body))
        for event in [*events, h11.EndOfMessage()]:
            self._writer.write(self._protocol.send(event) or b"")
        await self._writer.drain()

    async def _event(self) -> Any:
        while True:
            event = self._protocol.next_event()
            if event is not h11.NEED_DATA:
                return event
            received = await asyncio.wait_for(self._reader.read(65536), DEADLINE_SECONDS)
            self._protocol.receive_data(received)

    async def head(self) -> Answer:
        """The response's head, as soon as it is there."""
        event = await self._event()
        assert isinstance(event, h11.Response), event
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
        return Answer(event.status_code, lines, b"")

    async def chunk(self) -> bytes | None:
        """The next bytes of the body, ``None`` at its end. A body cut short raises ``h11.RemoteProtocolError``."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        assert isinstance(event, h11.EndOfMessage), event
        return None

    async def answer(self) -> Answer:
        """The whole response."""
        head = await self.head()
        parts: list[bytes] = []
        while (part := await self.chunk()) is not None:
            parts.append(part)
        return Answer(head.status, head.headers, b"".join(parts))

    def abort(self) -> None:
        """Leaves at once, as a client does whose program ended."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Closes the connection, if it is still open."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return


@dataclass(frozen=True)
class Server:
    """A server that accepts connections."""

    port: int

    @property
    def authority(self) -> str:
        return f"{HOST}:{self.port}"

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of its own."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        connection = Connection(reader, writer, self.authority)
        try:
            yield connection
        finally:
            await connection.close()

    async def request(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Answer:
        """One request on a connection of its own."""
        async with self.connection() as connection:
            await connection.send(method, target, headers, body)
            return await connection.answer()

    async def get(self, target: str, headers: Headers = ()) -> Answer:
        return await self.request("GET", target, headers)

    async def crowd(self, count: int, target: str, headers: Headers = ()) -> list[Answer]:
        """Many requests at once."""
        return list(await asyncio.gather(*(self.get(target, headers) for _ in range(count))))


@asynccontextmanager
async def serving(app: Any, *, port: int = 0, **options: Any) -> AsyncIterator[Server]:
    """A uvicorn with ``app`` on the running loop, from ready to ended. ``options`` are those of ``uvicorn.Config``.

    ``port``: where an earlier one was, to be what its clients find again.
    """
    defaults = {"http": "h11", "ws": "none", "log_config": None, "access_log": False, "timeout_graceful_shutdown": 5}
    # asyncio sends without delay only where the protocol is named.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        server = uvicorn.Server(uvicorn.Config(app, backlog=2048, **(defaults | options)))
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
        try:
            await eventually(lambda: server.started or task.done(), "the server is ready")
            if task.done():
                task.result()
            yield Server(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await asyncio.wait_for(task, DEADLINE_SECONDS)


@asynccontextmanager
async def serving_process(
    app: str, environment: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> AsyncIterator[Server]:
    """A uvicorn with ``app`` (``module:name``) as a process of its own, ended by its id."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--host", HOST, "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen([*command, *options], env=os.environ | dict(environment or {}), cwd=ROOT)  # noqa: ASYNC220
    try:
        await _accepting(process, port)
        yield Server(port)
    finally:
        process.terminate()
        await eventually(lambda: process.poll() is not None, "the server has ended")


async def _accepting(process: "subprocess.Popen[bytes]", port: int) -> None:
    async def accepts() -> bool:
        assert process.poll() is None, f"the server ended with status {process.returncode} before it was ready"
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    await eventually(accepts, "the server is ready")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
