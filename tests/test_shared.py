"""What one process loads, every other answers with, as if it had loaded it itself."""

import pytest

from hotplate import Rule
from tests.driver import START, Header, Reply, raw
from tests.fleet import Fleet, bodies, total, without
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

PAGE = Reply(
    b"0123456789" * 10,
    headers=[
        ("Content-Type", "text/plain; charset=latin-1"),
        ("link", "</one>; rel=preload"),
        ("x-order", "first"),
        ("link", "</two>; rel=preload"),
        ("x-octets", b"\xe9\xff"),
        ("x-order", "second"),
        ("x-empty", ""),
        ("last-modified", "Tue, 14 Nov 2023 22:13:00 GMT"),
    ],
)


@pytest.fixture(params=[True, False], ids=["local", "no-local"])
def fleet(redis: RedisServer, request: pytest.FixtureRequest) -> Fleet:
    return Fleet(redis, local=request.param)


@pytest.fixture
def keeping(redis: RedisServer) -> Fleet:
    """A fleet whose processes keep in memory what they found."""
    return Fleet(redis)


# The same answer.


async def test_what_one_process_loads_another_answers_with(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.get("/page?a=1")
    await one.shares(1)
    response = await other.get("/page?a=1")
    assert (response.body, response.hit, other.runs) == (b"node 0, run 1", True, 0)


async def test_the_other_process_says_hit_and_what_lifetime_is_left(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.get("/")
    await one.shares(1)
    fleet.clock.advance(20)
    assert (await other.get("/"))["cache-status"] == "hotplate; hit; ttl=40"


async def test_the_other_process_counts_age_from_the_load(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.get("/")
    await one.shares(1)
    fleet.clock.advance(20)
    assert (await other.get("/"))["age"] == "20"


async def test_an_age_that_came_with_the_response_is_kept(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, Reply(headers=[("age", "10")]))
    await one.get("/")
    await one.shares(1)
    fleet.clock.advance(5)
    assert (await other.get("/"))["age"] == "15"


async def test_body_status_and_header_lines_are_those_of_the_load(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, PAGE)
    await one.get("/")
    await one.shares(1)
    own, found = await one.hit("/"), await other.hit("/")
    assert (found.status, found.body, found.headers) == (own.status, own.body, own.headers)
    of_the_cache = ("age", "cache-status", "etag", "date", "content-length")
    assert without(found, *of_the_cache) == raw(PAGE.headers)


async def test_every_process_gives_the_same_validator(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, PAGE)
    first = await one.get("/")
    await one.shares(1)
    (etag,) = set((await one.hit("/")).lines("etag"))
    assert (await other.get("/"))["etag"] == etag
    assert first.lines("etag") in ([], [etag])


async def test_a_validator_of_the_application_is_kept(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, Reply(headers=[("etag", 'W/"v1"')]))
    await one.get("/")
    await one.shares(1)
    assert (await other.get("/"))["etag"] == 'W/"v1"'


@pytest.mark.parametrize("status", [200, 203, 204, 301, 404, 410])
async def test_other_statuses_are_shared_too(fleet: Fleet, status: int) -> None:
    body = b"" if status == 204 else b"text"
    one, other = await fleet.nodes(2, Reply(body, status, [("location", "/there")]))
    await one.get("/")
    await one.shares(1)
    response = await other.get("/")
    assert (response.status, response.body, response["location"], other.runs) == (status, body, "/there", 0)


@pytest.mark.parametrize(
    "body", [b"", b"x", b"\x00\xff" * 100, b"x" * 1_000_000], ids=["empty", "one", "octets", "1MB"]
)
async def test_any_body_comes_back_octet_for_octet(fleet: Fleet, body: bytes) -> None:
    one, other = await fleet.nodes(2, Reply(body))
    await one.get("/")
    await one.shares(1)
    response = await other.get("/")
    assert (response.body, response["content-length"], other.runs) == (body, str(len(body)), 0)


async def test_a_streamed_body_is_shared_when_it_is_whole(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, Reply([b"a", b"b" * 70_000, b"c"]))
    await one.get("/")
    await one.shares(1)
    assert (await other.get("/")).body == b"a" + b"b" * 70_000 + b"c"


async def test_a_body_that_breaks_off_is_never_shared(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, Reply([b"half", b"more"], error_after=RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        await one.get("/")
    other.origin.answer = b"whole"
    assert (await other.get("/")).body == b"whole"


# Parts of an answer.


async def test_a_condition_that_holds_is_answered_304_by_the_other_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, PAGE)
    await one.get("/")
    await one.shares(1)
    etag = (await one.hit("/"))["etag"]
    response = await other.get("/", headers=[("if-none-match", etag)])
    assert (response.status, response.body, response["etag"], other.runs) == (304, b"", etag, 0)


async def test_if_modified_since_is_answered_304_by_the_other_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, PAGE)
    await one.get("/")
    await one.shares(1)
    response = await other.get("/", headers=[("if-modified-since", "Tue, 14 Nov 2023 22:13:00 GMT")])
    assert (response.status, other.runs) == (304, 0)


async def test_a_range_is_answered_206_by_the_other_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, PAGE)
    await one.get("/")
    await one.shares(1)
    response = await other.get("/", headers=[("range", "bytes=3-5")])
    assert (response.status, response.body, response["content-range"]) == (206, b"345", "bytes 3-5/100")
    assert other.runs == 0


async def test_a_range_beyond_the_end_is_answered_416_by_the_other_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, PAGE)
    await one.get("/")
    await one.shares(1)
    response = await other.get("/", headers=[("range", "bytes=1000-")])
    assert (response.status, response["content-range"], other.runs) == (416, "bytes */100", 0)


async def test_head_is_answered_by_the_other_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, PAGE)
    await one.get("/")
    await one.shares(1)
    response = await other.head("/")
    assert (response.status, response.body, response["content-length"], other.runs) == (200, b"", "100", 0)
    assert response.hit


@pytest.mark.parametrize(
    ("method", "headers"), [("HEAD", []), ("GET", [("range", "bytes=0-1")])], ids=["head", "range"]
)
async def test_where_nothing_is_shared_head_and_range_are_forwarded(
    fleet: Fleet, method: str, headers: list[Header]
) -> None:
    one, other = await fleet.nodes(2)
    await one.request(method, "/", headers=headers)
    await other.request(method, "/", headers=headers)
    assert (one.runs, other.runs, fleet.names(":v")) == (1, 1, [])


async def test_a_request_that_forbids_storing_gets_what_is_shared(fleet: Fleet) -> None:
    """RFC 9111 §5.2.1.5: ``no-store`` is about storing; what is stored may answer it."""
    one, other = await fleet.nodes(2)
    await one.get("/")
    await one.shares(1)
    response = await other.get("/", headers=[("cache-control", "no-store")])
    assert (response.body, other.runs) == (b"node 0, run 1", 0)


async def test_the_answer_to_a_request_that_forbids_storing_is_not_shared(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.get("/", headers=[("cache-control", "no-store")])
    assert (await other.get("/")).body == b"node 1, run 1"


async def test_only_if_cached_is_answered_with_what_is_shared(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, request_directives="honor")
    await one.get("/")
    await one.shares(1)
    response = await other.get("/", headers=[("cache-control", "only-if-cached")])
    assert (response.status, response.body, other.runs) == (200, b"node 0, run 1", 0)


async def test_only_if_cached_is_504_where_nobody_has_it(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, request_directives="honor")
    await one.get("/other")
    await one.shares(1)
    response = await other.get("/", headers=[("cache-control", "only-if-cached")])
    assert (response.status, other.runs) == (504, 0)


async def test_a_request_that_wants_the_origin_is_not_answered_from_what_is_shared(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, request_directives="honor")
    await one.get("/")
    await one.shares(1)
    fleet.clock.advance(1)
    assert (await other.get("/", headers=[("cache-control", "no-cache")])).body == b"node 1, run 1"


async def test_a_load_the_client_asked_for_anew_replaces_what_is_shared(fleet: Fleet) -> None:
    one, other, third = await fleet.nodes(3, request_directives="honor")
    await one.get("/")
    await one.shares(1)
    fleet.clock.advance(1)
    await other.get("/", headers=[("cache-control", "no-cache")])
    await other.shares(1)
    assert (await third.get("/")).body == b"node 1, run 1"


# Memory before the server.


async def test_a_process_that_loaded_does_not_ask_the_server_again(keeping: Fleet) -> None:
    (one,) = await keeping.nodes(1)
    await one.get("/")
    await one.shares(1)
    async with keeping.asks(0):
        for _ in range(20):
            await one.hit("/")


async def test_a_process_that_found_it_there_does_not_ask_the_server_again(keeping: Fleet) -> None:
    one, other = await keeping.nodes(2)
    await one.get("/")
    await one.shares(1)
    await other.get("/")
    async with keeping.asks(0):
        for _ in range(20):
            await other.hit("/")


async def test_a_shared_hit_is_one_command(keeping: Fleet) -> None:
    one, other = await keeping.nodes(2)
    await one.get("/")
    await one.shares(1)
    async with keeping.asks(1):
        await other.hit("/")


async def test_without_memory_every_lookup_is_one_command(redis: RedisServer) -> None:
    fleet = Fleet(redis, local=False)
    (one,) = await fleet.nodes(1)
    await one.get("/")
    await one.shares(1)
    async with fleet.asks(20):
        for _ in range(20):
            await one.hit("/")


async def test_without_memory_nothing_is_held_by_the_process(redis: RedisServer) -> None:
    fleet = Fleet(redis, local=False)
    (one,) = await fleet.nodes(1, Reply(b"x" * 100_000))
    await one.get("/")
    await one.shares(1)
    await one.hit("/")
    assert one.cache.stats().bytes < 10_000


async def test_the_numbers_say_where_it_was_found(keeping: Fleet) -> None:
    one, other = await keeping.nodes(2)
    await one.get("/")
    await one.shares(1)
    await other.get("/")
    await other.get("/")
    assert (one.seen.hits, one.seen.misses, one.seen.stored, one.seen.leases) == (0, 1, 1, 1)
    assert (other.seen.hits, other.seen.misses, other.seen.stored, other.seen.leases) == (1, 0, 0, 0)
    assert (other.cache.stats().hits, other.cache.stats().misses) == (2, 0)


# Lifetimes.


@pytest.mark.parametrize("seconds", [0, 1, 59])
async def test_the_lifetime_left_is_the_same_in_every_process(fleet: Fleet, seconds: int) -> None:
    nodes = await fleet.nodes(3)
    await nodes[0].get("/")
    await nodes[0].shares(1)
    fleet.clock.advance(seconds)
    answers = {((await node.hit("/"))["age"], (await node.hit("/"))["cache-status"]) for node in nodes}
    assert answers == {(str(seconds), f"hotplate; hit; ttl={60 - seconds}")}


async def test_nothing_is_served_past_its_lifetime(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.get("/")
    await one.shares(1)
    fleet.clock.advance(60)
    assert fleet.names(":v"), "still there by the server's own time"
    assert (await other.get("/")).body == b"node 1, run 1"


async def test_nothing_found_late_in_its_life_is_served_past_its_end(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.get("/")
    await one.shares(1)
    fleet.clock.advance(59)
    await other.hit("/")
    fleet.clock.advance(1)
    assert not (await other.get("/")).hit


async def test_what_was_loaded_anew_is_found_by_the_others(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    for _ in range(3):
        before = one.seen.stored
        await one.get("/")
        await one.shares(before + 1)
        assert (await other.get("/")).body == (await one.get("/")).body
        fleet.clock.advance(60)
    assert (one.runs, other.runs) == (3, 0)


async def test_the_server_keeps_a_response_no_longer_than_its_lifetime(fleet: Fleet) -> None:
    (one,) = await fleet.nodes(1)
    await one.get("/")
    await one.shares(1)
    (name,) = fleet.names(":v")
    left = fleet.redis.command("PTTL", name)
    assert isinstance(left, int)
    assert 0 < left <= 60_000


async def test_the_server_lets_go_of_a_response_when_its_time_is_over(redis: RedisServer) -> None:
    fleet = Fleet(redis)
    (one,) = await fleet.nodes(1, ttl=0.05)
    await one.get("/")
    await one.shares(1)
    await eventually(lambda: not fleet.names(":v"), "the server forgets it")


async def test_the_server_keeps_a_response_through_its_time_of_grace(fleet: Fleet) -> None:
    (one,) = await fleet.nodes(1, rules=[Rule("*", stale_while_revalidate=30, stale_if_error=600)])
    await one.get("/")
    await one.shares(1)
    (name,) = fleet.names(":v")
    left = fleet.redis.command("PTTL", name)
    assert isinstance(left, int)
    assert 600_000 < left <= 660_000


async def test_an_expiry_date_holds_in_every_process(fleet: Fleet) -> None:
    headers: list[Header] = [
        ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("expires", "Tue, 14 Nov 2023 22:13:50 GMT"),
    ]
    one, other = await fleet.nodes(2, Reply(headers=headers))
    assert fleet.clock.now() == START
    await one.get("/")
    await one.shares(1)
    fleet.clock.advance(29)
    assert (await other.get("/"))["cache-status"] == "hotplate; hit; ttl=1"


# Sizes, and processes that come later.


async def test_a_body_larger_than_allowed_is_loaded_by_each_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, Reply(b"x" * 1001), max_body=1000)
    assert await bodies([one, other]) == {b"x" * 1001}
    await eventually(lambda: not fleet.names(":l"), "every lease given back")
    assert (one.runs, other.runs, fleet.names(":v")) == (1, 1, [])


async def test_a_body_as_large_as_allowed_is_shared(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, Reply(b"x" * 1000), max_body=1000)
    await one.get("/")
    await one.shares(1)
    await other.get("/")
    assert total([one, other]) == 1


async def test_a_process_that_starts_later_finds_everything(fleet: Fleet) -> None:
    (one,) = await fleet.nodes(1)
    for number in range(10):
        await one.get(f"/{number}")
    await one.shares(10)
    late = await fleet.node()
    for number in range(10):
        assert (await late.get(f"/{number}")).body == f"node 0, run {number + 1}".encode()
    assert late.runs == 0


async def test_no_lease_is_left_when_the_load_has_ended(fleet: Fleet) -> None:
    (one,) = await fleet.nodes(1)
    await one.get("/")
    await one.shares(1)
    await eventually(lambda: not fleet.names(":l"), "the lease is given back")


async def test_what_a_process_evicts_for_room_it_finds_in_the_server(redis: RedisServer) -> None:
    fleet = Fleet(redis, max_bytes="64KiB")
    (one,) = await fleet.nodes(1, Reply(b"x" * 4000))
    for number in range(40):
        await one.get(f"/{number}")
    await one.shares(40)
    for number in range(40):
        assert (await one.get(f"/{number}")).hit
    assert one.runs == 40
    assert one.cache.stats().bytes <= 64 * 1024
