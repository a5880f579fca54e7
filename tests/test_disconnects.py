"""Clients that leave, over real connections: nobody else is truncated, emptied or cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import Receive, Scope, Send
from tests.servers import Server, serving
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

BODY = b"0123456789" * 20_000


class Shop:
    """An application that says how often it ran, how often to its end, and goes on when told."""

    def __init__(self) -> None:
        self.entered = 0
        self.ended = 0
        self.arrived = 0
        self.go_on = asyncio.Event()
        self.cache = Cache()
        routes = [Route("/plain", self.plain), Route("/stream", self.stream), Route("/live", self.live)]
        self.app = Starlette(routes=routes)
        self.app.add_middleware(CacheMiddleware, cache=self.cache, ttl=60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.arrived += 1
        await self.app(scope, receive, send)

    async def plain(self, _request: Request) -> StarletteResponse:
        self.entered += 1
        await self.go_on.wait()
        self.ended += 1
        return PlainTextResponse(BODY)

    async def stream(self, _request: Request) -> StarletteResponse:
        self.entered += 1
        return StreamingResponse(self.pieces())

    async def live(self, _request: Request) -> StarletteResponse:
        self.entered += 1
        return StreamingResponse(self.pieces(), headers={"cache-control": "no-store"})

    async def pieces(self) -> AsyncIterator[bytes]:
        yield BODY[:1000]
        await self.go_on.wait()
        yield BODY[1000:]
        self.ended += 1

    async def loading(self, server: Server, target: str, followers: int) -> "asyncio.Task[list[bytes]]":
        """Requests that wait for a load which is under way."""
        before = self.arrived

        async def bodies() -> list[bytes]:
            return [answer.body for answer in await server.crowd(followers, target)]

        task = asyncio.ensure_future(bodies())
        await eventually(lambda: self.arrived == before + followers, "the followers have arrived")
        return task


async def test_a_client_that_leaves_before_the_first_byte_truncates_nobody() -> None:
    shop = Shop()
    async with serving(shop) as server, server.connection() as leader:
        await leader.send("GET", "/plain")
        await eventually(lambda: shop.entered == 1, "the load is under way")
        others = await shop.loading(server, "/plain", 20)
        leader.abort()
        shop.go_on.set()
        assert set(await others) == {BODY}
    assert shop.entered == 1


async def test_a_client_that_leaves_mid_body_truncates_nobody() -> None:
    shop = Shop()
    async with serving(shop) as server, server.connection() as leader:
        await leader.send("GET", "/stream")
        await leader.head()
        assert await leader.chunk() == BODY[:1000]
        others = await shop.loading(server, "/stream", 20)
        leader.abort()
        shop.go_on.set()
        assert set(await others) == {BODY}
    assert (shop.entered, shop.ended) == (1, 1)


@pytest.mark.parametrize("target", ["/plain", "/stream"])
async def test_what_a_client_that_left_asked_for_is_stored_whole(target: str) -> None:
    shop = Shop()
    async with serving(shop) as server, server.connection() as leader:
        await leader.send("GET", target)
        await eventually(lambda: shop.entered == 1, "the load is under way")
        leader.abort()
        shop.go_on.set()
        await eventually(lambda: shop.cache.stats().stored == 1, "the answer is stored")
        again = await server.get(target)
        assert (again.hit, again.body) == (True, BODY)
    assert (shop.entered, shop.ended) == (1, 1)


async def test_a_waiter_that_leaves_harms_nobody() -> None:
    shop = Shop()
    async with serving(shop) as server, server.connection() as leader, server.connection() as waiter:
        await leader.send("GET", "/plain")
        await eventually(lambda: shop.entered == 1, "the load is under way")
        await waiter.send("GET", "/plain")
        await eventually(lambda: shop.arrived == 2, "the waiter has arrived")
        others = await shop.loading(server, "/plain", 5)
        waiter.abort()
        shop.go_on.set()
        assert (await leader.answer()).body == BODY
        assert set(await others) == {BODY}
    assert shop.entered == 1


async def test_every_client_leaving_harms_the_next_one_not() -> None:
    shop = Shop()
    async with serving(shop) as server:
        for number in range(10):
            async with server.connection() as gone:
                await gone.send("GET", "/stream")
                await eventually(lambda wanted=number + 1: shop.arrived == wanted, "it has arrived")  # type: ignore[misc]
                gone.abort()
        shop.go_on.set()
        assert (await server.get("/stream")).body == BODY
    assert shop.entered == 1


async def test_the_application_learns_that_the_client_of_an_answer_not_stored_has_left() -> None:
    shop = Shop()
    async with serving(shop) as server, server.connection() as client:
        await client.send("GET", "/live")
        await client.head()
        await client.chunk()
        client.abort()
        await eventually(lambda: len(shop.cache.loads) == 0, "the load has been told")
    assert shop.ended == 0


async def test_a_body_the_application_cuts_short_is_cut_short_for_the_client_and_never_stored() -> None:
    runs: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError("mid-stream")

    async def endpoint(_request: Request) -> StarletteResponse:
        runs.append(1)
        return StreamingResponse(pieces())

    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        for _ in range(2):
            async with server.connection() as connection:
                await connection.send("GET", "/")
                with pytest.raises(h11.RemoteProtocolError):
                    await connection.answer()
    assert len(runs) == 2


async def test_a_server_that_stops_finishes_the_loads_whose_clients_it_cuts_off() -> None:
    shop = Shop()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with shop.cache.lifespan(app):
            yield
            shop.go_on.set()

    app = Starlette(routes=[Route("/plain", shop.plain)], lifespan=lifespan)
    app.add_middleware(CacheMiddleware, cache=shop.cache, ttl=60)
    async with serving(app, timeout_graceful_shutdown=0) as server, server.connection() as leader:
        await leader.send("GET", "/plain")
        await eventually(lambda: shop.entered == 1, "the load is under way")
    assert shop.ended == 1
    assert shop.cache.stats().stored == 1
