"""Results past their time: used while one load renews them, when the function fails, and when it is slow."""

import asyncio
import logging
from collections.abc import Collection
from typing import Any

import pytest

from tests.value_fleet import Pair, Place, Runs, numbered
from tests.waiting import eventually, turns

pytestmark = pytest.mark.asyncio


async def aged(place: Place, runs: Runs, seconds: float, failures: Collection[int] = (), **settings: Any) -> Any:
    """A function that was called so many seconds ago, for the first time; see ``numbered``."""
    number = numbered(place, runs, failures, **settings)
    assert await number() == 1
    place.settle()
    place.clock.advance(seconds)
    return number


async def finds(place: Place, value: int) -> None:
    """Waits until the value is what callers get."""

    async def is_found() -> bool:
        return bool(await place.cache.get("number") == value)

    await eventually(is_found, f"the result of run {value}")


async def test_a_stale_result_is_used_while_one_load_renews_it(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 61, stale_while_revalidate="1m")
    runs.close()
    assert await asyncio.gather(*(number() for _ in range(50))) == [1] * 50
    await runs.begun(2)
    assert await number() == 1
    runs.open()
    await finds(place, 2)
    assert await number() == 2
    assert runs.count == 2


async def test_after_the_window_a_stale_result_is_not_used(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 120, stale_while_revalidate="1m")
    assert await number() == 2


async def test_stale_results_are_counted(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 61, stale_while_revalidate="1m")
    await number()
    await finds(place, 2)
    assert number.cache_info()[1:] == (1, 2, 0)


async def test_a_refresh_that_fails_is_logged_and_the_stale_result_stays(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    runs = Runs()
    number = await aged(place, runs, 61, {2}, stale_while_revalidate="1m")
    with caplog.at_level(logging.WARNING, "hotplate"):
        assert await number() == 1
        await eventually(lambda: "refresh failed" in caplog.text or "load failed" in caplog.text, "a report")
    assert await number() == 1


async def test_an_invalidated_result_is_not_used_as_stale(place: Place) -> None:
    runs = Runs()
    number = numbered(
        place, runs, {2}, stale_while_revalidate="1m", stale_if_error="1m", refresh_ahead=0.5, soft_timeout="1ms"
    )
    await number()
    place.settle()
    await place.cache.invalidate(tags=["tag"])
    with pytest.raises(LookupError):
        await number()
    assert await number() == 3


async def test_a_softly_invalidated_result_is_used_while_one_load_renews_it(place: Place) -> None:
    runs = Runs()
    number = numbered(place, runs)
    await number()
    place.settle()
    await place.cache.invalidate(tags=["tag"], soft=True)
    runs.close()
    assert [await number() for _ in range(5)] == [1] * 5
    await runs.begun(2)
    runs.open()
    await finds(place, 2)
    assert (await number(), runs.count) == (2, 2)


# When the function fails.


async def test_a_stale_result_is_used_when_the_function_raises(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 61, {2, 3}, stale_if_error="1h")
    assert await number() == 1
    assert number.cache_info()[2:] == (2, 1)


async def test_a_function_that_failed_is_left_alone_for_a_while(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 61, {2}, stale_if_error="1h")
    assert [await number() for _ in range(5)] == [1] * 5
    if place.keeps_objects:
        assert runs.count == 2
    place.clock.advance(10)
    assert await number() == runs.count


async def test_all_who_wait_for_a_load_that_fails_get_the_stale_result(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 61, {2}, stale_if_error="1h")
    runs.close()
    callers = [asyncio.create_task(number()) for _ in range(50)]
    await runs.begun(2)
    runs.open()
    assert await asyncio.gather(*callers) == [1] * 50


async def test_after_that_window_the_error_is_raised(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 121, {2}, stale_if_error="1m")
    with pytest.raises(LookupError):
        await number()


async def test_without_the_window_the_error_is_raised(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 61, {2})
    with pytest.raises(LookupError):
        await number()


# Ahead of time.


async def test_a_result_that_is_used_is_renewed_ahead_of_time(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 47, refresh_ahead=0.8)
    assert (await number(), runs.count) == (1, 1)
    place.clock.advance(2)
    assert await number() == 1
    if place.keeps_objects:
        await runs.begun(2)
        await finds(place, 2)
        place.clock.advance(47)
        assert (await number(), runs.count) == (2, 2)


async def test_a_fresh_result_that_is_renewed_ahead_is_a_hit(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 40, refresh_ahead=0.5)
    assert await number() == 1
    assert number.cache_info()[:2] == (1, 0)


async def test_a_result_renewed_ahead_is_renewed_once_for_all(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 40, refresh_ahead=0.5)
    runs.close()
    assert await asyncio.gather(*(number() for _ in range(50))) == [1] * 50
    runs.open()
    await turns()
    assert runs.count <= 2


# When the function is slow.


@pytest.mark.timeout(20)
async def test_a_slow_load_is_not_waited_for_where_something_stale_may_be_used(place: Place) -> None:
    runs = Runs()
    number = await aged(place, runs, 61, stale_if_error="1h", soft_timeout="10ms")
    runs.close()
    assert await number() == 1
    await runs.begun(2)
    runs.open()
    await finds(place, 2)
    assert (await number(), runs.count) == (2, 2)


@pytest.mark.timeout(20)
async def test_nobody_waits_for_a_slow_load_longer_than_that(place: Place) -> None:
    """Not only the first: the load goes on for minutes, and each gets the stale result in its time."""
    runs = Runs()
    number = await aged(place, runs, 61, stale_if_error="1h", soft_timeout="10ms")
    runs.close()
    if place.keeps_objects:
        assert await asyncio.gather(*(number() for _ in range(20))) == [1] * 20
        assert await number() == 1
        assert runs.count == 2
    runs.open()


@pytest.mark.timeout(20)
async def test_a_load_in_another_process_is_not_waited_for_longer_than_that(pair: Pair) -> None:
    runs = Runs()
    calls = [numbered(place, runs, stale_if_error="1h", soft_timeout="10ms") for place in pair]
    assert await calls[0]() == 1
    pair.settle()
    assert await calls[1]() == 1
    pair.clock.advance(61)
    runs.close()
    assert await calls[0]() == 1
    await runs.begun(2)
    if pair.one.keeps_objects:
        assert await calls[1]() == 1
        assert runs.count == 2
    runs.open()


@pytest.mark.timeout(20)
async def test_a_slow_load_with_nothing_stale_is_waited_for(place: Place) -> None:
    runs = Runs(is_open=False)
    number = numbered(place, runs, stale_if_error="1h", soft_timeout="1ms")
    caller = asyncio.create_task(number())
    await runs.begun()
    done, _ = await asyncio.wait([caller], timeout=0.05)
    assert not done
    runs.open()
    assert await caller == 1


@pytest.mark.timeout(20)
async def test_a_slow_load_that_fails_in_the_end_is_reported(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs()
    number = await aged(place, runs, 61, {2}, stale_if_error="1h", soft_timeout="5ms")
    runs.close()
    assert await number() == 1
    await runs.begun(2)
    runs.open()
    with caplog.at_level(logging.WARNING, "hotplate"):
        await eventually(lambda: "load failed" in caplog.text, "a report")


# Across two processes.


async def test_one_refresh_for_two_processes(pair: Pair) -> None:
    runs = Runs()
    calls = [numbered(place, runs, stale_while_revalidate="1h") for place in pair]
    assert await calls[0]() == 1
    pair.settle()
    assert await calls[1]() == 1
    pair.clock.advance(61)
    runs.close()
    assert [await call() for call in calls * 5] == [1] * 10
    await runs.begun(2)
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert runs.count == 2
    runs.open()
    for place in pair:
        await finds(place, 2)
    assert runs.count == 2


async def test_another_process_has_the_stale_result_too_when_the_function_fails(pair: Pair) -> None:
    runs = Runs()
    one = numbered(pair.one, runs, stale_if_error="1h")
    other = numbered(pair.other, runs, {2}, stale_if_error="1h")
    assert await one() == 1
    pair.settle()
    pair.clock.advance(61)
    assert await other() == 1


async def test_a_refresh_by_hand_reaches_a_process_that_has_no_copy(pair: Pair) -> None:
    runs = Runs()
    one, other = (numbered(place, runs) for place in pair)
    assert await one() == 1
    pair.settle()
    assert await one.refresh() == 2
    await eventually(lambda: pair.one.cache.shared_stats().stored >= 2, "written")  # type: ignore[union-attr]
    assert await other() == 2
