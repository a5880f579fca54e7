"""What a service notices when its Redis fails: nothing but that the handler runs more often.

Each test puts three members under a constant load, makes a fault, holds it, ends it, and looks at every answer: see
``tests/outage_load.py``. What is measured here stands in ``docs/outages.md``.
"""

import asyncio
import contextlib
import itertools
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.outage_load import PATHS, RECOVERY, Load
from tests.outages import ALL, FAULTS, Outage, in_thread, outage
from tests.proxy import Proxy
from tests.redis_client import HOST
from tests.redis_servers import Cluster, RedisServer, Sentinel, free_port
from tests.waiting import eventually, until

pytestmark = pytest.mark.asyncio


# --- A server that is gone


@pytest.mark.parametrize("name", FAULTS)
async def test_a_server_that_is_gone_is_noticed_by_no_request(redis_server: RedisServer, name: str) -> None:
    fault = FAULTS[name]
    async with outage(name, redis_server.url) as gone:
        load = gone.load
        epoch = load["serve"].shared.epoch
        await in_thread(fault.begin, redis_server)
        await gone.is_known()
        await load.more(600)
        await eventually(lambda: all(member.shared.trouble for member in load.members), "everybody says why", 2.0)
        for member in load.members:
            shared = member.shared
            assert (shared.up, shared.certain, shared.server) == (False, False, None)
            assert re.search(f"{redis_server.port}.*{fault.trouble}", shared.trouble or ""), shared.trouble
        await in_thread(fault.end, redis_server)
        await gone.is_over()
        gone.judge()
        for member in load.members:
            shared = member.shared
            assert shared.trouble is None
            assert (shared.epoch != epoch, shared.epochs) == ((True, 1) if fault.forgets else (False, 0))
        # While nothing was certain, one served what it had and another nothing; the third has nothing of its own.
        known = load.since(gone.known, gone.ended)
        assert any(sample.hit for sample in known if sample.member == "serve")
        assert not any(sample.hit for sample in known if sample.member in ("bypass", "direct"))


async def test_the_trouble_is_named_as_soon_as_the_server_is_known_to_be_down(redis_server: RedisServer) -> None:
    async with outage("-", redis_server.url) as gone:
        redis_server.pause()
        try:
            await gone.is_known()
            for member in gone.load.members:
                assert member.shared.trouble, member.shared
        finally:
            redis_server.resume()


async def test_a_server_that_comes_back_empty_at_once_is_noticed_by_no_request(redis_server: RedisServer) -> None:
    async with outage("restarted empty", redis_server.url) as gone:
        epochs = {member.shared.epoch for member in gone.load.members}
        await in_thread(redis_server.restart)
        await gone.is_over()
        gone.judge()
        assert len(epochs) == 1
        assert {(member.shared.epoch in epochs, member.shared.epochs) for member in gone.load.members} == {(False, 1)}


async def test_a_server_that_was_never_there_is_noticed_by_no_request() -> None:
    with contextlib.closing(RedisServer()) as server:
        async with Load(server.url, ALL) as load:
            gone = Outage("never there", load, load.now())
            await gone.is_known()
            await load.more(600)
            for member in load.members:
                assert re.search(f"{server.port}.*refused", member.shared.trouble or ""), member.shared
                assert not member.shared.certain
            # What was loaded while nothing could be read is served by the one that may: it has no better.
            assert any(sample.hit for sample in load.since(gone.known) if sample.member == "serve")
            assert not any(sample.hit for sample in load.since(gone.known) if sample.member == "bypass")
            await in_thread(server.start)
            await gone.is_over()
            gone.judge()


async def test_a_host_that_answers_nothing_from_the_start_delays_no_request_longer_than_the_deadline() -> None:
    # It accepts connections and says nothing, as a host behind a firewall that drops, or one that hangs.
    with socket.create_server((HOST, free_port()), backlog=512) as silent:
        async with Load(f"redis://{HOST}:{silent.getsockname()[1]}/0", ALL) as load:
            gone = Outage("never answers", load, load.now())
            await load.more(300)
            await gone.is_known()
            await load.more(600)
            gone.ended = load.now()
            for member in load.members:
                assert re.search("did not answer", member.shared.trouble or ""), member.shared
            gone.judge()


# --- A server that answers, and not well


async def test_a_flush_is_noticed_by_no_request_and_counted(redis_server: RedisServer) -> None:
    async with outage("FLUSHALL", redis_server.url) as gone:
        load = gone.load
        for number in range(1, 4):
            position = await load.invalidate(PATHS[0], load["direct"])
            await in_thread(redis_server.command, "FLUSHALL")
            await load.invalidate(PATHS[1], load["direct"])
            assert position > 0
            await eventually(
                lambda: min(member.shared.epochs for member in load.members) >= number,  # noqa: B023 - called at once
                load.say("the new epoch is counted"),
                RECOVERY,
            )
            await load.more(200)
        await gone.is_over()
        gone.judge(usual=0.02)
        assert {member.shared.epochs for member in load.members} == {3}


def fill(server: RedisServer, values: int) -> None:
    """Writes so many values of 10 kB."""
    with server.connect() as connection:
        for number in range(values):
            connection.command("SET", f"filler-{number}", b"x" * 10_000)


async def test_a_server_without_memory_goes_on_with_what_it_has(redis_server: RedisServer) -> None:
    async with outage("out of memory", redis_server.url) as gone:
        load = gone.load
        await in_thread(fill, redis_server, 500)
        await in_thread(redis_server.config, "maxmemory", "4mb")
        await eventually(
            lambda: all(member.shared.faults.get("refused") for member in load.members), "they are refused"
        )
        gone.known = load.now()
        await load.more(600)
        for member in load.members:
            shared = member.shared
            assert (shared.up, shared.certain, shared.epochs) == (True, True, 0)
        # The log is small: invalidations are accepted, and reach the others.
        assert await load.invalidate(PATHS[0], load["direct"]) > 0
        await in_thread(redis_server.config, "maxmemory", "0")
        await gone.is_over()
        gone.judge()


async def test_a_server_that_evicts_makes_no_answer_wrong(redis_server: RedisServer) -> None:
    async with outage("evicting", redis_server.url) as gone:
        load = gone.load
        redis_server.config("maxmemory-policy", "allkeys-lru")
        redis_server.config("maxmemory", "3mb")
        crowding = asyncio.create_task(in_thread(fill, redis_server, 1500))
        gone.known = load.now()
        await load.more(600)
        await crowding
        assert int(re.findall(r"evicted_keys:(\d+)", str(redis_server.command("INFO", "stats")))[0]) > 1000
        redis_server.config("maxmemory", "0")
        await gone.is_over()
        gone.judge(usual=0.02)


@contextmanager
def another_password(server: RedisServer) -> Iterator[None]:
    """From here on the server wants another password, and ends the connections that were made with the first."""
    server.config("requirepass", "the-second")
    first, server.password = server.password, "the-second"
    assert first is not None
    for kind in ("pubsub", "normal"):
        server.command("CLIENT", "KILL", "TYPE", kind)
    yield
    server.config("requirepass", first)
    server.password = first


async def test_a_password_that_is_not_valid_any_more_is_named_and_not_told() -> None:
    with RedisServer(password="the-first") as server:
        async with outage("another password", server.url) as gone:
            with another_password(server):
                await gone.is_known()
                await gone.load.more(600)
                for member in gone.load.members:
                    trouble = member.shared.trouble
                    assert trouble is not None
                    assert "password" in trouble
                    assert "the-first" not in trouble + repr(member.shared) + repr(member.cache)
            await gone.is_over()
            gone.judge()


# --- A bad network


async def test_a_server_that_is_slow_and_in_time_is_waited_for(proxy: Proxy) -> None:
    # Each chunk waits behind the one before: an answer that just missed one is 100 ms late.
    async with outage("50 to 100 ms late, of 200 ms", proxy.url, command_timeout=0.2) as gone:
        load = gone.load
        proxy.delay = 0.050
        await load.more(100)
        begun = load.now()
        await load.more(30, "direct")
        for member in load.members:
            assert member.shared.up, member.shared
        assert any(sample.hit for sample in load.since(begun) if sample.member == "direct")
        proxy.delay = 0.0
        await gone.is_over()
        # Who waits for what another process loads waits for its questions too.
        gone.judge(most=1.0, usual=0.1)


async def test_a_server_that_is_slow_and_too_late_is_left_alone(proxy: Proxy) -> None:
    async with outage("200 ms late", proxy.url) as gone:
        load = gone.load
        proxy.delay = 0.200
        await gone.is_known()
        await load.more(1500)
        proxy.delay = 0.0
        await gone.is_over()
        gone.judge()


async def test_a_server_that_answers_garbage_is_noticed_by_no_request(proxy: Proxy) -> None:
    async with outage("garbage", proxy.url) as gone:
        load = gone.load
        proxy.garble = True
        await gone.is_known()
        await load.more(600)
        await eventually(lambda: all(member.shared.trouble for member in load.members), "everybody says why", 2.0)
        proxy.garble = False
        await gone.is_over()
        gone.judge()


async def test_connections_that_are_cut_again_and_again_are_noticed_by_no_request(proxy: Proxy) -> None:
    async with outage("connections cut", proxy.url) as gone:
        load = gone.load
        for _ in range(15):
            proxy.cut()
            await load.more(60)
        await gone.is_over()
        gone.judge()
        for member in load.members:
            # Nothing was lost but connections.
            assert member.shared.epochs == 0


# --- More than one server


async def test_a_failover_is_noticed_by_no_request(sentinel: Sentinel) -> None:
    async with outage("sentinel failover", sentinel.url) as gone:
        load = gone.load
        # What a master has not told its replica is lost with it, whatever a cache does: let it tell.
        load.changing = False
        await load.more(60)

        def fail() -> RedisServer:
            with sentinel.master.connect() as connection:
                connection.command("SET", "fence", "1")
                connection.command("WAIT", 1, 5000)
            return sentinel.kill_master()

        old = await in_thread(fail)
        load.changing = True
        await gone.is_known()
        await load.more(300)
        await in_thread(sentinel.wait_for_new_master, old)
        await gone.is_over()
        gone.judge()


async def test_a_cluster_whose_slots_move_is_noticed_by_no_request(cluster: Cluster) -> None:
    async with outage("cluster reshards", cluster.url) as gone:
        load = gone.load
        first, second, third = cluster.nodes
        # The log's slot and those of values, there and back; and one that stays between two nodes for a while.
        head = cluster.slot_of(f"{load.settings['prefix']}:{{log}}:head")
        owner = cluster.slot_owner(head)
        others = [node for node in (first, second, third) if node is not owner]
        for to in (*others, owner):
            await in_thread(cluster.begin_move, head, to)
            await load.more(60)
            await in_thread(cluster.finish_move, head, to)
            await load.more(60)
        used = await in_thread(slots_in_use, cluster)
        for slot in used[:12]:
            to = next(node for node in cluster.nodes if node is not cluster.slot_owner(slot))
            await in_thread(cluster.move, [slot], to)
        await load.more(300)
        await gone.is_over()
        gone.judge(usual=0.02)
        for member in load.members:
            assert (member.shared.up, member.shared.epochs) == (True, 0), member.shared


def is_whole(node: RedisServer) -> bool:
    return "cluster_state:ok" in str(node.command("CLUSTER", "INFO"))


def slots_in_use(cluster: Cluster) -> list[int]:
    keys = itertools.chain.from_iterable(_keys(node) for node in cluster.nodes)
    return sorted({cluster.slot_of(key) for key in keys if "{log}" not in key})


def _keys(node: RedisServer) -> list[str]:
    keys = node.command("KEYS", "*")
    assert isinstance(keys, list)
    return keys


@pytest.fixture(scope="module")
def _cluster_of_the_module() -> Iterator[Cluster]:
    with Cluster("--cluster-node-timeout", "500") as nodes:
        yield nodes


@pytest.fixture
def quick_cluster(_cluster_of_the_module: Cluster) -> Cluster:
    """A cluster that says after half a second that a master is gone; whole again, whoever has used it before."""
    for node in _cluster_of_the_module.nodes:
        if not node.is_alive:
            node.start()
    until(lambda: all(map(is_whole, _cluster_of_the_module.nodes)), "the cluster is whole")
    return _cluster_of_the_module


@pytest.mark.parametrize("with_the_log", [True, False])
async def test_a_cluster_that_loses_a_master_is_noticed_by_no_request(
    quick_cluster: Cluster, with_the_log: bool
) -> None:
    cluster = quick_cluster
    name = f"cluster loses the master {'with' if with_the_log else 'without'} the log"
    async with outage(name, cluster.url) as gone:
        load = gone.load
        owner = cluster.owner_of(f"{load.settings['prefix']}:{{log}}:head")
        others = [node for node in cluster.nodes if node is not owner]
        lost, living = (owner, others[0]) if with_the_log else (others[0], owner)
        await in_thread(lost.kill)
        # For a while the others wait for it, and answer what is theirs; then they refuse everything.
        await in_thread(until, lambda: not is_whole(living), "the others know")
        gone.known = load.now()
        await load.more(400)
        for member in load.members:
            shared = member.shared
            assert not shared.certain, shared
            assert shared.trouble, shared
        await in_thread(lost.start)
        await in_thread(until, lambda: all(map(is_whole, cluster.nodes)), "the cluster is whole again")
        await gone.is_over()
        gone.judge()
