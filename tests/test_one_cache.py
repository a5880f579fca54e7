"""One cache behind several middlewares: they share its room and its invalidations, never their responses."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from hotplate import Cache, CacheMiddleware
from hotplate.testing import ManualClock
from tests.driver import Reply, Site, call

if TYPE_CHECKING:
    from hotplate.asgi import ASGIApp

pytestmark = pytest.mark.asyncio


async def test_a_load_does_not_wait_for_itself_in_a_middleware_inside() -> None:
    cache = Cache("memory://")
    site = Site(cache=cache)
    outer = CacheMiddleware(site.app, cache=cache, ttl=60)
    response = await asyncio.wait_for(call("GET", "/").run(outer), timeout=5)
    assert (response.body, site.runs) == (b"run 1", 1)
    assert (await call("GET", "/").run(outer)).hit


async def test_two_applications_do_not_find_each_others_responses() -> None:
    cache = Cache("memory://")
    public, admin = Site(Reply(b"public"), cache=cache), Site(Reply(b"secret"), cache=cache)
    await admin.get("/", host="admin.internal")
    assert (await public.get("/", host="admin.internal")).body == b"public"


async def test_an_invalidation_reaches_every_application() -> None:
    cache = Cache("memory://")
    sites = Site(cache=cache), Site(cache=cache)
    for site in sites:
        await site.get("/a")
    await cache.invalidate(paths=["/a"])
    assert [(await site.get("/a")).body for site in sites] == [b"run 2", b"run 2"]


async def test_a_mounted_application_is_run_again_after_a_304_for_something_else() -> None:
    answers = iter([Response("v1", headers={"etag": '"1"'}), Response(status_code=304, headers={"etag": '"2"'})])

    async def endpoint(request: Request) -> Response:
        return next(answers, Response("v2", headers={"etag": '"2"'}))

    clock = ManualClock()
    app: ASGIApp = Starlette(routes=[Mount("/sub", routes=[Route("/x", endpoint)])])
    cached = CacheMiddleware(app, cache=Cache("memory://", clock=clock), ttl=60)
    await call("GET", "/sub/x").run(cached)
    clock.advance(61)
    response = await call("GET", "/sub/x").run(cached)
    assert (response.status, response.body) == (200, b"v2")


@pytest.mark.parametrize("cache_control", ["no-cache", "max-age=0, must-revalidate", "max-age=60"])
async def test_those_who_wait_are_answered_by_the_one_load_whatever_its_lifetime(cache_control: str) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()
    runs = 0

    async def endpoint(request: Request) -> Response:
        nonlocal runs
        runs += 1
        begun.set()
        await gate.wait()
        return Response("v", headers={"cache-control": cache_control, "etag": '"e"'})

    app: ASGIApp = Starlette(routes=[Route("/", endpoint)])
    cached = CacheMiddleware(app, cache=Cache("memory://"), ttl=60)
    asked = [asyncio.ensure_future(call("GET", "/").run(cached)) for _ in range(10)]
    await begun.wait()
    gate.set()
    assert [response.body for response in await asyncio.gather(*asked)] == [b"v"] * 10
    assert runs == 1
    assert not (await call("GET", "/").run(cached)).hit or cache_control == "max-age=60"
