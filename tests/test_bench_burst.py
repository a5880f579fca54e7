"""What the stampede's clients take for an answer."""

import asyncio
from collections import Counter

import pytest

from bench.burst import OPENING, Burst, burst

pytestmark = pytest.mark.asyncio


async def burst_answered(answer: bytes | None) -> Burst:
    """Five requests to a server that answers them all so; `None` hangs up."""
    asked = 0
    everybody = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while head := await reader.readuntil(b"\r\n\r\n"):
            if f"GET {OPENING} ".encode() in head:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                continue
            asked += 1
            if asked == 5:
                everybody.set()
            await everybody.wait()
            if answer is None:
                break
            writer.write(answer)
        writer.close()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    try:
        return await burst([server.sockets[0].getsockname()[1]], "/slow/7", 5, b'"number":7')
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"number":7}', {}),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{"number":7}\r\n0\r\n\r\n', {}),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"number":8}', {"another content": 5}),
        (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", {"status 500": 5}),
        (None, {"ConnectionError: closed before the answer": 5}),
    ],
    ids=["length", "chunks", "another", "error", "closed"],
)
async def test_what_is_not_the_right_answer_is_a_failure(answer: bytes | None, failures: dict[str, int]) -> None:
    came = await burst_answered(answer)
    assert came.failures == Counter(failures)


async def test_all_requests_are_under_way_at_once() -> None:
    # The server answers nobody before it has five requests.
    assert (await burst_answered(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"number":7}')).failed == 0
