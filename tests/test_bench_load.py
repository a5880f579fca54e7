"""What the load generator of the benchmark takes for an answer, and what it makes of others."""

import asyncio

import pytest

from bench import load

pytestmark = pytest.mark.asyncio

RIGHT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def loaded(*pieces: bytes, length: int | None = 5) -> load.Load:
    """A short round on a server that answers every request with these pieces; with none, it hangs up."""

    answering: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.current_task())
        try:
            while await reader.readuntil(b"\r\n\r\n") and pieces:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        try:
            return await load.run(port, ["/first", "/second"], connections=2, seconds=0.05, length=length)
        finally:
            await asyncio.wait(filter(None, answering), timeout=10)


@pytest.mark.parametrize(
    ("pieces", "length"),
    [
        ((RIGHT,), 5),
        ((RIGHT[:20], RIGHT[20:]), 5),
        ((RIGHT[:-3], RIGHT[-3:]), 5),
        ((RIGHT,), None),
    ],
)
async def test_whole_answers_are_counted_however_they_arrive(pieces: tuple[bytes, ...], length: int | None) -> None:
    found = await loaded(*pieces, length=length)
    assert found.requests > 0
    assert found.requests_per_second == pytest.approx(found.requests / found.seconds)
    assert found.p50_microseconds > 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\nhello",
        RIGHT + b"more",
    ],
    ids=["not a 200", "too short", "no length", "another field", "too long"],
)
async def test_a_wrong_answer_ends_the_run(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a|more was sent"):
        await loaded(answer)


async def test_a_server_that_hangs_up_ends_the_run() -> None:
    with pytest.raises(ConnectionError):
        await loaded()
