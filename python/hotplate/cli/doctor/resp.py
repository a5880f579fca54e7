"""A connection to Redis or Valkey in a few lines: one command at a time, RESP2 and RESP3, TCP, TLS or a Unix socket.

For questions that the engine never asks: it speaks to the server by a client of its own, which shares nothing with
this one.
"""

import socket
import ssl
from collections.abc import Callable
from typing import Any, BinaryIO

__all__ = ["Answer", "Connection", "Garbled", "Refused"]

Answer = Any
"""``str``, ``int``, ``float``, ``bool``, ``None``, ``list`` or ``dict``; inside of these also ``Refused``."""

MOST_BYTES = 64 * 2**20
"""How long one text may be."""

MOST_ITEMS = 1_000_000

_SIMPLE: dict[bytes, Callable[[str], Answer]] = {
    b"+": str,
    b":": int,
    b",": float,
    b"(": int,
    b"_": lambda _text: None,
    b"#": lambda text: text == "t",
}


class Refused(Exception):  # noqa: N818 - the server's word
    """The server answered with an error: its words, code first."""

    @property
    def code(self) -> str:
        """The first word, such as ``NOAUTH``."""
        return str(self).partition(" ")[0]


class Garbled(Exception):  # noqa: N818 - an answer, not a fault of the caller
    """What answers does not speak the protocol."""


class Connection:
    """One connection. Texts come back as ``str``, bytes that are no UTF-8 as surrogate escapes."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._stream: BinaryIO = wire.makefile("rb")

    @classmethod
    def to(
        cls, address: tuple[str, int] | str, seconds: float, tls: ssl.SSLContext | None = None, name: str | None = None
    ) -> "Connection":
        """Connects to host and port, or to the path of a Unix socket. ``OSError``: nobody is there."""
        if isinstance(address, str):
            wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            wire.settimeout(seconds)
            try:
                wire.connect(address)
            except BaseException:
                wire.close()
                raise
            return cls(wire)
        wire = socket.create_connection(address, timeout=seconds)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            return cls(wire)
        try:
            return cls(tls.wrap_socket(wire, server_hostname=name or address[0]))
        except BaseException:
            wire.close()
            raise

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The encrypted connection, where it is one."""
        return self._wire if isinstance(self._wire, ssl.SSLSocket) else None

    def command(self, *parts: str | int) -> Answer:
        """What the server answers; ``Refused`` where that is an error. ``OSError``: it does not, or has gone."""
        encoded = [str(part).encode("utf-8", "surrogateescape") for part in parts]
        self._wire.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in encoded))
        answer = self._read()
        if isinstance(answer, Refused):
            raise answer
        return answer

    def close(self) -> None:
        """Ends the connection."""
        self._stream.close()
        self._wire.close()

    def _read(self) -> Answer:
        line = self._stream.readline(65536)
        if not line:
            raise ConnectionError("it hung up")
        kind, rest = line[:1], line[1:-2]
        if not line.endswith(b"\r\n"):
            raise Garbled(repr(line[:40]))
        try:
            return self._of_kind(kind, rest.decode("utf-8", "surrogateescape"))
        except (ValueError, KeyError):
            raise Garbled(repr(line[:40])) from None

    def _of_kind(self, kind: bytes, rest: str) -> Answer:
        if kind == b"-":
            return Refused(rest)
        if kind in (b"$", b"=", b"!"):
            text = self._text(int(rest))
            if kind == b"=" and text is not None:
                return text[4:]  # its format stands before it, as in "txt:"
            return Refused(text) if kind == b"!" else text
        if kind in (b"*", b"~", b">"):
            return None if rest == "-1" else [self._read() for _ in range(_checked(int(rest), MOST_ITEMS))]
        if kind in (b"%", b"|"):
            pairs = [(self._read(), self._read()) for _ in range(_checked(int(rest), MOST_ITEMS))]
            # Attributes stand before what they are about, and say nothing that is asked here.
            return {str(name): value for name, value in pairs} if kind == b"%" else self._read()
        return _SIMPLE[kind](rest)

    def _text(self, size: int) -> str | None:
        if size == -1:
            return None
        data = self._stream.read(_checked(size, MOST_BYTES) + 2)
        if len(data) < size + 2:
            raise ConnectionError("it hung up")
        return data[:-2].decode("utf-8", "surrogateescape")


def _checked(number: int, most: int) -> int:
    if not 0 <= number <= most:
        raise ValueError
    return number
