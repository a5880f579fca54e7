"""``cache.cached``: the function gets the arguments of its call, whatever its parameters are and are called."""

import functools
import inspect
from typing import Any

import pytest

from hotplate import Cache

Arguments = tuple[Any, ...]


def test_every_kind_of_parameter_gets_its_argument() -> None:
    @Cache().cached("1m")
    def every(a: int, /, b: int, c: int = 3, *d: int, e: int, f: int = 6, **g: int) -> Arguments:
        return a, b, c, d, e, f, g

    for _ in ("loaded", "recalled"):
        assert every(1, 2, e=5) == (1, 2, 3, (), 5, 6, {})
        assert every(1, b=2, e=5, f=7, h=8) == (1, 2, 3, (), 5, 7, {"h": 8})
        assert every(1, 2, 4, 41, 42, e=5, a=9) == (1, 2, 4, (41, 42), 5, 6, {"a": 9})
    assert every.cache_info()[:3] == (3, 0, 3)


@pytest.mark.asyncio
async def test_every_kind_of_parameter_of_a_coroutine_function_gets_its_argument() -> None:
    @Cache().cached("1m", key="{a}:{b}:{c}:{e}:{f}")
    async def some(a: int, /, b: int, c: int = 3, *d: int, e: int, f: int = 6, **g: int) -> Arguments:
        return a, b, c, d, e, f, g

    for _ in ("loaded", "recalled"):
        assert await some(1, 2, 4, 41, e=5, h=8) == (1, 2, 4, (41,), 5, 6, {"h": 8})
    assert some.cache_info()[:3] == (1, 0, 1)


def test_a_default_is_the_object_that_the_function_has() -> None:
    nothing = object()

    @Cache().cached("1m", key="{number}")
    def is_nothing(number: int, other: object = nothing) -> bool:
        return other is nothing

    assert is_nothing(1)


def test_parameters_may_have_any_name() -> None:
    @Cache().cached("1m", key="{_h_text}:{recall}:{plan}:{value}:{text}")
    def named(_h_text: int, recall: int, plan: int, value: int, text: int, _h_value: int = 6) -> Arguments:
        return _h_text, recall, plan, value, text, _h_value

    for _ in ("loaded", "recalled"):
        assert named(1, 2, 3, 4, text=5) == (1, 2, 3, 4, 5, 6)
    assert named.key(1, 2, 3, 4, 5) == "1:2:3:4:5"


def test_a_call_that_does_not_fit_is_refused_by_the_functions_name() -> None:
    @Cache().cached("1m")
    def product(number: int) -> int:
        return number

    with pytest.raises(TypeError, match=r"product\(\) missing 1 required positional argument: 'number'"):
        product()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"product\(\) got an unexpected keyword argument 'name'"):
        product(number=1, name="a")  # type: ignore[call-arg]


def test_what_wraps_a_function_gets_the_call_as_it_was_made() -> None:
    def by_name(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(**kwargs: int) -> Any:
            return function(**kwargs)

        return wrapper

    @Cache().cached("1m")
    @by_name
    def double(number: int) -> int:
        return 2 * number

    for _ in ("loaded", "recalled"):
        assert double(number=2) == 4
    assert double.cache_info()[:3] == (1, 0, 1)


def test_a_cached_function_looks_like_the_function() -> None:
    @Cache().cached("1m")
    async def product(number: int, *, lang: str = "en") -> str:
        """A product."""
        return f"{number} {lang}"

    assert inspect.iscoroutinefunction(product)
    assert str(inspect.signature(product)) == "(number: int, *, lang: str = 'en') -> str"
    assert (product.__name__, product.__doc__) == ("product", "A product.")
    assert product.__wrapped__ is product.bypass
