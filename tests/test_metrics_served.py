"""Metrics of real servers under a load that counts for itself: what the servers say is what the clients got."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from hotplate import Cache
from tests.metrics_app import make
from tests.redis_servers import RedisServer
from tests.samples import Samples
from tests.servers import Answer, Server, serving, serving_process
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

SEED = 20
CLIENTS = 8
REQUESTS_OF_EACH = 150


class Got(NamedTuple):
    """What a client was told of one request."""

    rule: str
    outcome: str


REQUESTS: list[tuple[str, str, str]] = [
    *(("GET", f"/products/{number}", "/products/{number}") for number in range(10)),
    *(("GET", f"/slow/{number}", "default") for number in range(10)),
    ("GET", "/news", "/news"),
    ("GET", "/account", "/account"),
    ("GET", "/secret", "default"),
    ("POST", "/products", "default"),
]
"""Method, path, and the rule that speaks for it."""


async def load(server: Server, rng: random.Random) -> Counter[Got]:
    """Some clients that ask for this and that, and count what they get."""
    counted: Counter[Got] = Counter()

    async def client(requests: Sequence[tuple[str, str, str]]) -> None:
        async with server.connection() as connection:
            for method, target, rule in requests:
                await connection.send(method, target)
                counted[Got(rule, _outcome(await connection.answer()))] += 1

    await asyncio.gather(*(client(rng.choices(REQUESTS, k=REQUESTS_OF_EACH)) for _ in range(CLIENTS)))
    return counted


def _outcome(answer: Answer) -> str:
    assert answer.status == 200
    said = answer["cache-status"]
    if "fwd=bypass" in said or "fwd=method" in said:
        return "bypass"
    if "; hit" in said or "; collapsed" in said:
        return "stale" if "detail=" in said else "hit"
    return "miss"


def told(found: Samples) -> Counter[Got]:
    """The same as the servers say it, without the requests for the metrics themselves."""
    counted: Counter[Got] = Counter()
    for (name, labels), number in found.values.items():
        if name == "hotplate_requests_total" and number:
            of = dict(labels)
            counted[Got(of["rule"], of["outcome"])] += int(number)
    counted[Got("default", "bypass")] -= int(found.sum("hotplate_bypass_total", reason="excluded"))
    return +counted


def by_outcome(counted: Counter[Got], outcome: str) -> int:
    return sum(number for got, number in counted.items() if got.outcome == outcome)


def agree(found: Samples, counted: Counter[Got], runs: int | None = None) -> None:
    assert told(found) == counted
    hits, stale, misses = (by_outcome(counted, outcome) for outcome in ("hit", "stale", "miss"))
    assert found.sum("hotplate_hits_total") == hits
    assert found.sum("hotplate_stale_total") == stale
    assert found.sum("hotplate_misses_total") == misses
    assert found.sum("hotplate_hit_duration_seconds_count") == hits + stale
    assert found.sum("hotplate_miss_duration_seconds_count") == misses
    assert found.sum("hotplate_bypass_total", reason="method") == sum(
        number for got, number in counted.items() if got == Got("default", "bypass")
    )
    assert found.sum("hotplate_bypass_total", reason="rule-no-store") == counted[Got("/account", "bypass")]


async def test_one_process_says_what_its_clients_got() -> None:
    cache = Cache()
    async with serving(make(cache)) as server:
        counted = await load(server, random.Random(SEED))
        found = Samples.read((await server.get("/metrics")).body.decode())
    assert counted.total() == CLIENTS * REQUESTS_OF_EACH
    assert {got.outcome for got in counted} == {"hit", "stale", "miss", "bypass"}
    agree(found, counted)
    stats = cache.stats()
    for name in ("hits", "misses", "stale", "validated", "collapsed", "stored", "failed_loads", "evictions"):
        assert found.sum(f"hotplate_{name}_total") == getattr(stats, name), name
    for name, number in (("entries", stats.entries), ("stored_bytes", stats.bytes), ("max_bytes", stats.max_bytes)):
        assert found.sum(f"hotplate_{name}") == number, name
    assert found.sum("hotplate_not_stored_total") == sum(stats.not_stored.values())


async def test_latencies_are_those_of_the_handlers() -> None:
    async with serving(make(Cache())) as server:
        for number in range(3):
            await server.get(f"/slow/{number}")
            await server.get(f"/slow/{number}")
        found = Samples.read((await server.get("/metrics")).body.decode())
    for kind in ("miss", "load"):
        name = f"hotplate_{kind}_duration_seconds"
        assert found.sum(f"{name}_count") == 3
        assert found.sum(f"{name}_bucket", le="0.025") == 0
        assert found.sum(f"{name}_sum") >= 3 * 0.05
    assert found.sum("hotplate_hit_duration_seconds_count") == 3
    assert found.sum("hotplate_hit_duration_seconds_bucket", le="0.01") == 3


async def test_four_workers_say_together_what_their_clients_got(redis: RedisServer) -> None:
    environment = {"METRICS_CACHE": f"{redis.url}?command_timeout=5s"}
    async with serving_process("tests.metrics_app:app", environment, ["--workers", "4"]) as server:
        counted = await load(server, random.Random(SEED))

        scrapes: list[Samples] = []

        async def all_have_told() -> bool:
            scrapes.append(Samples.read((await server.get("/metrics")).body.decode()))
            found = scrapes[-1]
            return found.sum("hotplate_processes") == 4 and told(found).total() >= counted.total()

        await eventually(all_have_told, "every worker has told its numbers")
    found = scrapes[-1]
    assert len(found.labels("hotplate_hits_total", "process")) == 4
    agree(found, counted)
    assert found.sum("hotplate_shared_up") == 4


async def test_openmetrics_is_served_as_such() -> None:
    async with serving(make(Cache())) as server:
        answer = await server.get("/metrics?openmetrics=true")
    assert answer["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.body.endswith(b"# EOF\n")


async def test_a_scrape_while_requests_are_served_has_whole_lines() -> None:
    cache = Cache()
    async with serving(make(cache)) as server:
        loading = asyncio.ensure_future(load(server, random.Random(SEED)))
        seen = []
        while not loading.done():
            found = Samples.read((await server.get("/metrics")).body.decode())
            seen.append(found.sum("hotplate_hits_total"))
            assert math.isclose(
                found.sum("hotplate_hit_duration_seconds_count"),
                found.sum("hotplate_hit_duration_seconds_bucket", le="+Inf"),
            )
        await loading
    assert len(seen) > 1
    assert seen == sorted(seen)
