"""What is one stored response and what are two: method, scheme, host, path, query and body in the key."""

from typing import Any

import pytest

from hotplate import Query, Rule
from tests.driver import Reply, Site, twice

pytestmark = pytest.mark.asyncio

APART: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("host", {"host": "a.test"}, {"host": "b.test"}),
    ("port", {"host": "a.test:8000"}, {"host": "a.test:8001"}),
    ("scheme", {"scheme": "http"}, {"scheme": "https"}),
    ("path", {"target": "/a"}, {"target": "/b"}),
    ("query", {"target": "/a?x=1"}, {"target": "/a?x=2"}),
    ("query or none", {"target": "/a"}, {"target": "/a?x=1"}),
    ("query text in the path", {"target": "/items/limit=1"}, {"target": "/items?limit=1"}),
    ("query text at the end of the path", {"target": "/itemslimit=1"}, {"target": "/items?limit=1"}),
    ("escaped question mark", {"target": "/items%3Flimit=1"}, {"target": "/items?limit=1"}),
    ("trailing slash", {"target": "/a"}, {"target": "/a/"}),
    ("double slash", {"target": "/a/b"}, {"target": "/a//b"}),
    ("escaped slash", {"target": "/a/b"}, {"target": "/a%2Fb"}),
    ("case of the path", {"target": "/a"}, {"target": "/A"}),
    ("case of the query", {"target": "/?x=a"}, {"target": "/?x=A"}),
    ("order of the query", {"target": "/?x=1&y=2"}, {"target": "/?y=2&x=1"}),
    ("repeated parameter", {"target": "/?x=1"}, {"target": "/?x=1&x=1"}),
    ("empty value and none", {"target": "/?x="}, {"target": "/?x"}),
    ("host and path", {"host": "a", "target": "/b/c"}, {"host": "a/b", "target": "/c"}),
    ("two hosts or one", {"host": "a.test"}, {"host": "a.test", "headers": [("host", "b.test")]}),
    ("non-ASCII path", {"target": "/caf\u00e9"}, {"target": "/cafe"}),
    ("raw octets in the path", {"target": b"/\xff"}, {"target": b"/\xfe"}),
]


@pytest.mark.parametrize(("first", "second"), [row[1:] for row in APART], ids=[row[0] for row in APART])
async def test_requests_that_differ_do_not_share_a_response(
    site: Site, first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, other = await twice(site, first, second)
    assert one.body != other.body


@pytest.mark.parametrize(("first", "second"), [row[1:] for row in APART], ids=[row[0] for row in APART])
async def test_requests_that_differ_are_stored_beside_each_other(
    site: Site, first: dict[str, Any], second: dict[str, Any]
) -> None:
    await twice(site, first, second)
    assert (await twice(site, first, second))[0].body == b"run 1"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"headers": [("user-agent", "a")]}, {"headers": [("user-agent", "b")]}),
        ({"client": ("10.0.0.1", 1)}, {"client": ("10.0.0.2", 2)}),
        ({"http_version": "1.1"}, {"http_version": "2"}),
        ({"host": "EXAMPLE.test"}, {"host": "EXAMPLE.test"}),
        ({"headers": [("accept-encoding", "gzip")]}, {"headers": [("accept-encoding", "br")]}),
    ],
    ids=["user-agent", "address", "version", "same host", "accept-encoding without Vary"],
)
async def test_what_the_response_does_not_depend_on_is_not_in_the_key(
    site: Site, first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, other = await twice(site, first, second)
    assert one.body == other.body


async def test_a_request_without_host_is_known_by_the_server_it_reached(site: Site) -> None:
    await site.get("/", host=None, server=("10.0.0.1", 80))
    assert (await site.get("/", host=None, server=("10.0.0.2", 80))).body == b"run 2"


async def test_head_is_answered_from_the_entry_of_get(site: Site) -> None:
    await site.get("/")
    assert (await site.head("/")).hit


async def test_head_from_the_entry_of_get_has_no_body(site: Site) -> None:
    await site.get("/")
    assert (await site.head("/")).body == b""


async def test_head_tells_the_length_get_would_have(site: Site) -> None:
    await site.get("/")
    assert (await site.head("/"))["content-length"] == "5"


async def test_a_head_without_an_entry_reaches_the_application_as_head(site: Site) -> None:
    await site.head("/")
    assert site.origin.scope["method"] == "HEAD"


async def test_the_answer_to_head_is_not_served_to_get(site: Site) -> None:
    site.origin.answer = lambda scope: b"" if scope["method"] == "HEAD" else b"body"
    await site.head("/")
    assert (await site.get("/")).body == b"body"


# The query in the key.


@pytest.mark.parametrize(
    ("query", "first", "second"),
    [
        (Query(sort=True), "/?a=1&b=2", "/?b=2&a=1"),
        (Query(drop=["utm_*"]), "/?a=1", "/?a=1&utm_source=x&utm_medium=y"),
        (Query(drop=["utm_*"]), "/", "/?utm_source=x"),
        (Query(drop=["fbclid"]), "/?fbclid=1&a=1", "/?fbclid=2&a=1"),
        (Query(keep=["a"]), "/?a=1&b=1", "/?a=1&b=2"),
        (Query(keep=[]), "/?a=1", "/?a=2"),
        (Query(sort=True, drop=["utm_*"]), "/?b=2&utm_x=1&a=1", "/?a=1&b=2"),
        (Query(drop=["utm_*"]), "/?a=1", "/?a=1&utm%5Fsource=x"),
    ],
)
async def test_queries_that_mean_the_same_share_a_response(query: Query, first: str, second: str) -> None:
    site = Site(rules=[Rule("*", query=query)])
    one, other = await twice(site, {"target": first}, {"target": second})
    assert one.body == other.body


@pytest.mark.parametrize(
    ("query", "first", "second"),
    [
        (Query(sort=True), "/?a=1&a=2", "/?a=2&a=1"),
        (Query(sort=True), "/?a=1&b=2", "/?a=2&b=1"),
        (Query(drop=["utm_*"]), "/?a=1", "/?a=2&utm_source=x"),
        (Query(drop=["utm"]), "/?utm=1&utm_source=a", "/?utm=1&utm_source=b"),
        (Query(keep=["a"]), "/?a=1&b=1", "/?a=2&b=1"),
        (Query(sort=True), "/?a=1&b=2", "/?a=1%26b=2"),
    ],
)
async def test_queries_that_mean_different_things_do_not(query: Query, first: str, second: str) -> None:
    site = Site(rules=[Rule("*", query=query)])
    one, other = await twice(site, {"target": first}, {"target": second})
    assert one.body != other.body


async def test_the_application_gets_the_query_as_it_came() -> None:
    site = Site(rules=[Rule("*", query=Query(sort=True, drop=["utm_*"]))])
    await site.get("/?b=2&utm_source=x&a=1")
    assert site.origin.scope["query_string"] == b"b=2&utm_source=x&a=1"


# The body in the key.

SEARCH = Rule("/search", methods=["POST"])


async def test_a_post_is_forwarded_unless_a_rule_names_it(site: Site) -> None:
    await site.post("/search", body=b"q=1")
    assert (await site.post("/search", body=b"q=1")).body == b"run 2"


@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_a_method_a_rule_names_is_cached_by_its_body(method: str) -> None:
    site = Site(rules=[Rule("/search", methods=[method])])
    await site.request(method, "/search", body=b"q=1")
    assert (await site.request(method, "/search", body=b"q=1")).hit


async def test_two_bodies_are_two_responses() -> None:
    site = Site(rules=[SEARCH])
    await site.post("/search", body=b"q=1")
    assert (await site.post("/search", body=b"q=2")).body == b"run 2"


async def test_a_body_in_parts_is_the_body_as_a_whole() -> None:
    site = Site(rules=[SEARCH])
    await site.post("/search", body=[b"q=", b"1"])
    assert (await site.post("/search", body=b"q=1")).hit


async def test_two_content_types_are_two_responses() -> None:
    site = Site(rules=[SEARCH])
    await site.post("/search", body=b"1", headers=[("content-type", "application/json")])
    response = await site.post("/search", body=b"1", headers=[("content-type", "text/plain")])
    assert response.body == b"run 2"


async def test_post_and_get_of_one_path_are_two_responses() -> None:
    site = Site(rules=[Rule("/search", methods=["GET", "POST"])])
    await site.get("/search")
    assert (await site.post("/search")).body == b"run 2"


async def test_the_application_gets_the_body_that_entered_the_key() -> None:
    site = Site(rules=[SEARCH])
    await site.post("/search", body=[b"q=", b"1"])
    assert site.origin.bodies == [b"q=1"]


async def test_a_body_too_large_for_the_key_is_forwarded() -> None:
    site = Site(rules=[Rule("/search", methods=["POST"], max_request_body=4)])
    await site.post("/search", body=b"12345")
    assert (await site.post("/search", body=b"12345")).detail == "request-body-too-large"


async def test_a_body_too_large_for_the_key_reaches_the_application_whole() -> None:
    site = Site(rules=[Rule("/search", methods=["POST"], max_request_body=4)])
    await site.post("/search", body=[b"123", b"456", b"789"])
    assert site.origin.bodies == [b"123456789"]


async def test_a_body_as_large_as_the_limit_enters_the_key() -> None:
    site = Site(rules=[Rule("/search", methods=["POST"], max_request_body=4)])
    await site.post("/search", body=b"1234")
    assert (await site.post("/search", body=b"1234")).hit


async def test_a_post_a_rule_caches_does_not_invalidate() -> None:
    site = Site(rules=[SEARCH])
    await site.get("/search")
    await site.post("/search", body=b"q=1")
    assert (await site.get("/search")).hit


@pytest.mark.parametrize("headers", [[("content-length", "3")], [("transfer-encoding", "chunked")]])
async def test_a_get_with_a_body_is_forwarded_and_not_stored(headers: list[tuple[str, str]]) -> None:
    site = Site()
    await site.get("/", body=b"abc", headers=headers)
    assert (await site.get("/", body=b"abc", headers=headers)).detail == "request-body"


async def test_an_upgrade_is_forwarded_and_not_stored(site: Site) -> None:
    headers = [("connection", "upgrade"), ("upgrade", "h2c")]
    await site.get("/", headers=headers)
    assert (await site.get("/", headers=headers)).detail == "upgrade"


async def test_mounted_applications_with_the_same_inner_path_do_not_share() -> None:
    site = Site(Reply(b"a"))
    await site.get("/a/x", root_path="/a")
    site.origin.answer = b"b"
    assert (await site.get("/b/x", root_path="/b")).body == b"b"


@pytest.mark.parametrize(("one", "other"), [("/en/", "/de/"), ("/tenants/a/x", "/tenants/b/x")])
async def test_a_path_rewritten_by_middleware_outside_is_what_counts(site: Site, one: str, other: str) -> None:
    """Middleware that rewrites ``path`` by language or tenant rarely rewrites ``raw_path`` with it."""
    await site.get("/", path=one)
    assert (await site.get("/", path=other)).body == b"run 2"


async def test_a_path_rewritten_by_middleware_outside_is_found_again(site: Site) -> None:
    await site.get("/", path="/en/")
    assert (await site.get("/", path="/en/")).hit
