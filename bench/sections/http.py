"""Requests/s of a stored response from memory."""

from collections.abc import Sequence

from bench.environments import pinned
from bench.figures import Effort, Section, Table
from bench.hits import Contender, Handler, Plan, library, measured

VERSIONS = pinned("fastapi")

CONTENDERS = (
    Contender("raw", "raw ASGI, constant bytes", "apps.raw:constant", handler=Handler.NONE),
    Contender("dict", "raw ASGI, a dict lookup", "apps.raw:dictionary"),
    Contender("hotplate", "hotplate", "apps.hotplate:app", lifespan=True, ours=True),
    Contender(
        "hotplate-add-middleware",
        "hotplate, app.add_middleware",
        "apps.hotplate:app",
        lifespan=True,
        ours=True,
        environment={"BENCH_HOTPLATE": "add-middleware"},
    ),
    Contender("tutorial", "a tutorial's middleware, dict", "apps.tutorial:app"),
    library("cashews", "decorator"),
    library("aiocache", "decorator"),
    library("fastapi-cache2", "decorator"),
    library("fastapi-cachex", "decorator"),
    library("starlette-caches", "middleware"),
    library("hishel", "middleware, SQLite in memory", lifespan=True),
    Contender("endpoint-async", "no cache: FastAPI, async def", "apps.endpoint:asynchronous", handler=Handler.ALWAYS),
    Contender("endpoint-sync", "no cache: FastAPI, def", "apps.endpoint:synchronous", handler=Handler.ALWAYS),
)

# Beside ours and the references: the two peers that are fastest where all are measured.
SHOWN = frozenset(
    {
        "raw",
        "dict",
        "hotplate",
        "hotplate-add-middleware",
        "tutorial",
        "fastapi-cachex",
        "starlette-caches",
        "endpoint-async",
    }
)
PLANS = {Effort.QUICK: Plan(5, 0.6, SHOWN), Effort.FULL: Plan(9, 1.2)}

HOW = f"""\
Each contender is an application under uvicorn {VERSIONS["uvicorn"]} (uvloop {VERSIONS["uvloop"]}, httptools
{VERSIONS["httptools"]}), one worker on one core; the load comes from the other. It answers 200 URLs with 190 bytes of
JSON and one with 49 kB, byte by byte the same as all others. The reference sends constant bytes and does nothing
else. Contenders take turns in short rounds, and each ratio is to the reference's round of the same turn.

hotplate is measured with what users switch on: 20 rules of which the last matches, tags, `Vary`, a Prometheus
endpoint. Like the other middlewares it wraps a FastAPI application ({VERSIONS["fastapi"]}); `app.add_middleware` puts
it behind FastAPI's own outer layers. Decorators are on the endpoint, as their documentation shows, each library in
its cheapest documented configuration and in an environment of its own with pinned versions (`requirements/bench`),
the same uvicorn, and the same FastAPI where it allows that. A decorator leaves routing, validation and rendering to
be done on each hit, which is what its figure shows.

Verified: every body, before the rounds; status and length of each response, during them; how often handlers ran (not
once, for what is stored; hotplate's section ends with an error if one did, or if its own metrics did not count every
request as a hit). On a machine that is not idle, contenders with threads of their own get more of the core than the
others do; the CPU that a request takes is steadier then."""


def measure(effort: Effort) -> Sequence[Table]:
    """All shapes."""
    return measured(CONTENDERS, PLANS[effort])


SECTION = Section("http", "HTTP hits from memory", HOW, measure)
