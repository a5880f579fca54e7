"""A `LocalCache` that tasks share: one load for each key, whoever is cancelled, and whatever becomes of the loop."""

import asyncio
from typing import Any

import pytest

from hotplate import LocalCache
from hotplate.testing import ManualClock

Cache = LocalCache[Any, Any]


@pytest.mark.asyncio
async def test_five_hundred_tasks_that_ask_for_one_key_run_one_load() -> None:
    cache: Cache = LocalCache()
    runs: list[int] = []

    async def load() -> str:
        runs.append(1)
        await asyncio.sleep(0)
        return "value"

    assert await asyncio.gather(*(cache.aget_or_set("key", load) for _ in range(500))) == ["value"] * 500
    assert len(runs) == 1
    assert await cache.aget_or_set("key", load) == "value"
    assert cache.info() == (500, 1, 0, 1, 0)


@pytest.mark.asyncio
async def test_a_cancelled_first_task_does_not_cancel_the_load() -> None:
    cache: Cache = LocalCache()
    go_on = asyncio.Event()

    async def load() -> str:
        await go_on.wait()
        return "value"

    first, second = (asyncio.create_task(cache.aget_or_set("key", load)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await second == "value"
    assert first.cancelled()
    assert cache["key"] == "value"


@pytest.mark.asyncio
async def test_a_load_that_nobody_waits_for_any_more_is_still_stored() -> None:
    cache: Cache = LocalCache()
    go_on, stored = asyncio.Event(), asyncio.Event()

    async def load() -> str:
        await go_on.wait()
        asyncio.get_running_loop().call_soon(stored.set)
        return "value"

    task = asyncio.create_task(cache.aget_or_set("key", load))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await stored.wait()
    assert cache["key"] == "value"


@pytest.mark.asyncio
async def test_an_exception_reaches_each_waiting_task_and_nothing_is_stored() -> None:
    cache: Cache = LocalCache()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("no")

    results = await asyncio.gather(*(cache.aget_or_set("key", fail) for _ in range(10)), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 10
    assert "key" not in cache


@pytest.mark.asyncio
async def test_what_is_written_during_an_awaited_load_is_not_overwritten_by_it() -> None:
    cache: Cache = LocalCache()
    go_on = asyncio.Event()

    async def load() -> str:
        await go_on.wait()
        return "old"

    task = asyncio.create_task(cache.aget_or_set("key", load))
    await asyncio.sleep(0)
    cache["key"] = "new"
    go_on.set()
    assert await task == "old"
    assert cache["key"] == "new"


@pytest.mark.asyncio
async def test_an_awaited_load_may_have_a_lifetime(clock: ManualClock) -> None:
    cache: Cache = LocalCache(clock=clock)
    assert await cache.aget_or_set("key", lambda: asyncio.sleep(0, 5), ttl="1s") == 5
    clock.advance(1)
    assert "key" not in cache


@pytest.mark.asyncio
async def test_awaited_loads_that_wait_for_each_other_come_to_an_end() -> None:
    cache: Cache = LocalCache()
    both: list[str] = []
    begun = asyncio.Event()

    async def load(own: str, others: str) -> str:
        both.append(own)
        if len(both) == 2:
            begun.set()
        await begun.wait()
        inner: str = await cache.aget_or_set(others, lambda: asyncio.sleep(0, others.upper()))
        return own + inner

    found = await asyncio.wait_for(
        asyncio.gather(
            cache.aget_or_set("a", lambda: load("a", "b")),
            cache.aget_or_set("b", lambda: load("b", "a")),
        ),
        30,
    )
    assert set(found) <= {"aB", "bA", "abA", "baB"}


def test_a_load_whose_event_loop_was_closed_holds_nobody_up() -> None:
    cache: Cache = LocalCache()
    loop = asyncio.new_event_loop()
    task = loop.create_task(cache.aget_or_set("key", asyncio.Event().wait))
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert asyncio.run(cache.aget_or_set("key", lambda: asyncio.sleep(0, "value"))) == "value"
    assert cache["key"] == "value"
    for left in (task, *asyncio.all_tasks(loop)):
        left._log_destroy_pending = False  # type: ignore[attr-defined]
