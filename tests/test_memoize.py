"""`memoize`: `functools.lru_cache` with an end, one run for each result, for methods too."""

import copy
import gc
import inspect
import pickle
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from hotplate import ConfigError, memoize
from hotplate.objects import CacheInfo
from hotplate.testing import ManualClock
from tests.threads import run_in_threads
from tests.watched import Key, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

# --- As lru_cache ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorate", [memoize, memoize(), memoize(100), memoize(maxsize=100), memoize(ttl="5m")])
def test_it_stands_with_parentheses_or_without(decorate: Any) -> None:
    runs: list[int] = []

    def plain(number: int) -> int:
        runs.append(number)
        return 2 * number

    double = decorate(plain)
    assert [double(1), double(2), double(1), double(number=1)] == [2, 4, 2, 2]
    assert runs == [1, 2]


def test_the_numbers_and_settings_are_those_of_lru_cache() -> None:
    @memoize(10, typed=True)
    def same(number: float) -> float:
        return number

    for number in (1, 1, 2.0, 1):
        same(number)
    assert same.cache_info() == CacheInfo(hits=2, misses=2, maxsize=10, currsize=2)
    assert repr(same.cache_info()) == "CacheInfo(hits=2, misses=2, maxsize=10, currsize=2)"
    assert same.cache_parameters() == {"maxsize": 10, "typed": True, "ttl": None, "max_bytes": None}
    same.cache_clear()
    assert same.cache_info() == (0, 0, 10, 0)


def test_it_looks_like_the_function() -> None:
    @memoize
    def documented(number: int = 5) -> int:
        """What it does."""
        return number

    assert documented.__name__ == "documented"
    assert documented.__qualname__.endswith("<locals>.documented")
    assert documented.__doc__ == "What it does."
    assert documented.__module__ == __name__
    assert documented.__wrapped__() == documented() == 5
    assert inspect.signature(documented) == inspect.signature(documented.__wrapped__)
    assert "memoize" in repr(documented)


@memoize
def of_the_module(number: int) -> int:
    return number


def test_it_is_pickled_by_name_and_copied_as_itself() -> None:
    assert pickle.loads(pickle.dumps(of_the_module)) is of_the_module
    assert copy.copy(of_the_module) is of_the_module
    assert copy.deepcopy(of_the_module) is of_the_module


def test_none_is_a_result() -> None:
    runs: list[int] = []

    @memoize
    def nothing(number: int) -> None:
        runs.append(number)

    nothing(1)
    nothing(1)
    assert runs == [1]


def test_arguments_that_are_not_hashable_raise_as_in_a_dict() -> None:
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        memoize(Recorder())([])


def test_a_call_that_the_function_refuses_is_refused_by_it() -> None:
    def plain(number: int, *, keyword: int = 1) -> int:
        return number + keyword

    one: Any = memoize(plain)
    wrong: list[Callable[[], object]] = [
        lambda: one(),
        lambda: one(1, 2),
        lambda: one(1, number=1),
        lambda: one(1, other=1),
    ]
    one(1)
    for call in wrong:
        with pytest.raises(TypeError, match=r"plain\(\)"):
            call()


def test_the_least_wanted_result_goes_for_room() -> None:
    recorder = Recorder()
    call = memoize(2)(recorder)
    for number in (1, 2, 3):
        call(number)
    assert call.cache_info().currsize == 2
    call(3)
    assert len(recorder.runs) == 3


def test_max_bytes_bounds_the_results() -> None:
    text = memoize(None, max_bytes=100, weigh=len)(lambda length: "x" * length)
    for length in (60, 50, 200):
        assert len(text(length)) == length
    assert text.cache_info().currsize == 1


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"maxsize": 0}, "maxsize=0"),
        ({"maxsize": None}, "maxsize=None"),
        ({"ttl": -1}, "ttl=-1"),
        ({"max_bytes": 5}, "weigh=len"),
        ({"key": 5}, "key=5"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        memoize(**settings)(len)
    assert text in str(caught.value)


def test_what_cannot_be_memoized_is_refused() -> None:
    def numbers() -> Any:
        yield 1

    async def async_numbers() -> Any:
        yield 1

    plain: Any = len
    refused: list[Any] = [numbers, async_numbers, classmethod(plain), staticmethod(plain)]
    for function in refused:
        with pytest.raises(ConfigError, match="memoize"):
            memoize()(function)


# --- Which calls share a result --------------------------------------------------------------------------------------


def function(a: Any, b: Any = 2, /, c: Any = 3, *rest: Any, d: Any = 4, **more: Any) -> Any:
    return a, b, c, rest, d, more


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        (((1,), {}), ((1,), {}), True),
        (((1,), {"c": 5}), ((1, 2, 5), {}), True),
        (((1, 2), {"c": 5, "d": 6}), ((1, 2, 5), {"d": 6}), True),
        (((1,), {"x": 1, "y": 2}), ((1,), {"y": 2, "x": 1}), True),
        (((1,), {"b": 1}), ((1, 1), {}), False),  # `b` goes into `more`
        (((1,), {}), ((1, 2), {}), False),  # as documented
        (((1,), {"x": 1}), ((1,), {"x": 2}), False),
        (((1,), {"x": 1}), ((1,), {"y": 1}), False),
        (((1, 2, 3, "x", 1), {}), ((1,), {"x": 1}), False),
        (((1, "a"), {}), (("a", 1), {}), False),
        (((-1, 0), {}), ((-2, 0), {}), False),
        (((1, 0), {}), ((1.0, False), {}), True),
    ],
)
def test_calls_share_a_result_by_their_arguments(one: Any, other: Any, share: bool) -> None:
    memoized: Any = memoize(function)
    for args, kwargs in (one, other, one, other):
        assert memoized(*args, **kwargs) == function(*args, **kwargs)
    assert memoized.cache_info()[:2] == ((3, 1) if share else (2, 2))


@pytest.mark.parametrize(("typed", "runs"), [(False, 1), (True, 3)])
def test_typed_keeps_equal_arguments_of_different_types_apart(typed: bool, runs: int) -> None:
    recorder = Recorder()
    call = memoize(typed=typed)(recorder)
    for number in (1, 1.0, True, 1, 1.0, True):
        call("a", number)
    assert len(recorder.runs) == runs
    for number in (1, 1.0, True, 1, 1.0, True):
        call(number=number)
    assert len(recorder.runs) == 2 * runs


def test_a_key_function_says_what_counts() -> None:
    recorder = Recorder()
    call = memoize(key=lambda items, **_: tuple(items))(recorder)
    call([1, 2], session=object())
    call([1, 2], session=object())
    assert len(recorder.runs) == 1
    assert call.cache_discard([1, 2]) is True


def test_a_builtin_without_a_signature_is_memoized() -> None:
    biggest: Any = memoize(max)
    assert biggest(1, 2) == biggest(1, 2) == 2
    assert biggest((1,), default=0) == biggest((1,), default=0) == 1
    assert biggest.cache_info()[:2] == (2, 2)


def test_one_result_is_discarded_by_its_arguments() -> None:
    recorder = Recorder()
    call = memoize(recorder)
    call(1)
    call(2)
    assert (call.cache_discard(1), call.cache_discard(1)) == (True, False)
    call(1)
    call(2)
    assert [args for args, _ in recorder.runs] == [(1,), (2,), (1,)]


# --- Time ------------------------------------------------------------------------------------------------------------


def test_a_result_is_kept_for_its_ttl(clock: ManualClock) -> None:
    recorder = Recorder()
    call = memoize(ttl="30s", clock=clock)(recorder)
    call(1)
    clock.advance(29.9)
    call(1)
    assert len(recorder.runs) == 1
    clock.advance(0.1)
    call(1)
    assert len(recorder.runs) == 2
    assert call.cache_parameters()["ttl"] == 30


# --- Methods ---------------------------------------------------------------------------------------------------------


class Shop:
    def __init__(self) -> None:
        self.runs: list[Any] = []

    all_runs: list[Any] = []  # noqa: RUF012

    @memoize(ttl=60)
    def method(self, number: int) -> int:
        self.runs.append(number)
        return number

    @memoize
    async def awaited(self, number: int) -> int:
        self.runs.append(number)
        return number

    @classmethod
    @memoize
    def of_class(cls, number: int) -> int:
        cls.all_runs.append(("class", number))
        return number

    @staticmethod
    @memoize
    def static(number: int) -> int:
        Shop.all_runs.append(("static", number))
        return number

    @property
    @memoize
    def computed(self) -> int:
        self.runs.append("computed")
        return 5


def test_a_method_keeps_results_for_each_object() -> None:
    one: Any = Shop()
    other: Any = Shop()
    for shop in (one, other, one):
        assert shop.method(1) == shop.method(number=1) == 1
        assert shop.computed == 5
    assert one.runs == other.runs == [1, "computed"]
    assert inspect.ismethod(one.method)
    assert str(inspect.signature(one.method)) == "(number: int) -> int"
    assert Shop.method.cache_discard(one, 1)
    one.method(1)
    assert (one.runs, other.runs) == ([1, "computed", 1], [1, "computed"])
    Shop.method.cache_clear()
    assert Shop.method.cache_info().currsize == 0


def test_class_and_static_methods_are_memoized() -> None:
    Shop.all_runs.clear()
    shops: list[Any] = [Shop, Shop()]
    for shop in shops:
        assert shop.of_class(1) == 1
        assert shop.static(1) == 1
    assert Shop.all_runs == [("class", 1), ("static", 1)]


@pytest.mark.asyncio
async def test_an_awaited_method_is_memoized() -> None:
    one, other = Shop(), Shop()
    for shop in (one, other, one):
        assert await shop.awaited(1) == 1
    assert (one.runs, other.runs) == ([1], [1])
    assert inspect.iscoroutinefunction(one.awaited)


# --- Programs in arguments and results -------------------------------------------------------------------------------


def test_an_argument_may_use_the_cache_when_it_is_compared_and_when_it_goes() -> None:
    results: list[Any] = []
    call: Any = memoize(2)(lambda *args: args)

    class Going(Key):
        def __del__(self) -> None:
            results.append(call.cache_info().currsize)
            call(0)

        __hash__ = Key.__hash__

    for name in ("a", "b", "c"):
        call(Going(name, eq=call.cache_clear))
    assert call(1) == (1,)
    call.cache_clear()
    gc.collect()
    assert len(results) >= 3


def test_an_eq_that_raises_reaches_the_caller() -> None:
    def fail() -> None:
        raise LookupError("no")

    call = memoize(Recorder())
    call(Key("a", eq=fail))
    with pytest.raises(LookupError):
        call(Key("a"))
    assert call(1) == ((1,), {})


def test_colliding_arguments_have_results_of_their_own() -> None:
    call = memoize(lambda key: key.name)
    for _ in range(2):
        assert [call(Key(name)) for name in "abc"] == ["a", "b", "c"]


def test_a_memoized_function_in_its_own_result_is_collected() -> None:
    def make() -> "weakref.ref[Any]":
        @memoize
        def itself(_number: int) -> Any:
            return itself

        itself(1)
        return weakref.ref(itself)

    gone = make()
    gc.collect()
    assert gone() is None


# --- One run for each result -----------------------------------------------------------------------------------------


def test_a_recursion_remembers_its_parts() -> None:
    @memoize(maxsize=200)
    def fib(number: int) -> int:
        return number if number < 2 else fib(number - 1) + fib(number - 2)

    assert fib(90) == 2880067194370816120
    assert fib.cache_info()[:2] == (88, 91)


def test_threads_in_a_recursion_do_not_hold_each_other_up() -> None:
    @memoize
    def fib(number: int) -> int:
        return number if number < 2 else fib(number - 1) + fib(number - 2)

    assert run_in_threads(8, lambda thread: fib(60 + thread % 2)) == [1548008755920, 2504730781961] * 4


def test_fifty_threads_run_the_function_once() -> None:
    runs: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    @memoize(ttl=60)
    def slow(number: int) -> int:
        runs.append(number)
        begun.set()
        assert go_on.wait(30)
        return number

    def work(thread: int) -> int:
        if thread == 0:
            assert begun.wait(30)
            go_on.set()
        return slow(1)

    assert run_in_threads(50, work) == [1] * 50
    assert runs == [1]
    assert slow.cache_info() == (49, 1, 1024, 1)


def test_an_exception_is_not_kept() -> None:
    runs: list[int] = []

    @memoize
    def fail(number: int) -> int:
        runs.append(number)
        raise LookupError(number)

    for _ in range(2):
        with pytest.raises(LookupError):
            fail(1)
    assert runs == [1, 1]
    assert fail.cache_info().currsize == 0


def test_a_result_that_is_computed_during_a_clear_is_not_kept() -> None:
    @memoize
    def clearing(number: int) -> int:
        clearing.cache_clear()
        return number

    assert clearing(1) == 1
    assert clearing.cache_info().currsize == 0
