"""Which requests are cached at all: include, exclude, rules and hosts."""

import pytest

from hotplate import Rule
from hotplate.asgi import Receive, Scope, Send
from tests.driver import Reply, Site, call

pytestmark = pytest.mark.asyncio


async def is_cached(site: Site, target: str = "/", **request: str) -> bool:
    await site.get(target, **request)
    return (await site.get(target, **request)).hit


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/products", "/products", True),
        ("/products", "/products/", False),
        ("/products", "/products/1", False),
        ("/products/*", "/products/1", True),
        ("/products/*", "/products/1/reviews", True),
        ("/products/*", "/products", False),
        ("/products/{id}", "/products/1", True),
        ("/products/{id}", "/products/1/reviews", False),
        ("/products/{id}/reviews", "/products/1/reviews", True),
        ("/files/{rest:path}", "/files/a/b/c", True),
        ("/files/{name}.json", "/files/a.json", True),
        ("/files/{name}.json", "/files/a.xml", False),
        ("*", "/anything", True),
        ("*.css", "/static/a.css", True),
        ("/caf\u00e9", "/caf%C3%A9", True),
        ("/a b", "/a%20b", True),
        ("/a", "/%61", True),
        ("/PRODUCTS", "/products", False),
    ],
)
async def test_a_rule_speaks_for_the_paths_its_pattern_matches(pattern: str, path: str, matches: bool) -> None:
    assert await is_cached(Site(ttl=None, rules=[Rule(pattern, ttl=60)]), path) == matches


@pytest.mark.parametrize(
    ("exclude", "path", "cached"),
    [
        (["/admin"], "/admin", False),
        (["/admin"], "/admin/users", False),
        (["/admin"], "/administer", True),
        (["/admin/"], "/admin/users", False),
        (["/auth/*"], "/auth/login", False),
        (["/auth/*"], "/auth", True),
        (["*.php"], "/a/b.php", False),
        (["/admin"], "/%61dmin", False),
        (["/admin"], "/ADMIN", True),
        ([], "/admin", True),
    ],
)
async def test_excluded_paths_are_forwarded(exclude: list[str], path: str, cached: bool) -> None:
    assert await is_cached(Site(exclude=exclude), path) == cached


@pytest.mark.parametrize(
    ("include", "path", "cached"),
    [
        (["/api"], "/api", True),
        (["/api"], "/api/products", True),
        (["/api"], "/apis", False),
        (["/api"], "/", False),
        (["/a", "/b/*"], "/b/c", True),
        (None, "/anything", True),
    ],
)
async def test_only_included_paths_are_cached(include: list[str] | None, path: str, cached: bool) -> None:
    assert await is_cached(Site(include=include), path) == cached


async def test_exclude_wins_over_include_and_rules() -> None:
    site = Site(include=["/api"], exclude=["/api/admin"], rules=[Rule("/api/admin", ttl=60)])
    assert not await is_cached(site, "/api/admin")


async def test_an_excluded_request_names_its_reason() -> None:
    assert (await Site(exclude=["/admin"]).get("/admin"))["cache-status"] == "hotplate; fwd=bypass; detail=excluded"


async def test_the_first_rule_that_matches_speaks() -> None:
    site = Site(rules=[Rule("/a/{x}", ttl=5), Rule("/a/*", ttl=500)])
    await site.get("/a/1")
    assert (await site.get("/a/1"))["cache-status"] == "hotplate; hit; ttl=5"


async def test_a_later_rule_speaks_for_what_an_earlier_one_leaves() -> None:
    site = Site(rules=[Rule("/a/{x}", ttl=5), Rule("/a/*", ttl=500)])
    await site.get("/a/1/2")
    assert (await site.get("/a/1/2"))["cache-status"] == "hotplate; hit; ttl=500"


async def test_a_rule_inherits_what_it_leaves_open() -> None:
    site = Site(ttl=7, client_ttl=3, rules=[Rule("*", tags=["t"])])
    await site.get("/")
    response = await site.get("/")
    assert (response["cache-status"], response["cache-control"]) == ("hotplate; hit; ttl=7", "max-age=3")


async def test_a_rule_may_keep_a_path_out_of_the_cache() -> None:
    assert not await is_cached(Site(rules=[Rule("/private/*", cache=False)]), "/private/x")


async def test_a_rule_that_keeps_out_names_the_reason() -> None:
    response = await Site(rules=[Rule("*", cache=False)]).get("/")
    assert response["cache-status"] == "hotplate; fwd=bypass; detail=rule-no-store"


async def test_a_rule_that_keeps_out_keeps_out_what_says_it_is_public() -> None:
    site = Site(Reply(headers=[("cache-control", "public, max-age=60")]), rules=[Rule("*", cache=False)])
    assert not await is_cached(site)


@pytest.mark.parametrize("status", [206, 500, 502, 503, 504])
async def test_an_override_does_not_store_what_a_ttl_never_stores(status: int) -> None:
    assert not await is_cached(Site(Reply(status=status), rules=[Rule("*", ttl=60, override=True)]))


async def test_a_rule_for_get_speaks_for_head() -> None:
    site = Site(ttl=None, rules=[Rule("/", ttl=60)])
    await site.get("/")
    assert (await site.head("/")).hit


async def test_methods_are_written_in_any_case() -> None:
    site = Site(rules=[Rule("/search", methods=["post"])])
    await site.post("/search")
    assert (await site.post("/search")).hit


async def test_a_rule_for_post_alone_leaves_get_to_the_defaults() -> None:
    site = Site(ttl=7, rules=[Rule("/search", methods=["POST"], ttl=60)])
    await site.get("/search")
    assert (await site.get("/search"))["cache-status"] == "hotplate; hit; ttl=7"


@pytest.mark.parametrize(
    ("host", "cached"),
    [
        ("example.org", True),
        ("EXAMPLE.org", True),
        ("example.org:8000", True),
        ("a.shop.example", True),
        ("b.a.shop.example:443", True),
        ("shop.example", False),
        ("evilshop.example", False),
        ("example.org.evil.test", False),
        ("evil.test", False),
        ("", False),
    ],
)
async def test_only_allowed_hosts_have_stored_responses(host: str, cached: bool) -> None:
    assert await is_cached(Site(allowed_hosts=["example.org", "*.shop.example"]), host=host) == cached


async def test_a_host_that_is_not_allowed_still_gets_its_answer() -> None:
    response = await Site(allowed_hosts=["example.org"]).get("/", host="evil.test")
    assert (response.status, response.detail) == (200, "host")


async def test_patterns_are_matched_below_the_root_path() -> None:
    site = Site(ttl=None, rules=[Rule("/products", ttl=60)])
    await site.get("/api/products", root_path="/api")
    assert (await site.get("/api/products", root_path="/api")).hit


# What is stored of a body.


@pytest.mark.parametrize(("size", "cached"), [(99, True), (100, True), (101, False)])
async def test_a_body_is_stored_up_to_max_body(size: int, cached: bool) -> None:
    assert await is_cached(Site(b"x" * size, max_body=100)) == cached


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_max_body_reaches_the_client_whole(announced: bool) -> None:
    headers = [("content-length", "300")] if announced else []
    site = Site(Reply([b"a" * 100, b"b" * 100, b"c" * 100], headers=headers), max_body=150)
    assert (await site.get("/")).body == b"a" * 100 + b"b" * 100 + b"c" * 100


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_max_body_is_not_stored(announced: bool) -> None:
    headers = [("content-length", "300")] if announced else []
    assert not await is_cached(Site(Reply([b"a" * 100] * 3, headers=headers), max_body=150))


@pytest.mark.parametrize(
    ("length", "body"), [("10", b"hello"), ("3", b"hello"), ("0", b"hello"), ("99999999999999999999", b"hello")]
)
async def test_a_body_of_another_length_than_announced_is_never_stored(length: str, body: bytes) -> None:
    assert not await is_cached(Site(Reply(body, headers=[("content-length", length)])))


async def test_two_lengths_that_differ_are_never_stored() -> None:
    assert not await is_cached(Site(Reply(b"hello", headers=[("content-length", "5"), ("content-length", "6")])))


@pytest.mark.parametrize("content_type", ["text/event-stream", "Text/Event-Stream", "text/event-stream; charset=utf-8"])
async def test_a_stream_of_events_is_never_stored(content_type: str) -> None:
    assert not await is_cached(Site(Reply(headers=[("content-type", content_type)])))


async def test_a_response_with_trailers_is_never_stored() -> None:
    assert not await is_cached(Site(Reply(trailers=True)))


async def test_a_body_cut_short_by_an_exception_is_never_stored() -> None:
    site = Site(Reply([b"par", b"tial"], error_after=RuntimeError("cut")))
    with pytest.raises(RuntimeError, match="cut"):
        await site.get("/")
    site.origin.answer = b"whole"
    assert (await site.get("/")).body == b"whole"


async def test_an_application_that_stops_without_an_end_is_never_stored() -> None:
    ended = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": not ended})

    site = Site(app=app)
    cut = call("GET", "/")
    await site.app(cut.scope, cut.receive, cut.send)
    ended = True
    assert not (await site.get("/")).hit
