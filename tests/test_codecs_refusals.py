"""Values that a codec refuses: the place that is at fault, and what to do instead."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model, field_validator

from hotplate.codecs import JsonCodec, PlainCodec, TypedCodec, codec_for, difference
from tests.codec_values import (
    NAN,
    Colour,
    Foo,
    Mapped,
    Point,
    Private,
    Product,
    Row,
    Size,
    Toy,
    nested,
    refusal,
    seen,
)

MODULE = Product.__module__


@dataclass(frozen=True)
class Frozen:
    x: int


class Zone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, moment: datetime | None) -> str:
        return "zone"


@pytest.mark.parametrize(
    ("value", "path", "kind"),
    [
        ({"items": [{}, {"price": Foo()}]}, "$.items[1].price", "Foo"),
        ([Size.SMALL], "$[0]", "Size"),
        (OrderedDict(), "$", "collections.OrderedDict"),
        (Row(1), "$", "Row"),
        ({"a b": (Product(id=1),)}, "$['a b'][0]", "Product"),
        ({Size.SMALL: 1}, "$[Size]", "Size"),
        ({1: {(1, 2): Colour.RED}}, "$[1][tuple]", "Colour"),
        ({"a": {Colour.RED}}, "$.a{…}", "Colour"),
        ({(1, Colour.RED): 1}, "${…}[1]", "Colour"),
        (datetime(2026, 1, 1, tzinfo=Zone()), "$", "datetime.datetime"),
        (bytearray(b"x"), "$", "bytearray"),
        (1j, "$", "complex"),
    ],
)
@pytest.mark.parametrize("codec", ["auto", "msgpack"])
def test_a_type_that_is_not_kept_is_named_with_its_place(codec: str, value: Any, path: str, kind: str) -> None:
    error = refusal(codec_for(Any, codec), value)
    assert error.path == path
    assert f"`{path}` is `" in str(error)
    assert f"{kind}`; " in str(error)


def test_the_refusal_of_an_unannotated_value_says_what_to_do() -> None:
    message = str(refusal(PlainCodec(), Foo()))
    assert message.endswith("; annotate what the function returns, give `type=`, or choose another codec")


@pytest.mark.parametrize("make", [Mapped, threading.Lock, lambda: iter([1]), lambda: (one for one in [1])])
@pytest.mark.parametrize("name", ["auto", "msgpack", "json"])
def test_live_objects_are_refused_with_what_to_cache_instead(name: str, make: Callable[[], Any]) -> None:
    error = refusal(codec_for(Any, name), {"row": make()})
    assert error.path == "$.row"
    if make is not threading.Lock:
        assert "cache a model or dataclass made from it" in str(error)


def test_a_model_is_not_live_for_the_name_of_its_module() -> None:
    model = create_model("Model", __module__="redis.models", a=(int, 1))
    codec = codec_for(model)
    assert codec.decode(codec.encode(model())) == model()


def test_a_generator_is_refused_before_anything_is_taken_from_it() -> None:
    numbers = (number for number in (1, 2))
    refusal(TypedCodec(list[int]), numbers)
    assert list(numbers) == [1, 2]


class Hidden(BaseModel):
    shown: int = 1
    hidden: int = Field(default=1, exclude=True)


class Secretive(BaseModel):
    token: SecretStr


class Twice(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def _longer(cls, text: str) -> str:
        return text + "!"


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    products: list[Product] = []
    anything: Any = None
    foo: Foo | None = None


@pytest.mark.parametrize(
    ("annotation", "value", "path", "words"),
    [
        (Product, Toy(id=1), "$", f"`{MODULE}.Toy` and would come back as `{MODULE}.Product`"),
        (list[Product], [Product(id=1), Toy(id=1)], "$[1]", "would come back as"),
        (Holder, Holder(products=[Toy(id=1)]), "$.products[0]", "would come back as"),
        (Product, {"id": 1}, "$", "`dict` and would come back as"),
        (Product, None, "$", "would not be valid again"),
        (Product, Product.model_construct(id="x"), "$.id", "would not be valid again"),
        (Product, Product.model_construct(id="1"), "$.id", "`str` and would come back as `int`"),
        (Product, Product.model_construct(), "$.id", "would not be valid again"),
        (Hidden, Hidden(hidden=2), "$.hidden", "with another value"),
        (Secretive, Secretive(token=SecretStr("x")), "$.token", "secrets are not written to the shared tier"),
        (Twice, Twice(text="a"), "$.text", "with another value"),
        (Private, seen(), "$._seen", "with another value"),
        (Holder, Holder(anything=Foo()), "$.anything", "Foo`"),
        (Holder, Holder(anything={"a": [Product(id=1)]}), "$.anything.a[0]", "would come back as `dict`"),
        (Holder, Holder(anything=Colour.RED), "$.anything", "would come back as `str`"),
        (Holder, Holder(anything=threading.Lock()), "$.anything", "lock`"),
        (Holder, Holder(foo=Foo()), "$.foo", "Foo`"),
        (Point, Point(Point(1)), "$.x", "would come back as `dict`"),
        (list[Colour], [Size.SMALL], "$[0]", "would not be valid again"),
        (dict[Frozen, int], {Frozen(1): 1}, "$['Frozen(x=1)']", "would not be valid again"),
    ],
)
def test_what_pydantic_would_change_is_refused_with_its_place(
    annotation: Any, value: Any, path: str, words: str
) -> None:
    error = refusal(TypedCodec(annotation), value)
    assert error.path == path
    assert words in str(error)


def test_an_excluded_field_with_its_default_is_no_loss() -> None:
    codec = TypedCodec(Hidden)
    assert codec.decode(codec.encode(Hidden())) == Hidden()


def test_nan_in_a_model_comes_back() -> None:
    codec = TypedCodec(list[Point])
    assert difference([Point(NAN)], codec.decode(codec.encode([Point(NAN)]))) is None


def test_a_refusal_shows_no_value() -> None:
    for annotation, value in ((Secretive, Secretive(token=SecretStr("s3cret"))), (Hidden, Hidden(hidden=7_654_321))):
        message = str(refusal(TypedCodec(annotation), value))
        assert "s3cret" not in message
        assert "7654321" not in message


def test_a_serializer_that_raises_makes_the_value_one_that_cannot_be_kept() -> None:
    class Broken(BaseModel):
        def __getattribute__(self, name: str) -> Any:
            if name == "__dict__":
                raise OSError("gone")
            return super().__getattribute__(name)

    assert "cannot be kept" in str(refusal(TypedCodec(Broken), Broken()))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": (1,)}, "$.a"),
        ([{1: 2}], "$[0][1]"),
        ([NAN], "$[0]"),
        ([b"x"], "$[0]"),
        ({"a": datetime(2026, 1, 1)}, "$.a"),
        pytest.param("\ud800", "$", id="surrogate"),
        pytest.param(10**5000, "$", id="long integer"),
    ],
)
def test_the_json_codec_refuses_what_json_has_not(value: Any, path: str) -> None:
    error = refusal(JsonCodec(), value)
    assert error.path == path


def test_the_json_codec_writes_json_that_others_read() -> None:
    assert JsonCodec().encode({"a": [1, 2.5, None, "é"]})[8:] == '{"a":[1,2.5,null,"é"]}'.encode()


# Depth


@pytest.mark.parametrize("name", ["auto", "json", "msgpack"])
def test_a_value_two_hundred_deep_is_kept_and_one_deeper_is_not(name: str) -> None:
    codec = codec_for(Any, name)
    assert difference(codec.decode(codec.encode(nested(200))), nested(200)) is None
    assert "nested deeper than 200" in str(refusal(codec, nested(201)))


@pytest.mark.parametrize("name", ["auto", "json", "msgpack"])
def test_a_value_that_contains_itself_is_refused(name: str) -> None:
    value: list[Any] = []
    value.append({"again": value})
    assert "contains itself" in str(refusal(codec_for(Any, name), value))


def test_a_model_that_contains_itself_is_refused() -> None:
    holder = Holder()
    holder.anything = [holder]
    assert "cannot be kept" in str(refusal(TypedCodec(Holder), holder))


@pytest.mark.parametrize("depth", [201, 5_000, 200_000])
def test_a_model_nested_too_deep_is_refused(depth: int) -> None:
    assert "cannot be kept" in str(refusal(TypedCodec(Holder), Holder(anything=nested(depth))))
