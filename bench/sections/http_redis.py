"""Requests/s of a stored response from Redis."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from bench.environments import pinned
from bench.figures import Effort, Section, Table
from bench.hits import Contender, Handler, Plan, library, measured
from bench.machine import cores
from bench.serving import on_core
from tests.redis_servers import RedisServer

REDIS_PY, GLIDE = pinned("fastapi")["redis"], pinned("valkey-glide")["valkey-glide"]

CONTENDERS = (
    Contender("raw", "raw ASGI, constant bytes", "apps.raw:constant", handler=Handler.NONE),
    Contender("redis-py", f"raw ASGI, a GET of redis-py {REDIS_PY}", "apps.redis_get:app"),
    Contender("valkey-glide", f"raw ASGI, a GET of valkey-glide {GLIDE}", "peers.valkey_glide:app", "valkey-glide"),
    Contender("hotplate", "hotplate", "apps.hotplate:app", lifespan=True, ours=True),
    Contender(
        "hotplate-local-off",
        "hotplate, local tier off",
        "apps.hotplate:app",
        lifespan=True,
        ours=True,
        environment={"BENCH_HOTPLATE": "local-off"},
        latency_of="redis-py",
    ),
    Contender("tutorial", "a tutorial's middleware, redis-py, pickle", "apps.tutorial:app"),
    library("cashews", "decorator"),
    library("aiocache", "decorator"),
    library("fastapi-cache2", "decorator"),
    library("fastapi-cachex", "decorator"),
    library("hishel", "middleware", lifespan=True),
)

# Beside ours and the references: the two peers that are fastest where all are measured.
SHOWN = frozenset(
    {"raw", "redis-py", "valkey-glide", "hotplate", "hotplate-local-off", "tutorial", "aiocache", "fastapi-cachex"}
)
PLANS = {Effort.QUICK: Plan(4, 0.6, SHOWN), Effort.FULL: Plan(9, 1.3)}

HOW = """\
As the section of hits from memory, with the same shapes, the same verification and the same reference, and what is
stored in one redis-server, each contender in a database of its own. redis-server shares the core of the load, so that
the server's core does the contender's work alone.

`hotplate` keeps what it has found in its own memory as well and is told of invalidations; with the local tier off
every hit is a lookup in Redis. The peers look up every hit there too; cashews could keep values on the client's side,
which is off by default. Beside the latter, its p50 on one connection is compared with that of redis-py, which does
nothing but a `GET` (with hiredis) and sends what it got. CPU is that of the server's process, without Redis."""


def measure(effort: Effort) -> Sequence[Table]:
    """All shapes."""
    with ExitStack() as stack:
        with on_core(cores()[1]):  # what is started here stays there
            server = stack.enter_context(RedisServer())
        return measured([in_database(one, server, n) for n, one in enumerate(CONTENDERS)], PLANS[effort])


def in_database(contender: Contender, server: RedisServer, number: int) -> Contender:
    """A contender that uses one of the server's databases."""
    url = f"{server.url.rpartition('/')[0]}/{number}"
    return replace(contender, environment={**contender.environment, "BENCH_REDIS_URL": url})


SECTION = Section("http_redis", "HTTP hits from Redis", HOW, measure)
