"""``hotplate.warm``: a cache filled through the application, in this process, before anybody asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import hotplate
from hotplate import Cache, CacheMiddleware, ConfigError, HotplateError, Rule, Warmed
from hotplate.asgi import Receive, Scope, Send
from hotplate.warming import WarmedUrl
from tests.driver import Answer, Origin, Reply, Site, call
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio


def new_site(answer: Answer | None = None, **settings: Any) -> Site:
    """A site whose origin knows requests only: no lifespan."""
    site = Site(answer, **settings)
    origin = site.origin

    async def only_http(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await origin(scope, receive, send)

    site.app.app = only_http
    return site


async def warm(site: Site, *urls: str, **settings: Any) -> Warmed:
    return await hotplate.warm(site.app, urls, **{"base_url": "http://example.test"} | settings)


async def test_what_is_warmed_is_a_hit_for_the_first_client() -> None:
    site = new_site()
    warmed = await warm(site, "/products?page=2", "/a%20b")
    assert (warmed.stored, warmed.hits, warmed.not_stored, warmed.failed) == (2, 0, 0, 0)
    await site.hit("/products?page=2")
    await site.hit("/a%20b")
    assert site.runs == 2


async def test_a_whole_url_has_its_own_scheme_and_host() -> None:
    site = new_site()
    assert (await warm(site, "https://shop.example.org:443/x", "http://[::1]:8000")).stored == 2
    await site.hit("/x", host="shop.example.org", scheme="https")
    await site.hit("/", host="[::1]:8000")
    assert not (await site.get("/x")).hit


async def test_a_second_warming_finds_everything_there() -> None:
    site = new_site()
    await warm(site, "/a", "/b")
    assert (await warm(site, "/a", "/b")).hits == 2
    assert site.runs == 2


async def test_a_url_that_is_given_twice_is_asked_for_once() -> None:
    site = new_site()
    assert (await warm(site, "/a", "/a")).stored == 1


async def test_why_responses_are_not_stored_is_counted() -> None:
    site = new_site(Reply(headers=[("cache-control", "no-store")]), exclude=["/admin"])
    warmed = await warm(site, "/a", "/b", "/admin")
    assert (warmed.not_stored, dict(warmed.reasons)) == (3, {"no-store": 2, "excluded": 1})


async def test_an_application_without_the_middleware_stores_nothing_and_is_told_why() -> None:
    warmed = await hotplate.warm(Origin(), ["/"], lifespan=False)
    assert dict(warmed.reasons) == {"no-cache-middleware": 1}


async def test_a_url_that_fails_stops_no_other() -> None:
    def answer(scope: Scope) -> Reply:
        if scope["path"] == "/raises":
            return Reply(error_before=RuntimeError("no database"))
        return Reply(status=500 if scope["path"] == "/500" else 404 if scope["path"] == "/404" else 200)

    warmed = await warm(new_site(answer), "/raises", "/500", "/404", "/fine", concurrency=1)
    assert (warmed.stored, warmed.failed) == (1, 3)
    assert [(one.url, one.detail) for one in warmed.failures] == [
        ("/raises", "RuntimeError: no database"),
        ("/500", "status 500"),
        ("/404", "status 404"),
    ]


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    most = under_way = 0
    gate = asyncio.Event()

    async def answer(_scope: Scope) -> Reply:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        if under_way == 3:
            gate.set()
        await gate.wait()  # until as many as may be under way are
        await asyncio.sleep(0)
        under_way -= 1
        return Reply()

    assert (await warm(new_site(answer), *[f"/{number}" for number in range(20)], concurrency=3)).stored == 20
    assert most == 3


async def test_progress_is_told_for_each_url() -> None:
    told: list[WarmedUrl] = []
    await warm(new_site(), "/a", "/b", concurrency=1, on_progress=told.append)
    assert [(one.url, one.outcome, one.status) for one in told] == [("/a", "stored", 200), ("/b", "stored", 200)]


async def test_what_progress_raises_ends_the_warming() -> None:
    def refuse(_one: WarmedUrl) -> None:
        raise RuntimeError("enough")

    site = new_site()
    with pytest.raises(RuntimeError, match="enough"):
        await warm(site, *[f"/{number}" for number in range(50)], concurrency=2, on_progress=refuse)
    assert site.runs < 50


async def test_a_response_that_does_not_come_is_given_up() -> None:
    never = asyncio.Event()

    async def answer(_scope: Scope) -> Reply:
        await never.wait()
        return Reply()

    site = new_site(answer)
    warmed = await warm(site, "/slow", timeout="20ms", lifespan=False)
    assert [one.detail for one in warmed.failures] == ["no whole response within 0.02 s"]
    never.set()
    await site.settle()


async def test_a_time_limit_of_the_application_itself_is_called_that() -> None:
    warmed = await warm(new_site(Reply(error_before=asyncio.TimeoutError("the bank"))), "/")
    assert [one.detail for one in warmed.failures] == ["TimeoutError: the bank"]


async def test_an_application_that_answers_nothing_has_failed() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    warmed = await hotplate.warm(silent, ["/"], lifespan=False)
    assert [one.detail for one in warmed.failures] == ["the application ended without a whole response"]


async def test_given_fields_are_part_of_every_request() -> None:
    site = new_site(Reply(headers=[("vary", "accept-encoding")]))
    await warm(site, "/", headers={"Accept-Encoding": "gzip"})
    assert site.origin.seen("user-agent") == ["hotplate-warm"]
    await site.hit("/", headers=[("accept-encoding", "gzip")])
    assert not (await site.get("/")).hit


async def test_a_given_host_is_the_only_one() -> None:
    site = new_site()
    await warm(site, "/", headers=[("Host", "other.test")])
    assert site.origin.seen("host") == ["other.test"]


# --- The application's life ------------------------------------------------------------------------------------------


async def test_startup_and_shutdown_are_run_around_it_and_their_state_is_shared() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        events.append("startup")
        yield {"database": "there"}
        events.append("shutdown")

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(CacheMiddleware, ttl=60)

    @app.get("/")
    async def read(request: Request) -> str:
        events.append(request.state.database)
        return "ok"

    assert (await hotplate.warm(app, ["/"])).stored == 1
    assert events == ["startup", "there", "shutdown"]


async def test_an_application_that_does_not_start_is_an_error_with_its_reason() -> None:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        connect()
        yield

    def connect() -> None:
        raise RuntimeError("no database")

    with pytest.raises(HotplateError, match=r"startup failed: RuntimeError: no database$"):
        await hotplate.warm(Starlette(lifespan=lifespan), ["/"])


async def test_an_application_whose_shutdown_fails_says_so() -> None:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        raise RuntimeError("no database")

    with pytest.raises(HotplateError, match="shutdown failed"):
        await hotplate.warm(Starlette(lifespan=lifespan), ["/"])


async def test_an_application_in_its_own_startup_can_warm_itself() -> None:
    warmed: list[Warmed] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        warmed.append(await hotplate.warm(app, ["/"], base_url="http://example.test", lifespan=False))
        yield

    app = Starlette(lifespan=lifespan, routes=[Route("/", lambda _request: PlainTextResponse("ok"))])
    app.add_middleware(CacheMiddleware, ttl=60)
    await hotplate.warm(app, [])  # runs its startup
    assert warmed[0].stored == 1
    assert (await call("GET", "/").run(app)).hit


async def test_a_refresh_that_began_is_waited_for() -> None:
    site = new_site(rules=[Rule("*", ttl=60, stale_while_revalidate=60)])
    await warm(site, "/")
    site.clock.advance(61)
    assert (await warm(site, "/")).hits == 1
    assert site.runs == 2
    await site.hit("/")


# --- Redis -----------------------------------------------------------------------------------------------------------


def shared_app(url: str, **settings: Any) -> CacheMiddleware:
    return CacheMiddleware(Origin(), cache=Cache(url, prefix="warm", **settings), ttl=60)


async def test_what_is_warmed_on_redis_is_there_for_every_process(redis: RedisServer) -> None:
    warmed = await hotplate.warm(shared_app(redis.url), [f"/{number}" for number in range(200)])
    assert (warmed.stored, warmed.written) == (200, 200)
    other = shared_app(redis.url)
    other.cache.core.start()
    await eventually(lambda: (stats := other.cache.shared_stats()) is not None and stats.certain, "the other is there")
    for number in range(200):
        assert (await call("GET", f"/{number}", host="localhost").run(other)).hit


async def test_a_cache_before_what_is_mounted_is_waited_for_too(redis: RedisServer) -> None:
    app = Starlette(routes=[Mount("/shop", shared_app(redis.url))])
    warmed = await hotplate.warm(app, [f"/shop/{number}" for number in range(20)], lifespan=False)
    assert (warmed.stored, warmed.written) == (20, 20)


async def test_without_its_redis_it_says_that_nothing_was_written(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotplate.warming.CONNECT_SECONDS", 0.1)
    redis_server.kill()
    warmed = await hotplate.warm(shared_app(redis_server.url), ["/"])
    assert (warmed.stored, warmed.written) == (1, 0)


async def test_in_memory_there_is_no_shared_tier_to_write_to() -> None:
    assert (await warm(new_site(), "/")).written is None


# --- What cannot be meant --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("urls", "settings", "words"),
    [
        (["products"], {}, "urls='products' cannot be used: it is neither a path nor a URL"),
        (["ftp://example.org/"], {}, "urls='ftp://example.org/' cannot be used"),
        (["http:///x"], {}, "urls='http:///x' cannot be used"),
        (["http://example.org:port/"], {}, "urls='http://example.org:port/' cannot be used"),
        (["http://user:secret@example.org/"], {}, "urls has a user in it"),
        (["/"], {"base_url": "example.org"}, "base_url='example.org/' cannot be used"),
        ("/", {}, "write urls="),
        (["/"], {"concurrency": 0}, "concurrency=0 cannot be used"),
        (["/"], {"concurrency": True}, "concurrency=True cannot be used"),
        (["/"], {"timeout": 0}, "timeout=0"),
        (["/"], {"headers": {"x": "a\r\nb"}}, "headers='x' cannot be sent"),
        (["/"], {"headers": {"x": "\u20ac"}}, "headers='x' cannot be sent"),
        (["/"], {"headers": {"": "x"}}, "headers='' cannot be sent"),
    ],
)
async def test_what_cannot_be_meant_is_refused_before_anything_runs(
    urls: Any, settings: dict[str, Any], words: str
) -> None:
    origin = Origin()
    with pytest.raises(ConfigError) as refused:
        await hotplate.warm(origin, urls, **settings)
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)
    assert origin.runs == 0
