"""A client that speaks RESP2, our own and small: what the library says is checked with code it shares nothing with."""

import socket
from typing import BinaryIO, TypeAlias

from tests.started import Started

HOST = "127.0.0.1"
SECONDS = 30.0
"""How long a server may take to answer."""

Argument: TypeAlias = str | bytes | int | float


class ErrorReply(Exception):  # noqa: N818 - the protocol's word; the error is in what was asked
    """The server answered with an error: its words, code first (``MOVED 3999 127.0.0.1:6381``)."""


class Connection(Started):
    """One connection that speaks RESP2: text in, Python objects out.

    Strings come back as ``str`` (bytes that are no UTF-8 as surrogate escapes), integers as ``int``, arrays as
    ``list``, nothing as ``None``; an error is raised as :class:`ErrorReply`, or stands in its place inside an array.
    """

    def __init__(self, port: int, password: str | None = None, seconds: float = SECONDS) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream: BinaryIO = self._socket.makefile("rb")
        if password is not None:
            try:
                self.command("AUTH", password)
            except BaseException:
                self.close()
                raise

    def command(self, *arguments: Argument) -> object:
        """What the server answers to one command. ``TimeoutError``: it does not; ``ConnectionError``: it left."""
        parts = [part if isinstance(part, bytes) else str(part).encode() for part in arguments]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._socket.sendall(request)
        reply = self._reply()
        if isinstance(reply, ErrorReply):
            raise reply
        return reply

    def _reply(self) -> object:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ErrorReply(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._exactly(size + 2)[:-2].decode(errors="surrogateescape")
        if kind == b"*":
            count = int(rest)
            return None if count < 0 else [self._reply() for _ in range(count)]
        raise ConnectionError(f"no RESP2 reply begins with {line[:20]!r}")

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise ConnectionError("the server closed the connection")
        return data

    def close(self) -> None:
        """Ends the connection."""
        self._stream.close()
        self._socket.close()
