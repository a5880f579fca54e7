"""One load for all who ask: what each gets when it is slow, fails, is cancelled, or is overtaken by an invalidation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

import pytest

from hotplate import Cache
from tests.value_fleet import Pair, Place, Product, Runs, collected, numbered
from tests.waiting import turns

pytestmark = pytest.mark.asyncio


async def ends(call: Callable[[], Awaitable[Any]], runs: Runs, number: int) -> list[Any]:
    """What so many callers get who all ask while the first run is held up: a result, or what was raised."""
    callers = [asyncio.ensure_future(call()) for _ in range(number)]
    await runs.begun()
    await turns()
    runs.open()
    return await asyncio.gather(*callers, return_exceptions=True)


async def test_five_hundred_callers_of_one_cold_key_run_the_function_once(place: Place) -> None:
    runs = Runs(is_open=False)

    @place.cache.cached("1m", key="square:{number}")
    async def square(number: int) -> int:
        await runs()
        return number * number

    assert await ends(lambda: square(3), runs, 500) == [9] * 500
    assert (runs.count, square.cache_info().loads) == (1, 1)
    assert square.cache_info().hits == 499


async def test_callers_of_two_processes_run_the_function_once(pair: Pair) -> None:
    runs = Runs(is_open=False)
    callers = []
    for place in pair:

        @place.cache.cached("1m", key="product:{number}")
        async def product(number: int) -> Product:
            return Product(id=await runs())

        callers += [asyncio.create_task(product(1)) for _ in range(100)]
    await runs.begun()
    await turns()
    runs.open()
    assert await asyncio.gather(*callers) == [Product(id=1)] * 200
    assert runs.count == 1


async def test_many_keys_at_once_are_loaded_once_each(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m")
    async def double(number: int) -> int:
        await runs()
        await asyncio.sleep(0)
        return number * 2

    found = await asyncio.gather(*(double(number % 50) for number in range(500)))
    assert found == [number % 50 * 2 for number in range(500)]
    assert runs.count == 50


async def test_an_exception_is_everybodys_and_is_not_stored(place: Place) -> None:
    runs = Runs(is_open=False)
    number = numbered(place, runs, {1, 2})
    raised = await ends(number, runs, 100)
    assert {str(error) for error in raised} == {"1"}
    assert {type(error) for error in raised} == {LookupError}
    with pytest.raises(LookupError, match="2"):
        await number()


async def test_a_shared_exception_does_not_collect_the_frames_of_all(place: Place) -> None:
    runs = Runs(is_open=False)
    (error, *_) = await ends(numbered(place, runs, {1}), runs, 200)
    assert isinstance(error, LookupError)
    length, traceback, names = 0, error.__traceback__, []
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        length, traceback = length + 1, traceback.tb_next
    assert length < 20
    assert names[-1] == "number"


async def test_an_exception_that_several_got_is_held_by_nobody_afterwards(place: Place) -> None:
    class FailedError(Exception):
        pass

    runs, failures = Runs(is_open=False), WeakSet[FailedError]()

    @place.cache.cached("1m", key="failing")
    async def failing() -> None:
        await runs()
        failures.add(failure := FailedError())
        raise failure

    assert {type(error) for error in await ends(failing, runs, 5)} == {FailedError}
    assert runs.count == 1
    await turns()
    assert collected(lambda: not failures)


async def test_a_failure_in_one_process_lets_the_other_try(pair: Pair) -> None:
    runs = Runs(is_open=False)
    calls = []
    for place in pair:
        calls.append(asyncio.create_task(numbered(place, runs, {1})()))
        await runs.begun()
    runs.open()
    first, second = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(first, LookupError)
    assert second == 2


async def test_the_first_caller_is_cancelled_and_the_rest_get_the_value(place: Place) -> None:
    runs = Runs(is_open=False)
    number = numbered(place, runs)
    callers = [asyncio.create_task(number()) for _ in range(10)]
    await runs.begun()
    callers[0].cancel()
    await turns()
    runs.open()
    first, *others = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert others == [1] * 9


async def test_every_caller_is_cancelled_and_the_load_is_stored_all_the_same(place: Place) -> None:
    runs = Runs(is_open=False)
    number = numbered(place, runs)
    callers = [asyncio.create_task(number()) for _ in range(3)]
    await runs.begun()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    runs.open()
    assert await number() == 1


async def test_a_caller_with_a_deadline_leaves_the_load_to_go_on(place: Place) -> None:
    runs = Runs(is_open=False)
    number = numbered(place, runs)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(number(), 0.05)
    runs.open()
    assert await number() == 1


async def test_a_caller_cancelled_while_it_looks_in_the_server_takes_nothing_from_others(pair: Pair) -> None:
    runs = Runs()
    number = numbered(pair.one, runs)
    for _ in range(20):
        first = asyncio.create_task(number())
        second = asyncio.create_task(number())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == runs.count
        await asyncio.gather(first, return_exceptions=True)
        await number.invalidate()


async def test_a_function_that_cancels_itself_leaves_the_load_to_the_next(place: Place) -> None:
    runs = Runs(is_open=False)

    @place.cache.cached("1m")
    async def number() -> int:
        if (run := await runs()) == 1:
            raise asyncio.CancelledError
        return run

    first, *others = await ends(number, runs, 5)
    assert isinstance(first, asyncio.CancelledError)
    assert others == [2] * 4


async def test_cached_functions_call_each_other(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m")
    async def price(number: int) -> int:
        return number * await runs()

    @place.cache.cached("1m")
    async def total(numbers: tuple[int, ...]) -> int:
        return sum(await asyncio.gather(*map(price, numbers)))

    assert await total((2, 2, 2)) == 6
    assert runs.count == 1


async def test_a_recursive_function_gets_every_part_once(place: Place) -> None:
    @place.cache.cached("1m")
    async def fib(number: int) -> int:
        return number if number < 2 else sum(await asyncio.gather(fib(number - 1), fib(number - 2)))

    assert await fib(15) == 610
    if place.keeps_objects:
        assert fib.cache_info().loads == 16


@pytest.mark.timeout(20)
async def test_a_function_that_needs_its_own_result_does_not_wait_for_itself(place: Place) -> None:
    depth = 0

    @place.cache.cached("1m")
    async def number() -> int:
        nonlocal depth
        depth += 1
        return 1 if depth == 3 else await number() + 1

    assert await number() == 3


# What is invalidated meanwhile.


class Table:
    row = "old"


def reading(place: Place, runs: Runs, table: Table, **settings: Any) -> Any:
    """A cached function that has read the row when it is held up."""

    @place.cache.cached("1m", key="row", tags=["row"], **settings)
    async def read() -> str:
        found = table.row
        await runs()
        return found

    return read


@pytest.mark.parametrize("way", ["tag", "key", "clear"])
async def test_what_began_before_an_invalidation_is_not_read_after_it(place: Place, way: str) -> None:
    runs, table = Runs(is_open=False), Table()
    read = reading(place, runs, table)
    before = asyncio.create_task(read())
    await runs.begun()
    table.row = "new"
    if way == "clear":
        place.cache.clear()
    else:
        await place.cache.invalidate(**({"tags": ["row"]} if way == "tag" else {"keys": ["row"]}))  # type: ignore[arg-type]
    after = asyncio.create_task(read())
    await turns()
    runs.open()
    assert await after == "new"
    assert await before in ("old", "new")
    place.settle()
    assert await read() == "new"


async def test_what_is_not_stored_is_not_given_to_who_asks_after_an_invalidation(place: Place) -> None:
    runs, table = Runs(is_open=False), Table()
    read = reading(place, runs, table, condition=lambda result: False)
    before = asyncio.create_task(read())
    await runs.begun()
    table.row = "new"
    await place.cache.invalidate(tags=["row"])
    after = asyncio.create_task(read())
    await turns()
    runs.open()
    assert await after == "new"
    await before


async def test_an_error_from_before_an_invalidation_is_not_raised_after_it(place: Place) -> None:
    """The row was made between: who made it must not be told that there is none."""
    runs, rows = Runs(is_open=False), set[int]()

    @place.cache.cached("1m", key="row:{number}", tags=["row:{number}"])
    async def read(number: int) -> int:
        is_there = number in rows
        await runs()
        if not is_there:
            raise LookupError(number)
        return number

    before = asyncio.create_task(read(1))
    await runs.begun()
    rows.add(1)
    await place.cache.invalidate(tags=["row:1"])
    after = asyncio.create_task(read(1))
    await turns()
    runs.open()
    assert await after == 1
    with pytest.raises(LookupError):
        await before


async def test_an_invalidation_in_another_process_meets_a_load_under_way(pair: Pair) -> None:
    runs, table = Runs(is_open=False), Table()
    calls = [reading(place, runs, table) for place in pair]
    before = asyncio.create_task(calls[0]())
    await runs.begun()
    table.row = "new"
    await pair.other.cache.invalidate(tags=["row"])
    pair.one.read_log()
    runs.open()
    await before
    pair.settle()
    assert [await call() for call in calls] == ["new", "new"]


async def test_a_value_set_during_a_load_stays(place: Place) -> None:
    runs = Runs(is_open=False)
    loading = asyncio.create_task(place.cache.get_or_set("name", runs, ttl=60))
    await runs.begun()
    await place.cache.set("name", "set", ttl=60)
    runs.open()
    await loading
    place.settle()
    assert await place.cache.get("name") == "set"


async def test_a_value_deleted_during_a_load_is_not_brought_back(place: Place) -> None:
    runs = Runs(is_open=False)
    loading = asyncio.create_task(place.cache.get_or_set("name", runs, ttl=60))
    await runs.begun()
    await place.cache.delete("name")
    runs.open()
    assert await loading == 1
    place.settle()
    assert await place.cache.get("name") is None


async def test_a_value_set_by_another_process_during_a_load_stays(pair: Pair) -> None:
    runs = Runs(is_open=False)
    loading = asyncio.create_task(pair.one.cache.get_or_set("name", runs, ttl=60))
    await runs.begun()
    assert await pair.other.cache.set("name", "set", ttl=60)
    runs.open()
    await loading
    pair.settle()
    assert [await place.cache.get("name") for place in pair] == ["set", "set"]


# At shutdown.


async def test_loads_are_waited_for_at_shutdown(place: Place) -> None:
    runs = Runs(is_open=False)
    number = numbered(place, runs)
    async with place.cache.lifespan():
        caller = asyncio.create_task(number())
        await runs.begun()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        asyncio.get_running_loop().call_later(0.05, runs.open)
    place.settle()
    assert await place.cache.get("number") == 1


async def test_a_refresh_is_waited_for_at_shutdown(place: Place) -> None:
    runs = Runs()
    number = numbered(place, runs, stale_while_revalidate="1m")
    async with place.cache.lifespan():
        await number()
        place.settle()
        place.clock.advance(61)
        runs.close()
        assert await number() == 1
        await runs.begun(2)
        asyncio.get_running_loop().call_later(0.05, runs.open)
    place.settle()
    assert await place.cache.get("number") == 2


async def test_a_cache_at_rest_keeps_no_load() -> None:
    cache = Cache()

    @cache.cached("1m")
    async def number() -> int:
        await asyncio.sleep(0)
        return 1

    await asyncio.gather(*(number() for _ in range(10)))
    await turns()
    assert len(cache.loads) == 0
