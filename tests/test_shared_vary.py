"""What selects a response, across processes: varying fields, parts of the query, the body of the request."""

from collections.abc import Callable

import pytest

from hotplate import Query, Rule
from hotplate.asgi import Scope
from tests.driver import Header, Reply
from tests.fleet import Fleet, total
from tests.redis_servers import RedisServer

pytestmark = pytest.mark.asyncio


def value_of(scope: Scope, name: bytes) -> bytes:
    return b",".join(value for key, value in scope["headers"] if key == name)


def varying(*names: str, control: str = "max-age=60") -> Callable[[Scope], Reply]:
    """Answers with the values of the fields it says it varies by."""

    def answer(scope: Scope) -> Reply:
        body = b"|".join(value_of(scope, name.encode()) for name in names)
        return Reply(body, headers=[("vary", name) for name in names] + [("cache-control", control)])

    return answer


def asking(color: str) -> list[Header]:
    return [("x-color", color)]


@pytest.fixture(params=[True, False], ids=["local", "no-local"])
def fleet(redis: RedisServer, request: pytest.FixtureRequest) -> Fleet:
    return Fleet(redis, local=request.param)


async def test_a_variant_another_process_stored_is_found(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    response = await other.get("/", headers=asking("red"))
    assert (response.body, response.hit, other.runs) == (b"red", True, 0)


async def test_another_variant_is_not_found(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    response = await other.get("/", headers=asking("blue"))
    assert (response.body, response.hit, other.runs) == (b"blue", False, 1)


async def test_every_process_finds_the_variants_of_every_other(fleet: Fleet) -> None:
    colors = ["red", "green", "blue", "", "red, blue"]
    nodes = await fleet.nodes(3, varying("x-color"))
    for place, color in enumerate(colors):
        node = nodes[place % 3]
        before = node.seen.stored
        await node.get("/", headers=asking(color))
        await node.shares(before + 1)
    for node in nodes:
        for color in colors:
            assert (await node.hit("/", headers=asking(color))).body == color.encode()
    assert total(nodes) == len(colors)


async def test_a_request_without_the_field_is_a_variant_of_its_own(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    assert (await other.get("/")).body == b""
    await other.shares(1)
    assert (await one.get("/")).hit


async def test_the_first_variant_costs_two_commands_and_the_next_one(redis: RedisServer) -> None:
    fleet = Fleet(redis)
    one, other = await fleet.nodes(2, varying("x-color"))
    for place, color in enumerate(["red", "blue"], start=1):
        await one.get("/", headers=asking(color))
        await one.shares(place)
    async with fleet.asks(2):
        await other.hit("/", headers=asking("red"))
    async with fleet.asks(1):
        await other.hit("/", headers=asking("blue"))
    async with fleet.asks(0):
        await other.hit("/", headers=asking("red"))
        await other.hit("/", headers=asking("blue"))


async def test_responses_may_vary_by_several_fields(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color", "accept-language"))
    await one.get("/", headers=[*asking("red"), ("accept-language", "de")])
    await one.shares(1)
    assert (await other.get("/", headers=[("accept-language", "de"), *asking("red")])).hit
    assert (await other.get("/", headers=[*asking("red"), ("accept-language", "fr")])).body == b"red|fr"


async def test_fields_do_not_run_into_each_other(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-a", "x-b"))
    await one.get("/", headers=[("x-a", "1"), ("x-b", "23")])
    await one.shares(1)
    assert (await other.get("/", headers=[("x-a", "12"), ("x-b", "3")])).body == b"12|3"


async def test_a_rule_may_say_what_selects(redis: RedisServer) -> None:
    fleet = Fleet(redis)

    def plain(scope: Scope) -> Reply:
        return Reply(value_of(scope, b"x-color"))

    one, other = await fleet.nodes(2, plain, rules=[Rule("*", vary=["X-Color"])])
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    red, blue = [await other.get("/", headers=asking(color)) for color in ("red", "blue")]
    assert (red.body, red.hit, red["vary"]) == (b"red", True, "x-color")
    assert (blue.body, blue.hit) == (b"blue", False)


async def test_a_response_that_varies_by_everything_is_loaded_by_each(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, Reply(headers=[("vary", "*")]))
    await one.get("/")
    await other.get("/")
    assert (one.runs, other.runs, fleet.names(":v")) == (1, 1, [])


async def test_head_finds_the_variant_of_another_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    response = await other.head("/", headers=asking("red"))
    assert (response.hit, response["content-length"], other.runs) == (True, "3", 0)


async def test_a_range_finds_the_variant_of_another_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    response = await other.get("/", headers=[*asking("red"), ("range", "bytes=1-1")])
    assert (response.status, response.body, other.runs) == (206, b"e", 0)


async def test_the_lifetime_of_each_variant_is_its_own(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    fleet.clock.advance(40)
    await one.get("/", headers=asking("blue"))
    await one.shares(2)
    fleet.clock.advance(30)
    assert (await other.get("/", headers=asking("blue"))).hit
    assert not (await other.get("/", headers=asking("red"))).hit


async def test_a_short_variant_does_not_hide_a_long_one(fleet: Fleet) -> None:
    """The record of what selects lives as long as the longest variant."""
    one, other = await fleet.nodes(2, varying("x-color", control="max-age=3600"))
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    one.origin.answer = varying("x-color", control="max-age=1")
    await one.get("/", headers=asking("blue"))
    await one.shares(2)
    left = [fleet.redis.command("PTTL", name) for name in fleet.names(":v")]
    assert sum(isinstance(millis, int) and millis > 3_000_000 for millis in left) == 2
    assert (await other.get("/", headers=asking("red"))).hit


async def test_a_key_that_begins_to_vary_does_so_for_all(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, b"same for all")
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    await other.hit("/", headers=asking("blue"))
    fleet.clock.advance(60)
    for node in (one, other):
        node.origin.answer = varying("x-color")
    await one.get("/", headers=asking("red"))
    await one.shares(2)
    assert (await other.get("/", headers=asking("blue"))).body == b"blue"
    assert (await other.get("/", headers=asking("red"))).body == b"red"
    assert other.runs == 1


async def test_a_key_that_stops_varying_does_so_for_all(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    for place, color in enumerate(["red", "blue"], start=1):
        await one.get("/", headers=asking(color))
        await one.shares(place)
        await other.hit("/", headers=asking(color))
    position = await one.cache.invalidate(paths=["/"])
    await other.reads_to(position)
    fleet.clock.advance(1)
    for node in (one, other):
        node.origin.answer = Reply(b"same for all", headers=[("cache-control", "max-age=60")])
    await one.get("/", headers=asking("red"))
    await one.shares(3)
    for color in ("blue", "red", "green"):
        assert (await other.get("/", headers=asking(color))).body == b"same for all"
        await other.settle()
    assert other.runs <= 1, "it learns that the key does not vary any more from its own load at the latest"
    late = await fleet.node()
    assert (await late.get("/", headers=asking("green"))).body == b"same for all"
    assert late.runs == 0


async def test_a_process_finds_that_a_key_has_stopped_varying_without_a_load(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    await other.hit("/", headers=asking("red"))
    fleet.clock.advance(60)
    one.origin.answer = Reply(b"same for all")
    await one.get("/", headers=asking("red"))
    await one.shares(2)
    assert (await other.get("/", headers=asking("red"))).body == b"same for all"
    assert other.runs == 0


async def test_a_key_that_varies_by_another_field_than_before_does_so_for_all(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    await one.get("/", headers=asking("red"))
    await one.shares(1)
    await other.hit("/", headers=asking("red"))
    fleet.clock.advance(60)
    for node in (one, other):
        node.origin.answer = varying("x-size")
    await one.get("/", headers=[*asking("red"), ("x-size", "10")])
    await one.shares(2)
    assert (await other.get("/", headers=[*asking("red"), ("x-size", "20")])).body == b"20"
    assert (await other.get("/", headers=[*asking("blue"), ("x-size", "10")])).body == b"10"


async def test_an_invalidation_reaches_every_variant(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, varying("x-color"))
    for place, color in enumerate(["red", "blue"], start=1):
        await one.get("/", headers=asking(color))
        await one.shares(place)
        await other.hit("/", headers=asking(color))
    await other.reads_to(await one.cache.invalidate(paths=["/"]))
    for color in ("red", "blue"):
        assert not (await other.get("/", headers=asking(color))).hit


async def test_encodings_are_never_mixed(fleet: Fleet) -> None:
    def answer(scope: Scope) -> Reply:
        if b"gzip" in value_of(scope, b"accept-encoding"):
            return Reply(b"zipped", headers=[("content-encoding", "gzip"), ("vary", "Accept-Encoding")])
        return Reply(b"plain", headers=[("vary", "Accept-Encoding")])

    one, other = await fleet.nodes(2, answer)
    await one.get("/", headers=[("accept-encoding", "gzip, br")])
    await one.shares(1)
    assert (await other.get("/", headers=[("accept-encoding", "gzip, br")])).body == b"zipped"
    assert (await other.get("/")).body == b"plain"
    assert (await other.get("/", headers=[("accept-encoding", "identity")])).body == b"plain"


async def test_a_part_of_the_query_that_does_not_matter_does_not_matter_to_others(fleet: Fleet) -> None:
    headers: list[Header] = [("no-vary-search", 'params=("utm")')]
    one, other = await fleet.nodes(2, Reply(headers=headers))
    await one.get("/?id=1&utm=a")
    await one.shares(1)
    assert (await other.get("/?id=1&utm=a")).hit
    assert (await other.get("/?id=1&utm=b")).hit
    assert other.runs == 0


async def test_a_query_that_a_rule_puts_in_order_is_one_key_for_all(fleet: Fleet) -> None:
    rules = [Rule("*", query=Query(sort=True, drop=["utm_*"]))]
    one, other = await fleet.nodes(2, rules=rules)
    await one.get("/?a=1&b=2&utm_source=x")
    await one.shares(1)
    assert (await other.get("/?utm_medium=y&b=2&a=1")).hit
    assert not (await other.get("/?a=2&b=2")).hit


@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_the_body_of_a_request_selects_in_every_process(fleet: Fleet, method: str) -> None:
    one, other = await fleet.nodes(2, rules=[Rule("*", methods=[method])])
    await one.request(method, "/", body=b"one question")
    await one.shares(1)
    same = await other.request(method, "/", body=[b"one ", b"question"])
    another = await other.request(method, "/", body=b"another question")
    assert (same.body, same.hit) == (b"node 0, run 1", True)
    assert (another.body, another.hit) == (b"node 1, run 1", False)
    assert b"question" not in fleet.dump()
