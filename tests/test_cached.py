"""``cache.cached``: one call of the function however many ask, in memory and on Redis alike."""

import asyncio

import pytest

from hotplate import Cache

pytestmark = pytest.mark.asyncio


async def test_five_hundred_callers_of_one_cold_key_run_the_function_once() -> None:
    cache, runs = Cache(), 0

    @cache.cached("1m", key="square:{number}")
    async def square(number: int) -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        return number * number

    assert await asyncio.gather(*(square(3) for _ in range(500))) == [9] * 500
    assert (runs, square.key(3), square.cache_info().loads) == (1, "square:3", 1)


async def test_an_exception_is_everybodys_and_is_not_stored() -> None:
    cache, runs = Cache(), 0

    @cache.cached("1m")
    async def fail() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        raise LookupError(runs)

    ends = await asyncio.gather(*(fail() for _ in range(10)), return_exceptions=True)
    assert [str(end) for end in ends] == ["1"] * 10
    with pytest.raises(LookupError, match="2"):
        await fail()
