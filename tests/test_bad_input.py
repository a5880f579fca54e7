"""What peers send that nobody should: each has a named outcome, and none is a failure of the service."""

from typing import Any

import pytest

from hotplate import Rule, by_cookie
from hotplate.asgi import Receive, Scope, Send
from tests.driver import Call, Header, Reply, Site, http_scope, raw

pytestmark = pytest.mark.asyncio

LONG = "x" * 65_536

REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("64 KiB value", {"headers": [("x-long", LONG)]}),
    ("64 KiB name", {"headers": [(LONG, "1")]}),
    ("64 KiB path", {"target": "/" + LONG}),
    ("64 KiB query", {"target": "/?" + LONG}),
    ("64 KiB host", {"host": LONG}),
    ("64 KiB if-none-match", {"headers": [("if-none-match", '"' + LONG + '"')]}),
    ("64 KiB of etags", {"headers": [("if-none-match", ", ".join(['"a"'] * 10_000))]}),
    ("64 KiB of commas", {"headers": [("if-none-match", "," * 65_536), ("cache-control", "," * 65_536)]}),
    ("64 KiB of ranges", {"headers": [("range", "bytes=" + "0-0," * 16_000 + "1-1")]}),
    ("64 KiB cache-control", {"headers": [("cache-control", "max-age=" + "9" * 65_536)]}),
    ("64 KiB accept-encoding", {"headers": [("accept-encoding", "gzip;q=0.1," * 6_000)]}),
    ("2,000 header lines", {"headers": [("x-many", "1")] * 2_000}),
    ("octets beyond ASCII in a value", {"headers": [("x-raw", b"\xff\xfe\x00\x01")]}),
    ("octets beyond ASCII in a name", {"headers": [(b"x-\xff", b"1")]}),
    ("empty name", {"headers": [("", "1")]}),
    ("empty value", {"headers": [("cache-control", ""), ("if-none-match", ""), ("range", "")]}),
    ("line break in a value", {"headers": [("x-a", "1\r\nset-cookie: a=1")]}),
    ("invalid percent-encoding", {"target": "/%zz%"}),
    ("UTF-8 path", {"target": "/caf\u00e9/\u65e5\u672c"}),
    ("path that is not UTF-8", {"target": b"/\xff\xfe"}),
    ("escaped path that is not UTF-8", {"target": "/%ff%fe"}),
    ("escaped NUL", {"target": "/a%00b"}),
    ("dots", {"target": "/../../etc/passwd"}),
    ("empty path", {"target": ""}),
    ("star", {"target": "*", "method": "OPTIONS"}),
    ("absolute form", {"target": "http://other.test/x"}),
    ("no host", {"host": None}),
    ("empty host", {"host": ""}),
    ("host with spaces", {"host": "a b"}),
    ("two hosts", {"headers": [("host", "other.test")]}),
    ("server of a Unix socket", {"host": None, "server": ("/run/app.sock", None)}),
    ("no server", {"host": None, "server": None}),
    ("no client", {"client": None}),
    ("unknown scheme", {"scheme": "gopher"}),
    ("unknown method", {"method": "BREW"}),
    ("path that is not Unicode", {"path": "/\udcff"}),
    ("root path that is not Unicode", {"root_path": "/\udcff"}),
    ("method that is not Unicode", {"method": "\udcff"}),
    ("no raw path", {"raw_path": None}),
    ("lower-case method", {"method": "get"}),
    ("empty method", {"method": ""}),
    ("content-length that is no number", {"headers": [("content-length", "many")]}),
    ("negative content-length", {"headers": [("content-length", "-1")]}),
    ("cookie that cannot be read", {"headers": [("cookie", '=;;=";"\x00')]}),
    ("contradictory request directives", {"headers": [("cache-control", "no-cache, only-if-cached, max-stale")]}),
    ("negative max-age", {"headers": [("cache-control", "max-age=-1")]}),
    ("dates of long ago", {"headers": [("if-modified-since", "Sun, 06 Nov 0001 08:49:37 GMT")]}),
    ("dates that do not exist", {"headers": [("if-modified-since", "Fri, 31 Feb 2023 25:61:61 GMT")]}),
]
REQUEST_IDS = [name for name, _ in REQUESTS]


async def ask(site: Site, request: dict[str, Any]) -> Any:
    arguments = dict(request)
    return await site.request(arguments.pop("method", "GET"), arguments.pop("target", "/"), **arguments)


@pytest.mark.parametrize("request_", [request for _, request in REQUESTS], ids=REQUEST_IDS)
@pytest.mark.parametrize("settings", [{}, {"profile": "rfc9111"}], ids=["safe", "rfc9111"])
async def test_a_strange_request_is_answered(settings: dict[str, Any], request_: dict[str, Any]) -> None:
    site = Site(Reply(b"hello", headers=[("vary", "x-a, accept-encoding")]), **settings)
    await ask(site, request_)
    assert (await ask(site, request_)).status in (200, 304, 416, 504)


@pytest.mark.parametrize("request_", [request for _, request in REQUESTS], ids=REQUEST_IDS)
async def test_a_strange_request_reaches_the_application_as_it_came(request_: dict[str, Any]) -> None:
    site = Site(rules=[Rule("*", cache=False)])
    arguments = dict(request_)
    await ask(site, request_)
    sent = http_scope(arguments.pop("method", "GET"), arguments.pop("target", "/"), **arguments)
    got = {name: value for name, value in site.origin.scope.items() if name in sent}
    assert got == sent


@pytest.mark.parametrize("request_", [request for _, request in REQUESTS], ids=REQUEST_IDS)
async def test_a_strange_request_does_not_disturb_a_plain_one(request_: dict[str, Any]) -> None:
    site = Site(lambda scope: b"plain" if scope["path"] == "/plain" else b"strange")
    await ask(site, request_)
    await ask(site, request_)
    assert (await site.get("/plain")).body == b"plain"


@pytest.mark.parametrize("request_", [request for _, request in REQUESTS], ids=REQUEST_IDS)
async def test_a_strange_request_can_be_partitioned(request_: dict[str, Any]) -> None:
    site = Site(partition=by_cookie("sid"))
    assert (await ask(site, request_)).status == 200


async def test_a_scope_without_raw_path_is_known_by_its_path(site: Site) -> None:
    scope = http_scope("GET", "/caf\u00e9")
    del scope["raw_path"]
    await Call(dict(scope)).run(site.app)
    assert (await Call(scope).run(site.app)).hit


@pytest.mark.parametrize(
    "name", ["asgi", "http_version", "scheme", "raw_path", "query_string", "root_path", "client", "server", "state"]
)
async def test_a_scope_may_lack_what_asgi_makes_optional(site: Site, name: str) -> None:
    scope = http_scope("GET", "/")
    del scope[name]
    await Call(dict(scope)).run(site.app)
    assert (await Call(scope).run(site.app)).hit


async def test_paths_that_differ_only_without_raw_path_are_kept_apart(site: Site) -> None:
    bodies = []
    for path in ("/a?b", "/a"):
        scope = http_scope("GET", "/")
        del scope["raw_path"]
        scope["path"] = path
        bodies.append((await Call(scope).run(site.app)).body)
    assert bodies == [b"run 1", b"run 2"]


RESPONSES: list[tuple[str, list[Header]]] = [
    ("64 KiB value", [("x-long", LONG)]),
    ("64 KiB cache-control", [("cache-control", "max-age=60, x=" + LONG)]),
    ("64 KiB vary", [("vary", ", ".join(f"x-{number}" for number in range(7_000)))]),
    ("64 KiB etag", [("etag", '"' + LONG + '"')]),
    ("octets beyond ASCII in a value", [("x-raw", b"\xff\xfe")]),
    ("octets beyond ASCII in a name", [(b"x-\xff", b"1")]),
    ("empty name", [("", "1")]),
    ("garbage cache-control", [("cache-control", '=,;="max-age=60'), ("expires", "never")]),
    ("garbage vary", [("vary", "not a token, (x)")]),
    ("garbage etag", [("etag", "no quotes")]),
    ("garbage date", [("date", "today"), ("last-modified", "yesterday")]),
    ("garbage age", [("age", "old")]),
    ("negative age", [("age", "-1")]),
    ("overflowing age", [("age", "9" * 100)]),
    ("overflowing max-age", [("cache-control", "max-age=" + "9" * 100)]),
    ("contradictory directives", [("cache-control", "no-store, max-age=60, public, private")]),
    ("2,000 header lines", [("x-many", str(number)) for number in range(2_000)]),
    ("targeted garbage", [("cdn-cache-control", b"\xff=?"), ("hotplate-cache-control", "max-age=(1 2)")]),
    ("a cache status of its own", [("cache-status", "not; a=list,,"), ("x-cache", "HIT")]),
]


@pytest.mark.parametrize("headers", [row[1] for row in RESPONSES], ids=[row[0] for row in RESPONSES])
async def test_a_strange_response_reaches_the_client_line_by_line(headers: list[Header]) -> None:
    site = Site(Reply(headers=headers))
    got = (await site.get("/")).headers
    assert got[: len(headers)] == raw(headers)


@pytest.mark.parametrize("headers", [row[1] for row in RESPONSES], ids=[row[0] for row in RESPONSES])
async def test_after_a_strange_response_the_next_request_is_answered(headers: list[Header]) -> None:
    site = Site(Reply(headers=headers))
    await site.get("/")
    assert (await site.get("/")).body == b"hello"


@pytest.mark.parametrize("headers", [row[1] for row in RESPONSES], ids=[row[0] for row in RESPONSES])
async def test_after_a_strange_response_validation_still_works(headers: list[Header]) -> None:
    site = Site(Reply(headers=headers))
    await site.get("/")
    site.clock.advance(10_000)
    assert (await site.get("/", headers=[("if-none-match", '"other"')])).status == 200


async def test_a_64_kib_value_comes_back_from_the_cache() -> None:
    site = Site(Reply(headers=[("x-long", LONG)]))
    await site.get("/")
    response = await site.get("/")
    assert (response.hit, response["x-long"]) == (True, LONG)


@pytest.mark.parametrize("value", [LONG, LONG + "y", "y" + LONG])
async def test_a_64_kib_value_in_vary_selects_exactly(value: str) -> None:
    site = Site(lambda scope: Reply(str(len(scope["headers"][1][1])).encode(), headers=[("vary", "x-long")]))
    await site.get("/", headers=[("x-long", LONG + "z")])
    assert (await site.get("/", headers=[("x-long", value)])).body == str(len(value)).encode()


@pytest.mark.parametrize(
    "control",
    [
        "no-store, max-age=60",
        "max-age=60, no-store",
        "public, no-store",
        "private, s-maxage=60",
        "public, private, max-age=60",
        "no-cache, max-age=60",
        "no-cache, immutable, max-age=60",
        "max-age=0, s-maxage=60, no-store",
    ],
)
async def test_contradictory_directives_get_the_safer_reading(control: str) -> None:
    site = Site(Reply(headers=[("cache-control", control)]))
    await site.get("/")
    await site.get("/")
    assert site.runs == 2


async def test_an_answer_that_is_not_asgi_raises_as_it_would_without_the_cache() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [("text", "text")]})
        await send({"type": "http.response.body", "body": b""})

    with pytest.raises((TypeError, AssertionError)):
        await Site(app=app).get("/")


@pytest.mark.parametrize("missing", ["headers", "body"])
async def test_parts_of_messages_that_asgi_makes_optional_may_be_missing(missing: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
        end: dict[str, Any] = {"type": "http.response.body", "body": b""}
        start.pop(missing, None)
        end.pop(missing, None)
        await send(start)
        await send(end)

    site = Site(app=app)
    await site.get("/")
    assert (await site.get("/")).body == b""


async def test_header_lines_may_be_lists_and_any_iterable() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = ([b"x-one", b"1"], [b"x-two", b"2"])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})

    site = Site(app=app)
    await site.get("/")
    assert (await site.get("/"))["x-two"] == "2"


@pytest.mark.parametrize("kind", [bytearray, memoryview])
async def test_bodies_may_be_any_bytes_like_object(kind: type) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": kind(b"hello")})

    site = Site(app=app)
    await site.get("/")
    assert (await site.get("/")).body == b"hello"


async def test_a_body_changed_after_it_was_sent_is_stored_as_it_was_sent() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray(b"hello")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        body[:] = b"XXXXX"
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    site = Site(app=app)
    await site.get("/")
    assert (await site.get("/")).body == b"hello"
