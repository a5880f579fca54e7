"""Many requests at the same moment, on connections that are open already."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

FIELDS = "Host: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nUser-Agent: bench\r\n\r\n"
OPENING = "/products/1"
"""What each connection has an answer for before the burst, so that the server has accepted it."""
OPENED_AT_ONCE = 10
"""Few, because some servers answer a crowd with errors, and close their connections."""
SECONDS = 60.0
"""A request that has no answer by then has failed."""


@dataclass(frozen=True)
class Burst:
    """What came of one burst."""

    seconds: float
    """From the first byte sent until every request had its answer, or had failed."""
    failures: Counter[str]
    """Requests without the right answer, by what came instead."""

    @property
    def failed(self) -> int:
        """How many requests did not get the right answer."""
        return self.failures.total()


class Connection(asyncio.Protocol):
    """One connection with one request at a time, whose answers are framed by `Content-Length` or in chunks."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to ask."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the base class

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        """Sends a request; gives its status and content, or an error when the connection ends first."""
        self._received.clear()
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._answer.set_exception(ConnectionError("closed before the request"))
        else:
            self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Collect one response."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._answer is None or self._answer.done():
            return
        head, content = bytes(self._received[:end]).lower() + b"\r\n", bytes(self._received[end + 4 :])
        _, found, rest = head.partition(b"\r\ncontent-length:")
        length = int(rest.partition(b"\r\n")[0]) if found else None
        if content.endswith(b"0\r\n\r\n") if length is None else len(content) >= length:
            self._answer.set_result((int(head.split()[1]), content))

    def connection_lost(self, error: Exception | None) -> None:
        """The request under way has no answer."""
        self._lost.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("closed before the answer"))

    async def close(self) -> None:
        """End it; a request under way is cancelled."""
        if self._answer is not None:
            self._answer.cancel()
        if self._transport is not None:
            self._transport.abort()
            await self._lost.wait()


async def burst(ports: Sequence[int], target: str, connections: int, expected: bytes) -> Burst:
    """Asks for one target on all connections at once, which are spread evenly over the ports.

    A right answer has status 200 and `expected` in its content. Raises when a connection does not get its first answer.
    """
    loop = asyncio.get_running_loop()
    request = f"GET {target} HTTP/1.1\r\n{FIELDS}".encode()
    opened: list[Connection] = []
    try:
        opening = f"GET {OPENING} HTTP/1.1\r\n{FIELDS}".encode()
        while len(opened) < connections:
            some = range(len(opened), min(connections, len(opened) + OPENED_AT_ONCE))
            made = [loop.create_connection(Connection, "127.0.0.1", ports[number % len(ports)]) for number in some]
            fresh = [connection for _, connection in await asyncio.gather(*made)]
            opened += fresh
            answers = await asyncio.wait_for(asyncio.gather(*(one.ask(opening) for one in fresh)), SECONDS)
            if any(status != 200 for status, _ in answers):
                raise ConnectionError(f"{OPENING} was answered with {answers}")
        began = time.perf_counter()
        asked = [one.ask(request) for one in opened]
        await asyncio.wait(asked, timeout=SECONDS)
        took = time.perf_counter() - began
    finally:
        await asyncio.gather(*(one.close() for one in opened))
    failures = Counter(filter(None, (_failure(answer, expected) for answer in asked)))
    return Burst(took, failures)


def _failure(answer: "asyncio.Future[tuple[int, bytes]]", expected: bytes) -> str:
    """What came instead of the right answer; nothing for that."""
    if answer.cancelled():
        return "no answer"
    error = answer.exception()
    if error is not None:
        return f"{type(error).__name__}: {error}"
    status, content = answer.result()
    if status != 200:
        return f"status {status}"
    return "" if expected in content else "another content"
