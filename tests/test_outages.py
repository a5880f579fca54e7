"""What a service notices when its Redis fails: nothing but that the handler runs more often.

Each test puts three members under a constant load, makes a fault, holds it, ends it, and looks at every answer: see
``tests/outage_load.py``. What is measured here stands in ``docs/outages.md``.
"""

import asyncio
import contextlib
import itertools
import logging
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from hotplate import Cache, Rule
from hotplate.asgi import Scope
from hotplate.cache import SharedStats
from hotplate.testing import ManualClock
from tests.driver import START, Response, Site
from tests.outage_load import COMMAND_DEADLINE, PATHS, RECOVERY, SLOW_MACHINE, STUCK, Kind, Load, median, report, worst
from tests.proxy import Proxy
from tests.redis_client import HOST
from tests.redis_servers import Cluster, RedisServer, Sentinel, free_port
from tests.waiting import eventually, until

pytestmark = pytest.mark.asyncio

SERVE, DIRECT, BYPASS = Kind("serve"), Kind("direct", local=False), Kind("bypass", on_outage="bypass")
ALL = [SERVE, DIRECT, BYPASS]

FEW_MILLISECONDS = 0.005
"""What the request in the middle may take while the server is known to be down: this loop's own time."""

in_thread = asyncio.to_thread
"""What waits for processes waits beside the loop, so that the load goes on."""


# --- One outage


@dataclass
class Outage:
    """One fault under load, from ``begun`` to ``ended``; every member knew of it from ``known`` on."""

    name: str
    load: Load
    begun: float
    known: float = 0.0
    ended: float = float("inf")
    recovered: float = 0.0

    async def is_known(self) -> None:
        """Waits until every member has noticed that the server cannot be asked."""
        await eventually(lambda: not any(member.shared.up for member in self.load.members), "everybody knows")
        self.known = self.load.now()

    async def is_over(self, seconds: float = RECOVERY) -> None:
        """Everything is as before, within ``seconds`` from now."""
        self.ended = self.load.now()
        self.recovered = await self.load.works(seconds)
        await self.load.agrees()

    def judge(self, *, most: float = COMMAND_DEADLINE + SLOW_MACHINE, usual: float = FEW_MILLISECONDS) -> None:
        """Every answer was right, none took longer than ``most``, and once it was known they took ``usual``."""
        load = self.load
        during, after = load.since(self.begun, self.ended), load.since(self.ended)
        known = load.since(self.known or self.begun, self.ended)
        before = [sample for sample in load.samples if sample.kind == "http" and sample.began < self.begun]
        changes = [*load.since(self.begun, kind="invalidate"), *load.since(self.begun, kind="set")]
        report(
            self.name,
            {
                "requests": len(during),
                "median before ms": round(median(before) * 1e3, 2),
                "worst before ms": round(worst(before) * 1e3, 1),
                "worst ms": round(worst([*during, *after]) * 1e3, 1),
                "median ms": round(median(known) * 1e3, 2),
                "worst get ms": round(worst(load.since(self.begun, kind="get")) * 1e3, 1),
                "worst change ms": round(worst(changes) * 1e3, 1),
                "known after ms": round((self.known - self.begun) * 1e3) if self.known else None,
                "recovered after ms": round(self.recovered * 1e3),
                "longest stall of the loop ms": round(load.stall * 1e3, 1),
                "faults": str({key: number for key, number in load.faults().items() if number}),
            },
        )
        load.right()
        most += load.stall
        late = [sample for sample in load.samples if sample.began >= self.begun and sample.seconds >= most]
        assert not late, f"{len(late)} of {len(load.samples)} took too long: " + "\n".join(map(str, late[:5]))
        assert median(known) < usual


@asynccontextmanager
async def outage(name: str, url: str, *kinds: Kind, **settings: Any) -> AsyncIterator[Outage]:
    """A load that works, at the moment before the fault."""
    async with Load(url, kinds or ALL, **settings) as load:
        await load.works()
        await load.more(300)
        yield Outage(name, load, load.now())


# --- A server that is gone


@dataclass(frozen=True)
class Fault:
    """How a server fails, and how it comes back."""

    begin: Callable[[RedisServer], object]
    end: Callable[[RedisServer], object]
    trouble: str
    """What ``SharedStats.trouble`` says meanwhile."""
    forgets: bool = True
    """Whether the server has lost everything."""


def shut_down(server: RedisServer) -> None:
    with contextlib.suppress(ConnectionError):
        server.command("SHUTDOWN", "NOSAVE")
    until(lambda: not server.is_alive, "the server has ended")


FAULTS = {
    "stopped": Fault(shut_down, RedisServer.start, "refused"),
    "killed": Fault(RedisServer.kill, RedisServer.start, "refused"),
    "paused": Fault(RedisServer.pause, RedisServer.resume, "not answer", forgets=False),
}


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


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(redis_server.port) as between:
        yield between


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


# --- Two processes, one step at a time

_caches = itertools.count()


def sites(url: str, *kinds: Kind, **settings: Any) -> list[Site]:
    """Processes that share a cache at ``url``, before one origin: ``run 1``, ``run 2``, ..."""
    settings.setdefault("prefix", f"outages-{next(_caches)}")
    made: list[Site] = []
    for kind in kinds:
        on_outage: Any = kind.on_outage
        cache = Cache(url, local=kind.local, on_outage=on_outage, **settings)
        rules = [Rule("/a/{rest:path}", tags=["t"])]
        site = Site(cache=cache, app=made[0].origin if made else None, rules=rules)
        if made:
            site.origin = made[0].origin
        made.append(site)
    return made


def shared(site: Site) -> SharedStats:
    stats = site.cache.shared_stats()
    assert stats is not None
    return stats


def works(site: Site) -> bool:
    return shared(site).up and shared(site).certain


async def all_work(*processes: Site, seconds: float = RECOVERY) -> None:
    # A cache connects when it is first used.
    for site in processes:
        await site.cache.get("nothing")
    await eventually(lambda: all(map(works, processes)), f"all work: {[*map(shared, processes)]}", seconds)


async def none_work(*processes: Site) -> None:
    """Nobody asks by itself whether the server is there but the reader of the log, twice a second."""
    for site in processes:
        while shared(site).up:
            await site.cache.get("nothing")
    await eventually(lambda: not any(map(works, processes)), "all know")


async def stored(site: Site, target: str) -> Response:
    """What a process loads, once the others can find it."""
    before = shared(site).stored
    response = await site.get(target)
    await eventually(lambda: shared(site).stored > before, "it is stored")
    return response


async def in_time(request: Coroutine[Any, Any, Response]) -> Response:
    """An answer that no lease and no server has delayed."""
    begun = time.monotonic()
    response = await asyncio.wait_for(request, STUCK)
    assert time.monotonic() - begun < COMMAND_DEADLINE + SLOW_MACHINE
    return response


async def becomes(site: Site, target: str, outdated: set[bytes]) -> None:
    """What is not true any more is not served any more within the time of a recovery, and not again."""
    deadline = time.monotonic() + RECOVERY
    while (body := (await site.get(target)).body) in outdated:
        assert time.monotonic() < deadline, f"{target} is still {body!r}: {shared(site)}"
        await asyncio.sleep(0.005)
    for _ in range(5):
        assert (await site.get(target)).body not in outdated


class LosingProxy(Proxy):
    """Passes everything on but the server's chunks that contain what it ``loses``."""

    GRANT = b"*2\r\n:0\r\n:0\r\n"
    """The answer that grants a lease."""
    RECORDS = b":{log}:stream"
    """What stands in every answer with records of the log."""

    def __init__(self, upstream_port: int) -> None:
        super().__init__(upstream_port)
        self.loses: bytes | None = None
        self.lost = 0

    def _spoil(self, chunk: bytes) -> bytes:
        if self.loses is not None and self.loses in chunk:
            self.lost += 1
            return b""
        return chunk


async def test_a_lease_whose_grant_is_lost_delays_nobody(redis_server: RedisServer) -> None:
    with LosingProxy(redis_server.port) as proxy:
        first, second = sites(proxy.url, SERVE, SERVE)
        await all_work(first, second)
        # The script is known to the server from here on: what comes next is one question and one answer.
        await stored(first, "/before")
        proxy.loses = proxy.GRANT
        assert (await in_time(first.get("/"))).body == b"run 2"
        assert proxy.lost == 1
        proxy.loses = None
        await all_work(first, second)
        await in_time(second.get("/"))
        await first.cache.invalidate(paths=["/"])
        await in_time(first.get("/"))


async def test_a_lease_whose_release_is_lost_delays_nobody(proxy: Proxy) -> None:
    first, second = sites(proxy.url, SERVE, SERVE)
    await all_work(first, second)

    async def answer(scope: Scope) -> bytes:
        proxy.refuse = True
        proxy.cut()
        await eventually(lambda: not shared(first).up, "it knows")
        return b"loaded meanwhile"

    first.origin.answer = answer
    assert (await first.get("/")).body == b"loaded meanwhile"
    first.origin.answer = None
    proxy.refuse = False
    await all_work(first, second)
    await in_time(second.get("/"))
    await first.cache.invalidate(paths=["/"])
    await in_time(first.get("/"))


async def test_a_lease_from_before_an_outage_is_not_waited_for_after_it(redis_server: RedisServer) -> None:
    with Proxy(redis_server.port) as cut_off, Proxy(redis_server.port) as proxy:
        (first,) = sites(cut_off.url, SERVE, prefix="cut-off")
        (second,) = sites(proxy.url, SERVE, prefix="cut-off")
        await all_work(first, second)
        loading, go_on = asyncio.Event(), asyncio.Event()

        async def answer(scope: Scope) -> bytes:
            loading.set()
            await go_on.wait()
            return b"from the process that is cut off"

        first.origin.answer = answer
        load = asyncio.create_task(first.get("/"))
        await loading.wait()
        cut_off.refuse = True
        cut_off.cut()
        proxy.cut()
        await none_work(second)
        await all_work(second)
        # Whoever has the lease may be gone, as the connection was.
        assert (await in_time(second.get("/"))).body == b"run 1"
        go_on.set()
        assert (await load).body == b"from the process that is cut off"


async def test_a_process_that_is_behind_the_log_answers_in_time(redis_server: RedisServer) -> None:
    with LosingProxy(redis_server.port) as proxy:
        (first,) = sites(redis_server.url, SERVE, prefix="behind")
        (second,) = sites(proxy.url, SERVE, prefix="behind")
        await all_work(first, second)
        proxy.loses = proxy.RECORDS
        await first.cache.invalidate(tags=["t"])
        assert (await stored(first, "/a/b")).body == b"run 1"
        # Whether the record names this response, it cannot know: it loads, and nothing else happens to the request.
        second.origin.answer = b"run by itself"
        assert (await in_time(second.get("/a/b"))).body == b"run by itself"
        assert shared(second).behind == 1
        assert proxy.lost > 0
        proxy.loses = None
        await all_work(first, second)
        await first.cache.invalidate(tags=["t"])
        await becomes(second, "/a/b", {b"run 1"})


async def test_what_one_request_asks_of_the_server_has_one_deadline(proxy: Proxy) -> None:
    # A miss asks for the response, then for the lease. Each answer alone would come in time.
    (site,) = sites(proxy.url, DIRECT, command_timeout=0.4)
    await all_work(site)
    await stored(site, "/before")
    proxy.delay = 0.3
    begun = time.monotonic()
    assert (await site.get("/")).body == b"run 2"
    assert time.monotonic() - begun < 0.4 + SLOW_MACHINE


TARGETS: dict[str, Callable[[Cache], Awaitable[object]]] = {
    "paths": lambda cache: cache.invalidate(paths=["/a/b"]),
    "prefixes": lambda cache: cache.invalidate(prefixes=["/a"]),
    "tags": lambda cache: cache.invalidate(tags=["t"]),
}


@pytest.mark.parametrize("fault", ["killed", "paused"])
@pytest.mark.parametrize("target", TARGETS)
async def test_an_invalidation_during_an_outage_acts_here_at_once_and_there_afterwards(
    redis_server: RedisServer, fault: str, target: str
) -> None:
    first, second, third = sites(redis_server.url, SERVE, SERVE, DIRECT)
    await all_work(first, second, third)
    assert (await stored(first, "/a/b")).body == b"run 1"
    await second.hit("/a/b")
    await third.hit("/a/b")
    await in_thread(FAULTS[fault].begin, redis_server)
    await none_work(first, second, third)
    begun = time.monotonic()
    assert await TARGETS[target](first.cache) == 0
    assert time.monotonic() - begun < COMMAND_DEADLINE
    assert (await first.get("/a/b")).body == b"run 2"
    # Nobody could tell the other.
    assert (await second.hit("/a/b")).body == b"run 1"
    await in_thread(FAULTS[fault].end, redis_server)
    await all_work(first, second, third)
    for site in (third, second, first):
        await becomes(site, "/a/b", {b"run 1"})


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_values_set_and_deleted_during_an_outage(redis_server: RedisServer, fault: str) -> None:
    first, second, third = sites(redis_server.url, SERVE, SERVE, DIRECT)
    await all_work(first, second, third)
    for key in ("kept", "set", "deleted", "cleared"):
        assert await first.cache.set(key, b"before", ttl=60)
        assert [await site.cache.get(key) for site in (first, second, third)] == [b"before"] * 3
    await in_thread(FAULTS[fault].begin, redis_server)
    await none_work(first, second, third)
    assert not await first.cache.set("set", b"meanwhile", ttl=60)
    assert not await first.cache.delete("deleted")
    assert [await first.cache.get(key) for key in ("kept", "set", "deleted")] == [b"before", b"meanwhile", None]
    assert [await second.cache.get(key) for key in ("kept", "set", "deleted")] == [b"before"] * 3
    assert await third.cache.get("kept") is None
    await in_thread(FAULTS[fault].end, redis_server)
    await all_work(first, second, third)
    for site in (second, third):
        deadline = time.monotonic() + RECOVERY
        while b"before" in [await site.cache.get("set"), await site.cache.get("deleted")]:
            assert time.monotonic() < deadline, shared(site)
            await asyncio.sleep(0.005)
        assert await site.cache.get("kept") in ([b"before"] if fault == "paused" else [None])
    assert await first.cache.get("deleted") is None
    assert await first.cache.set("set", b"after", ttl=60)
    assert await third.cache.get("set") == b"after"


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_everything_cleared_during_an_outage_is_cleared_for_all(redis_server: RedisServer, fault: str) -> None:
    first, second = sites(redis_server.url, SERVE, SERVE)
    await all_work(first, second)
    await stored(first, "/")
    await second.hit("/")
    await in_thread(FAULTS[fault].begin, redis_server)
    await none_work(first, second)
    first.cache.clear()
    assert (await first.get("/")).body == b"run 2"
    await in_thread(FAULTS[fault].end, redis_server)
    await all_work(first, second)
    await becomes(second, "/", {b"run 1"})
    await becomes(first, "/", {b"run 1"})


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_more_invalidations_than_are_kept_still_reach_the_others(redis_server: RedisServer, fault: str) -> None:
    first, second, third = sites(redis_server.url, SERVE, SERVE, DIRECT)
    await all_work(first, second, third)
    paths = [f"/item/{number}" for number in range(0, 1100, 100)]
    outdated = set()
    for path in paths:
        outdated.add((await stored(first, path)).body)
        await second.hit(path)
    await in_thread(FAULTS[fault].begin, redis_server)
    await none_work(first, second, third)
    begun = time.monotonic()
    for number in range(1100):
        assert await first.cache.invalidate(paths=[f"/item/{number}"]) == 0
    assert time.monotonic() - begun < 2.0
    for path in paths:
        assert (await first.get(path)).body not in outdated
    await in_thread(FAULTS[fault].end, redis_server)
    await all_work(first, second, third)
    for site in (second, third, first):
        for path in paths:
            await becomes(site, path, outdated)
    # And they are not sent for ever: what is stored from now on stays.
    await stored(third, "/item/new")
    await second.hit("/item/new")
    position = await first.cache.invalidate(tags=["unrelated"])
    await eventually(lambda: shared(second).position >= position, "it is applied")
    assert await first.cache.invalidate(tags=["unrelated"]) == position + 1
    await second.hit("/item/new")
    await third.hit("/item/new")


async def test_what_was_stored_before_an_outage_is_right_after_it(redis_server: RedisServer) -> None:
    first, second = sites(redis_server.url, SERVE, DIRECT, prefix="before")
    await all_work(first, second)
    bodies = {path: (await stored(first, path)).body for path in ("/1", "/2", "/3")}
    await first.cache.set("value", b"before", ttl=60)
    redis_server.pause()
    await none_work(first, second)
    await first.cache.invalidate(paths=["/2"])
    redis_server.resume()
    await all_work(first, second)
    await becomes(second, "/2", {bodies["/2"]})
    # A process that began after it knows nothing but what the server has.
    (third,) = sites(redis_server.url, SERVE, prefix="before")
    third.origin.answer = b"not from the server"
    await all_work(third)
    for site in (first, second, third):
        assert {path: (await site.hit(path)).body for path in ("/1", "/3")} == {
            path: bodies[path] for path in ("/1", "/3")
        }
        assert await site.cache.get("value") == b"before"
        assert (await site.get("/2")).body != bodies["/2"]
        assert shared(site).epochs == 0


async def test_nothing_that_was_stored_or_invalidated_before_a_flush_comes_back(redis_server: RedisServer) -> None:
    first, second, third = sites(redis_server.url, SERVE, SERVE, DIRECT)
    await all_work(first, second, third)
    old = {(await stored(first, path)).body for path in ("/before", "/after", "/kept")}
    for path in ("/before", "/after", "/kept"):
        await second.hit(path)
    await first.cache.invalidate(paths=["/before"])
    redis_server.command("FLUSHALL")
    # The record is in the new log, or in the old one, which is gone: it is obeyed either way.
    await first.cache.invalidate(paths=["/after"])
    assert (await first.get("/after")).body not in old
    await eventually(lambda: all(shared(site).epochs == 1 for site in (first, second, third)), "the epoch is counted")
    for site in (second, third, first):
        for path in ("/before", "/after", "/kept"):
            await becomes(site, path, old)
    await stored(third, "/new")
    await second.hit("/new")
    await first.hit("/new")


async def test_a_response_is_served_from_memory_during_an_outage_for_its_lifetime(redis_server: RedisServer) -> None:
    clock = ManualClock(START)
    first, second = sites(redis_server.url, SERVE, BYPASS, clock=clock)
    await all_work(first, second)
    for number, site in enumerate((first, second), 1):
        await site.cache.set("value", f"value {number}".encode(), ttl=60)
    await stored(first, "/")
    await second.hit("/")
    await in_thread(redis_server.kill)
    await none_work(first, second)
    clock.advance(59)
    assert (await first.hit("/")).body == b"run 1"
    # The other forwards everything, and keeps nothing.
    for run in (2, 3):
        response = await second.get("/")
        assert (response.body, response.hit) == (f"run {run}".encode(), False)
    assert await second.cache.get("value") is None
    clock.advance(2)
    assert (await first.get("/")).body == b"run 4"
    assert (await first.hit("/")).body == b"run 4"
    assert await first.cache.get("value") is None
    await in_thread(redis_server.start)
    await all_work(first, second)
    await stored(first, "/again")
    await second.hit("/again")
    assert (await second.hit("/again")).body == (await first.hit("/again")).body


async def test_processes_come_back_at_different_times(redis_server: RedisServer) -> None:
    # Drawn at random: what they would do to a server that has just come back if they did it all at once.
    many = sites(redis_server.url, *[SERVE] * 6)
    await all_work(*many)
    await in_thread(redis_server.kill)
    await none_work(*many)
    await in_thread(redis_server.start)
    back: dict[int, float] = {}

    def seen() -> bool:
        for number, site in enumerate(many):
            if number not in back and shared(site).up:
                back[number] = time.monotonic()
        return len(back) == len(many)

    await eventually(seen, "all are back", RECOVERY)
    assert max(back.values()) - min(back.values()) > 0.002


async def test_the_log_says_once_that_a_server_is_down_and_once_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with RedisServer(password="very-secret") as server, caplog.at_level(logging.INFO, "hotplate"):
        async with Load(server.url, [SERVE], tasks=2) as load:
            await load.works()
            caplog.clear()
            await in_thread(server.kill)
            await eventually(lambda: not load["serve"].works, "it knows")
            await load.more(200)
            down = [record.getMessage() for record in caplog.records]
            await in_thread(server.start)
            await load.works()
            said = [record.getMessage() for record in caplog.records]
        assert len(down) == 1, down
        assert str(server.port) in down[0]
        assert len(said) == 2, said
        assert "very-secret" not in caplog.text
