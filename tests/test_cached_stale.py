"""Results past their time: used while one load renews them, when the function fails, and when it is slow."""

import asyncio
import logging
from typing import Any

import pytest

from tests.value_fleet import Pair, Place, Runs
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio


async def begun(runs: Runs, times: int) -> None:
    await eventually(lambda: runs.count >= times, f"{times} runs, not {runs.count}")


async def finds(place: Place, key: str, value: Any) -> None:
    """Waits until the value is what callers get."""
    for _ in range(5000):
        if await place.cache.get(key) == value:
            return
        await asyncio.sleep(0.001)
    assert await place.cache.get(key) == value


def failing(place: Place, runs: Runs, failures: set[int], **settings: Any) -> Any:
    """A cached function whose runs of these numbers raise."""

    @place.cache.cached("1m", key="number", tags=["tag"], **settings)
    async def number() -> int:
        run = await runs()
        if run in failures:
            raise LookupError(run)
        return run

    return number


async def test_a_stale_result_is_used_while_one_load_renews_it(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, set(), stale_while_revalidate="1m")
    assert await number() == 1
    place.settle()
    place.clock.advance(61)
    runs.close()
    assert await asyncio.gather(*(number() for _ in range(50))) == [1] * 50
    await begun(runs, 2)
    assert await number() == 1
    runs.open()
    await finds(place, "number", 2)
    assert await number() == 2
    assert runs.count == 2


async def test_after_the_window_a_stale_result_is_not_used(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, set(), stale_while_revalidate="1m")
    await number()
    place.settle()
    place.clock.advance(120)
    assert await number() == 2


async def test_stale_results_are_counted(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, set(), stale_while_revalidate="1m")
    await number()
    place.settle()
    place.clock.advance(61)
    await number()
    await finds(place, "number", 2)
    assert number.cache_info()[1:] == (1, 2, 0)


async def test_a_refresh_that_fails_is_logged_and_the_stale_result_stays(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    runs = Runs()
    number = failing(place, runs, {2}, stale_while_revalidate="1m")
    await number()
    place.settle()
    place.clock.advance(61)
    with caplog.at_level(logging.WARNING, "hotplate"):
        assert await number() == 1
        await eventually(lambda: "refresh failed" in caplog.text or "load failed" in caplog.text, "a report")
    assert await number() == 1


async def test_an_invalidated_result_is_not_used_as_stale(place: Place) -> None:
    runs = Runs()
    number = failing(
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
    number = failing(place, runs, set())
    await number()
    place.settle()
    await place.cache.invalidate(tags=["tag"], soft=True)
    runs.close()
    assert [await number() for _ in range(5)] == [1] * 5
    await begun(runs, 2)
    runs.open()
    await finds(place, "number", 2)
    assert (await number(), runs.count) == (2, 2)


# When the function fails.


async def test_a_stale_result_is_used_when_the_function_raises(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, {2, 3}, stale_if_error="1h")
    assert await number() == 1
    place.settle()
    place.clock.advance(61)
    assert await number() == 1
    assert number.cache_info()[2:] == (2, 1)


async def test_a_function_that_failed_is_left_alone_for_a_while(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, {2}, stale_if_error="1h")
    await number()
    place.settle()
    place.clock.advance(61)
    assert [await number() for _ in range(5)] == [1] * 5
    if place.keeps_objects:
        assert runs.count == 2
    place.clock.advance(10)
    assert await number() == runs.count


async def test_all_who_wait_for_a_load_that_fails_get_the_stale_result(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, {2}, stale_if_error="1h")
    await number()
    place.settle()
    place.clock.advance(61)
    runs.close()
    callers = [asyncio.create_task(number()) for _ in range(50)]
    await begun(runs, 2)
    runs.open()
    assert await asyncio.gather(*callers) == [1] * 50


async def test_after_that_window_the_error_is_raised(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, {2}, stale_if_error="1m")
    await number()
    place.settle()
    place.clock.advance(121)
    with pytest.raises(LookupError):
        await number()


async def test_without_the_window_the_error_is_raised(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, {2})
    await number()
    place.settle()
    place.clock.advance(61)
    with pytest.raises(LookupError):
        await number()


# Ahead of time.


async def test_a_result_that_is_used_is_renewed_ahead_of_time(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, set(), refresh_ahead=0.8)
    await number()
    place.settle()
    place.clock.advance(47)
    assert (await number(), runs.count) == (1, 1)
    place.clock.advance(2)
    assert await number() == 1
    if place.keeps_objects:
        await begun(runs, 2)
        await finds(place, "number", 2)
        place.clock.advance(47)
        assert (await number(), runs.count) == (2, 2)


async def test_a_fresh_result_that_is_renewed_ahead_is_a_hit(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, set(), refresh_ahead=0.5)
    await number()
    place.settle()
    place.clock.advance(40)
    assert await number() == 1
    assert number.cache_info()[:2] == (1, 0)


async def test_a_result_renewed_ahead_is_renewed_once_for_all(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, set(), refresh_ahead=0.5)
    await number()
    place.settle()
    place.clock.advance(40)
    runs.close()
    assert await asyncio.gather(*(number() for _ in range(50))) == [1] * 50
    runs.open()
    for _ in range(10):
        await asyncio.sleep(0)
    assert runs.count <= 2


# When the function is slow.


@pytest.mark.timeout(20)
async def test_a_slow_load_is_not_waited_for_where_something_stale_may_be_used(place: Place) -> None:
    runs = Runs()
    number = failing(place, runs, set(), stale_if_error="1h", soft_timeout="10ms")
    await number()
    place.settle()
    place.clock.advance(61)
    runs.close()
    assert await number() == 1
    await begun(runs, 2)
    runs.open()
    await finds(place, "number", 2)
    assert (await number(), runs.count) == (2, 2)


@pytest.mark.timeout(20)
async def test_nobody_waits_for_a_slow_load_longer_than_that(place: Place) -> None:
    """Not only the first: the load goes on for minutes, and each gets the stale result in its time."""
    runs = Runs()
    number = failing(place, runs, set(), stale_if_error="1h", soft_timeout="10ms")
    await number()
    place.settle()
    place.clock.advance(61)
    runs.close()
    if place.keeps_objects:
        assert await asyncio.gather(*(number() for _ in range(20))) == [1] * 20
        assert await number() == 1
        assert runs.count == 2
    runs.open()


@pytest.mark.timeout(20)
async def test_a_load_in_another_process_is_not_waited_for_longer_than_that(pair: Pair) -> None:
    runs = Runs()
    calls = [failing(place, runs, set(), stale_if_error="1h", soft_timeout="10ms") for place in pair]
    assert await calls[0]() == 1
    pair.settle()
    assert await calls[1]() == 1
    pair.clock.advance(61)
    runs.close()
    assert await calls[0]() == 1
    await begun(runs, 2)
    if pair.one.keeps_objects:
        assert await calls[1]() == 1
        assert runs.count == 2
    runs.open()


@pytest.mark.timeout(20)
async def test_a_slow_load_with_nothing_stale_is_waited_for(place: Place) -> None:
    runs = Runs(is_open=False)
    number = failing(place, runs, set(), stale_if_error="1h", soft_timeout="1ms")
    caller = asyncio.create_task(number())
    await begun(runs, 1)
    done, _ = await asyncio.wait([caller], timeout=0.05)
    assert not done
    runs.open()
    assert await caller == 1


@pytest.mark.timeout(20)
async def test_a_slow_load_that_fails_in_the_end_is_reported(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs()
    number = failing(place, runs, {2}, stale_if_error="1h", soft_timeout="5ms")
    await number()
    place.settle()
    place.clock.advance(61)
    runs.close()
    assert await number() == 1
    await begun(runs, 2)
    runs.open()
    with caplog.at_level(logging.WARNING, "hotplate"):
        await eventually(lambda: "load failed" in caplog.text, "a report")


# Across two processes.


async def test_one_refresh_for_two_processes(pair: Pair) -> None:
    runs = Runs()
    calls = [failing(place, runs, set(), stale_while_revalidate="1h") for place in pair]
    assert await calls[0]() == 1
    pair.settle()
    assert await calls[1]() == 1
    pair.clock.advance(61)
    runs.close()
    assert [await call() for call in calls * 5] == [1] * 10
    await begun(runs, 2)
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert runs.count == 2
    runs.open()
    for place in pair:
        await finds(place, "number", 2)
    assert runs.count == 2


async def test_another_process_has_the_stale_result_too_when_the_function_fails(pair: Pair) -> None:
    runs = Runs()
    one = failing(pair.one, runs, set(), stale_if_error="1h")
    other = failing(pair.other, runs, {2}, stale_if_error="1h")
    assert await one() == 1
    pair.settle()
    pair.clock.advance(61)
    assert await other() == 1


async def test_a_refresh_by_hand_reaches_a_process_that_has_no_copy(pair: Pair) -> None:
    runs = Runs()
    one, other = (failing(place, runs, set()) for place in pair)
    assert await one() == 1
    pair.settle()
    assert await one.refresh() == 2
    await eventually(lambda: pair.one.cache.shared_stats().stored >= 2, "written")  # type: ignore[union-attr]
    assert await other() == 2
