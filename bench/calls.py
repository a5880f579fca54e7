"""What a call in process takes: a statement, an awaited call, several threads at once.

Sections make their contenders of these, and ``of_each`` gives each its turns. The garbage collector rests meanwhile.
"""

import asyncio
import atexit
import functools
import gc
import importlib
import threading
import time
import timeit
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bench.figures import in_turns

Calls = Callable[[int], float]
"""Makes that many calls; gives the seconds they took."""

THREADS = 4
LEAST_SHARE = 0.1
"""Of the length of a round: a shorter trial says too little about how many calls fill one."""


def peer(name: str) -> Any:
    """A package of requirements/bench.txt: it is in .venv-bench only, where no types are checked."""
    return importlib.import_module(name)


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    """One for all rounds, asyncio's own: async-lru forgets everything in another one."""
    made = asyncio.new_event_loop()
    atexit.register(made.close)
    return made


def timed(statement: str, each: int = 1, **names: object) -> Calls:
    """A statement, which makes so many calls itself, of those names."""
    timer = timeit.Timer(statement, globals=names)
    return lambda number: timer.timeit(number // each)


def awaited(function: Callable[[Any], Awaitable[object]], argument: object) -> Calls:
    """`await function(argument)`, in a running loop."""

    async def calls(number: int) -> float:
        begin = time.perf_counter()
        for _ in range(number):
            await function(argument)
        return time.perf_counter() - begin

    return lambda number: loop().run_until_complete(calls(number))


def at_once(*shares: Calls) -> Calls:
    """The same number of calls by a thread of its own for each; seconds as if one thread had made them all."""

    def calls(number: int) -> float:
        starting = threading.Barrier(len(shares))
        spans: list[tuple[float, float]] = []

        def work(share: Calls) -> None:
            starting.wait()
            begin = time.perf_counter()
            share(number // len(shares))
            spans.append((begin, time.perf_counter()))

        threads = [threading.Thread(target=work, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(spans) != len(shares):
            raise RuntimeError("a thread failed: its traceback is above")
        return max(end for _, end in spans) - min(begin for begin, _ in spans)

    return calls


def nanoseconds(calls: Calls, seconds: float, step: int = THREADS) -> Callable[[], float]:
    """Of one call, from rounds that take about so long; their number of calls is a multiple of `step`. Warm by then."""
    number = step
    # The fastest of three: one that had to wait for a processor would make the rounds too short.
    while (took := min(calls(number) for _ in range(3))) < seconds * LEAST_SHARE:
        number *= 4
    number = max(step, round(number * seconds / took / step) * step)

    def one() -> float:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return calls(number) / number * 1e9
        finally:
            if collecting:
                gc.enable()

    return one


def of_each(
    contenders: Mapping[str, Calls], rounds: int, seconds: float, step: int = THREADS
) -> dict[str, list[float]]:
    """Nanoseconds of one call: one figure a round for each contender, in turns; a round takes each about so long."""
    return in_turns({name: nanoseconds(calls, seconds, step) for name, calls in contenders.items()}, rounds)
