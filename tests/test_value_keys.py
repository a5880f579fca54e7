"""The default key of a cached function: what is one key, and what are two."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import pathlib
import subprocess
import sys
import types
import uuid
import zoneinfo
from collections import OrderedDict, defaultdict
from typing import Any, Literal, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict, HttpUrl, PrivateAttr, RootModel

from hotplate.keys import key_function
from tests.keyed import (
    Color,
    Filters,
    GrownFilters,
    Id,
    Name,
    Named,
    Page,
    Point,
    Said,
    Search,
    Tag,
    anything,
    key,
    module_function,
    named,
)


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):
    RED = "red"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class OtherId(int):
    pass


class Row(list[int]):
    pass


class OtherPoint(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass(frozen=True)
class OtherFilters:
    status: str = "all"
    page: int = 1


class OtherSearch(BaseModel):
    text: str = ""
    tags: list[Tag] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


class Private(BaseModel):
    _tenant: str = PrivateAttr("")


class Link(BaseModel):
    url: HttpUrl


class Meta(type):
    pass


class OfMeta(metaclass=Meta):
    pass


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
PARIS = zoneinfo.ZoneInfo("Europe/Paris")
NOON = dt.datetime(2024, 1, 1, 12)

DIFFERENT: list[Any] = [
    *(None, True, False, 1, 0, -1, 1.0, 0.0, -0.0, "1", "", "None", "True", b"1", bytearray(b"1"), 1j, "b'1'"),
    *(float("inf"), float("-inf"), 10**30, 10**5000, -(10**5000), decimal.Decimal(1), decimal.Decimal("-Infinity")),
    *(..., "'", "''", "it's", '"', "\\", "\n", "\x00", "é", "e\u0301", "\ud800", "\udfff", "surrogates(eda080)"),
    *((), [], {}, set(), frozenset(), (1,), [1], {1}, frozenset({1}), {1: 1}, ((),), [[]], ([],), [(), ()], [((),)]),
    *(
        ("a,b",),
        ("a", "b"),
        ("a','b",),
        {"a": "b"},
        {"a": 1, "b": 2},
        {"a": {"b": 2}},
        {"a=1,b": 2},
        {(1, 2): 3},
        {1.0},
    ),
    *({"1": 1}, {1: "1"}, {True: 1}, OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), defaultdict(int, a=1, b=2)),
    types.MappingProxyType({"a": 1, "b": 2}),
    *(range(1), range(2), range(0, 2, 2), fractions.Fraction(1, 2), fractions.Fraction(2, 1)),
    *(dt.date(2024, 1, 1), dt.datetime(2024, 1, 1), NOON, NOON.replace(fold=1), NOON.replace(tzinfo=dt.timezone.utc)),
    *(NOON.replace(tzinfo=BERLIN), NOON.replace(tzinfo=PARIS), NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=1)))),
    *(dt.time(1), dt.time(1, tzinfo=dt.timezone.utc), dt.time(1, tzinfo=BERLIN), dt.timedelta(1), dt.timedelta(0, 1)),
    *(uuid.UUID(int=1), str(uuid.UUID(int=1)), ipaddress.ip_address("1.2.3.4"), ipaddress.ip_network("1.2.3.4")),
    *(pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"), "a"),
    *(Color.RED, Color.BLUE, Level.LOW, Word.RED, "red", Right.READ, Right.READ | Right.WRITE, Color, Level),
    *(Id(1), OtherId(1), Name("1"), Named("1"), Row([1]), Point(1, 1), OtherPoint(1, 1), (1, 1)),
    *(Filters(), OtherFilters(), Filters("new"), Filters(page=2), Filters("all,page=1"), GrownFilters),
    *(Search(), OtherSearch(), Search(text="a"), Search(tags=[Tag()]), Search(tags=[Tag(name="a")]), Tag()),
    *(Open(), Open.model_validate({"b": 1}), Open.model_validate({"b": "1"}), Private(), RootModel[int](1), Search),
    *(
        RootModel[list[int]]([1]),
        Page[int](),
        Page[Tag](),
        Page[int | None](),
        Page[Literal["a"]](),
        Page[Literal["b"]](),
    ),
    *(Link(url=HttpUrl("http://a.test/")), HttpUrl("http://a.test/"), "http://a.test/"),
    *(int, str, Filters, module_function, anything, len, OfMeta, "hotplate", "tests.keyed.Filters"),
    *(Said(1), Said(2), "number 1"),
]


def test_arguments_that_differ_have_keys_that_differ() -> None:
    texts: dict[str, Any] = {}
    for value in DIFFERENT:
        text = key(value)
        assert text not in texts, (value, texts.get(text))
        texts[text] = value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({1, 2, 3, "a", "b"}, {"b", "a", 3, 2, 1}),
        (frozenset("abc"), frozenset("cba")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Color.RED, Color.CRIMSON),
        (Search(text="a"), Search(text="a", tags=[])),
        (Right.READ | Right.WRITE, Right.WRITE | Right.READ),
        (NOON.replace(tzinfo=dt.timezone.utc), NOON.replace(tzinfo=zoneinfo.ZoneInfo("UTC"))),
        (Said(1), Said(1)),
    ],
)
def test_equal_arguments_have_one_key(one: object, other: object) -> None:
    assert key(one) == key(other)


def test_a_key_is_legible() -> None:
    def listing(
        page: int, size: int, filters: Filters | None, *more: int, sort: str = "up", **rest: object
    ) -> None: ...

    text = key_function(listing, prefix="products")(2, 20, Filters(), 5, a=None, b=[1.5])
    assert text == (
        "products:page=2,size=20,filters=tests.keyed.Filters(status='all',page=1),"
        "*more=(5),sort='up',**rest={'a'=None,'b'=[1.5]}"
    )


def test_a_key_begins_with_module_and_qualified_name() -> None:
    assert key(1) == "tests.keyed.anything:value=1"


def test_a_function_without_parameters_has_one_key() -> None:
    assert key_function(module_function)() == "tests.keyed.module_function:"


def test_what_a_model_computes_and_keeps_is_not_in_its_key() -> None:
    search = Search(text="a b")
    before = key(search)
    assert search.words == ["a", "b"]
    assert key(search) == before


def test_private_attributes_of_a_model_are_in_its_key() -> None:
    one, other = Private(), Private()
    one._tenant, other._tenant = "a", "b"
    assert key(one) != key(other)


def test_generic_models_of_classes_of_one_name_are_two() -> None:
    generic: Any = Page
    one, other = (generic[type("Tag", (BaseModel,), {"__module__": module})] for module in ("m.one", "m.other"))
    assert one.__qualname__ == other.__qualname__
    assert key(one()) != key(other())


def test_the_name_of_a_class_cannot_look_like_another_key() -> None:
    odd = dataclasses.make_dataclass("Odd()],[m.Odd", [])
    plain = dataclasses.make_dataclass("Odd", [])
    odd.__module__ = plain.__module__ = "m"
    assert key([[odd()]]) != key([[plain()], [plain()]])


def test_a_model_made_without_a_field_has_a_key_of_its_own() -> None:
    assert key(Tag.model_construct()) == key(Tag())
    bare = Tag.model_construct()
    del bare.__dict__["name"]
    assert key(bare) != key(Tag())


def test_attrs_and_structs_are_keyed_by_their_fields() -> None:
    struct = named("msgspec", "Struct")
    attribute = types.SimpleNamespace(name="a")
    of_attrs = type("OfAttrs", (), {"__module__": "m", "__attrs_attrs__": (attribute,)})
    of_struct = type("OfStruct", (struct,), {"__module__": "m", "__struct_fields__": ("a",)})
    for cls in (of_attrs, of_struct):
        value = cls()
        value.a = [1]
        assert key(value) == f"tests.keyed.anything:value=m.{cls.__name__}(a=[1])"


KEYS_IN_ANOTHER_PROCESS = """
import enum
from hotplate.keys import key_function
def f(a, b): ...
print(key_function(f, prefix="p")({"x", "y", "z", 1, 2.5, None, (1, "q")}, {"a": {"k", "l"}, "b": b"\\xff"}))
"""


def test_a_key_is_the_same_in_every_process() -> None:
    texts = {
        subprocess.run(
            [sys.executable, "-c", KEYS_IN_ANOTHER_PROCESS],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1


def test_the_program_is_named_as_others_import_it(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "shop.py"
    program.write_text(
        "from hotplate.keys import key_function\ndef f(a): ...\nclass C: pass\nprint(key_function(f)(C), end='')\n"
    )
    done = subprocess.run(
        [sys.executable, program], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, check=True, text=True
    )
    assert done.stdout == "shop.f:a=class(shop.C)"
