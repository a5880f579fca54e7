"""The default key of a cached function: what is one key, what are two, and what is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import logging
import pathlib
import subprocess
import sys
import threading
import types
import uuid
import zoneinfo
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, Request, Response, Security, WebSocket
from fastapi.security import SecurityScopes
from pydantic import BaseModel, ConfigDict, HttpUrl, PrivateAttr, RootModel, SecretStr

from hotplate.errors import ConfigError, HotplateError, UnkeyableError
from hotplate.keys import key_function

if TYPE_CHECKING:
    from nowhere import Unresolved  # type: ignore[import-not-found]

T = TypeVar("T")


class Color(enum.Enum):
    RED = 1
    BLUE = 2
    CRIMSON = 1  # noqa: PIE796 - another name of RED


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):
    RED = "red"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Id(int):
    pass


class OtherId(int):
    pass


class Name(str):
    __slots__ = ()


class Named(str):
    heading: str


class Row(list[int]):
    pass


class Point(NamedTuple):
    x: int
    y: int


class OtherPoint(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Filters:
    status: str = "all"
    page: int = 1


@dataclasses.dataclass(frozen=True)
class OtherFilters:
    status: str = "all"
    page: int = 1


class GrownFilters(Filters):
    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra


class Tag(BaseModel):
    name: str = ""


class Search(BaseModel):
    text: str = ""
    tags: list[Tag] = []

    @functools.cached_property
    def words(self) -> list[str]:
        return self.text.split()


class OtherSearch(BaseModel):
    text: str = ""
    tags: list[Tag] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


class Private(BaseModel):
    _tenant: str = PrivateAttr("")


class Page(BaseModel, Generic[T]):
    items: list[T] = []


class Login(BaseModel):
    password: SecretStr


class Link(BaseModel):
    url: HttpUrl


class Plain:
    def __init__(self, value: int = 0) -> None:
        self.value = value


class Said(Plain):
    def __cache_key__(self) -> str:
        return f"number {self.value}"


class SaidWrong:
    def __cache_key__(self) -> int:
        return 1


class Meta(type):
    pass


class OfMeta(metaclass=Meta):
    pass


def module_function() -> None:
    pass


def anything(value: Any) -> None:
    pass


def named(module: str, name: str, *bases: type) -> type:
    """A class as a framework that is not installed has it."""
    return type(name, bases, {"__module__": module})


Session = named("sqlalchemy.orm.session", "Session")
AsyncSession = named("sqlalchemy.ext.asyncio.session", "AsyncSession")
Engine = named("sqlalchemy.engine.base", "Engine")
ModelSession = named("sqlmodel.orm.session", "Session", Session)

key = key_function(anything)
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
    *(int, str, Filters, module_function, anything, len, OfMeta, "hotplate", "tests.test_value_keys.Filters"),
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
        "products:page=2,size=20,filters=tests.test_value_keys.Filters(status='all',page=1),"
        "*more=(5),sort='up',**rest={'a'=None,'b'=[1.5]}"
    ).replace("tests.test_value_keys", __name__)


def test_a_key_begins_with_module_and_qualified_name() -> None:
    assert key(1) == f"{__name__}.anything:value=1"


def test_a_function_without_parameters_has_one_key() -> None:
    assert key_function(module_function)() == f"{__name__}.module_function:"


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
        assert key(value) == f"{__name__}.anything:value=m.{cls.__name__}(a=[1])"


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


class TestBinding:
    def test_every_form_of_one_call_is_one_key(self) -> None:
        def listing(page: int, size: int = 20, *, sort: str = "up") -> None: ...

        key = key_function(listing)
        calls = {key(1), key(page=1), key(1, 20), key(size=20, page=1), key(1, sort="up"), key(1, 20, sort="up")}
        assert len(calls) == 1

    def test_keyword_arguments_in_any_order_are_one_key(self) -> None:
        def search(**names: int) -> None: ...

        assert key_function(search)(a=1, b=2) == key_function(search)(b=2, a=1)

    def test_values_do_not_move_between_parameters(self) -> None:
        def pair(a: object = None, b: object = None, *rest: object, **names: object) -> None: ...

        key = key_function(pair)
        calls = [key(), key(1), key(None, 1), key(1, 1), key(1, 1, 1), key(1, 1, (1,)), key(1, 1, c=1), key("1,b=1")]
        assert len(set(calls)) == len(calls)

    def test_a_quote_in_text_does_not_end_it(self) -> None:
        def pair(a: str, b: str) -> None: ...

        key = key_function(pair)
        assert key("1',b='2", "3") != key("1", "2',b='3")

    def test_a_default_is_the_object_itself(self) -> None:
        default = [1]

        def listing(ids: list[int] = default) -> None: ...

        key = key_function(listing)
        before = key()
        default.append(2)
        assert (before, key()) == (key([1]), key([1, 2]))

    def test_positional_only_names_may_be_keywords_too(self) -> None:
        def f(a: int, /, b: int, **rest: int) -> None: ...

        assert key_function(f, prefix="f")(1, 2, a=3) == "f:a=1,b=2,**rest={'a'=3}"

    def test_parameters_may_be_called_as_anything(self) -> None:
        def f(type: int, str: str, _h_type: int, _h_: int, none: int, f: bool, other: float) -> None:  # noqa: A002
            ...

        text = key_function(f, prefix="f")(1, "a", 2, 3, 4, True, 0.5)
        assert text == "f:type=1,str='a',_h_type=2,_h_=3,none=4,f=True,other=0.5"

    @pytest.mark.parametrize("call", [lambda f: f(), lambda f: f(1, 2), lambda f: f(1, b=2)])
    def test_a_wrong_call_fails_as_the_function_does(self, call: Callable[[Callable[..., Any]], Any]) -> None:
        with pytest.raises(TypeError) as of_function:
            call(anything)
        with pytest.raises(TypeError) as of_key:
            call(key)
        assert str(of_key.value) == str(of_function.value)
        assert not isinstance(of_key.value, UnkeyableError)

    def test_async_functions_are_read_as_others(self) -> None:
        async def load(product_id: int) -> None: ...

        assert key_function(load, prefix="p")(1) == "p:product_id=1"

    def test_a_wrapped_function_has_the_parameters_of_what_it_wraps(self) -> None:
        @functools.wraps(anything)
        def wrapper(*args: Any, **kwargs: Any) -> None: ...

        assert key_function(wrapper)(value=1) == key(1)


class TestSettings:
    def test_prefix_replaces_module_and_name(self) -> None:
        assert key_function(anything, prefix="products")(1) == "products:value=1"

    def test_excluded_parameters_are_not_in_the_key(self) -> None:
        def load(db: Plain, product_id: int, *args: int, **kwargs: int) -> None: ...

        key = key_function(load, prefix="p", exclude=["db", "args", "kwargs"])
        assert key(Plain(), 1, 2, x=3) == "p:product_id=1"

    def test_excluding_what_is_no_parameter_lists_the_parameters(self) -> None:
        with pytest.raises(ConfigError, match=r"no parameter 'db'; its parameters: `value`"):
            key_function(anything, exclude=["db"])

    def test_exclude_is_a_list_of_names_not_text(self) -> None:
        with pytest.raises(ConfigError, match=r"write exclude=\['value'\]"):
            key_function(anything, exclude="value")

    def test_an_empty_prefix_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="prefix=''"):
            key_function(anything, prefix="")

    def test_prefix_beside_a_template_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="write it into the template"):
            key_function(anything, key="p:{value}", prefix="p")

    @pytest.mark.parametrize(
        ("function", "remedy"),
        [
            (functools.partial(anything, 1), "wrap it with def"),
            (classmethod(anything), "below @classmethod"),
            (staticmethod(anything), "below @staticmethod"),
            (lambda value: value, "give prefix="),
            (Said(1).__cache_key__, "give prefix="),
            (min, "wrap it with def"),
            (5, "not a function"),
        ],
    )
    def test_what_has_no_name_or_parameters_of_its_own_is_refused(self, function: Any, remedy: str) -> None:
        with pytest.raises(ConfigError, match=remedy):
            key_function(function)

    def test_a_lambda_with_a_prefix_has_a_key(self) -> None:
        assert key_function(lambda value: value, prefix="p")(1) == "p:value=1"


cycle: list[Any] = []
cycle.append(cycle)
deep: Any = 1
for _ in range(5000):
    deep = [deep]
wide: Any = "x"
for _ in range(64):
    wide = [wide, wide]


def local_function() -> Any:
    def local() -> None: ...

    return local


def local_class() -> Any:
    @dataclasses.dataclass
    class Local:
        a: int = 1

    return Local


named_text = Named("1")
named_text.heading = "one"

UNKEYABLE: dict[str, Any] = {
    "nan": float("nan"),
    "nan in a tuple": (1, float("nan")),
    "nan of decimal": decimal.Decimal("nan"),
    "object": object(),
    "plain": Plain(),
    "in a list": [Plain()],
    "in a dict": {"a": Plain()},
    "as a key": {Plain(): 1},
    "in a set": {Plain()},
    "in a dataclass": Filters(status=Plain()),  # type: ignore[arg-type]
    "in a model": Search.model_construct(tags=[Plain()]),
    "generator": (x for x in [1]),
    "iterator": iter([1]),
    "lambda": lambda: 1,
    "local function": local_function(),
    "bound method": Said(1).__cache_key__,
    "partial": functools.partial(anything),
    "local class": local_class(),
    "of a local class": local_class()(),
    "cycle": cycle,
    "deep": deep,
    "wide": wide,
    "lock": threading.Lock(),
    "logger": logging.getLogger("x"),
    "memory": memoryview(b"x"),
    "secret": SecretStr("x"),
    "secret in a model": Login(password=SecretStr("x")),
    "text with attributes": named_text,
    "attributes beside fields": GrownFilters(1),
    "depends": Depends(module_function),
    "request": Request({"type": "http"}),
    "client": httpx.Headers(),
    "key that is no text": SaidWrong(),
    "module": sys,
    "database row": named("m", "Product")(),
}
type(UNKEYABLE["database row"])._sa_class_manager = None


@pytest.mark.parametrize("value", UNKEYABLE.values(), ids=UNKEYABLE)
def test_a_value_that_cannot_be_keyed_is_refused_with_remedies(value: object) -> None:
    with pytest.raises(UnkeyableError) as refused:
        key(value)
    message = str(refused.value)
    for part in (f"{__name__}.anything()", "`value`", 'exclude=["value"]', 'key="...:{value.'):
        assert part in message


def test_a_function_is_keyed_only_if_it_is_found_under_its_name() -> None:
    @functools.wraps(module_function)
    def wrapper() -> None: ...

    with pytest.raises(UnkeyableError, match="not found under its name"):
        key(wrapper)


def test_the_error_names_the_type_inside() -> None:
    with pytest.raises(UnkeyableError, match=rf"it is dict and has in it {__name__}\.Plain: its fields are not known"):
        key({"a": [Plain()]})


def test_the_error_is_a_type_error_and_one_of_hotplate() -> None:
    assert issubclass(UnkeyableError, TypeError)
    assert issubclass(UnkeyableError, HotplateError)


@pytest.mark.asyncio
async def test_tasks_and_loops_are_refused() -> None:
    task = asyncio.ensure_future(asyncio.sleep(0))
    for value in (task, asyncio.get_running_loop()):
        with pytest.raises(UnkeyableError):
            key(value)
    await task


def test_a_session_is_left_out_by_its_value_too() -> None:
    for cls in (Session, AsyncSession, Engine, ModelSession):
        assert key(cls()) == key(Session())


def test_a_session_inside_a_container_is_refused() -> None:
    with pytest.raises(UnkeyableError, match="a way to a result"):
        key([Session()])


class Abstract(Sequence[int]):
    pass


UserId = NewType("UserId", int)


def product(*annotations: Any) -> Callable[..., Any]:
    """A function with a parameter ``a`` of this annotation, and ``b`` that can be keyed."""

    def f(a: Any, b: int = 1) -> None: ...

    f.__annotations__["a"] = annotations[0]
    return f


@pytest.mark.parametrize(
    "annotation",
    [
        *(Request, "Request", WebSocket, SecurityScopes, httpx.AsyncClient, logging.Logger, Plain, Request | None),
        *(Annotated[Request, "x"], Annotated[Plain, Depends(module_function)], "Annotated[Plain, Security(anything)]"),
        *(list[Plain], dict[str, Request], list[Session], Iterator[int], AsyncIterator[int], IO[str], "int | Plain"),  # type: ignore[valid-type]
        *(asyncio.AbstractEventLoop.__subclasses__()[0], types.GeneratorType, NewType("Other", Plain)),
    ],
    ids=str,
)
def test_an_annotation_that_cannot_be_keyed_is_refused_at_decoration(annotation: Any) -> None:
    with pytest.raises(UnkeyableError, match=r"parameter `a` is .*exclude=\[\"a\"\]"):
        key_function(product(annotation))


@pytest.mark.parametrize(
    "annotation",
    [
        *(
            int,
            Any,
            object,
            T,
            "Unresolved",
            UserId,
            Color,
            Filters,
            Search,
            Page[int],
            Said,
            type[Search],
            Callable[[], int],
        ),
        *(Sequence[int], Abstract, Literal["a"], list[Any], dict[str, "Unresolved"], tuple[int, ...], int | None, None),
        *(Annotated[Search, Depends(module_function)], Annotated[int, Depends(module_function)], NamedTuple, Point),
    ],
    ids=str,
)
def test_an_annotation_that_can_be_keyed_or_does_not_tell_is_taken(annotation: Any) -> None:
    assert key_function(product(annotation), prefix="p")(None) == "p:a=None,b=1"


@pytest.mark.parametrize(
    "annotation",
    [
        *(Response, BackgroundTasks, Session, AsyncSession, Engine, ModelSession, "Response", "Session | None"),
        *(Annotated[Session, Depends(module_function)], Annotated[Response, "x"]),
    ],
    ids=str,
)
def test_responses_tasks_and_sessions_are_left_out(annotation: Any) -> None:
    assert key_function(product(annotation), prefix="p")(object(), 2) == "p:b=2"


def test_a_dependency_by_default_is_recognised() -> None:
    def f(user: Plain = Depends(module_function)) -> None: ...  # noqa: B008

    with pytest.raises(
        UnkeyableError, match=r"dependency of type .*Plain.* one user's result .*key=\"\.\.\.:\{user\.id\}"
    ):
        key_function(f)
    assert key_function(f, exclude=["user"], prefix="p")(Plain()) == "p:"


def test_a_security_dependency_enters_the_key_if_it_can_be_keyed() -> None:
    def f(user: Search = Security(module_function)) -> None: ...  # noqa: B008

    assert key_function(f)(Search(text="a")) != key_function(f)(Search(text="b"))


def test_a_dependency_of_unknown_type_is_judged_by_its_value() -> None:
    def f(user=Depends(module_function)) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001, B008

    assert key_function(f, prefix="p")(1) == "p:user=1"
    with pytest.raises(UnkeyableError):
        key_function(f)(Plain())
    with pytest.raises(UnkeyableError, match="stands for a dependency"):
        key_function(f)()


class Tenant:
    @staticmethod
    def fixed(product_id: int) -> None: ...

    def product(self, product_id: int) -> None: ...

    def of_class(cls, product_id: int) -> None: ...  # noqa: N805


class Child(Tenant):
    pass


@dataclasses.dataclass
class Shop:
    name: str

    def product(self, product_id: int) -> None: ...


class TestMethods:
    def test_a_method_has_its_object_in_the_key(self) -> None:
        key = key_function(Shop.product, prefix="p")
        assert key(Shop("a"), 1) == f"p:self={__name__}.Shop(name='a'),product_id=1"

    def test_an_object_that_cannot_be_keyed_is_refused_with_the_remedies_of_a_method(self) -> None:
        key = key_function(Tenant.product)
        with pytest.raises(UnkeyableError, match=r"`self`.*exclude=\[\"self\"\] if all instances .*\{self\.tenant\}"):
            key(Tenant(), 1)

    def test_an_excluded_object_is_not_in_the_key(self) -> None:
        key = key_function(Tenant.product, exclude=["self"])
        assert key(Tenant(), 1) == key(Tenant(), product_id=1)

    def test_a_class_method_has_its_class_in_the_key(self) -> None:
        key = key_function(Tenant.of_class)
        assert key(Tenant, 1) != key(Child, 1)

    def test_a_static_method_is_a_function(self) -> None:
        assert key_function(Tenant.fixed, prefix="p")(1) == "p:product_id=1"

    def test_a_function_inside_a_function_has_no_self(self) -> None:
        def f(db: Any) -> None: ...

        with pytest.raises(UnkeyableError, match="if the result does not depend on it"):
            key_function(f)(Plain())
