"""``cache.cached``: one call of the function however many ask, in memory and on Redis alike."""

import asyncio

import pytest

from hotplate import Cache, ConfigError

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


@pytest.mark.parametrize("url", ["memory://", "redis://127.0.0.1:1/0"])
@pytest.mark.parametrize("decorator", ["cached", "write_through"])
async def test_a_codec_that_does_not_exist_is_refused_where_it_is_written(url: str, decorator: str) -> None:
    with pytest.raises(ConfigError, match="'yaml' is none of 'auto'"):
        getattr(Cache(url), decorator)("1m", key="name", codec="yaml")


@pytest.mark.parametrize("decorator", ["cached", "write_through"])
async def test_pickle_without_a_key_is_refused_where_it_is_written(decorator: str) -> None:
    with pytest.raises(ConfigError, match="signing_key"):
        getattr(Cache("redis://127.0.0.1:1/0"), decorator)("1m", key="name", codec="pickle")
    getattr(Cache(), decorator)("1m", key="name", codec="pickle")  # in memory nothing is pickled
