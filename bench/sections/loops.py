"""What a process pays that runs many event loops over one cache."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from bench import loops
from bench.figures import Effort, Section, Spread, Table, in_turns, rows
from bench.machine import cores, pin
from bench.serving import on_core
from tests.redis_servers import RedisServer

HOW = """
One process on one core, in which threads each run an event loop (uvloop), and all share one `Cache`. Each loop calls
again and again: the middleware for a stored response (20 rules, tags, `Vary`; a client that keeps nothing), or a
function with `@cache.cached`, 16 times between two turns of its loop; or `get` of a cache on Redis that keeps nothing
in memory, with 64 calls in flight over all loops (Redis on the other core). Threads begin together, when each has made
one call. Every call must be a hit: by the cache's own count, the runs of the function, or the value that came.

One interpreter runs one thread at a time, so that many loops can do no more than one: a ratio of 1 says that sharing
costs nothing. `slowest loop, of the mean` says whether one starves. What the interpreter itself makes of so many
threads that all want to run, which is neither fast nor fair, is in the first table: the same loops with a coroutine
that does nothing. Loops that wait for something in between, as servers do and as the `get` from Redis does, share
evenly.

The last table makes and closes loops one after another with `asyncio.run`, as tests and synchronous scripts do: with
one cache for all, beside a redis-py client made in each. File descriptors and threads of the process are counted before
and after; hotplate must leave none.
"""
LOOPS = (1, 2, 4, 8, 32)


@dataclass(frozen=True)
class Pace:
    """How long it is measured."""

    rounds: int
    seconds: float
    loops: int
    """One after another, a round."""


PACES = {Effort.QUICK: Pace(3, 0.3, 200), Effort.FULL: Pace(11, 1.0, 500)}


def together(id_: str, title: str, shape: loops.Shape, pace: Pace, contender: str = "hotplate") -> Table:
    """Calls a second of one loop and of many."""
    made = {f"{contender}-{number}": loops.Together(number, shape) for number in LOOPS}
    for one in made.values():
        one.round(pace.seconds / 4)  # warm
        one.slowest.clear()
    found = in_turns({name: partial(one.round, pace.seconds) for name, one in made.items()}, pace.rounds)
    names = {name: f"{one.loops} loop{'s' if one.loops > 1 else ''}" for name, one in made.items()}
    complete = [
        replace(row, beside={"slowest loop, of the mean": Spread.of(made[row.id].slowest)})
        for row in rows(found, names)
    ]
    return Table(id_, title, "calls/s", True, complete)


def one_after_another(url: str, pace: Pace) -> Table:
    """Microseconds of a loop that lives for one get."""
    made = {
        "redis-py": loops.OneAfterAnother(loops.redis_py(url)),
        "hotplate": loops.OneAfterAnother(loops.hotplate(url)),
    }
    found = in_turns({name: partial(one.round, pace.loops) for name, one in made.items()}, pace.rounds)
    complete = []
    names = {"redis-py": "redis-py, a client in each loop", "hotplate": "hotplate, one cache for all"}
    for row in rows(found, names):
        descriptors, threads = made[row.id].left()
        if row.ours and (descriptors > 0 or threads > 0):
            raise ValueError(f"{row.id}: {descriptors} file descriptors and {threads} threads were left")
        beside = {"loops": pace.loops * pace.rounds, "descriptors left": descriptors, "threads left": threads}
        complete.append(replace(row, beside=beside))
    title = "Loops one after another, each for one get of 1 kB on Redis"
    return Table("one-after-another", title, "µs", False, complete, "A loop is made, asks once, and is closed.")


def in_process(effort: Effort, url: str) -> list[Table]:
    """All tables, in the process that measures."""
    pace = PACES[effort]
    plain = loops.Shape(loops.nothing, lambda calls: None, in_flight=1, before_yielding=16)
    return [
        together("plain", "A coroutine that does nothing: what the interpreter gives", plain, pace, contender="plain"),
        together("http-hits", "Hits of the middleware", loops.http_hits(), pace),
        together("function-hits", "Hits of `@cache.cached`", loops.function_hits(), pace),
        together("shared-gets", "`get` of 1 kB on Redis, 64 in flight over all loops", loops.shared_gets(url), pace),
        one_after_another(url, pace),
    ]


def measure(effort: Effort) -> list[Table]:
    """All tables, measured in a process that has done nothing else."""
    own_core, redis_core = cores()
    with ExitStack() as started:
        with on_core(redis_core):
            server = started.enter_context(RedisServer())
        server.command("SET", loops.PLAIN, loops.VALUE)
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, context, initializer=pin, initargs=(0, own_core))
        with pool as process:
            return process.submit(in_process, effort, server.url).result()


SECTION = Section("loops", "Many event loops in one process", HOW, measure)
