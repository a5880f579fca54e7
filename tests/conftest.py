"""Fixtures every test may use."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

import hotplate.loads
from hotplate import Cache
from hotplate.testing import ManualClock
from tests.driver import START, Site
from tests.loading import STARTS
from tests.proxy import Proxy
from tests.redis_servers import Cluster, RedisServer, Sentinel
from tests.value_fleet import PLACES, SHARED, Pair, Place, place_of

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.admin_page_site import Shop


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def cache(clock: ManualClock) -> Cache:
    return Cache("memory://", max_bytes="16MiB", clock=clock)


@pytest.fixture
def site() -> Site:
    """An origin that says nothing about caching, behind a middleware with a ttl of 60 seconds."""
    return Site()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of this test's own, to kill, to pause, to configure."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def _redis_of_the_run() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(_redis_of_the_run: RedisServer) -> RedisServer:
    """An empty Redis, one for all tests that send it commands only: its process and settings stay as they are."""
    _redis_of_the_run.command("FLUSHALL")
    _redis_of_the_run.command("SCRIPT", "FLUSH")
    return _redis_of_the_run


@pytest.fixture
def sentinel() -> Iterator[Sentinel]:
    """A master, its replica and a sentinel, of this test's own."""
    with Sentinel() as watched:
        yield watched


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of three masters, of this test's own."""
    with Cluster() as nodes:
        yield nodes


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    """A network before a Redis of this test's own."""
    with Proxy(redis_server.port) as between:
        yield between


@pytest.fixture
def slow(redis: RedisServer) -> Iterator[Proxy]:
    """A network before the Redis of all tests."""
    with Proxy(redis.port) as between:
        yield between


@pytest.fixture(params=sorted(STARTS))
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test with loads whose tasks start at once, where Python has them, and with those that start later."""
    monkeypatch.setattr(hotplate.loads, "_start", STARTS[request.param])


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """A cache of values, wherever they are kept."""
    return place_of(request.param, lambda: request.getfixturevalue("redis"))


@pytest.fixture(params=SHARED)
def pair(request: pytest.FixtureRequest, redis: RedisServer) -> Pair:
    """Two processes whose values are on one Redis."""
    return Pair(request.param, redis)


# The admin page. What drives a browser is imported by the tests that open one.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> "AsyncIterator[Browser]":
    """A browser for the tests of one module."""
    from tests.browsing import browsing

    async with browsing() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def shop(browser: "Browser") -> "AsyncIterator[Shop]":
    """An application with its cache in memory, and its admin page."""
    from tests.admin_page_site import shop_of

    async with shop_of(browser, Cache("memory://", max_bytes="16MiB")) as made:
        yield made
