"""What a codec keeps comes back equal and of the same types all the way down; what it cannot keep so, it refuses."""

from __future__ import annotations

import collections
import enum
import ipaddress
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import GenericAlias
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar, Union
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field, field_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from hotplate.codecs import Codec, PlainCodec, TypedCodec, codec_for, difference
from hotplate.errors import DecodeError, EncodeError

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:
    from typing_extensions import TypedDict

BERLIN = ZoneInfo("Europe/Berlin")
IDENTIFIER = UUID("12345678-1234-5678-1234-567812345678")
T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Level(str, enum.Enum):
    LOW = "low"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Product(BaseModel):
    id: int
    name: str = "name"
    price: Decimal = Decimal("9.90")
    tags: set[str] = Field(default_factory=set)


class Order(BaseModel):
    items: list[Product]
    when: datetime
    of: Order | None = None
    picture: bytes = b""


class Aliased(BaseModel):
    read_as: int = Field(validation_alias="readAs")
    written_as: int = Field(serialization_alias="writtenAs")
    both: int = Field(alias="theAlias")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: int


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    when: datetime
    identifier: UUID
    parts: tuple[int, ...]
    colour: Colour = Colour.RED

    @computed_field  # type: ignore[prop-decorator]
    @property
    def count(self) -> int:
        return len(self.parts)


class Lower(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def _lower(cls, text: str) -> str:
        return text.lower()


class Names(RootModel[list[str]]):
    pass


class Page(BaseModel, Generic[T]):
    items: list[T]
    number: int = 1


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str = "Rex"


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


@dataclass
class Point:
    x: int
    y: float = 0.0
    more: list[Point] = field(default_factory=list)


@dataclass(frozen=True)
class Slotted:
    __slots__ = ("x",)
    x: int


@pydantic_dataclass
class Checked:
    when: date
    colour: Colour


class Row(NamedTuple):
    id: int
    when: datetime | None = None


class Entry(TypedDict):
    id: int
    colour: Colour


FAMILIES: list[tuple[str, Any, list[Any]]] = [
    ("nothing annotated", Any, [None, 1, "x", {"a": (1, b"x")}]),
    ("none", None, [None]),
    ("bool", bool, [True, False]),
    ("int", int, [0, -1, 2**64, -(2**63), 10**30]),
    ("float", float, [0.1, -0.0, 1e300, float("inf"), 3.0]),
    ("str", str, ["", "é", "\x00", "𝄞", '"!"', "[" * 900]),
    ("bytes", bytes, [b"", b"\xff\x00", b"text"]),
    ("decimal", Decimal, [Decimal("1.00"), Decimal("-0"), Decimal("1E+30")]),
    ("identifier", UUID, [IDENTIFIER]),
    ("datetime", datetime, [datetime(2026, 1, 2, 3, 4, 5, 6), datetime.min, datetime.max]),
    ("datetime in UTC", datetime, [datetime(2026, 1, 2, tzinfo=timezone.utc)]),
    ("datetime at an offset", datetime, [datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))]),
    ("datetime in a zone", datetime, [datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1)]),
    ("date", date, [date(2026, 1, 2), date.min]),
    ("time", time, [time(1, 2, 3, 4), time(1, fold=1), time(1, tzinfo=timezone.utc)]),
    ("timedelta", timedelta, [timedelta(-1, 2, 3), timedelta.max, timedelta(microseconds=1)]),
    ("list", list[int], [[], [1, 2]]),
    ("bare list", list, [[1, (2,), {"a": b"x"}]]),
    ("fixed tuple", tuple[int, str], [(1, "a")]),
    ("tuple", tuple[int, ...], [(), (1, 2, 3)]),
    ("set", set[int], [set(), {1, 2}]),
    ("frozenset", frozenset[tuple[int, str]], [frozenset({(1, "a")})]),
    ("dict", dict[str, int], [{}, {"b": 1, "a": 2}, {"!": 1}, {"!t": 1}]),
    ("dict with keys that are no text", dict[int, list[str]], [{1: ["a"]}]),
    ("dict with keys of dates", dict[date, int], [{date(2026, 1, 2): 3}]),
    ("dict with tuples for keys", dict[tuple[int, int], str], [{(1, 2): "x"}]),
    ("anything in a dict", dict[str, Any], [{"a": [1, (datetime(2026, 1, 2), {3})]}]),
    ("sequence", Sequence[int], [[1], (1, 2)]),
    ("mapping", Mapping[str, Decimal], [{"a": Decimal("1.0")}]),
    ("optional", int | None, [None, 1]),
    ("union", int | str, [1, "1", "x"]),
    ("union of moments and text", datetime | str, [datetime(2026, 1, 2), "2026-01-02T00:00:00"]),
    ("literal", Literal["a", 1], ["a", 1]),
    ("annotated", Annotated[int, Field(gt=0)], [1]),
    ("enum", Colour, [Colour.RED, Colour.BLUE]),
    ("integer enum", Size, [Size.LARGE]),
    ("text enum", Level, [Level.LOW]),
    ("flag", Access, [Access.READ, Access.READ | Access.WRITE]),
    ("enum as key", dict[Colour, int], [{Colour.RED: 1}]),
    ("path", pathlib.Path, [pathlib.Path("a/b")]),
    ("address", ipaddress.IPv4Address, [ipaddress.IPv4Address("127.0.0.1")]),
    ("model", Product, [Product(id=1), Product(id=2, price=Decimal("1.50"), tags={"a", "b"})]),
    ("models", list[Product], [[], [Product(id=1), Product(id=2)]]),
    ("model or none", Product | None, [None, Product(id=1)]),
    ("models by key", dict[str, Product], [{"a": Product(id=1)}]),
    ("nested model", Order, [Order(items=[Product(id=1)], when=datetime(2026, 1, 2, tzinfo=timezone.utc))]),
    ("model that nests itself", Order, [Order(items=[], when=datetime.min, of=Order(items=[], when=datetime.max))]),
    ("model with bytes", Order, [Order(items=[], when=datetime.min, picture=picture) for picture in (b"x", b"\xff")]),
    ("model with a zone", Order, [Order(items=[], when=datetime(2026, 7, 1, tzinfo=BERLIN))]),
    ("model with aliases", Aliased, [Aliased.model_validate({"readAs": 1, "written_as": 2, "theAlias": 3})]),
    ("model with extras", Open, [Open.model_validate({"id": 1, "more": [1, "x"]})]),
    ("strict model", Strict, [Strict(when=datetime(2026, 1, 2), identifier=IDENTIFIER, parts=(1, 2))]),
    ("set of models", set[Strict], [{Strict(when=datetime(2026, 1, 2), identifier=IDENTIFIER, parts=())}]),
    ("model with a validator", Lower, [Lower(text="ABC")]),
    ("root model", Names, [Names(["a", "b"])]),
    ("generic model", Page[Product], [Page[Product](items=[Product(id=1)], number=2)]),
    ("generic of plain", Page[int], [Page[int](items=[1])]),
    ("discriminated union", Pet, [Cat(), Dog(name="Bo")]),
    ("list of a discriminated union", list[Pet], [[Cat(lives=1), Dog()]]),
    ("dataclass", Point, [Point(1), Point(1, 2.5, [Point(3)])]),
    ("slotted dataclass", Slotted, [Slotted(1)]),
    ("pydantic dataclass", Checked, [Checked(date(2026, 1, 2), Colour.BLUE)]),
    ("named tuple", Row, [Row(1), Row(2, datetime(2026, 1, 2))]),
    ("named tuples", list[Row], [[Row(1), Row(2)]]),
    ("typed dict", Entry, [{"id": 1, "colour": Colour.RED}]),
    ("deque", collections.deque[int], [collections.deque([1, 2])]),
    ("ordered dict", collections.OrderedDict[str, int], [collections.OrderedDict(b=1, a=2)]),
    ("default dict", collections.defaultdict[str, int], [collections.defaultdict(int, a=1)]),
    ("tuple of models", tuple[Product, Row], [(Product(id=1), Row(1))]),
]


def assert_kept(codec: Codec, value: Any) -> None:
    again = codec.decode(codec.encode(value))
    assert difference(value, again) is None
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(("annotation", "values"), [row[1:] for row in FAMILIES], ids=[row[0] for row in FAMILIES])
def test_values_of_every_family_of_annotations_come_back(annotation: Any, values: list[Any]) -> None:
    codec = codec_for(annotation)
    for value in values:
        assert_kept(codec, value)


@pytest.mark.parametrize(("annotation", "values"), [row[1:] for row in FAMILIES], ids=[row[0] for row in FAMILIES])
def test_pydantic_alone_keeps_every_family_too(annotation: Any, values: list[Any]) -> None:
    codec = TypedCodec(annotation)
    for value in values:
        assert_kept(codec, value)


OFFSETS = st.integers(-86_399_999_999, 86_399_999_999).map(lambda micro: timezone(timedelta(microseconds=micro)))
ZONES = st.none() | st.just(timezone.utc) | st.just(BERLIN) | OFFSETS
MOMENTS = st.builds(
    lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold), st.datetimes(), ZONES, st.integers(0, 1)
)
TIMES = st.builds(
    lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold), st.times(), ZONES, st.integers(0, 1)
)
SURROGATES = st.text(st.sampled_from("\ud800\udbff\udc00\udfffa"), max_size=6)
TEXT = st.text(max_size=8)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)

HASHABLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**700), 10**700)
    | st.floats(allow_nan=False)
    | TEXT
    | SURROGATES
    | st.sampled_from(["!", "!t", "!d", "!x"])
    | st.binary(max_size=8)
    | MOMENTS
    | st.dates()
    | TIMES
    | st.timedeltas()
    | DECIMALS
    | st.uuids()
)
KEYS = HASHABLE | st.tuples(HASHABLE, HASHABLE) | st.frozensets(HASHABLE, max_size=3)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(TEXT | st.sampled_from(["!", "!t", "!d"]), inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.sets(KEYS, max_size=3)
        | st.frozensets(KEYS, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", ["auto", "msgpack"])
@given(value=VALUES)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_any_built_in_value_comes_back_without_an_annotation(name: str, value: Any) -> None:
    assert_kept(codec_for(Any, name), value)


@given(value=VALUES, name=st.sampled_from(["auto", "json", "msgpack"]))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_a_value_comes_back_as_it_is_or_is_refused(value: Any, name: str) -> None:
    codec = codec_for(Any, name)
    try:
        stored = codec.encode(value)
    except EncodeError:
        return
    assert difference(value, codec.decode(stored)) is None


@given(value=VALUES, data=st.data())
@settings(derandomize=True, deadline=None, max_examples=100)
def test_a_part_of_what_is_stored_is_malformed(value: Any, data: st.DataObject) -> None:
    codec = codec_for(Any, data.draw(st.sampled_from(["auto", "msgpack"])))
    stored = codec.encode(value)
    with pytest.raises(DecodeError, match=r"^malformed"):
        codec.decode(stored[: data.draw(st.integers(0, len(stored) - 1))])


Leaf = tuple[Any, st.SearchStrategy[Any]]
LEAVES: list[Leaf] = [
    (bool, st.booleans()),
    (int, st.integers()),
    (float, st.floats(allow_nan=False)),
    (str, TEXT),
    (bytes, st.binary(max_size=8)),
    (datetime, MOMENTS),
    (date, st.dates()),
    (time, TIMES),
    (timedelta, st.timedeltas()),
    (Decimal, DECIMALS),
    (UUID, st.uuids()),
    (Colour, st.sampled_from(Colour)),
    (Size, st.sampled_from(Size)),
    (pathlib.PurePosixPath, st.sampled_from(["a", "/b/c"]).map(pathlib.PurePosixPath)),
    (Slotted, st.builds(Slotted, st.integers())),
    (Row, st.builds(Row, st.integers(), st.none() | st.datetimes())),
]
UNHASHABLE: list[Leaf] = [
    (Product, st.builds(Product, id=st.integers(), price=DECIMALS, tags=st.sets(TEXT, max_size=2))),
    (Point, st.builds(Point, st.integers(), st.floats(allow_nan=False))),
    (Page[Product], st.builds(Page[Product], items=st.builds(Product, id=st.integers()).map(lambda item: [item]))),
    (Pet, st.builds(Cat, lives=st.integers()) | st.builds(Dog, name=TEXT)),
    (Entry, st.fixed_dictionaries({"id": st.integers(), "colour": st.sampled_from(Colour)})),
    (Any, VALUES),
]


@st.composite
def annotated(draw: st.DrawFn, depth: int = 2, *, unions: bool) -> Leaf:
    """An annotation and the values it promises."""
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(LEAVES + [leaf for leaf in UNHASHABLE if unions or leaf[0] is not Any]))
    inner, values = draw(annotated(depth - 1, unions=unions))
    member, members = draw(st.sampled_from(LEAVES))
    key, keys = draw(st.sampled_from([leaf for leaf in LEAVES if leaf[0] is not Slotted]))
    other, others = draw(annotated(depth - 1, unions=unions))
    page: Any = Page.__class_getitem__(inner)
    forms: list[Leaf] = [
        (GenericAlias(list, (inner,)), st.lists(values, max_size=3)),
        (GenericAlias(tuple, (inner, ...)), st.lists(values, max_size=3).map(tuple)),
        (GenericAlias(tuple, (inner, other)), st.tuples(values, others)),
        (GenericAlias(dict, (key, inner)), st.dictionaries(keys, values, max_size=3)),
        (GenericAlias(set, (member,)), st.sets(members, max_size=3)),
        (Union.__getitem__((inner, None)), st.none() | values),
        (page, st.lists(values, max_size=2).map(lambda items: page.model_construct(items=items, number=1))),
    ]
    if unions:
        forms.append((Union.__getitem__((inner, other)), values | others))
    return draw(st.sampled_from(forms))


FEW = settings(
    derandomize=True,
    deadline=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(pair=annotated(unions=False), data=st.data())
@FEW
def test_values_of_any_nested_annotation_without_unions_come_back(pair: Leaf, data: st.DataObject) -> None:
    annotation, values = pair
    value = data.draw(values)
    assert_kept(codec_for(annotation), value)


@given(pair=annotated(unions=True), data=st.data())
@FEW
def test_values_of_unions_come_back_as_they_are_or_are_refused(pair: Leaf, data: st.DataObject) -> None:
    annotation, values = pair
    value = data.draw(values)
    codec = TypedCodec(annotation)
    try:
        stored = codec.encode(value)
    except EncodeError:
        return
    assert difference(value, codec.decode(stored)) is None


@given(pair=annotated(unions=True), data=st.data())
@FEW
def test_a_value_of_another_annotation_comes_back_as_it_is_or_is_refused(pair: Leaf, data: st.DataObject) -> None:
    codec = TypedCodec(pair[0])
    value = data.draw(VALUES)
    try:
        stored = codec.encode(value)
    except EncodeError:
        return
    assert difference(value, codec.decode(stored)) is None


CODECS: list[Codec] = [
    PlainCodec(),
    PlainCodec("list[int]"),
    TypedCodec(Order),
    TypedCodec(Point),
    codec_for(Any, "json"),
    codec_for(Any, "msgpack"),
    codec_for(Any, "pickle", signing_key="k" * 32),
    codec_for(Any, "pickle", encrypted=True),
]
MARKS = st.sampled_from([f"!{letter}" for letter in "tsfdbiDATLNU?"])
FORGED_TEXT = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MARKS, inner, max_size=2),
    max_leaves=8,
)


def framed(codec: Any, content: bytes) -> bytes:
    """A content of anybody's, behind the head that the codec expects."""
    head: bytes = codec._fingerprint + len(content).to_bytes(4, "big")
    return head + content


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@given(data=st.binary(max_size=60))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_no_bytes_raise_anything_but_a_decode_error(codec: Codec, data: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.decode(data)


@pytest.mark.parametrize("codec", CODECS[:6], ids=lambda codec: codec.name)
@given(content=st.binary(max_size=60) | st.binary(max_size=40).map(lambda rest: b"\0\0\0\0X" + rest))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_no_content_behind_a_good_head_raises_anything_but_a_decode_error(codec: Any, content: bytes) -> None:
    with suppress(DecodeError):
        codec.decode(framed(codec, content))


@given(shape=FORGED_TEXT)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_marks_with_anything_in_them_are_read_or_malformed(shape: Any) -> None:
    codec = PlainCodec()
    content = b"\0\0\0\0X" + json.dumps(shape).encode()
    with suppress(DecodeError):
        codec.decode(framed(codec, content))
