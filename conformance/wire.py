"""One HTTP/1.1 request on a connection of its own, written and read without opinions.

The suite's origin breaks framing on purpose (a `Content-Length` that is too short, a connection closed before the
answer) and counts on repeated fields arriving as they were sent. An ordinary client would join, correct or refuse;
this one keeps the fields in order, reads the body as RFC 9112 §6.3 says, and closes the connection.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Answer", "DroppedError", "Field", "request"]

Field = tuple[bytes, bytes]
"""A field line: name and value, as on the wire."""


class DroppedError(Exception):
    """The origin closed the connection before its answer was whole, or answered in something other than HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A final response: field lines in their order, names as they came; the body without its transfer coding."""

    status: int
    fields: list[Field]
    body: bytes


async def request(
    address: tuple[str, int], method: bytes, target: bytes, fields: Sequence[Field], body: bytes
) -> Answer:
    """Sends the request as given and returns the final response; interim ones (1xx) are skipped.

    Raises ``DroppedError`` if there is none.
    """
    lines = [b"%b %b HTTP/1.1\r\n" % (method, target), *(b"%b: %b\r\n" % field for field in fields), b"\r\n"]
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError as error:
        raise DroppedError(f"no connection to {address}") from error
    try:
        writer.write(b"".join(lines) + body)
        await writer.drain()
        return await _answer(reader, method)
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise DroppedError(f"no whole answer to {method!r} {target!r}") from error
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader, method: bytes) -> Answer:
    status = 100
    fields: list[Field] = []
    while 100 <= status < 200:
        first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        status = int(first.split(b" ", 2)[1])
        fields = [_field(line) for line in lines]
    bodiless = method == b"HEAD" or status in (204, 304)
    return Answer(status, fields, b"" if bodiless else await _body(reader, fields))


def _field(line: bytes) -> Field:
    name, colon, value = line.partition(b":")
    if not colon:
        raise ValueError(f"not a field line: {line!r}")
    return name, value.strip(b" \t")


async def _body(reader: asyncio.StreamReader, fields: list[Field]) -> bytes:
    codings = [value.lower() for name, value in fields if name.lower() == b"transfer-encoding"]
    if codings:
        return await (_chunks(reader) if codings[-1].endswith(b"chunked") else reader.read())
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    return await (reader.readexactly(int(lengths[0])) if lengths else reader.read())


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readline()).strip():
        pass  # trailers are for the recipient of this connection alone
    return bytes(body)
