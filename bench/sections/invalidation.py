"""How long an invalidation takes: until other processes see it, and its call."""

import statistics
from collections.abc import Sequence
from contextlib import ExitStack

from bench.figures import Effort, Row, Section, Spread, Table, ratios
from bench.invalidation import Heard, Process, heard
from bench.invalidation_calls import SECTIONS, calls
from tests.redis_servers import RedisServer

ROUNDS = {Effort.QUICK: 300, Effort.FULL: 1_000}
CALLS = {Effort.QUICK: 300, Effort.FULL: SECTIONS}
WARM_UP = 5
PROCESSES = {"two-processes": 2, "four-processes": 4}

PUBLISH, INVALIDATE = ("publishes", "receives"), ("invalidates", "misses")
CONTENDERS = {
    "redis-publish": ("PUBLISH by redis-py, asked every millisecond", PUBLISH, 0.001),
    "redis-publish-busy": ("PUBLISH by redis-py, asked without pause", PUBLISH, 0.0),
    "hotplate": ("invalidate, asked every millisecond", INVALIDATE, 0.001),
    "hotplate-busy": ("invalidate, asked without pause", INVALIDATE, 0.0),
}

HOW = """**Other processes.** Each process has a cache of its own on one Redis and keeps what it reads in its local
tier. In each round one process stores a value and, when all others have it in memory (verified: Redis is not asked),
awaits `invalidate(tags=[...])`. The others ask for it again and again, every millisecond or without pause, and tell
when they first did not get it. A figure is the time from the call until one of them did, by one clock; the round trip
to Redis that the miss makes is in it, and up to a millisecond of pause where there is one. Verified in each round: the
value does not come back, none of an earlier round appears, the call says that Redis has acknowledged it.

The reference takes turns with it, in the same processes: how long a plain PUBLISH by redis-py takes until a
task of a subscriber's loop has read it, asked for in the same way. It is only a message: nothing is written, and
nothing looked up when it is seen. Ratios are of a round's medians, to the PUBLISH that is asked for every millisecond.
Processes are not tied to cores: with more of them than cores, those that ask without pause also wait for each other.

**The call.** `cache.sync.invalidate` of another tag, or another prefix, each time, in a cache in memory with 1,000 or
1,000,000 values of a tag each; 1,000 tags, so that one of the large cache covers 1,000 values. Prefixes are of
responses: there are 1,000 of these beside, one for each prefix. Verified at the end: every value whose tag was
invalidated is gone, every other one is there; the handler ran again for each response under an invalidated prefix, and
for none of the others."""


def p99(figures: Sequence[float]) -> float:
    """The figure that 99 of 100 do not exceed."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def rounds_of(processes: int, rounds: int) -> dict[str, list[Heard]]:
    """What all rounds measured with so many processes; contenders take turns."""
    found: dict[str, list[Heard]] = {contender: [] for contender in CONTENDERS}
    with RedisServer() as server, ExitStack() as started:
        first, *others = [started.enter_context(Process(server.url)) for _ in range(processes)]
        for number in range(-WARM_UP, rounds):
            for contender, (_, acts, pause) in CONTENDERS.items():
                one = heard(first, others, acts, f"{contender}-{number}", pause)
                if number >= 0:
                    found[contender].append(one)
    return found


def table(name: str, rounds: int) -> Table:
    """Seen by the others, since the call."""
    processes = PROCESSES[name]
    found = rounds_of(processes, rounds)
    by_round = {contender: [statistics.median(one.seen) for one in all_heard] for contender, all_heard in found.items()}
    reference = by_round["redis-publish"]
    rows = []
    for contender, all_heard in found.items():
        seen = [figure for one in all_heard for figure in one.seen]
        call = "invalidate returns, p50 ms" if contender.startswith("hotplate") else "PUBLISH returns, p50 ms"
        beside: dict[str, Spread | float | str] = {
            "p99, ms": round(p99(seen), 3),
            "longest, ms": round(max(seen), 3),
            call: round(statistics.median(one.call for one in all_heard), 3),
        }
        ratio = None if contender == "redis-publish" else ratios(by_round[contender], reference)
        rows.append(Row(contender, CONTENDERS[contender][0], Spread.of(seen), ratio, beside))
    note = "Budget: a p99 of at most 50 ms. Since the call, by each of the others in each round."
    return Table(name, f"Seen by other processes: {processes} processes", "ms", False, rows, note)


def measure(effort: Effort) -> list[Table]:
    """With two processes, with four, and the call alone."""
    return [*(table(name, ROUNDS[effort]) for name in PROCESSES), calls(CALLS[effort])]


SECTION = Section(id="invalidation", title="Invalidation", how=HOW, measure=measure)
