"""A fault of the cache never becomes a fault of the service."""

import asyncio
from typing import Any

import pytest

from tests.driver import Reply, Site, call

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("fault_at", [1, 2])
async def test_a_lookup_that_fails_forwards_the_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault_at: int
) -> None:
    gate, begun, looked_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(scope: Any) -> Reply:
        begun.set()
        await gate.wait()
        return Reply(b"whole")

    site = Site(answer)
    leader = asyncio.ensure_future(call("GET", "/").run(site.app))
    await begun.wait()
    lookup, calls = site.app._lookup, 0

    def faulty(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        looked_up.set()
        if calls == fault_at:
            raise RuntimeError("a fault of the cache")
        return lookup(*arguments)

    monkeypatch.setattr(site.app, "_lookup", faulty)
    second = asyncio.ensure_future(call("GET", "/").run(site.app))
    await looked_up.wait()
    gate.set()
    assert [(await request).body for request in (leader, second)] == [b"whole", b"whole"]
    assert "a fault of the cache" in caplog.text
