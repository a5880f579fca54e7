"""One load per key over all processes; and what becomes of those who wait when it ends in another way."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.driver import Header, Reply, Response, call
from tests.fleet import Fleet, Gate, Node, total
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=[True, False], ids=["local", "no-local"])
def fleet(redis: RedisServer, request: pytest.FixtureRequest) -> Fleet:
    return Fleet(redis, local=request.param)


async def crowd(nodes: Sequence[Node], number: int, target: str = "/", **request: Any) -> list[Any]:
    """The answers, or exceptions, of so many requests to each at once."""
    return await asyncio.gather(
        *[node.get(target, **request) for _ in range(number) for node in nodes], return_exceptions=True
    )


async def behind(gates: Sequence[Gate], nodes: Sequence[Node]) -> Node:
    """Waits until one process loads and every other waits for it; says which one loads."""
    await eventually(lambda: sum(gate.started for gate in gates) == 1, "one loads")
    leader = next(node for node, gate in zip(nodes, gates, strict=True) if gate.started)
    await eventually(lambda: all(node.seen.waits == 1 for node in nodes if node is not leader), "the others wait")
    return leader


def gated(nodes: Sequence[Node], reply: Reply | bytes) -> list[Gate]:
    """Has every process's handler wait, each at a gate of its own."""
    gates = [Gate(reply) for _ in nodes]
    for node, gate in zip(nodes, gates, strict=True):
        node.origin.answer = gate
    return gates


def let_go(gates: Sequence[Gate]) -> None:
    for gate in gates:
        gate.open()


# Stored.


async def test_a_hundred_and_fifty_requests_in_three_processes_are_one_load(fleet: Fleet) -> None:
    nodes = await fleet.nodes(3)
    gates = gated(nodes, b"x" * 100_000)
    asking = asyncio.ensure_future(crowd(nodes, 50))
    await behind(gates, nodes)
    let_go(gates)
    answers = await asking
    assert {answer.body for answer in answers} == {b"x" * 100_000}
    assert total(nodes) == 1


async def test_every_key_is_loaded_once(fleet: Fleet) -> None:
    nodes = await fleet.nodes(3)
    answers = await asyncio.gather(*[crowd(nodes, 5, f"/{number}") for number in range(10)])
    for of_one_key in answers:
        assert len({answer.body for answer in of_one_key}) == 1
    assert total(nodes) == 10


async def test_who_waited_in_another_process_says_that_it_was_a_hit_there(fleet: Fleet) -> None:
    nodes = await fleet.nodes(2)
    gates = gated(nodes, b"body")
    asking = asyncio.ensure_future(crowd(nodes, 1))
    leader = await behind(gates, nodes)
    let_go(gates)
    answers = dict(zip(nodes, await asking, strict=True))
    waiter = nodes[1 - nodes.index(leader)]
    assert "stored" in answers[leader]["cache-status"]
    assert answers[waiter].body == b"body"
    assert (waiter.seen.waits, waiter.seen.hits, waiter.cache.stats().misses) == (1, 1, 0)


async def test_a_waiter_asks_the_server_a_few_times_only(fleet: Fleet) -> None:
    """It is told when the load has ended; it does not ask again and again."""
    nodes = await fleet.nodes(2)
    gates = gated(nodes, b"body")
    asking = asyncio.ensure_future(crowd(nodes, 50))
    await behind(gates, nodes)
    async with fleet.watched() as commands:
        let_go(gates)
        await asking
        await eventually(lambda: not fleet.names(":l"), "the load is over")
    assert len(commands) <= 10, commands


async def test_of_a_crowd_in_one_process_one_asks_the_server(fleet: Fleet) -> None:
    """The others wait for it; they do not all ask the same."""
    nodes = await fleet.nodes(1)
    gates = gated(nodes, b"body")
    async with fleet.watched() as commands:
        asking = asyncio.ensure_future(crowd(nodes, 50))
        await gates[0].reached()
        let_go(gates)
        assert {answer.body for answer in await asking} == {b"body"}
        await eventually(lambda: not fleet.names(":l"), "the load is over")
    assert len(commands) <= 10, commands


async def test_variants_that_are_asked_for_at_once_are_one_load_each(fleet: Fleet) -> None:
    def answer(scope: dict[str, list[tuple[bytes, bytes]]]) -> Reply:
        color = dict(scope["headers"]).get(b"x-color", b"")
        return Reply(color, headers=[("vary", "x-color")])

    nodes = await fleet.nodes(3, answer)  # type: ignore[arg-type]
    await nodes[0].get("/", headers=[("x-color", "first")])
    await nodes[0].shares(1)
    for node in nodes:
        await node.hit("/", headers=[("x-color", "first")])
    colors = ["red", "blue", "green"]
    answers = await asyncio.gather(*[crowd(nodes, 10, headers=[("x-color", color)]) for color in colors])
    for color, of_one in zip(colors, answers, strict=True):
        assert {answer.body for answer in of_one} == {color.encode()}
    assert total(nodes) == 4


async def test_variants_of_a_cold_key_are_never_mixed(fleet: Fleet) -> None:
    async def answer(scope: dict[str, list[tuple[bytes, bytes]]]) -> Reply:
        await asyncio.sleep(0)
        return Reply(dict(scope["headers"]).get(b"x-color", b""), headers=[("vary", "x-color")])

    nodes = await fleet.nodes(3, answer)  # type: ignore[arg-type]
    colors = ["red", "blue", "green"]
    answers = await asyncio.gather(*[crowd(nodes, 10, headers=[("x-color", color)]) for color in colors])
    for color, of_one in zip(colors, answers, strict=True):
        assert {answer.body for answer in of_one} == {color.encode()}


# Failed.


async def test_an_exception_reaches_the_waiters_and_nothing_is_stored(fleet: Fleet) -> None:
    nodes = await fleet.nodes(3)
    gates = gated(nodes, Reply(error_before=RuntimeError("broken")))
    asking = asyncio.ensure_future(crowd(nodes, 10))
    await behind(gates, nodes)
    let_go(gates)
    answers = await asking
    assert {repr(answer) for answer in answers} == {"RuntimeError('broken')"}
    assert total(nodes) <= 3, "no process tries more than once"
    assert fleet.names(":v") == []


async def test_after_an_exception_another_process_loads_itself(fleet: Fleet) -> None:
    nodes = await fleet.nodes(2)
    gates = gated(nodes, Reply(error_before=RuntimeError("broken")))
    asking = asyncio.ensure_future(crowd(nodes, 5))
    leader = await behind(gates, nodes)
    waiter = nodes[1 - nodes.index(leader)]
    waiter.origin.answer = b"whole"
    let_go(gates)
    answers = await asking
    failed = [answer for answer in answers if isinstance(answer, Exception)]
    assert len(failed) == 5, "those of the process whose handler raised"
    assert {answer.body for answer in answers if isinstance(answer, Response)} == {b"whole"}
    assert waiter.runs == 1
    await eventually(lambda: waiter.seen.stored == 1, "what it loaded is shared")
    assert (await leader.get("/")).body == b"whole"


async def test_a_server_error_reaches_the_waiters_and_nothing_is_stored(fleet: Fleet) -> None:
    nodes = await fleet.nodes(3)
    gates = gated(nodes, Reply(b"broken", 503))
    asking = asyncio.ensure_future(crowd(nodes, 10))
    await behind(gates, nodes)
    let_go(gates)
    answers = await asking
    assert {(answer.status, answer.body) for answer in answers} == {(503, b"broken")}
    assert total(nodes) <= 3
    assert fleet.names(":v") == []


async def test_no_lease_is_left_by_a_load_that_failed(fleet: Fleet) -> None:
    (one,) = await fleet.nodes(1, Reply(error_before=RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        await one.get("/")
    await eventually(lambda: not fleet.names(":l"), "the lease is given back", 1)


# Not storable.

UNSTORABLE: list[Reply] = [
    Reply(b"mine", headers=[("set-cookie", "sid=1")]),
    Reply(b"mine", headers=[("cache-control", "no-store")]),
    Reply(b"mine", headers=[("cache-control", "private")]),
    Reply(b"mine", headers=[("vary", "*")]),
    Reply(b"x" * 2000),
    Reply([b"x" * 600] * 3),
]


@pytest.mark.parametrize("reply", UNSTORABLE, ids=["set-cookie", "no-store", "private", "vary", "large", "stream"])
async def test_where_nothing_can_be_stored_nobody_waits_for_anybody(fleet: Fleet, reply: Reply) -> None:
    """As soon as one knows it, every other runs its handler, all at once."""
    nodes = await fleet.nodes(3, max_body=1000)
    gates = gated(nodes, reply)
    asking = asyncio.ensure_future(crowd(nodes, 10))
    leader = await behind(gates, nodes)
    others = [gate for node, gate in zip(nodes, gates, strict=True) if node is not leader]
    gates[nodes.index(leader)].open()
    try:
        # All twenty stand in the handler at the same time.
        for gate in others:
            await gate.reached(10)
    finally:
        let_go(gates)
    answers = await asking
    assert {answer.body for answer in answers} == {
        b"".join(reply.body) if not isinstance(reply.body, bytes) else reply.body
    }
    assert total(nodes) == 30
    assert fleet.names(":v") == []
    await eventually(lambda: not fleet.names(":l"), "no lease is left")


async def test_what_cannot_be_stored_is_not_asked_for_again_for_a_while(fleet: Fleet) -> None:
    (one,) = await fleet.nodes(1, Reply(headers=[("set-cookie", "sid=1")]))
    await one.get("/")
    async with fleet.asks(0):
        for _ in range(5):
            await one.get("/")
    assert one.runs == 6


async def test_who_leads_gets_its_bytes_before_the_end(fleet: Fleet) -> None:
    """The first client's answer is streamed through while it is recorded."""
    gate = Gate(b"end")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begin", "more_body": True})
        await gate(scope)
        await send({"type": "http.response.body", "body": b"end"})

    one = await fleet.node(app=app)
    asking = call("GET", "/")
    running = asyncio.create_task(asking.run(one.app))
    await gate.reached()
    await eventually(lambda: len(asking.messages) == 2, "the first chunk is there")
    assert fleet.names(":v") == []
    gate.open()
    assert (await running).body == b"beginend"
    await one.shares(1)


# Clients that leave.


async def test_when_the_first_client_leaves_the_load_goes_on_for_all(fleet: Fleet) -> None:
    nodes = await fleet.nodes(3)
    gates = gated(nodes, b"whole")
    first = asyncio.create_task(nodes[0].get("/"))
    await gates[0].reached()
    waiting = asyncio.ensure_future(crowd(nodes[1:], 10))
    await eventually(lambda: all(node.seen.waits == 1 for node in nodes[1:]), "the others wait")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gates[0].open()
    assert {answer.body for answer in await waiting} == {b"whole"}
    assert total(nodes) == 1


async def test_when_a_waiting_client_leaves_its_process_goes_on(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    gates = gated([one, other], b"whole")
    leading = asyncio.create_task(one.get("/"))
    await gates[0].reached()
    first = asyncio.create_task(other.get("/"))
    await eventually(lambda: other.seen.waits == 1, "it waits")
    second = asyncio.create_task(other.get("/"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    let_go(gates)
    assert (await second).body == b"whole"
    assert (await leading).body == b"whole"
    assert total([one, other]) == 1


async def test_when_everybody_who_waits_leaves_nothing_is_left_behind(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    gates = gated([one, other], b"whole")
    leading = asyncio.create_task(one.get("/"))
    await gates[0].reached()
    waiting = [asyncio.create_task(other.get("/")) for _ in range(5)]
    await eventually(lambda: other.seen.waits == 1, "they wait")
    for task in waiting:
        task.cancel()
    # Who keeps a task keeps its exception, and with it every frame: what a request held has to be free all the same.
    await asyncio.gather(*waiting, return_exceptions=True)
    let_go(gates)
    await leading
    await one.shares(1)
    assert (await asyncio.wait_for(other.get("/"), 5)).body == b"whole"
    await eventually(lambda: not fleet.names(":l"), "no lease is left")


async def test_who_waits_too_long_runs_the_handler(redis: RedisServer) -> None:
    fleet = Fleet(redis)
    one, other = await fleet.nodes(2, wait_timeout=0.05)
    gate = Gate(b"slow")
    one.origin.answer = gate
    leading = asyncio.create_task(one.get("/"))
    await gate.reached()
    response = await other.get("/")
    assert (response.body, other.runs) == (b"node 1, run 1", 1)
    gate.open()
    assert (await leading).body == b"slow"


async def test_a_load_that_outlasts_its_lease_stays_the_only_one(redis: RedisServer) -> None:
    """The lease is renewed for as long as the load runs."""
    fleet = Fleet(redis, lease=0.2)
    one, other = await fleet.nodes(2)
    gate = Gate(b"slow")
    one.origin.answer = gate
    leading = asyncio.create_task(one.get("/"))
    await gate.reached()
    (name,) = fleet.names(":l")
    waiting = asyncio.create_task(other.get("/"))
    before = redis.command("GET", name)
    renewals = await until_renewed(redis, 6)
    assert renewals >= 6
    assert redis.command("GET", name) == before
    gate.open()
    assert (await leading).body == (await waiting).body == b"slow"
    assert other.runs == 0


async def until_renewed(redis: RedisServer, times: int) -> int:
    """Waits until leases were prolonged so often: longer in all than one lasts."""

    def renewed() -> int:
        for line in str(redis.command("INFO", "commandstats")).splitlines():
            if line.startswith("cmdstat_pexpire:calls="):
                return int(line.split("=")[1].split(",")[0])
        return 0

    before = renewed()
    await eventually(lambda: renewed() - before >= times, "renewed")
    return renewed() - before


async def test_a_process_that_is_gone_delays_the_others_by_its_lease_at_most(redis: RedisServer) -> None:
    fleet = Fleet(redis, lease=0.2)
    (one,) = await fleet.nodes(1)
    await one.get("/")
    await one.shares(1)
    (value,) = fleet.names(":v")
    redis.command("DEL", value)
    # What a process leaves behind that ends while it loads.
    redis.command("SET", value[:-1] + "l", "0123456789abcdef", "PX", 200)
    other = await fleet.node(b"mine")
    assert (await asyncio.wait_for(other.get("/"), 5)).body == b"mine"
    assert other.seen.waits == 1


# Many.


async def test_two_hundred_requests_for_five_keys_run_five_handlers(redis: RedisServer) -> None:
    fleet = Fleet(redis, local=False)

    async def answer(scope: dict[str, str]) -> Reply:
        await asyncio.sleep(0.01)
        return Reply(scope["path"].encode() * 100)

    nodes = await fleet.nodes(2, answer)  # type: ignore[arg-type]
    clients = [httpx.AsyncClient(transport=httpx.ASGITransport(node.app), base_url="http://test") for node in nodes]
    try:
        answers = await asyncio.gather(*[clients[place % 2].get(f"/{place % 5}") for place in range(200)])
    finally:
        for client in clients:
            await client.aclose()
    for place, answer_ in enumerate(answers):
        assert answer_.content == f"/{place % 5}".encode() * 100
    assert total(nodes) == 5


async def test_many_keys_in_many_processes_are_never_crossed(fleet: Fleet) -> None:
    def answer(scope: dict[str, Any]) -> Reply:
        headers: list[Header] = [("x-path", scope["path"])]
        return Reply(scope["path"].encode() * 50, headers=headers)

    nodes = await fleet.nodes(3, answer)  # type: ignore[arg-type]
    targets = [f"/{number % 40}" for number in range(400)]
    answers = await asyncio.gather(*[nodes[place % 3].get(target) for place, target in enumerate(targets)])
    for target, response in zip(targets, answers, strict=True):
        assert (response.body, response["x-path"]) == (target.encode() * 50, target)
    assert total(nodes) == 40
