"""Codecs: which is chosen, what is refused and in which words, and what is made of bytes that are not one's own."""

import functools
import os
import pickle
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum
from inspect import Parameter
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, create_model, field_validator

from hotplate.codecs import (
    Codec,
    JsonCodec,
    MsgpackCodec,
    PlainCodec,
    TypedCodec,
    codec_for,
    difference,
    return_annotation,
)
from hotplate.errors import ConfigError, DecodeError, EncodeError, HotplateError

KEY = "k" * 32
NAN = float("nan")


class Product(BaseModel):
    id: int
    name: str = ""


class Toy(Product):
    age: int = 3


class Size(IntEnum):
    SMALL = 1


class Colour(Enum):
    RED = "red"


class Row(NamedTuple):
    id: int


@dataclass
class Point:
    x: Any


@dataclass(frozen=True)
class Frozen:
    x: int


class Foo:
    pass


class Mapped:
    """As SQLAlchemy leaves a class that it maps."""

    __mapper__ = object()


class Ours:
    name = "ours"

    def encode(self, value: Any) -> bytes:
        return repr(value).encode()

    def decode(self, data: bytes) -> Any:
        return data.decode()


def refusal(codec: Codec, value: Any) -> EncodeError:
    with pytest.raises(EncodeError) as caught:
        codec.encode(value)
    return caught.value


def token(codec: Codec, data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        codec.decode(data)
    return caught.value.token


def nested(depth: int, around: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = around(value)
    return value


# Which codec


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (Parameter.empty, PlainCodec),
        (Any, PlainCodec),
        (object, PlainCodec),
        (None, PlainCodec),
        (int, PlainCodec),
        (list[dict[str, datetime | None]], PlainCodec),
        (tuple[int, ...] | None, PlainCodec),
        (Annotated[Literal["a", 1], "note"], PlainCodec),
        (dict[str, Any], PlainCodec),
        (Product, TypedCodec),
        (list[Product], TypedCodec),
        (Product | None, TypedCodec),
        (Colour, TypedCodec),
        (Literal[Colour.RED], TypedCodec),
        (Row, TypedCodec),
        (Point, TypedCodec),
    ],
)
def test_built_in_types_need_no_pydantic_and_others_do(annotation: Any, kind: type) -> None:
    assert type(codec_for(annotation)) is kind


@pytest.mark.parametrize(("name", "kind"), [("json", JsonCodec), ("msgpack", MsgpackCodec)])
def test_a_codec_may_be_named(name: str, kind: type) -> None:
    codec = codec_for(Product, name)
    assert type(codec) is kind
    assert codec.name == name


def test_an_object_with_name_encode_and_decode_is_used_as_it_is() -> None:
    codec = Ours()
    assert codec_for(Product, codec, signing_key=KEY) is codec


@pytest.mark.parametrize("codec", [object(), type("Half", (), {"encode": print, "decode": print})(), 3])
def test_an_object_without_name_encode_or_decode_is_refused(codec: Any) -> None:
    with pytest.raises(ConfigError, match=r"codec .* has no (method encode|text called name)"):
        codec_for(Any, codec)


def test_an_unknown_codec_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'yaml' is none of 'auto', 'json', 'msgpack', 'pickle'"):
        codec_for(Any, "yaml")


def test_every_codec_satisfies_the_protocol() -> None:
    for name in ("auto", "json", "msgpack"):
        assert isinstance(codec_for(Any, name), Codec)


def test_a_model_without_pydantic_is_a_setting_that_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(ConfigError, match=r"Point` .*pip install pydantic"):
        codec_for(Point)
    assert codec_for(list[int]).decode(codec_for(list[int]).encode([1])) == [1]


def test_msgpack_without_its_package_is_a_setting_that_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(ConfigError, match=r'pip install "hotplate\[msgpack\]"'):
        codec_for(Any, "msgpack")


@pytest.mark.parametrize("annotation", [Foo, list[Foo], Mapped, Mapped | None, Iterator[Product], AsyncIterator[int]])
def test_an_annotation_that_cannot_be_kept_is_found_at_once(annotation: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"cannot be kept in the shared tier.*cache a model or dataclass made from it"
    ):
        codec_for(annotation)


# What a function returns


class Later:
    """For the annotations in text below."""


def test_an_annotation_in_text_is_resolved() -> None:
    def function() -> "list[Later]":
        return []

    assert return_annotation(function) == list[Later]


@pytest.mark.parametrize("annotation", [Awaitable[int], Coroutine[Any, Any, int], "Awaitable[int]"])
def test_what_is_awaited_is_what_counts(annotation: Any) -> None:
    def function() -> None:
        return None

    function.__annotations__["return"] = annotation
    assert return_annotation(function) is int


def test_metadata_stay_in_the_annotation() -> None:
    def function() -> Annotated[int, "note"]:
        return 0

    assert return_annotation(function) == Annotated[int, "note"]


@pytest.mark.parametrize("text", ["Nowhere", "list[Nowhere]", "1 +", "1 / 0"])
def test_an_annotation_that_cannot_be_resolved_counts_as_missing(text: str) -> None:
    def function() -> None:
        return None

    function.__annotations__["return"] = text
    assert return_annotation(function) is Parameter.empty


def test_other_annotations_need_not_be_resolvable() -> None:
    def function(request: Any) -> "Later":
        return Later()

    function.__annotations__["request"] = "Nowhere"
    assert return_annotation(function) is Later


def test_a_function_that_says_nothing_has_no_annotation() -> None:
    assert return_annotation(lambda: 1) is Parameter.empty


def test_a_class_within_the_enclosing_function_is_found_where_the_body_uses_it() -> None:
    class Here:
        pass

    def function() -> "Here":
        return Here()

    assert return_annotation(function) is Here


def test_partials_wrappers_methods_and_callable_objects_say_what_they_return() -> None:
    class Callee:
        def __call__(self) -> int:
            raise NotImplementedError

        def method(self) -> int:
            raise NotImplementedError

        @staticmethod
        def static() -> int:
            raise NotImplementedError

    @functools.wraps(Callee.static)
    def wrapper(*args: Any) -> Any: ...

    for function in (Callee(), Callee().method, Callee.static, wrapper, functools.partial(Callee.static)):
        assert return_annotation(function) is int


# What is refused


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


class Private(BaseModel):
    _seen: int = PrivateAttr(default=0)


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    products: list[Product] = []
    anything: Any = None
    foo: Foo | None = None


def seen() -> Private:
    model = Private()
    model._seen = 3
    return model


@pytest.mark.parametrize(
    ("annotation", "value", "path", "words"),
    [
        (Product, Toy(id=1), "$", "`Toy` and would come back as `test_codecs.Product`"),
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
    assert words.replace("test_codecs.", f"{__name__}.").replace("`Toy`", f"`{__name__}.Toy`") in str(error)


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


def bomb(name: str, depth: int) -> tuple[Any, bytes]:
    codec: Any = TypedCodec(list[Any]) if name == "typed" else codec_for(Any, name)
    lists = b"[" * depth + b"]" * depth
    content = {
        "auto": b"\0\0\0\0J" + lists,
        "typed": b"J" + lists,
        "json": lists,
        "msgpack": b"\x91" * depth + b"\x01",
    }[name]
    return codec, codec._fingerprint + len(content).to_bytes(4, "big") + content


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize("name", ["auto", "typed", "json", "msgpack"])
def test_stored_bytes_that_nest_without_end_are_malformed(name: str, depth: int) -> None:
    codec, data = bomb(name, depth)
    assert token(codec, data) == "malformed"


def test_brackets_in_text_are_not_depth() -> None:
    value = [["[{" * 50] * 50, '"]]' * 500, {"[": "\\"}]
    for name in ("auto", "json"):
        codec = codec_for(Any, name)
        assert codec.decode(codec.encode(value)) == value


# Fingerprints


def test_what_another_codec_wrote_is_told_apart() -> None:
    names = ("auto", "json", "msgpack")
    for writer in names:
        stored = codec_for(Any, writer).encode([1])
        assert [token(codec_for(Any, reader), stored) for reader in names if reader != writer] == ["other-codec"] * 2


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        (list[int], [], dict[str, int]),
        (list[int], [], Product),
        (Product, Product(id=1), Product | None),
        (Product, Product(id=1), list[Product]),
        (Product, Product(id=1), Toy),
        (int, 1, str),
        (Any, 1, int),
    ],
)
def test_a_value_written_for_another_annotation_is_another_codecs(before: Any, value: Any, after: Any) -> None:
    writer = codec_for(before)
    assert token(codec_for(after), writer.encode(value)) == "other-codec"


@pytest.mark.parametrize(
    "fields",
    [
        {"a": (int, 1), "b": (int, 2)},
        {"a": (str, "1")},
        {"a": (int, 2)},
        {"a": (int | None, 1)},
        {"c": (int, 1)},
    ],
)
def test_a_value_of_a_model_that_has_changed_is_another_codecs(fields: Any) -> None:
    before, after = create_model("Model", a=(int, 1)), create_model("Model", **fields)
    assert token(codec_for(after), codec_for(before).encode(before())) == "other-codec"


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        (Product | None, Optional[Product], Product(id=1)),  # noqa: UP045 (the older spelling)
        (Union[int, str], int | str, 1),  # noqa: UP007 (the older spelling)
        (list[Product], list[Product], [Product(id=1)]),
    ],
)
def test_two_spellings_of_one_annotation_are_one_codec(one: Any, other: Any, value: Any) -> None:
    assert codec_for(other).decode(codec_for(one).encode(value)) == value


def test_a_reader_without_annotation_takes_what_any_built_in_annotation_wrote() -> None:
    assert codec_for(Any).decode(codec_for(list[int]).encode([1])) == [1]


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    program = (
        "from enum import Enum; from typing import *; from pydantic import *; from hotplate.codecs import codec_for\n"
        "def check(v): return v\n"
        "class C(Enum): A = 'a'; B = 'b'\n"
        "class M(BaseModel):\n"
        "    a: Annotated[int, AfterValidator(check)] = 1\n"
        "    b: frozenset[str] = frozenset({'a', 'b', 'c'})\n"
        "    c: C = C.A\n"
        "print(codec_for(Annotated[list[M], AfterValidator(check)])._fingerprint.hex())"
    )
    seeds = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2", "3")]
    runs = {subprocess.run([sys.executable, "-c", program], env=seed, stdout=-1, check=True).stdout for seed in seeds}
    assert len(runs) == 1


# Bytes that are not one's own


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 7])
def test_bytes_too_short_for_a_head_are_malformed(data: bytes) -> None:
    assert token(PlainCodec(), data) == "malformed"


@pytest.mark.parametrize("codec", [PlainCodec(), TypedCodec(Product), MsgpackCodec(), JsonCodec()])
def test_bytes_after_the_value_are_malformed(codec: Codec) -> None:
    value = Product(id=1) if codec.name == "typed" else 1
    assert token(codec, codec.encode(value) + b" ") == "malformed"


def test_a_decode_error_quotes_nothing_of_what_was_stored() -> None:
    codec = TypedCodec(Product)
    stored = codec.encode(Product(id=1, name="hidden-from-logs")).replace(b'"id":1', b'"id":x')
    with pytest.raises(DecodeError) as caught:
        codec.decode(stored)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_the_errors_are_what_python_calls_such_errors_too() -> None:
    assert EncodeError.__bases__ == (HotplateError, TypeError)
    assert DecodeError.__bases__ == (HotplateError, ValueError)


# Pickle and signatures


class Trap:
    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Trap, "sprung", True))


def test_pickle_without_authentication_is_refused_with_the_reason() -> None:
    with pytest.raises(
        ConfigError, match=r"without signing_key and without encryption_keys: reading a pickle can run code"
    ):
        codec_for(Any, "pickle")


@pytest.mark.parametrize("settings", [{"signing_key": KEY}, {"signing_key": b"k" * 32}, {"encrypted": True}])
def test_pickle_keeps_any_object_where_entries_are_authenticated(settings: Any) -> None:
    codec = codec_for(Any, "pickle", **settings)
    value = [Toy(id=1), Point(1), Size.SMALL, OrderedDict(a=1)]
    assert difference(value, codec.decode(codec.encode(value))) is None


@pytest.mark.parametrize("key", ["", "short", b"x" * 31])
def test_a_short_signing_key_is_refused_and_not_shown(key: str | bytes) -> None:
    with pytest.raises(ConfigError, match=r"signing_key has \d+ bytes, and needs 32") as caught:
        codec_for(Any, signing_key=key)
    assert "short" not in str(caught.value)


def test_a_signing_key_must_be_text_or_bytes() -> None:
    with pytest.raises(ConfigError, match="signing_key must be text or bytes, not int"):
        codec_for(Any, signing_key=7)  # type: ignore[arg-type]


def test_a_forged_pickle_is_refused_before_it_is_read() -> None:
    codec: Any = codec_for(Any, "pickle", signing_key=KEY)
    content = bytes(32) + pickle.dumps(Trap())
    assert token(codec, codec._fingerprint + len(content).to_bytes(4, "big") + content) == "forged"
    assert Trap.sprung is False


@pytest.mark.parametrize("name", ["auto", "json", "msgpack", "pickle"])
def test_every_changed_byte_of_a_signed_value_is_found(name: str) -> None:
    codec = codec_for(Any, name, signing_key=KEY)
    stored = codec.encode(["value"])
    for index in range(len(stored)):
        changed = bytearray(stored)
        changed[index] ^= 1
        assert token(codec, bytes(changed)) == ("other-codec" if index < 4 else "malformed" if index < 8 else "forged")


@pytest.mark.parametrize("other", [{"signing_key": "l" * 32}, {"signing_key": KEY, "name": "another"}])
def test_a_signature_of_another_key_or_name_is_forged(other: Any) -> None:
    stored = codec_for(Any, "pickle", signing_key=KEY, name="one").encode(1)
    assert token(codec_for(Any, "pickle", **other), stored) == "forged"


def test_unsigned_bytes_are_not_read_by_a_codec_that_signs() -> None:
    stored = codec_for(Any, "pickle", encrypted=True).encode(1)
    assert token(codec_for(Any, "pickle", signing_key=KEY, encrypted=True), stored) == "other-codec"


def test_what_cannot_be_pickled_is_refused() -> None:
    assert "cannot be pickled" in str(refusal(codec_for(Any, "pickle", encrypted=True), threading.Lock()))


def test_a_pickle_that_raises_is_malformed() -> None:
    codec: Any = codec_for(Any, "pickle", encrypted=True)
    content = pickle.dumps(Foo()).replace(b"Foo", b"Goo")
    assert token(codec, codec._fingerprint + len(content).to_bytes(4, "big") + content) == "malformed"


# Where two values differ


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
