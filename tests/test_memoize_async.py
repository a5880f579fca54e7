"""`memoize` over `async def`: what it gives is a coroutine function, and a run belongs to all that wait for it."""

import asyncio
import functools
import inspect
from contextvars import ContextVar
from typing import Any

import pytest

from hotplate import memoize
from hotplate.testing import ManualClock
from tests.watched import Recorder


@pytest.mark.asyncio
async def test_a_coroutine_function_stays_one() -> None:
    @memoize(ttl=60)
    async def double(number: int) -> int:
        """What it does."""
        return 2 * number

    assert inspect.iscoroutinefunction(double)
    assert (double.__name__, double.__doc__) == ("double", "What it does.")
    assert inspect.iscoroutine(hit := double(1))
    assert await hit == 2
    assert await asyncio.create_task(double(1)) == 2
    assert [*await asyncio.gather(double(1), double(number=2), asyncio.wait_for(double(1), 5))] == [2, 4, 2]
    assert double.cache_info() == (3, 2, 1024, 2)
    assert double.cache_parameters()["ttl"] == 60
    assert double.cache_discard(1) is True
    double.cache_clear()
    assert double.cache_info() == (0, 0, 1024, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["value", "only", "find", "missing", "memo", "function", "self"])
async def test_a_lone_parameter_keeps_its_name(name: str) -> None:
    names: dict[str, Any] = {}
    exec(f"async def same({name}):\n    return {name}", names)
    same: Any = memoize(names["same"])
    for _ in range(2):
        assert await same(1) == await same(**{name: 1}) == 1
    assert same.cache_info()[:2] == (3, 1)
    with pytest.raises(TypeError, match=r"same|memoized|of_one"):
        same(other=1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("one", "other", "share"),
    [(((1, 2), {}), ((1,), {"second": 2}), True), (((1, 2), {}), ((2, 1), {}), False)],
)
async def test_two_parameters_keep_their_names(one: Any, other: Any, share: bool) -> None:
    @memoize
    async def both(first: int, second: int) -> tuple[int, int]:
        return first, second

    for args, kwargs in (one, other):
        await both(*args, **kwargs)
    assert both.cache_info()[:2] == ((1, 1) if share else (0, 2))


@pytest.mark.asyncio
async def test_an_object_whose_call_is_a_coroutine_is_awaited() -> None:
    class Caller:
        async def __call__(self, number: int) -> int:
            return number

    called: Any = memoize(Caller())
    partial: Any = memoize(functools.partial(Caller().__call__, 5))
    assert await called(1) == await called(1) == 1
    assert await partial() == await partial() == 5


@pytest.mark.asyncio
async def test_five_hundred_tasks_run_the_function_once() -> None:
    runs: list[int] = []

    @memoize
    async def slow(number: int) -> int:
        runs.append(number)
        await asyncio.sleep(0)
        return number

    assert await asyncio.gather(*(slow(1) for _ in range(500))) == [1] * 500
    assert runs == [1]
    assert slow.cache_info() == (499, 1, 1024, 1)


@pytest.mark.asyncio
async def test_a_cancelled_first_caller_does_not_cancel_the_run() -> None:
    go_on = asyncio.Event()

    @memoize
    async def slow(number: int) -> int:
        await go_on.wait()
        return number

    first, second = (asyncio.create_task(slow(1)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await second == 1
    assert first.cancelled()


@pytest.mark.asyncio
async def test_an_exception_reaches_each_waiting_task_and_is_not_kept() -> None:
    @memoize
    async def fail(number: int) -> int:
        await asyncio.sleep(0)
        raise LookupError(number)

    results = await asyncio.gather(*(fail(1) for _ in range(10)), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 10
    assert fail.cache_info().currsize == 0


@pytest.mark.asyncio
async def test_an_awaited_recursion_remembers_its_parts() -> None:
    @memoize
    async def fib(number: int) -> int:
        return number if number < 2 else sum(await asyncio.gather(fib(number - 1), fib(number - 2)))

    assert await fib(60) == 1548008755920
    assert fib.cache_info().misses == 61


@pytest.mark.asyncio
async def test_a_run_that_awaits_itself_does_not_hang() -> None:
    depth: list[int] = []

    @memoize
    async def again(number: int) -> int:
        depth.append(number)
        return 5 if len(depth) > 3 else await again(number)

    assert await asyncio.wait_for(again(1), 30) == 5


@pytest.mark.asyncio
async def test_an_awaited_result_is_kept_for_its_ttl(clock: ManualClock) -> None:
    recorder = Recorder()

    @memoize(ttl=30, clock=clock)
    async def call(number: int) -> Any:
        return recorder(number)

    await call(1)
    await call(1)
    clock.advance(30)
    await call(1)
    assert len(recorder.runs) == 2


@pytest.mark.asyncio
async def test_the_run_sees_the_context_of_its_first_caller() -> None:
    user: ContextVar[str] = ContextVar("user", default="nobody")

    @memoize
    async def who(_number: int) -> str:
        return user.get()

    user.set("somebody")
    assert await who(1) == "somebody"
