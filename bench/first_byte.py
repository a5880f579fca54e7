"""How long a client waits for the first byte of a streamed body, whose rest comes only when it has it."""

import http.client
import socket
import time
from collections.abc import Iterator

EXCLUDED = "/admin"
"""Below this path no cache answers."""
PART = b"x" * 1024
"""What the handler sends first and, when it is told to go on, once more."""
SECONDS = 20.0
"""How long anything may take before the run is given up."""


class Streams:
    """One connection that asks for one stream after another, and one on which the handler is told to go on.

    `numbers` are those of the streams; each is asked for once.
    """

    def __init__(self, port: int, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._asking = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._telling = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)

    def ask(self) -> float:
        """One stream that nobody has asked for before; the seconds until its first byte."""
        number = next(self._numbers)
        request = f"GET /streams/{number} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n".encode()
        begin = time.perf_counter()
        self._asking.sendall(request)
        received = b""
        # The head of a chunk may come before its content.
        while PART[:1] not in received.partition(b"\r\n\r\n")[2].partition(b"\r\n")[2]:
            received += self._more()
        took = time.perf_counter() - begin
        if not received.startswith(b"HTTP/1.1 200 ") or b"\r\ntransfer-encoding: chunked\r\n" not in received.lower():
            raise ValueError(f"not a stream: {received[:200]!r}")
        self._telling.request("GET", f"{EXCLUDED}/go-on/{number}")
        self._telling.getresponse().read()
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += self._more()
        if received.count(PART) != 2:
            raise ValueError("a stream did not have its two parts")
        return took

    def _more(self) -> bytes:
        more = self._asking.recv(65_536)
        if not more:
            raise ConnectionError("the server closed a connection in the middle of a stream")
        return more

    def close(self) -> None:
        """End both connections."""
        self._asking.close()
        self._telling.close()
