"""Where two values differ, by type or by value, all the way down."""

from collections import OrderedDict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from hotplate.codecs import difference
from tests.codec_values import NAN, Colour, Foo, Point, Private, Product, Row, Size, Toy, nested, seen


@pytest.mark.parametrize(
    ("a", "b", "path"),
    [
        (1, True, "$"),
        (1, 1.0, "$"),
        (0.0, -0.0, "$"),
        (Size.SMALL, 1, "$"),
        (Decimal("1.0"), Decimal("1.00"), "$"),
        ([1, 2], [1, 3], "$[1]"),
        ([1], [1, 2], "$[1]"),
        ([1, 2], [1], "$[1]"),
        ((1,), [1], "$"),
        (Row(1), (1,), "$"),
        (Row(1), Row(2), "$.id"),
        ({"a": {"b": [0]}}, {"a": {"b": [1]}}, "$.a.b[0]"),
        ({"a": 1}, {"b": 1}, "$.a"),
        ({"a": 1}, {"a": 1, "b": 2}, "$.b"),
        ({1: "x"}, {True: "x"}, "$[1]"),
        ({1, 2}, {1, 3}, "${…}"),
        ({1}, {True}, "${…}"),
        ({1}, {1, 2}, "${…}"),
        (Point([1]), Point([2]), "$.x[0]"),
        (Product(id=1), Toy(id=1), "$"),
        (Product(id=1), Product(id=2), "$.id"),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), "$['keys()'][0]"),
        (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=timezone.utc), "$"),
        (datetime(2026, 1, 1), datetime(2026, 1, 1, fold=1), "$"),
        (datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")), datetime(2026, 1, 1, tzinfo=timezone.utc), "$"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(0), "Z")), datetime(2026, 1, 1, tzinfo=timezone.utc), "$"),
        (Foo(), Foo(), "$"),
        (seen(), Private(), "$._seen"),
    ],
)
def test_a_difference_in_type_or_value_has_a_place(a: Any, b: Any, path: str) -> None:
    assert difference(a, b) == path


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (NAN, float("nan")),
        ([{"a": NAN}], [{"a": float("nan")}]),
        ({NAN, 1}, {1, float("nan")}),
        ({(NAN,): 1}, {(float("nan"),): 1}),
        (Decimal("NaN"), Decimal("NaN")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Colour.RED, Colour.RED),
        (UUID(int=1), UUID(int=1)),
        ([Point(1)] * 2, [Point(1), Point(1)]),
    ],
)
def test_values_that_differ_in_nothing_have_no_difference(a: Any, b: Any) -> None:
    assert difference(a, b) is None


def test_values_that_contain_themselves_can_be_compared() -> None:
    def looped(last: int) -> list[Any]:
        value: list[Any] = [1, {"deep": (last,)}]
        value.append(value)
        return value

    assert difference(looped(1), looped(1)) is None
    assert difference(looped(1), looped(2)) == "$[1].deep[0]"


def test_great_depth_is_no_trouble_to_a_comparison() -> None:
    assert difference(nested(100_000), nested(100_000)) is None


def test_objects_whose_comparison_raises_differ() -> None:
    class Touchy:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    assert difference([Touchy()], [Touchy()]) == "$[0]"
