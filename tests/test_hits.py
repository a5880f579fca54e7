"""What a stored response looks like when it is served again, and which responses are stored at all."""

import pytest

from hotplate import Rule
from tests.driver import START, Header, Reply, Site, call

pytestmark = pytest.mark.asyncio

REPEATED: list[Header] = [
    ("content-type", "text/plain; charset=utf-8"),
    ("link", "</a>; rel=preload"),
    ("X-One", "1"),
    ("Link", "</b>; rel=preload"),
    ("x-one", "2"),
]


async def test_the_second_request_is_answered_without_the_handler(site: Site) -> None:
    await site.get("/")
    await site.get("/")
    assert site.runs == 1


async def test_a_hit_has_the_body_of_the_miss(site: Site) -> None:
    assert (await site.get("/")).body == (await site.get("/")).body


async def test_binary_bodies_come_back_as_they_were() -> None:
    body = bytes(range(256)) * 64
    site = Site(body)
    await site.get("/")
    assert (await site.hit("/")).body == body


async def test_a_body_in_chunks_comes_back_whole() -> None:
    site = Site(Reply([b"a", b"", b"b", b"c"]))
    await site.get("/")
    assert (await site.hit("/")).body == b"abc"


async def test_a_miss_is_streamed_chunk_by_chunk() -> None:
    site = Site(Reply([b"a", b"b", b"c"]))
    assert [chunk for chunk in (await site.get("/")).chunks if chunk] == [b"a", b"b", b"c"]


async def test_an_empty_body_is_stored(site: Site) -> None:
    site.origin.answer = b""
    await site.get("/")
    assert (await site.get("/")).hit


@pytest.mark.parametrize("request_number", [1, 2])
async def test_repeated_header_lines_keep_their_number_and_order(request_number: int) -> None:
    site = Site(Reply(headers=REPEATED))
    response = await site.last(request_number)
    assert [line for line in response.headers if line[0].lower() in (b"content-type", b"link", b"x-one")] == [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"link", b"</a>; rel=preload"),
        (b"X-One", b"1"),
        (b"Link", b"</b>; rel=preload"),
        (b"x-one", b"2"),
    ]


async def test_each_of_many_like_responses_keeps_its_own_lines() -> None:
    """Lines that come again are kept as objects, in fewer places than there are lines here."""
    site = Site()
    told = {
        f"/{number}": [("content-type", f"text/plain; version={number:05d}; charset=utf-8"), ("vary", f"v{number}")]
        for number in range(1_500)
    }
    for path, lines in told.items():
        site.origin.answer = Reply(headers=lines)
        await site.get(path)
    for path, lines in told.items():
        for _ in range(2):
            response = await site.hit(path)
            assert [response.lines(name) for name, _ in lines] == [[value] for _, value in lines]


async def test_two_set_cookie_lines_survive_a_miss() -> None:
    site = Site(Reply(headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")]))
    assert (await site.get("/")).lines("set-cookie") == ["a=1", "b=2"]


async def test_two_set_cookie_lines_survive_a_hit_where_a_rule_stores_them() -> None:
    site = Site(
        Reply(headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")]), rules=[Rule("*", cookies="danger-store")]
    )
    await site.get("/")
    assert (await site.hit("/")).lines("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("status", [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])
async def test_a_ttl_stores_the_statuses_that_are_cacheable_by_default(status: int) -> None:
    site = Site(Reply(b"" if status == 204 else b"x", status))
    await site.get("/")
    assert (await site.get("/")).hit


@pytest.mark.parametrize("status", [201, 202, 206, 302, 303, 307, 400, 401, 403, 409, 418, 422, 429])
async def test_a_ttl_does_not_store_other_statuses(status: int) -> None:
    site = Site(Reply(status=status))
    await site.get("/")
    await site.get("/")
    assert site.runs == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
async def test_a_ttl_never_stores_a_server_error(status: int) -> None:
    site = Site(Reply(status=status), rules=[])
    await site.get("/")
    await site.get("/")
    assert site.runs == 2


@pytest.mark.parametrize("status", [201, 302, 307, 403])
async def test_explicit_freshness_stores_any_final_status(status: int) -> None:
    site = Site(Reply(status=status, headers=[("cache-control", "max-age=60")]))
    await site.get("/")
    assert (await site.get("/")).hit


@pytest.mark.parametrize("status", [200, 301, 404, 410])
async def test_a_hit_keeps_the_status(status: int) -> None:
    site = Site(Reply(status=status, headers=[("location", "/x")]))
    await site.get("/")
    assert (await site.hit("/")).status == status


async def test_age_counts_the_seconds_since_the_response_was_made(site: Site) -> None:
    await site.get("/")
    site.clock.advance(17)
    assert (await site.hit("/"))["age"] == "17"


async def test_a_miss_has_no_age_of_its_own(site: Site) -> None:
    assert (await site.get("/")).lines("age") in ([], ["0"])


async def test_the_age_a_response_came_with_is_part_of_its_age() -> None:
    site = Site(Reply(headers=[("age", "10"), ("cache-control", "max-age=60")]))
    await site.get("/")
    site.clock.advance(5)
    assert (await site.hit("/"))["age"] == "15"


async def test_a_response_is_no_longer_a_hit_once_its_lifetime_is_over(site: Site) -> None:
    await site.get("/")
    site.clock.advance(60)
    await site.get("/")
    assert site.runs == 2


async def test_a_response_is_a_hit_until_its_lifetime_is_over(site: Site) -> None:
    await site.get("/")
    site.clock.advance(59)
    assert (await site.get("/")).hit


async def test_cache_status_of_a_hit_tells_what_remains_of_the_lifetime(site: Site) -> None:
    await site.get("/")
    site.clock.advance(20)
    assert (await site.hit("/"))["cache-status"] == "hotplate; hit; ttl=40"


async def test_cache_status_of_a_miss_tells_that_the_response_is_stored(site: Site) -> None:
    assert (await site.get("/"))["cache-status"].startswith("hotplate; fwd=uri-miss; stored")


@pytest.mark.parametrize(
    ("answer", "method", "expected"),
    [
        (Reply(headers=[("cache-control", "no-store")]), "GET", "hotplate; fwd=uri-miss; detail=no-store"),
        (Reply(headers=[("cache-control", "private")]), "GET", "hotplate; fwd=uri-miss; detail=private"),
        (Reply(headers=[("set-cookie", "a=1")]), "GET", "hotplate; fwd=uri-miss; detail=set-cookie"),
        (Reply(headers=[("vary", "*")]), "GET", "hotplate; fwd=uri-miss; detail=vary-any"),
        (Reply(), "POST", "hotplate; fwd=method"),
    ],
)
async def test_cache_status_names_the_reason_of_a_forward(answer: Reply, method: str, expected: str) -> None:
    assert (await Site(answer).request(method, "/"))["cache-status"] == expected


async def test_the_cache_status_of_a_cache_behind_us_stays_before_ours() -> None:
    site = Site(Reply(headers=[("cache-status", "inner; hit")]))
    response = await site.get("/")
    assert ", ".join(response.lines("cache-status")).startswith("inner; hit, hotplate; fwd=uri-miss")


async def test_x_cache_is_not_sent_unless_asked_for(site: Site) -> None:
    await site.get("/")
    assert "x-cache" not in await site.hit("/")


@pytest.mark.parametrize(
    ("method", "target", "expected"), [("GET", "/", ["MISS", "HIT"]), ("GET", "/admin", ["BYPASS", "BYPASS"])]
)
async def test_x_cache_says_in_one_word_what_happened(method: str, target: str, expected: list[str]) -> None:
    site = Site(x_cache=True, exclude=["/admin"])
    assert [(await site.request(method, target))["x-cache"] for _ in range(2)] == expected


async def test_x_cache_replaces_that_of_the_application() -> None:
    site = Site(Reply(headers=[("x-cache", "HIT from elsewhere")]), x_cache=True)
    assert (await site.get("/")).lines("x-cache") == ["MISS"]


CONNECTION: list[Header] = [
    ("connection", "x-hop"),
    ("x-hop", "1"),
    ("keep-alive", "timeout=5"),
    ("transfer-encoding", "chunked"),
    ("te", "trailers"),
    ("upgrade", "h2c"),
    ("proxy-connection", "close"),
]


async def test_connection_fields_are_not_stored() -> None:
    site = Site(Reply(headers=[*CONNECTION, ("x-end", "1")]))
    await site.get("/")
    response = await site.hit("/")
    names = [str(name) for name, _ in CONNECTION]
    assert [name for name in (*names, "x-end") if name in response] == ["x-end"]


@pytest.mark.parametrize("directive", ["private", "no-cache"])
@pytest.mark.parametrize("field", ["x-user", "set-cookie"])
async def test_a_field_the_response_withholds_by_name_is_not_served_again(directive: str, field: str) -> None:
    site = Site(Reply(headers=[("cache-control", f'max-age=60, {directive}="{field}"'), (field, "alice")]))
    await site.get("/")
    assert field not in await site.hit("/")


async def test_a_field_the_response_withholds_by_name_reaches_its_own_client() -> None:
    site = Site(Reply(headers=[("cache-control", 'max-age=60, private="x-user"'), ("x-user", "alice")]))
    assert (await site.get("/"))["x-user"] == "alice"


async def test_the_date_of_a_stored_response_stays() -> None:
    date = "Tue, 14 Nov 2023 22:13:20 GMT"
    site = Site(Reply(headers=[("date", date)]))
    await site.get("/")
    site.clock.advance(30)
    assert (await site.hit("/"))["date"] == date


async def test_a_hit_tells_its_length_where_the_application_did_not(site: Site) -> None:
    await site.get("/")
    assert (await site.hit("/"))["content-length"] == "5"


async def test_the_body_is_stored_before_its_last_byte_leaves() -> None:
    site = Site(Reply([b"a", b"b"]))
    seen: list[bool] = []

    async def ask_again_at_the_end() -> None:
        first = call("GET", "/")
        send = first.send

        async def watching(message: object) -> None:
            if isinstance(message, dict) and message["type"] == "http.response.body" and not message.get("more_body"):
                seen.append((await site.get("/")).hit)
            await send(message)  # type: ignore[arg-type]

        await site.app(first.scope, first.receive, watching)

    await ask_again_at_the_end()
    assert seen == [True]


async def test_the_clock_of_these_tests_stands_still(site: Site) -> None:
    assert site.clock.now() == START


async def test_one_cache_serves_two_middlewares(site: Site) -> None:
    other = Site(cache=site.cache, clock=site.clock)
    await site.get("/")
    assert (await other.get("/")).body == b"run 1"


async def test_two_caches_share_nothing(site: Site) -> None:
    other = Site()
    await site.get("/")
    await other.get("/")
    assert other.runs == 1
