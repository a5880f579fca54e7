"""Stale responses across processes: one refresh in all, and stale answers from a process that did not load them."""

import asyncio

import pytest

from hotplate import Rule
from tests.driver import Header, Reply
from tests.fleet import Fleet, Gate, Node, total
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

REVALIDATING = [Rule("*", stale_while_revalidate=30)]
FORGIVING = [Rule("*", stale_if_error=30)]
BOTH = [Rule("*", stale_while_revalidate=30, stale_if_error=300)]


@pytest.fixture(params=[True, False], ids=["local", "no-local"])
def fleet(redis: RedisServer, request: pytest.FixtureRequest) -> Fleet:
    return Fleet(redis, local=request.param)


async def stale(fleet: Fleet, number: int, rules: list[Rule], reply: Reply | bytes = b"old") -> list[Node]:
    """Processes of which the first has loaded what is stale now, and the others have not seen it."""
    nodes = await fleet.nodes(number, reply, rules=rules)
    await nodes[0].get("/")
    await nodes[0].shares(1)
    fleet.clock.advance(61)
    return nodes


# stale-while-revalidate.


async def test_a_process_that_did_not_load_it_serves_it_stale_while_it_refreshes(fleet: Fleet) -> None:
    one, other = await stale(fleet, 2, REVALIDATING)
    gate = Gate(b"new")
    other.origin.answer = gate
    response = await asyncio.wait_for(other.get("/"), 5)
    assert (response.body, response.detail) == (b"old", "stale-while-revalidate")
    assert response["cache-status"] == "hotplate; hit; ttl=-1; detail=stale-while-revalidate"
    await gate.reached()
    gate.open()
    await other.settle()
    await other.shares(1)
    assert (await other.get("/")).body == b"new"
    # What the first has in memory is stale too: it finds the new one while it serves that.
    await one.get("/")
    await one.settle()
    assert (await one.get("/")).body == b"new"
    assert (one.runs, other.runs) == (1, 1)


async def test_one_process_of_all_refreshes(fleet: Fleet) -> None:
    nodes = await stale(fleet, 3, REVALIDATING)
    gates = [Gate(b"new") for _ in nodes]
    for node, gate in zip(nodes, gates, strict=True):
        node.origin.answer = gate
    answers = await asyncio.gather(*[node.get("/") for node in nodes])
    assert {answer.body for answer in answers} == {b"old"}
    await eventually(lambda: any(gate.started for gate in gates), "somebody refreshes")
    for gate in gates:
        gate.open()
    for node in nodes:
        await node.settle()
    await eventually(lambda: not fleet.names(":l"), "the refresh is over")
    assert total(nodes) == 2


async def test_while_another_process_refreshes_everybody_serves_stale(fleet: Fleet) -> None:
    one, other = await stale(fleet, 2, REVALIDATING)
    gate = Gate(b"new")
    one.origin.answer = gate
    await one.get("/")
    await gate.reached()
    for _ in range(5):
        assert (await asyncio.wait_for(other.get("/"), 5)).body == b"old"
        await other.settle()
    gate.open()
    await one.settle()
    assert (one.runs, other.runs) == (2, 0)


async def test_while_this_process_refreshes_it_serves_stale(fleet: Fleet) -> None:
    one, _ = await stale(fleet, 2, REVALIDATING)
    gate = Gate(b"new")
    one.origin.answer = gate
    await one.get("/")
    await gate.reached()
    try:
        for _ in range(3):
            assert (await asyncio.wait_for(one.get("/"), 5)).body == b"old"
    finally:
        gate.open()
    await one.settle()


async def test_what_another_process_refreshed_is_found_by_who_holds_the_stale_one(fleet: Fleet) -> None:
    one, other = await stale(fleet, 2, REVALIDATING)
    await other.get("/")
    other.origin.answer = one.origin.answer = b"new"
    await other.settle()
    await eventually(lambda: one.seen.stored + other.seen.stored == 2, "refreshed")
    before = total([one, other])
    await one.get("/")
    await one.settle()
    assert (await one.get("/")).hit
    assert (await one.get("/")).detail is None
    assert total([one, other]) == before


async def test_a_refresh_that_is_confirmed_makes_it_fresh_for_all(fleet: Fleet) -> None:
    def answer(scope: dict[str, list[tuple[bytes, bytes]]]) -> Reply:
        headers: list[Header] = [("etag", '"v1"')]
        asked = any(name == b"if-none-match" for name, _ in scope["headers"])
        return Reply(b"", 304, headers) if asked else Reply(b"whole", 200, headers)

    one, other = await stale(fleet, 2, REVALIDATING, Reply(b"whole", headers=[("etag", '"v1"')]))
    one.origin.answer = other.origin.answer = answer  # type: ignore[assignment]
    await other.get("/")
    await other.settle()
    await other.shares(1)
    assert other.origin.seen("if-none-match") == ['"v1"']
    await one.get("/")
    await one.settle()
    response = await one.get("/")
    assert (response.body, response.detail, response["cache-status"]) == (b"whole", None, "hotplate; hit; ttl=60")
    assert (one.runs, other.runs) == (1, 1)


async def test_a_miss_is_validated_with_what_another_process_stored(fleet: Fleet) -> None:
    """Not only refreshes: what is stale and may not be served is still good for a condition."""
    headers: list[Header] = [("etag", '"v1"'), ("cache-control", "max-age=60, stale-if-error=600")]
    one, other = await stale(fleet, 2, [], Reply(b"whole", headers=headers))
    other.origin.answer = Reply(b"", 304, headers)
    response = await other.get("/")
    assert (response.status, response.body) == (200, b"whole")
    assert other.origin.seen("if-none-match") == ['"v1"']
    await other.shares(1)
    assert (await one.get("/")).hit


async def test_the_time_of_grace_ends_for_all(fleet: Fleet) -> None:
    _, other = await stale(fleet, 2, REVALIDATING)
    fleet.clock.advance(29)
    other.origin.answer = b"new"
    assert (await other.get("/")).body == b"new"


async def test_a_range_and_a_head_are_served_stale(fleet: Fleet) -> None:
    _, other = await stale(fleet, 2, REVALIDATING)
    part = await other.get("/", headers=[("range", "bytes=0-0")])
    await other.settle()
    assert (part.status, part.body) == (206, b"o")
    fleet.clock.advance(61)
    head = await other.head("/")
    await other.settle()
    assert (head.status, head.body, head.hit) == (200, b"", True)


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "no-cache"])
async def test_what_forbids_it_is_served_stale_by_nobody(fleet: Fleet, directive: str) -> None:
    headers: list[Header] = [
        ("cache-control", f"max-age=60, stale-while-revalidate=30, stale-if-error=30, {directive}"),
        ("etag", '"1"'),
    ]
    one, other = await fleet.nodes(2, Reply(b"old", headers=headers))
    await one.get("/")
    await one.shares(1)
    fleet.clock.advance(61)
    other.origin.answer = b"new"
    assert (await other.get("/")).body == b"new"


# stale-if-error.


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failure_is_answered_with_what_another_process_stored(fleet: Fleet, status: int) -> None:
    _, other = await stale(fleet, 2, FORGIVING)
    other.origin.answer = Reply(b"broken", status)
    response = await other.get("/")
    assert (response.status, response.body, response.detail) == (200, b"old", "stale-if-error")


async def test_an_exception_is_answered_with_what_another_process_stored(fleet: Fleet) -> None:
    _, other = await stale(fleet, 2, FORGIVING)
    other.origin.answer = Reply(error_before=RuntimeError("broken"))
    response = await other.get("/")
    assert (response.body, response.detail) == (b"old", "stale-if-error")


async def test_after_a_failure_the_stored_response_is_not_replaced(fleet: Fleet) -> None:
    one, other = await stale(fleet, 2, FORGIVING)
    other.origin.answer = Reply(b"broken", 503)
    await other.get("/")
    one.origin.answer = b"new"
    assert (await one.get("/")).body == b"new"
    await one.shares(2)
    third = await fleet.node(b"third")
    assert (await third.get("/")).body == b"new"


async def test_waiters_in_every_process_get_the_stale_one_when_the_load_fails(fleet: Fleet) -> None:
    one, other = await stale(fleet, 2, FORGIVING)
    gate = Gate(Reply(b"broken", 503))
    one.origin.answer = gate
    leading = asyncio.create_task(one.get("/"))
    await gate.reached()
    other.origin.answer = Reply(b"broken too", 503)
    waiting = [asyncio.create_task(node.get("/")) for node in (one, other) for _ in range(5)]
    await eventually(lambda: other.seen.waits == 1, "the other process waits")
    gate.open()
    answers = await asyncio.gather(leading, *waiting)
    assert {answer.body for answer in answers} == {b"old"}


async def test_the_grace_for_errors_ends(fleet: Fleet) -> None:
    _, other = await stale(fleet, 2, FORGIVING)
    fleet.clock.advance(29)
    other.origin.answer = Reply(b"broken", 503)
    assert (await other.get("/")).status == 503


async def test_an_invalidated_response_is_served_stale_by_nobody(fleet: Fleet) -> None:
    one, other = await stale(fleet, 2, BOTH)
    await other.reads_to(await one.cache.invalidate(paths=["/"]))
    for node in (one, other):
        node.origin.answer = Reply(b"broken", 503)
        assert (await node.get("/")).status == 503


async def test_a_refresh_that_fails_leaves_the_stale_one_to_all(fleet: Fleet) -> None:
    one, other = await stale(fleet, 2, BOTH)
    for node in (one, other):
        node.origin.answer = Reply(b"broken", 503)
    for _ in range(3):
        for node in (one, other):
            assert (await node.get("/")).body == b"old"
            await node.settle()
            await eventually(lambda: not fleet.names(":l"), "the refresh is over")


async def test_after_a_failed_refresh_the_next_one_succeeds(fleet: Fleet) -> None:
    one, other = await stale(fleet, 2, BOTH)
    one.origin.answer = Reply(b"broken", 503)
    await one.get("/")
    await one.settle()
    await eventually(lambda: not fleet.names(":l"), "the refresh is over")
    fleet.clock.advance(10)
    other.origin.answer = b"new"
    await other.get("/")
    await other.settle()
    await other.shares(1)
    assert (await other.get("/")).body == b"new"
