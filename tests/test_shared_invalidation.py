"""What one process makes untrue, no process serves: not from memory, not from the server, not from a slow load."""

import asyncio
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from hotplate import Cache, Rule
from tests.driver import Header, Reply, Response
from tests.fleet import Fleet, Gate, Node
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

RULES = [Rule("/products/{id}", tags=["products", "product:{id}"])]

WAYS: list[dict[str, Any]] = [
    {"tags": ["products"]},
    {"tags": ["product:1"]},
    {"paths": ["/products/1"]},
    {"prefixes": ["/products"]},
    {"prefixes": ["/"]},
    {"tags": ["other", "products"], "paths": ["/elsewhere"]},
]
NOT_MEANT: list[dict[str, Any]] = [
    {"tags": ["product:2"]},
    {"tags": ["Products"]},
    {"paths": ["/products"]},
    {"paths": ["/products/2"]},
    {"prefixes": ["/product"]},
    {"prefixes": ["/products/1/reviews"]},
    {"keys": ["0" * 32]},
]


def named(ways: list[dict[str, Any]]) -> list[str]:
    return [" ".join(f"{kind}={','.join(targets)}" for kind, targets in way.items()) for way in ways]


@pytest.fixture(params=[True, False], ids=["local", "no-local"])
def fleet(redis: RedisServer, request: pytest.FixtureRequest) -> Fleet:
    return Fleet(redis, local=request.param)


async def all_have(nodes: list[Node], target: str = "/products/1") -> None:
    """Lets the first load, and the others find it."""
    before = nodes[0].seen.stored
    await nodes[0].get(target)
    await nodes[0].shares(before + 1)
    for node in nodes:
        await node.hit(target)


async def until_anew(node: Node, old: bytes, target: str = "/products/1") -> Response:
    """The first answer of a process that is not the old one."""
    answers: list[Response] = []
    deadline = asyncio.get_running_loop().time() + 5
    while not answers or answers[-1].body == old:
        assert asyncio.get_running_loop().time() < deadline, "it goes on serving the old one"
        await asyncio.sleep(0)
        answers.append(await asyncio.wait_for(node.get(target), 5))
    return answers[-1]


# Hard.


@pytest.mark.parametrize("way", WAYS, ids=named(WAYS))
async def test_what_one_process_invalidates_the_others_load_anew(fleet: Fleet, way: dict[str, Any]) -> None:
    nodes = await fleet.nodes(3, rules=RULES)
    await all_have(nodes)
    await nodes[1].cache.invalidate(**way)
    assert (await until_anew(nodes[2], b"node 0, run 1")).body == b"node 2, run 1"
    await nodes[2].shares(1)
    assert (await until_anew(nodes[0], b"node 0, run 1")).body == b"node 2, run 1"


@pytest.mark.parametrize("way", WAYS, ids=named(WAYS))
async def test_without_memory_the_others_see_it_at_once(redis: RedisServer, way: dict[str, Any]) -> None:
    fleet = Fleet(redis, local=False)
    one, other = await fleet.nodes(2, rules=RULES)
    for _ in range(20):
        await all_have([one, other])
        await one.cache.invalidate(**way)
        assert not (await other.get("/products/1")).hit
        await eventually(lambda: not fleet.names(":l"), "stored")
        await other.cache.invalidate(**way)


@pytest.mark.parametrize("way", NOT_MEANT, ids=named(NOT_MEANT))
async def test_what_is_not_meant_stays(fleet: Fleet, way: dict[str, Any]) -> None:
    one, other = await fleet.nodes(2, rules=RULES)
    await all_have([one, other])
    position = await other.cache.invalidate(**way)
    await one.reads_to(position)
    await one.hit("/products/1")
    await other.hit("/products/1")
    late = await fleet.node(rules=RULES)
    await late.hit("/products/1")


async def test_an_invalidation_says_its_position(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    assert [await node.cache.invalidate(tags=["a"]) for node in (one, other, one)] == [1, 2, 3]


async def test_the_process_that_invalidates_sees_it_while_it_awaits(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, rules=RULES)
    await all_have([one, other])
    invalidating = asyncio.ensure_future(one.cache.invalidate(tags=["products"]))
    await asyncio.sleep(0)
    response = await one.get("/products/1")
    await invalidating
    assert response.body == b"node 0, run 2"


async def test_clear_is_for_every_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, rules=RULES)
    await all_have([one, other])
    await one.cache.set("name", b"value", ttl=60)
    assert await other.cache.get("name") == b"value"
    position = other.seen.position
    one.cache.clear()
    assert (await one.get("/products/1")).body == b"node 0, run 2"
    await other.reads_to(position + 1)
    assert (await other.get("/products/1")).body != b"node 0, run 1"
    assert await other.cache.get("name") is None


async def test_a_key_can_be_named(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await all_have([one, other], "/a")
    (name,) = fleet.names(":v")
    await all_have([one, other], "/b")
    key = name[name.index("{") + 1 : name.index("}")]
    await one.reads_to(await other.cache.invalidate(keys=[key]))
    assert not (await one.get("/a")).hit
    await one.hit("/b")


async def test_a_process_that_starts_later_knows_what_was_invalidated(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, rules=RULES)
    await all_have([one, other])
    await one.cache.invalidate(tags=["products"])
    late = await fleet.node(b"new", rules=RULES)
    assert (await late.get("/products/1")).body == b"new"


async def test_a_thousand_invalidations_reach_everybody(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, rules=[Rule("/{id}", tags=["tag:{id}"])])
    for number in range(5):
        await all_have([one, other], f"/{number * 249}")
    gaps = other.seen.gaps
    positions = await asyncio.gather(*[one.cache.invalidate(tags=[f"tag:{number}"]) for number in range(1000)])
    assert sorted(positions) == list(range(1, 1001))
    await other.reads_to(1000)
    for number in range(5):
        assert (await other.get(f"/{number * 249}")).body.startswith(b"node 1")
    assert other.seen.gaps == gaps, "record by record"


# A load that began before.


@pytest.mark.parametrize("who", [0, 1], ids=["the loading process", "another process"])
async def test_a_load_that_began_before_an_invalidation_is_served_to_nobody_later(fleet: Fleet, who: int) -> None:
    gate = Gate(b"old")
    loading = await fleet.node(gate, rules=RULES)
    other = await fleet.node(b"new", rules=RULES)
    asking = asyncio.create_task(loading.get("/products/1"))
    await gate.reached()
    await [loading, other][who].cache.invalidate(tags=["products"])
    gate.open()
    assert (await asking).body == b"old", "who asked before gets it"
    await eventually(lambda: not fleet.names(":l"), "the load is over")
    loading.origin.answer = b"new"
    for node in (other, loading):
        await node.reads_to(1)
        assert (await node.get("/products/1")).body == b"new"
    late = await fleet.node(b"new", rules=RULES)
    assert (await late.get("/products/1")).body == b"new"


async def test_who_asks_after_an_invalidation_does_not_get_a_load_that_began_before(fleet: Fleet) -> None:
    """The other process waits for the load under way, and does not take what it brings."""
    gate = Gate(b"old")
    loading, other = await fleet.node(gate, rules=RULES), await fleet.node(b"new", rules=RULES)
    early = asyncio.create_task(loading.get("/products/1"))
    await gate.reached()
    await other.cache.invalidate(paths=["/products/1"])
    late = asyncio.create_task(other.get("/products/1"))
    await eventually(lambda: late.done() or other.seen.waits == 1, "it waits, or has loaded")
    gate.open()
    assert (await early).body == b"old"
    assert (await late).body == b"new"


async def test_a_process_that_waits_for_a_load_which_is_invalidated_loads_itself(fleet: Fleet) -> None:
    gate = Gate(b"old")
    loading, waiting, third = [await fleet.node(answer, rules=RULES) for answer in (gate, b"new", b"third")]
    early = asyncio.create_task(loading.get("/products/1"))
    await gate.reached()
    late = asyncio.create_task(waiting.get("/products/1"))
    await eventually(lambda: waiting.seen.waits == 1, "it waits")
    await third.cache.invalidate(tags=["products"])
    gate.open()
    await early
    # It asked before the invalidation, so either is right; nobody may get the old one afterwards.
    assert (await late).body in (b"old", b"new")
    loading.origin.answer = b"new"
    for node in (waiting, loading):
        await node.reads_to(1)
        assert (await node.get("/products/1")).body in (b"new", b"third")


async def test_an_older_load_does_not_replace_a_newer_answer(fleet: Fleet) -> None:
    gate = Gate(b"old")
    slow, fast = await fleet.node(gate, rules=RULES, wait_timeout=0.01), await fleet.node(b"new", rules=RULES)
    asking = asyncio.create_task(slow.get("/products/1"))
    await gate.reached()
    (lease,) = fleet.names(":l")
    fleet.redis.command("DEL", lease)
    fleet.clock.advance(1)
    await fast.get("/products/1")
    await fast.shares(1)
    gate.open()
    await asking
    await eventually(lambda: slow.seen.older + slow.seen.stored == 1, "the slow one has tried to write")
    third = await fleet.node(b"third", rules=RULES)
    assert (await third.get("/products/1")).body == b"new"


# What a handler says.


async def test_the_tags_of_a_route_reach_every_process(fleet: Fleet) -> None:
    def program(cache: Cache) -> FastAPI:
        app = FastAPI()

        @app.get("/slow/{name}", dependencies=[Depends(cache.policy(ttl="10m", tags=["slow:{name}"]))])
        async def slow(name: str) -> dict[str, str]:
            return {"name": name}

        return app

    one, other = [await fleet.node(cache=cache, app=program(cache)) for cache in (fleet.cache(), fleet.cache())]
    for place, target in enumerate(["/slow/a", "/slow/b"], start=1):
        await one.get(target)
        await one.shares(place)
        assert (await other.get(target))["cache-status"] == "hotplate; hit; ttl=600"
    await one.reads_to(await other.cache.invalidate(tags=["slow:a"]))
    assert not (await one.get("/slow/a")).hit
    await one.hit("/slow/b")


# Soft.


async def test_a_soft_invalidation_is_served_stale_while_one_process_refreshes(fleet: Fleet) -> None:
    nodes = await fleet.nodes(3, rules=RULES)
    await all_have(nodes)
    fleet.clock.advance(1)
    position = await nodes[0].cache.invalidate(tags=["products"], soft=True)
    gates = []
    for node in nodes:
        await node.reads_to(position)
        gates.append(Gate(b"new"))
        node.origin.answer = gates[-1]
    for _ in range(5):
        for node in nodes:
            assert (await asyncio.wait_for(node.get("/products/1"), 5)).body == b"node 0, run 1"
    await eventually(lambda: any(gate.started for gate in gates), "somebody refreshes")
    for _ in range(5):
        for node in nodes:
            assert (await asyncio.wait_for(node.get("/products/1"), 5)).body == b"node 0, run 1"
    assert sum(gate.started for gate in gates) == 1
    for gate in gates:
        gate.open()
    for node in nodes:
        assert (await until_anew(node, b"node 0, run 1")).body == b"new"
        await node.settle()
    assert sum(gate.started for gate in gates) == 1


async def test_a_soft_invalidation_says_so(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, rules=RULES)
    await all_have([one, other])
    fleet.clock.advance(1)
    await other.reads_to(await one.cache.invalidate(tags=["products"], soft=True))
    response = await other.get("/products/1")
    await other.settle()
    assert (response.hit, response.detail) == (True, "stale-while-revalidate")


async def test_a_hard_invalidation_after_a_soft_one_is_hard(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, rules=RULES)
    await all_have([one, other])
    await one.cache.invalidate(tags=["products"], soft=True)
    await other.reads_to(await one.cache.invalidate(tags=["products"]))
    assert not (await other.get("/products/1")).hit


async def test_a_process_that_starts_later_knows_what_is_stale(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, rules=RULES)
    await all_have([one, other])
    fleet.clock.advance(1)
    await one.cache.invalidate(tags=["products"], soft=True)
    late = await fleet.node(b"new", rules=RULES)
    assert (await late.get("/products/1")).detail == "stale-while-revalidate"
    await late.settle()
    await late.shares(1)
    assert (await late.get("/products/1")).body == b"new"


async def test_what_may_not_be_served_stale_is_loaded_after_a_soft_invalidation(fleet: Fleet) -> None:
    reply = Reply(b"old", headers=[("cache-control", "max-age=60, must-revalidate")])
    one, other = await fleet.nodes(2, reply, rules=RULES)
    await all_have([one, other])
    fleet.clock.advance(1)
    await other.reads_to(await one.cache.invalidate(tags=["products"], soft=True))
    other.origin.answer = b"new"
    assert (await other.get("/products/1")).body == b"new"


# Writes.


async def test_a_write_in_one_process_is_seen_by_the_others(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await all_have([one, other])
    await one.post("/products/1")
    assert (await until_anew(other, b"node 0, run 1")).body == b"node 1, run 1"


async def test_a_write_is_read_back_at_once_in_the_same_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    for number in range(10):
        await all_have([one, other], f"/{number}")
        old = await one.hit(f"/{number}")
        await one.post(f"/{number}")
        assert (await one.get(f"/{number}")).body != old.body


async def test_a_write_is_read_back_in_another_process_that_has_no_memory(redis: RedisServer) -> None:
    """As soon as the position that the write has in the log can be known to anybody."""
    one, other = await Fleet(redis, local=False).nodes(2)
    await all_have([one, other])
    position = one.seen.position
    await one.post("/products/1")
    await one.reads_to(position + 1)
    assert (await other.get("/products/1")).body == b"node 1, run 1"


@pytest.mark.parametrize("status", [400, 403, 404, 500])
async def test_a_write_that_fails_invalidates_nothing(fleet: Fleet, status: int) -> None:
    one, other = await fleet.nodes(2)
    await all_have([one, other])
    one.origin.answer = Reply(status=status)
    await one.post("/products/1")
    await other.hit("/products/1")
    assert other.seen.position == 0


@pytest.mark.parametrize("field", ["location", "content-location"])
async def test_a_write_invalidates_where_it_points_to(fleet: Fleet, field: str) -> None:
    one, other = await fleet.nodes(2)
    await all_have([one, other], "/created/7")
    headers: list[Header] = [(field, "/created/7")]
    one.origin.answer = Reply(status=201, headers=headers)
    await one.post("/create")
    assert (await until_anew(other, b"node 0, run 1", "/created/7")).body == b"node 1, run 1"


async def test_groups_are_invalidated_across_processes(fleet: Fleet) -> None:
    """RFC 9875."""
    grouped = Reply(b"old", headers=[("cache-groups", '"products"')])
    one, other = await fleet.nodes(2, grouped)
    await all_have([one, other])
    one.origin.answer = Reply(headers=[("cache-group-invalidation", '"products"')])
    other.origin.answer = b"new"
    await one.post("/elsewhere")
    assert (await until_anew(other, b"old")).body == b"new"


# Under load.


async def test_no_answer_is_older_than_an_invalidation_that_was_acknowledged_before_the_request(
    redis: RedisServer,
) -> None:
    version = 0

    def answer(scope: object) -> bytes:
        return str(version).encode()

    nodes = await Fleet(redis, local=False).nodes(3, answer, rules=RULES)
    stopped = asyncio.Event()

    acknowledged = 0

    async def ask(node: Node) -> None:
        while not stopped.is_set():
            known = acknowledged
            assert int((await node.get("/products/1")).body) >= known

    readers = [asyncio.create_task(ask(node)) for node in nodes for _ in range(4)]
    for number in range(1, 60):
        version = number
        await nodes[number % 3].cache.invalidate(tags=["products"])
        acknowledged = number
        for _ in range(3):
            await nodes[number % 2].get("/products/1")
    stopped.set()
    await asyncio.gather(*readers)


async def test_everybody_agrees_in_the_end(fleet: Fleet) -> None:
    version = 0

    def answer(scope: object) -> bytes:
        return str(version).encode()

    nodes = await fleet.nodes(3, answer, rules=RULES)
    for number in range(1, 51):
        version = number
        await asyncio.gather(
            nodes[number % 3].cache.invalidate(tags=["products"]), *[node.get("/products/1") for node in nodes]
        )
    for node in nodes:
        await node.reads_to(50)
    assert {(await node.get("/products/1")).body for node in nodes} == {b"50"}
