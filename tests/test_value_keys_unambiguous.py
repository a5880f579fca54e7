"""Whatever the arguments: one key exactly if they are the same by type and value."""

import dataclasses
import datetime as dt
import decimal
import math
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotplate.errors import UnkeyableError
from hotplate.keys import key_function
from tests.keyed import Color, Id, Name


@dataclasses.dataclass(frozen=True)
class Pair:
    a: Any
    b: Any


def function(a: Any, b: Any = 0, *args: Any, c: Any = None, **kwargs: Any) -> None: ...


key = key_function(function)
pair_key = key_function(function, key="{a}:{b}")

# Few characters, so that texts are often nearly the same.
words = st.text(alphabet="'\",:=()[]{}a1%N\\é\ud800", max_size=6)
hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from([0.0, -0.0, 1.0, *Color])
    | words
    | words.map(Name)
    | st.integers(0, 2).map(Id)
    | st.binary(max_size=2)
    | st.decimals(allow_nan=False, places=1, min_value=-1, max_value=1)
    | st.datetimes(timezones=st.none() | st.just(dt.timezone.utc))
    | st.dates()
    | st.timedeltas()
    | st.uuids(),
    lambda inner: (
        st.tuples(inner, inner)
        | st.lists(inner, max_size=2).map(tuple)
        | st.frozensets(inner, max_size=3)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=4,
)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.sets(hashable, max_size=3)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=6,
)
calls = st.tuples(st.lists(values, min_size=1, max_size=4), st.dictionaries(st.sampled_from(["c", "d", "e"]), values))


def same(value: Any) -> Any:
    """The reference: equal exactly for values of one type and content, all the way down."""
    kind = type(value)
    if kind in (list, tuple):
        return (kind, tuple(same(one) for one in value))
    if kind in (set, frozenset):
        return (kind, frozenset(same(one) for one in value))
    if kind is dict:
        return (kind, frozenset((same(k), same(v)) for k, v in value.items()))
    if kind is Pair:
        return (kind, same(value.a), same(value.b))
    if kind is float:
        return (kind, value, math.copysign(1.0, value))
    if kind is decimal.Decimal:
        return (kind, value.as_tuple())
    if kind is dt.datetime:
        return (kind, value, value.tzinfo, value.fold)
    return (kind, value)


def bound(call: tuple[list[Any], dict[str, Any]]) -> Any:
    args, kwargs = call
    rest = dict(kwargs)
    return same([args[0], args[1] if len(args) > 1 else 0, args[2:], rest.pop("c", None), rest])


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(values, min_size=2, max_size=12))
def test_values_have_one_key_exactly_if_they_are_the_same(some: list[Any]) -> None:
    assert len({key(value) for value in some}) == len({same(value) for value in some})
    assert len({(same(value), key(value)) for value in some}) == len({same(value) for value in some})


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.lists(calls, min_size=2, max_size=8))
def test_calls_have_one_key_exactly_if_their_arguments_are_the_same(some: list[Any]) -> None:
    keys = [key(*args, **kwargs) for args, kwargs in some]
    assert len(set(keys)) == len({bound(call) for call in some}) == len(set(zip(keys, map(bound, some), strict=True)))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(hashable, max_size=4, unique=True).flatmap(lambda some: st.tuples(*2 * [st.permutations(some)])))
def test_the_order_of_sets_and_mappings_does_not_matter(orders: tuple[list[Any], list[Any]]) -> None:
    one, other = orders
    assert key(set(one)) == key(set(other))
    assert key(dict.fromkeys(one)) == key(dict.fromkeys(other))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(values)
def test_every_key_is_text_that_can_be_encoded(value: object) -> None:
    assert key(value).encode().decode() == key(value)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.tuples(*2 * [st.text(alphabet=":%3Aa", max_size=4) | st.integers(-1, 1)]), max_size=30))
def test_two_fields_of_a_template_give_one_key_exactly_for_the_same_texts(some: list[tuple[Any, Any]]) -> None:
    assert len({pair_key(a, b) for a, b in some}) == len({(str(a), str(b)) for a, b in some})


@settings(max_examples=50, derandomize=True, deadline=None)
@given(values)
def test_a_container_is_refused_if_anything_in_it_is(value: object) -> None:
    with pytest.raises(UnkeyableError):
        key([value, {"a": (value, object())}])


def test_the_reference_tells_apart_what_python_calls_equal() -> None:
    told = [True, 1, 1.0, decimal.Decimal(1), Id(1), 0.0, -0.0, "1", Name("1"), uuid.UUID(int=1)]
    assert len({same(value) for value in told}) == len(told)
