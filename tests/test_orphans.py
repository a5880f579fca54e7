"""Loads that nobody listens to come to an end."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import StreamingResponse

from hotplate import Cache, CacheMiddleware, Rule, loads
from hotplate.asgi import Receive, Scope, Send
from hotplate.testing import ManualClock
from tests.driver import call
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_a_refresh_that_streams_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch, spec_version: str) -> None:
    monkeypatch.setattr(loads, "ORPHAN_SECONDS", 0.01)
    clock = ManualClock()
    runs = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal runs
        runs += 1
        scope["asgi"] = {"spec_version": spec_version}
        if runs == 1:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"v1"})
            return

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x"
                await asyncio.sleep(0)

        await StreamingResponse(endless())(scope, receive, send)

    cache = Cache("memory://", clock=clock)
    cached = CacheMiddleware(app, cache=cache, rules=[Rule("*", ttl=60, stale_while_revalidate=60)])
    await call("GET", "/").run(cached)
    clock.advance(61)
    assert (await call("GET", "/").run(cached)).body == b"v1"
    await eventually(lambda: runs == 2, "the refresh runs", 5)
    await eventually(lambda: len(cache.loads) == 0, "the refresh has ended", 5)


async def test_a_second_head_is_the_applications_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.start", "status": 201, "headers": []})

    cached = CacheMiddleware(app, ttl=60)
    with pytest.raises(RuntimeError, match=r"http\.response\.start was sent already"):
        await call("GET", "/").run(cached)
    assert cached.cache.stats().stored == 0
