"""A load generator: keep-alive connections, each with one request in flight, over a list of targets.

It reads no more of a response than it must (`Content-Length`), so that one core of it outruns one core of the server.
Every response must be complete, 200 and as long as it should be; anything else ends the run with an error rather than
with a figure.
"""

import asyncio
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import cast

# How long after the deadline the last responses may take before the run is given up.
GRACE_SECONDS = 10.0

FIELDS = {"Host": "bench", "Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "bench"}
"""What every request carries. Who wants the same variant of a stored response sends the same."""


@dataclass(frozen=True)
class Load:
    """What one round measured."""

    requests: int
    seconds: float
    p50_microseconds: float
    cpu_share: float
    """How much of a core the generator itself used. Near 1, it is the generator that was measured."""

    @property
    def requests_per_second(self) -> float:
        """The rate."""
        return self.requests / self.seconds


class Connection(asyncio.Protocol):
    """One connection that asks again as soon as it has been answered, until `deadline` on the loop's clock."""

    def __init__(
        self, requests: Iterable[bytes], deadline: float, seconds: list[float], *, length: int | None = None
    ) -> None:
        self._requests = cycle(requests)
        self._length = length
        self._deadline = deadline
        self._seconds = seconds
        self._received = bytearray()
        self._asked = 0.0
        self._expected = -1
        self._transport: asyncio.WriteTransport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's has the methods, not the base class
        self._ask(self._transport)

    def data_received(self, data: bytes) -> None:
        """Collect one response; then ask again or stop."""
        self._received += data
        if self._expected < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            try:
                self._expected = end + 4 + self._content_length(bytes(self._received[:end]).lower())
            except ValueError as error:
                self._fail(error)
        if len(self._received) < self._expected or self._transport is None or self.done.done():
            return
        if len(self._received) > self._expected:
            self._fail(ValueError("more was sent than Content-Length says"))
            return
        now = time.perf_counter()
        self._seconds.append(now - self._asked)
        if now < self._deadline:
            self._ask(self._transport)
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End: as planned after the deadline, with an error before it."""
        if self.done.done():
            return
        if error is not None or time.perf_counter() < self._deadline:
            self.done.set_exception(error or ConnectionError("the server closed a connection during the run"))
        else:
            self.done.set_result(None)

    def _ask(self, transport: asyncio.WriteTransport) -> None:
        self._received.clear()
        self._expected = -1
        self._asked = time.perf_counter()
        transport.write(next(self._requests))

    def _content_length(self, head: bytes) -> int:
        if not head.startswith(b"http/1.1 200 "):
            raise ValueError(f"not a 200: {head!r}")
        _, found, rest = head.partition(b"\r\ncontent-length:")
        length = int(rest.partition(b"\r\n")[0]) if found else -1
        if length < 0 or (self._length is not None and length != self._length):
            raise ValueError(f"not a Content-Length of {self._length}: {head!r}")
        return length

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        self.abort()

    def abort(self) -> None:
        """End at once, if it has not ended."""
        if self._transport is not None:
            self._transport.abort()


async def run(
    port: int, targets: Sequence[str], connections: int, seconds: float, *, length: int | None = None
) -> Load:
    """Load the server on `127.0.0.1:port` for a time.

    `length` is what each response's `Content-Length` must say. Raises `ValueError` for a response that is not as it
    should be, `ConnectionError` if the server hangs up, `TimeoutError` if it is stuck.
    """
    fields = "".join(f"{name}: {value}\r\n" for name, value in FIELDS.items())
    requests = [f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode() for target in targets]
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    started, cpu = time.perf_counter(), time.process_time()
    deadline = started + seconds
    opened: list[Connection] = []
    try:
        for number in range(connections):
            # Each begins elsewhere in the list, so that they do not ask for one target all at once.
            offset = number * len(requests) // connections
            connection = Connection(requests[offset:] + requests[:offset], deadline, latencies, length=length)
            await loop.create_connection(lambda made=connection: made, "127.0.0.1", port)  # type: ignore[misc]
            opened.append(connection)
        await asyncio.wait_for(asyncio.gather(*(one.done for one in opened)), seconds + GRACE_SECONDS)
    finally:
        for one in opened:
            one.abort()
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Load(len(latencies), took, statistics.median(latencies) * 1e6, cpu / took)
