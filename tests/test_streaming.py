"""Bodies that come in pieces: the client gets each as it is produced, and what is stored is the whole."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, StreamingResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route

from hotplate import CacheMiddleware
from hotplate.asgi import Message, Receive, Scope, Send
from tests.driver import Reply, Site, call
from tests.servers import serving
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio


class Pieces:
    """A body of two pieces, the second held back until it is asked for."""

    def __init__(self, **response: object) -> None:
        self.more = asyncio.Event()
        self.runs = 0
        self.response = response

    async def body(self) -> AsyncIterator[bytes]:
        yield b"first "
        await self.more.wait()
        yield b"last"

    async def endpoint(self, _request: Request) -> StarletteResponse:
        self.runs += 1
        return StreamingResponse(self.body(), **self.response)  # type: ignore[arg-type]


def starlette(endpoint: object, **settings: object) -> Starlette:
    app = Starlette(routes=[Route("/", endpoint)])  # type: ignore[arg-type]
    app.add_middleware(CacheMiddleware, ttl=60, **settings)  # type: ignore[arg-type]
    return app


async def test_the_first_piece_arrives_before_the_last_is_produced() -> None:
    pieces = Pieces()
    async with serving(starlette(pieces.endpoint)) as server, server.connection() as connection:
        await connection.send("GET", "/")
        assert (await connection.head()).status == 200
        assert await connection.chunk() == b"first "
        assert not pieces.more.is_set()
        pieces.more.set()
        assert await connection.chunk() == b"last"
        assert await connection.chunk() is None


async def test_whoever_asks_again_on_reading_the_end_gets_a_hit() -> None:
    pieces = Pieces()
    pieces.more.set()
    async with serving(starlette(pieces.endpoint)) as server, server.connection() as connection:
        for number in range(50):
            await connection.send("GET", f"/?{number}")
            cold = await connection.answer()
            await connection.send("GET", f"/?{number}")
            warm = await connection.answer()
            assert (cold.hit, warm.hit) == (False, True)
            assert cold.body == warm.body == b"first last"
    assert pieces.runs == 50


async def test_a_streamed_hit_tells_its_length() -> None:
    pieces = Pieces()
    pieces.more.set()
    async with serving(starlette(pieces.endpoint)) as server:
        assert "content-length" not in await server.get("/")
        assert (await server.get("/"))["content-length"] == "10"


async def test_those_who_ask_meanwhile_get_the_whole_body() -> None:
    pieces = Pieces()
    async with serving(starlette(pieces.endpoint)) as server, server.connection() as connection:
        await connection.send("GET", "/")
        await connection.head()
        waiting = asyncio.ensure_future(server.crowd(50, "/"))
        await connection.chunk()
        pieces.more.set()
        assert {answer.body for answer in await waiting} == {b"first last"}
    assert pieces.runs == 1


@pytest.mark.parametrize("announced", [True, False], ids=["length-announced", "length-unknown"])
async def test_a_body_larger_than_max_body_streams_through_and_is_not_stored(announced: bool) -> None:
    headers = {"content-length": "10"} if announced else {}
    pieces = Pieces(headers=headers)
    async with serving(starlette(pieces.endpoint, max_body=9)) as server, server.connection() as connection:
        await connection.send("GET", "/")
        await connection.head()
        assert await connection.chunk() == b"first "
        pieces.more.set()
        assert await connection.chunk() == b"last"
        assert await connection.chunk() is None
        assert (await server.get("/")).body == b"first last"
    assert pieces.runs == 2


async def test_a_body_of_exactly_max_body_is_stored() -> None:
    pieces = Pieces()
    pieces.more.set()
    async with serving(starlette(pieces.endpoint, max_body=10)) as server:
        await server.get("/")
        assert (await server.get("/")).hit


async def test_a_length_that_is_announced_and_kept_is_told_once() -> None:
    site = Site(Reply([b"he", b"llo"], headers=[("content-length", "5")]))
    cold, warm = await site.get("/"), await site.get("/")
    assert (cold["content-length"], warm["content-length"]) == ("5", "5")
    assert cold.body == warm.body == b"hello"


async def test_a_file_is_served_from_the_cache_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "page.txt"
    content = b"0123456789" * 50_000
    file.write_bytes(content)
    runs: list[int] = []

    async def endpoint(_request: Request) -> StarletteResponse:
        runs.append(1)
        return FileResponse(file)

    async with serving(starlette(endpoint)) as server:
        cold, warm = await server.get("/"), await server.get("/")
        assert (cold.body, warm.body) == (content, content)
        assert [(warm[name], cold[name]) for name in ("etag", "last-modified", "content-type", "content-length")] == [
            (cold[name], warm[name]) for name in ("etag", "last-modified", "content-type", "content-length")
        ]
        part = await server.get("/", [("Range", "bytes=3-7")])
        assert (part.status, part.body, part["content-range"]) == (206, b"34567", "bytes 3-7/500000")
        assert (await server.get("/", [("If-None-Match", cold["etag"])])).status == 304
        head = await server.request("HEAD", "/")
        assert (head.status, head.body, head["content-length"]) == (200, b"", "500000")
    assert len(runs) == 1


async def test_a_range_of_a_file_that_is_not_stored_is_the_applications(tmp_path: Path) -> None:
    file = tmp_path / "page.txt"
    file.write_bytes(b"0123456789")

    async def endpoint(_request: Request) -> StarletteResponse:
        return FileResponse(file)

    async with serving(starlette(endpoint)) as server:
        part = await server.get("/", [("Range", "bytes=3-7")])
        assert (part.status, part.body) == (206, b"34567")
        whole = await server.get("/")
        assert (whole.status, whole.body) == (200, b"0123456789")


# Files that the server would send itself.

PATHSEND: dict[str, object] = {"http.response.pathsend": {}}


async def by_path(scope: Scope, _receive: Receive, send: Send) -> None:
    """An application that lets the server send the file, where the server can."""
    headers = [(b"content-length", b"4"), (b"cache-control", b"public, max-age=60")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if "http.response.pathsend" in scope.get("extensions", {}):
        await send({"type": "http.response.pathsend", "path": "/srv/file"})
    else:
        await send({"type": "http.response.body", "body": b"file"})


async def kinds_sent(site: Site, **request: object) -> list[str]:
    asked = call("GET", "/", extensions=PATHSEND, **request)  # type: ignore[arg-type]
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await site.app(asked.scope, asked.receive, send)
    return [message["type"] for message in sent]


async def test_a_load_is_not_sent_past_the_cache() -> None:
    site = Site(app=by_path)
    assert await kinds_sent(site) == ["http.response.start", "http.response.body"]
    assert (await site.get("/")).body == b"file"


async def test_the_server_of_a_load_keeps_its_own_extensions() -> None:
    site = Site(app=by_path)
    asked = call("GET", "/", extensions=PATHSEND)
    await asked.run(site.app)
    assert asked.scope["extensions"] == PATHSEND


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"exclude": ["/"]}, []),
        ({}, [("authorization", "Bearer a")]),
        ({}, [("range", "bytes=0-1")]),
    ],
    ids=["excluded", "with-credentials", "range"],
)
async def test_a_request_that_is_only_forwarded_may_be_answered_by_path(
    settings: dict[str, Any], headers: list[tuple[str, str]]
) -> None:
    site = Site(app=by_path, **settings)
    kinds = await kinds_sent(site, headers=headers)
    assert kinds in (
        ["http.response.start", "http.response.pathsend"],
        ["http.response.start", "http.response.body"],
    )


async def test_a_request_for_a_key_that_is_not_storable_may_be_answered_by_path() -> None:
    site = Site(Reply(headers=[("cache-control", "no-store")]))
    await site.get("/")
    site.app.app = by_path
    kinds = await kinds_sent(site)
    assert kinds in (
        ["http.response.start", "http.response.pathsend"],
        ["http.response.start", "http.response.body"],
    )


# Server-sent events.


class Events:
    """An endless stream of events; knows whether it is still running."""

    def __init__(self) -> None:
        self.running = 0
        self.started = 0
        self.next = asyncio.Event()

    async def body(self) -> AsyncIterator[str]:
        self.running += 1
        self.started += 1
        try:
            number = 0
            while True:
                yield f"data: {number}\n\n"
                number += 1
                await self.next.wait()
                self.next.clear()
        finally:
            self.running -= 1

    async def endpoint(self, _request: Request) -> StarletteResponse:
        return StreamingResponse(self.body(), media_type="text/event-stream")


async def test_events_reach_the_client_one_by_one() -> None:
    events = Events()
    async with serving(starlette(events.endpoint)) as server, server.connection() as connection:
        await connection.send("GET", "/", [("Accept", "text/event-stream")])
        assert (await connection.head())["content-type"].startswith("text/event-stream")
        for number in range(3):
            assert await connection.chunk() == f"data: {number}\n\n".encode()
            events.next.set()


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
async def test_the_disconnect_of_an_event_stream_reaches_the_application(accept: str) -> None:
    events = Events()
    async with serving(starlette(events.endpoint)) as server, server.connection() as connection:
        await connection.send("GET", "/", [("Accept", accept)])
        await connection.head()
        await connection.chunk()
        assert events.running == 1
        connection.abort()
        await eventually(lambda: events.running == 0, "the stream has ended")


async def test_each_client_has_an_event_stream_of_its_own_and_none_is_stored() -> None:
    events = Events()
    async with serving(starlette(events.endpoint)) as server:
        async with server.connection() as one, server.connection() as other:
            for connection in (one, other):
                await connection.send("GET", "/")
                await connection.head()
                assert await connection.chunk() == b"data: 0\n\n"
            assert events.running == 2
        await eventually(lambda: events.running == 0, "both streams have ended")
        async with server.connection() as later:
            await later.send("GET", "/")
            await later.head()
            assert await later.chunk() == b"data: 0\n\n"
    assert events.started == 3
