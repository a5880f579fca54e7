"""Spans: what the span of a request says of it, and the spans of loads and invalidations."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from hotplate import Cache, CacheMiddleware, ConfigError, Rule
from hotplate.asgi import Scope
from tests.driver import Header, Reply, Response, Site, call
from tests.loading import Gate
from tests.servers import serving
from tests.telemetry import Telemetry, attributes
from tests.waiting import turns

pytestmark = pytest.mark.asyncio

OUTCOMES = {"hits": "hit", "stale": "stale", "validated": "validated", "misses": "miss"}


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def watched(telemetry: Telemetry) -> Callable[..., Site]:
    def make(answer: Any = None, **settings: Any) -> Site:
        site = Site(answer, **settings)
        telemetry.instrument(site.cache)
        return site

    return make


def counts(cache: Cache) -> dict[str, int]:
    stats = cache.stats()
    return {OUTCOMES[name]: getattr(stats, name) for name in OUTCOMES} | {"bypass": sum(stats.bypass.values())}


async def served(telemetry: Telemetry, site: Site, *request: Any, **more: Any) -> dict[str, Any]:
    """The attributes that the span of a request has got, whose outcome is checked against what was counted."""
    before = counts(site.cache)
    with telemetry.tracer.start_as_current_span("GET") as span:
        try:
            await site.request(*request, **more)
        except RuntimeError as error:
            assert error.args == ("broken",)  # noqa: PT017 - the rest of this is about what the span says
    after = counts(site.cache)
    counted = [name for name in after if after[name] > before[name]]
    said = dict(attributes(span))
    assert [said["hotplate.cache.outcome"]] == counted
    return {name.removeprefix("hotplate.cache."): value for name, value in said.items()}


async def test_a_miss_then_a_hit(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    site = watched()
    assert await served(telemetry, site, "GET", "/") == {"outcome": "miss", "reason": "uri-miss"}
    assert await served(telemetry, site, "GET", "/") == {"outcome": "hit", "reason": "fresh"}


@pytest.mark.parametrize(
    ("method", "target", "headers", "outcome", "reason"),
    [
        ("HEAD", "/", [], "hit", "fresh"),
        ("GET", "/", [("if-none-match", "*")], "hit", "fresh"),
        ("GET", "/", [("range", "bytes=0-1")], "hit", "fresh"),
        ("POST", "/", [], "bypass", "method"),
        ("GET", "/admin", [], "bypass", "excluded"),
        ("GET", "/no", [], "bypass", "rule-no-store"),
        ("GET", "/nobody", [], "bypass", "partition-refused"),
        ("GET", "/", [("upgrade", "x")], "bypass", "upgrade"),
        ("GET", "/", [("content-length", "1")], "bypass", "request-body"),
        ("GET", "/", [("if-match", "x")], "bypass", "precondition"),
        ("GET", "/other", [("range", "bytes=0-1")], "bypass", "range"),
        ("GET", "/other", [("cache-control", "no-store")], "bypass", "request-no-store"),
        ("GET", "/other", [("cookie", "a=b")], "miss", "cookie"),
        ("GET", "/", [("authorization", "x")], "miss", "authorization"),
    ],
)
async def test_a_request_says_what_it_got(
    telemetry: Telemetry,
    watched: Callable[..., Site],
    method: str,
    target: str,
    headers: list[Header],
    outcome: str,
    reason: str,
) -> None:
    rules = [Rule("/no", cache=False), Rule("/nobody", partition=lambda head: None)]
    site = watched(exclude=["/admin"], rules=rules)
    await site.get("/")
    said = await served(telemetry, site, method, target, headers=headers)
    assert said == {"outcome": outcome, "reason": reason}


async def test_stale_while_revalidate(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    site = watched(rules=[Rule("*", stale_while_revalidate=30)])
    await site.get("/")
    site.clock.advance(61)
    said = await served(telemetry, site, "GET", "/")
    assert said == {"outcome": "stale", "reason": "stale-while-revalidate"}


@pytest.mark.parametrize("answer", [Reply(status=503), Reply(error_before=RuntimeError("broken"))])
async def test_stale_if_error(telemetry: Telemetry, watched: Callable[..., Site], answer: Reply) -> None:
    site = watched(rules=[Rule("*", stale_if_error=30)])
    await site.get("/")
    site.clock.advance(61)
    site.origin.answer = answer
    for _ in range(2):  # the second is served without a try
        assert await served(telemetry, site, "GET", "/") == {"outcome": "stale", "reason": "stale-if-error"}


@pytest.mark.parametrize(
    ("profile", "headers"),
    [
        ("safe", []),
        ("rfc9111", [("cache-control", "no-cache")]),
        ("rfc9111", [("cache-control", "no-cache"), ("if-none-match", '"v1"')]),
    ],
)
async def test_what_is_confirmed_is_validated(
    telemetry: Telemetry, watched: Callable[..., Site], profile: str, headers: list[Header]
) -> None:
    site = watched(Reply(headers=[("etag", '"v1"')]), profile=profile)
    await site.get("/")
    site.clock.advance(61)
    site.origin.answer = Reply(b"", 304, [("etag", '"v1"')])
    said = await served(telemetry, site, "GET", "/", headers=headers)
    assert said == {"outcome": "validated", "reason": "validated"}


async def test_a_304_for_the_client_from_a_new_response_is_a_miss(
    telemetry: Telemetry, watched: Callable[..., Site]
) -> None:
    site = watched(Reply(headers=[("etag", '"v1"')]))
    said = await served(telemetry, site, "GET", "/", headers=[("if-none-match", '"v1"')])
    assert said == {"outcome": "miss", "reason": "uri-miss"}


async def test_what_cannot_be_stored_is_a_miss_and_what_is_remembered_of_it_too(
    telemetry: Telemetry, watched: Callable[..., Site]
) -> None:
    site = watched(Reply(headers=[("cache-control", "no-store")]))
    for _ in range(2):
        assert await served(telemetry, site, "GET", "/") == {"outcome": "miss", "reason": "no-store"}
    assert (await served(telemetry, site, "HEAD", "/"))["outcome"] == "bypass"
    site.origin.answer = None
    assert (await served(telemetry, site, "GET", "/"))["outcome"] == "miss"


async def test_a_request_without_an_answer_is_a_miss(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    site = watched(Reply(error_before=RuntimeError("broken")))
    assert await served(telemetry, site, "GET", "/") == {"outcome": "miss"}


async def test_only_if_cached_is_no_lookup_of_the_application(
    telemetry: Telemetry, watched: Callable[..., Site]
) -> None:
    site = watched(profile="rfc9111")
    said = await served(telemetry, site, "GET", "/", headers=[("cache-control", "only-if-cached")])
    assert said == {"outcome": "bypass", "reason": "only-if-cached"}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(), {"outcome": "hit", "reason": "fresh", "collapsed": True}),
        (Reply(status=503), {"outcome": "miss", "reason": "load-failed", "collapsed": True}),
        (
            Reply(error_before=RuntimeError("broken")),
            {"outcome": "miss", "reason": "load-failed", "collapsed": True},
        ),
    ],
)
async def test_who_waited_for_another_ones_load_says_so(
    telemetry: Telemetry, watched: Callable[..., Site], reply: Reply, said: dict[str, Any]
) -> None:
    gate = Gate(reply)
    site = watched(gate)

    async def ask(name: str) -> Response | BaseException:
        with telemetry.tracer.start_as_current_span(name):
            return await call("GET", "/").run(site.app)

    leader = asyncio.ensure_future(ask("leader"))
    await gate.entered()
    follower = asyncio.ensure_future(ask("follower"))
    await turns()
    gate.opened.set()
    await asyncio.wait([leader, follower])
    for task in (leader, follower):
        task.exception()
    found = attributes(telemetry.only("follower"))
    names = ("hotplate.cache.outcome", "hotplate.cache.reason", "hotplate.cache.collapsed")
    assert {name.removeprefix("hotplate.cache."): found[name] for name in names} == said
    assert attributes(telemetry.only("leader"))["hotplate.cache.outcome"] == "miss"
    assert len(telemetry.spans("hotplate load")) == 1


async def test_a_cache_before_this_one_does_not_speak_for_it(
    telemetry: Telemetry, watched: Callable[..., Site]
) -> None:
    site = watched(Reply(headers=[("cache-status", "ExampleCache; hit; detail=memory")]))
    assert await served(telemetry, site, "GET", "/") == {"outcome": "miss", "reason": "uri-miss"}
    assert await served(telemetry, site, "GET", "/") == {"outcome": "hit", "reason": "fresh"}


async def test_without_a_span_nothing_happens(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    site = watched()
    for _ in range(2):
        await site.get("/")
    assert [span.name for span in telemetry.spans()] == ["hotplate load"]


# Loads.


async def test_a_load_is_a_child_of_its_request(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    site = watched()
    with telemetry.tracer.start_as_current_span("GET") as request:
        await site.get("/products/42?token=secret", headers=[("x-token", "secret")])
    load = telemetry.only("hotplate load")
    assert load.parent is not None
    assert load.parent.span_id == request.get_span_context().span_id
    assert dict(attributes(load)) == {
        "hotplate.load.kind": "response",
        "hotplate.load.refresh": False,
        "http.request.method": "GET",
        "url.path": "/products/42",
        "http.response.status_code": 200,
    }
    assert load.status.status_code is StatusCode.UNSET


async def test_what_the_application_does_is_within_the_load(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    def answer(scope: Scope) -> bytes:
        with telemetry.tracer.start_as_current_span("SELECT"):
            return b"row"

    site = watched(answer)
    await site.get("/")
    query, load = telemetry.only("SELECT"), telemetry.only("hotplate load")
    assert query.parent is not None
    assert load.context is not None
    assert query.parent.span_id == load.context.span_id


async def test_a_hit_and_a_forward_have_no_load(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    site = watched()
    await site.get("/")
    await site.get("/")
    await site.post("/other")
    assert len(telemetry.spans("hotplate load")) == 1


async def test_a_refresh_says_that_it_is_one(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    site = watched(rules=[Rule("*", stale_while_revalidate=30)])
    await site.get("/")
    site.clock.advance(61)
    await site.get("/")
    await site.settle()
    refreshes = [attributes(span)["hotplate.load.refresh"] for span in telemetry.spans("hotplate load")]
    assert refreshes == [False, True]


async def test_a_load_that_raises_says_what(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    site = watched(Reply(error_before=ConnectionError("down")))
    with pytest.raises(ConnectionError):
        await site.get("/")
    load = telemetry.only("hotplate load")
    assert load.status.status_code is StatusCode.ERROR
    assert attributes(load)["error.type"] == "ConnectionError"
    assert [event.name for event in load.events] == ["exception"]


async def test_a_server_error_is_an_error_of_the_load(telemetry: Telemetry, watched: Callable[..., Site]) -> None:
    site = watched(Reply(status=503))
    await site.get("/")
    load = telemetry.only("hotplate load")
    assert load.status.status_code is StatusCode.ERROR
    assert attributes(load)["error.type"] == "503"


async def test_a_function_is_a_load_by_its_name(telemetry: Telemetry, cache: Cache) -> None:
    telemetry.instrument(cache)

    @cache.cached(60, key="product:{product_id}")
    async def find_product(product_id: int) -> int:
        return product_id

    @cache.cached(60)
    def find_price(product_id: int) -> int:
        assert trace.get_current_span().is_recording()
        return product_id

    for _ in range(2):
        await find_product(42)
        find_price(42)
    kinds = [(attributes(span)["hotplate.load.kind"]) for span in telemetry.spans("hotplate load")]
    names = [str(attributes(span)["code.function.name"]) for span in telemetry.spans("hotplate load")]
    assert kinds == ["value", "value"]
    assert [name.rpartition(".")[2] for name in names] == ["find_product", "find_price"]
    assert all(name.startswith(f"{__name__}.") for name in names)
    assert "42" not in repr([dict(attributes(span)) for span in telemetry.spans()])


async def test_a_loader_is_a_load_by_its_name(telemetry: Telemetry, cache: Cache) -> None:
    telemetry.instrument(cache)

    async def load_rates() -> int:
        return 1

    assert await cache.get_or_set("rates", load_rates, ttl=60) == 1
    assert cache.sync.get_or_set("rates-now", lambda: 2, ttl=60) == 2
    names = [str(attributes(span)["code.function.name"]) for span in telemetry.spans("hotplate load")]
    assert [name.rpartition(".")[2] for name in names] == ["load_rates", "<lambda>"]


async def test_a_function_that_raises_is_an_error_of_the_load(telemetry: Telemetry, cache: Cache) -> None:
    telemetry.instrument(cache)

    @cache.cached(60)
    async def find() -> int:
        raise KeyError("nothing")

    with pytest.raises(KeyError):
        await find()
    assert attributes(telemetry.only("hotplate load"))["error.type"] == "KeyError"


# Invalidations.


async def test_an_invalidation_says_what_it_names(telemetry: Telemetry, cache: Cache) -> None:
    telemetry.instrument(cache)
    with telemetry.tracer.start_as_current_span("PUT") as request:
        await cache.invalidate(tags=["a", "b"], paths=["/p"], prefixes=["/q"], keys=["user:secret"], soft=True)
    span = telemetry.only("hotplate invalidate")
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert dict(attributes(span)) == {
        "hotplate.invalidation.tags": ("a", "b"),
        "hotplate.invalidation.paths": ("/p",),
        "hotplate.invalidation.prefixes": ("/q",),
        "hotplate.invalidation.count": 5,
        "hotplate.invalidation.soft": True,
    }


async def test_few_of_many_names_are_told(telemetry: Telemetry, cache: Cache) -> None:
    telemetry.instrument(cache)
    await cache.invalidate(tags=[f"tag:{number}" for number in range(1_000)])
    span = telemetry.only("hotplate invalidate")
    assert len(attributes(span)["hotplate.invalidation.tags"]) == 20
    assert attributes(span)["hotplate.invalidation.count"] == 1_000


async def test_every_way_to_invalidate_has_its_span(telemetry: Telemetry, cache: Cache) -> None:
    telemetry.instrument(cache)
    cache.on("sold", invalidate_tags=["products"])

    @cache.invalidates(tags=["products"])
    async def change() -> None: ...

    cache.sync.invalidate(tags=["products"])
    await change()
    await cache.emit("sold")
    await cache.namespace("products").invalidate()
    cache.clear()
    assert len(telemetry.spans("hotplate invalidate")) == 5


# Off and on.


async def test_middlewares_made_before_and_after_are_seen(telemetry: Telemetry) -> None:
    cache = Cache()
    before = Site(cache=cache)
    telemetry.instrument(cache)
    after = Site(cache=cache)
    for site in (before, after):
        await site.get("/")
    assert len(telemetry.spans("hotplate load")) == 2


async def test_nobody_watches_unless_asked(site: Site) -> None:
    assert site.app._lookup == site.app._http.lookup


async def test_what_is_removed_sees_nothing_more(telemetry: Telemetry, site: Site) -> None:
    instrumentation = telemetry.instrument(site.cache)
    await site.get("/1")
    instrumentation.remove()
    instrumentation.remove()
    with telemetry.tracer.start_as_current_span("GET") as request:
        await site.get("/2")
        await site.get("/2")
    await site.cache.invalidate(tags=["a"])
    assert attributes(request) == {}
    assert [span.name for span in telemetry.spans()] == ["hotplate load", "GET"]
    assert site.app._lookup == site.app._http.lookup


async def test_a_cache_is_instrumented_once(telemetry: Telemetry, cache: Cache) -> None:
    telemetry.instrument(cache)
    with pytest.raises(ConfigError, match="instrumented already"):
        telemetry.instrument(cache)


async def test_a_cache_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not a Cache"):
        Telemetry().instrument("redis://localhost")  # type: ignore[arg-type]


async def test_the_span_that_fastapi_makes_says_what_the_cache_did(telemetry: Telemetry, cache: Cache) -> None:
    api = FastAPI(telemetry={"tracer_provider": telemetry.tracers})
    api.add_middleware(CacheMiddleware, cache=cache, ttl=60)
    telemetry.instrument(cache)

    @api.get("/products/{number}")
    async def product(number: int) -> int:
        return number

    async with serving(api) as server:
        for _ in range(2):
            await server.get("/products/42")
    requests = [span for span in telemetry.spans() if span.kind is SpanKind.SERVER]
    assert [attributes(span)["hotplate.cache.outcome"] for span in requests] == ["miss", "hit"]
    load = telemetry.only("hotplate load")
    assert load.parent is not None
    assert requests[0].context is not None
    assert load.parent.span_id == requests[0].context.span_id
