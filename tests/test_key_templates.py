"""Templates of keys and tags: what they may say, and what a value's text in them is."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import Any

import pytest
from fastapi import Request
from pydantic import BaseModel

from hotplate.errors import ConfigError, UnkeyableError
from hotplate.keys import key_function, names_text, text_function


class Status(enum.Enum):
    NEW = "new"
    NESTED = (1, 2)


class Word(str, enum.Enum):
    RED = "red"


class Id(int):
    pass


class Filters(BaseModel):
    status: str = "all"
    _private: int = 1


class Said:
    def __cache_key__(self) -> str:
        return "said:it"


class Shop:
    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.reads = 0

    @property
    def counted(self) -> str:
        self.reads += 1
        return "é"

    def product(self, product_id: int) -> None: ...


def one(value: Any) -> None: ...


def two(a: Any, b: Any = None) -> None: ...


def filled(template: str, *args: Any, **kwargs: Any) -> str:
    return key_function(one if len(args) + len(kwargs) == 1 else two, key=template)(*args, **kwargs)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((1, "1"), (-1, "-1"), (True, "True"), (None, "None"), (1.5, "1.5"), ("a%:b", "a%:b"), ("é", "é"), ("", "")),
        *((Status.NEW, "new"), (Word.RED, "red"), (Id(5), "5"), (decimal.Decimal("1.10"), "1.10"), (Said(), "said:it")),
        *((uuid.UUID(int=1), str(uuid.UUID(int=1))), (dt.date(2024, 1, 2), "2024-01-02"), (10**1000, str(10**1000))),
        *((dt.datetime(2024, 1, 2, 3), "2024-01-02T03:00:00"), (dt.time(3), "03:00:00")),
    ],
)
def test_the_text_of_a_value_is_what_people_write(value: object, text: str) -> None:
    assert filled("p:{value}", value) == f"p:{text}"


@pytest.mark.parametrize(
    "value",
    [
        *(b"a", bytearray(b"a"), [1], (1,), {"a": 1}, {1}, Filters(), object(), int, one, Status.NESTED, "\ud800"),
        *(float("nan"), decimal.Decimal("nan"), dt.timedelta(1), 10**5000, -(10**5000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_text_is_refused_with_a_remedy(value: object) -> None:
    with pytest.raises(UnkeyableError, match=r"one\(\): key='p:\{value\}': \{value\} is .*Name an attribute"):
        filled("p:{value}", value)


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("{value.status}", Filters(), "all"),
        ("{value[status]}", {"status": 1}, "1"),
        ("{value[two words]}", {"two words": 1}, "1"),
        ("{value[1]}", [1, 2], "2"),
        ("{value[-1][0].status}", [[Filters()]], "all"),
        ("{{{value}}}", 1, "{1}"),
        ("{{a}}b}}{value}'\"\\\n", 1, "{a}b}1'\"\\\n"),
        ("{value:05d}", 42, "00042"),
        ("{value:.2f}", 1.0, "1.00"),
        ("{value:>5}", "a", "    a"),
        ("{value:%Y-%m}", dt.date(2024, 1, 2), "2024-01"),
    ],
)
def test_a_field_may_name_attributes_indexes_and_a_format(template: str, value: object, text: str) -> None:
    assert filled(template, value) == text


@pytest.mark.parametrize(
    ("template", "said"),
    [
        *(("", "no template"), ("{", "no template"), ("}", "no template"), ("{}", "not a name"), ("{0}", "not a name")),
        *(
            ("{value!r}", "conversion"),
            ("{value:{value}}", "format"),
            ("{value()}", "not a name"),
            ("{value+1}", "not a n"),
        ),
        *(("{value._x}", "private"), ("{value.__class__}", "private"), ("{value.a._b}", "private")),
        *(("{value.class}", "word of Python"), ("{value['a']}", "not a name"), ("{value[]}", "not a name")),
        *(
            ("{ value }", "not a name"),
            ("{value.}", "no template|not a name"),
            ("{value..a}", "not a name|no template"),
        ),
        *(("{product}", "it can name: `value`"), ("{value}{value}", "nothing"), ("{value}1{value}", "between")),
        *(("{value}%{value}", "between"), ("\ud800{value}", "no template"), (5, "no template"), ("p", "one key")),
    ],
)
def test_a_template_that_cannot_be_meant_is_refused_where_it_is_set(template: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        key_function(one, key=template)


@pytest.mark.parametrize(
    ("template", "value"),
    [("{value.id}", None), ("{value.id}", Filters()), ("{value[a]}", {}), ("{value[0]}", []), ("{value[0]}", 1)],
)
def test_an_attribute_or_index_that_is_not_there_is_an_error_that_names_the_template(template: str, value: Any) -> None:
    with pytest.raises(UnkeyableError, match=r"one\(\): key='\{value.*cannot be filled: \w+Error"):
        filled(template, value)


def test_a_value_without_text_at_the_end_of_a_path_is_said_as_such() -> None:
    with pytest.raises(UnkeyableError, match=r"\{value\.tenant\} is bytes"):
        filled("{value.tenant}", Shop(b"a"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("template", "value"), [("{value:d}", "a"), ("{value:x}", True), ("{value:a}", Filters())])
def test_a_format_that_does_not_fit_is_refused(template: str, value: object) -> None:
    with pytest.raises(UnkeyableError, match="format"):
        filled(template, value)


@pytest.mark.parametrize(
    "template", ["{a}:{b}", "{a}-{b}", "{a}/{b}", "{a}x{b}", "{a}·{b}", "p{a}é{b}é", "{a}:{b}0", "{a}'{b}\\"]
)
def test_two_fields_never_give_two_calls_one_key(template: str) -> None:
    separator = template.partition("}")[2][0]
    words = [
        "",
        separator,
        f"a{separator}",
        f"{separator}a",
        "a",
        "%",
        "%3A",
        "%2D",
        "0",
        f"-{separator}1",
        f"1{separator}",
    ]
    pairs = [(a, b) for a in [*words, -1, 1, f"{separator}{separator}"] for b in [*words, -1.5]]
    texts = {filled(template, a, b) for a, b in pairs}
    as_text = {(str(a), str(b)) for a, b in pairs}
    assert len(texts) == len(as_text)


def test_dates_and_negative_numbers_are_encoded_as_text_is() -> None:
    assert filled("{a}:{b}", dt.time(1), 2) == "01%3A00%3A00:2"
    assert filled("{a}-{b}", -1, -2) == "%2D1--2"


def test_a_single_field_is_never_encoded() -> None:
    assert filled("p:{value}:q", "a%:b") == "p:a%:b:q"


def test_fields_of_a_template_with_several_have_percent_and_separator_encoded() -> None:
    assert filled("{a}:{b}", "x:y%", "x:y%") == "x%3Ay%25:x:y%25"


def test_parameters_that_a_template_does_not_name_are_not_in_the_key() -> None:
    assert filled("p:{a}", 1, 2) == filled("p:{a}", 1, object())


def test_a_request_may_be_named_by_what_matters_in_it() -> None:
    def home(request: Request, page: int) -> None: ...

    request = Request({"type": "http", "headers": [(b"accept-language", b"de")]})
    assert key_function(home, key="home:{request.headers[accept-language]}:{page}")(request, 1) == "home:de:1"


def test_a_method_has_its_object_by_an_attribute() -> None:
    key = key_function(Shop.product, key="{self.tenant}:{product_id}")
    assert key(Shop("a"), product_id=5) == "a:5"


def test_an_attribute_is_read_once() -> None:
    shop = Shop("a")
    assert filled("p:{value.counted}", shop) == "p:é"
    assert shop.reads == 1


def test_a_constant_key_needs_every_parameter_excluded() -> None:
    with pytest.raises(ConfigError, match=r"exclude=\['a', 'b'\]"):
        key_function(two, key="p")
    assert key_function(two, key="p", exclude=["a", "b"])(1) == "p"


def test_a_constant_key_of_a_function_without_parameters_is_fine() -> None:
    def load() -> None: ...

    assert key_function(load, key="p")() == "p"


def test_a_template_that_names_what_is_excluded_is_refused() -> None:
    with pytest.raises(ConfigError, match="which exclude= leaves out"):
        key_function(one, key="{value}", exclude=["value"])


class TestTags:
    def test_a_tag_is_what_people_write(self) -> None:
        assert text_function(two, "{a}:{b}{a}")("x:%", 2) == "x:%:2x:%"

    def test_a_constant_is_a_constant(self) -> None:
        assert text_function(two, "products")(1, b=2) == "products"

    def test_the_result_comes_first_and_may_be_named(self) -> None:
        tag = text_function(one, "{result.status}:{value}", with_result=True)
        assert tag(Filters(), value=1) == "all:1"

    def test_the_result_may_stay_unnamed(self) -> None:
        assert text_function(one, "p:{value}", with_result=True)(None, 1) == "p:1"

    def test_a_parameter_called_result_is_meant_before_the_result(self) -> None:
        def save(result: int, /, other: int = 0) -> None: ...

        assert text_function(save, "{result}:{other}", with_result=True)("stored", 5) == "5:0"

    def test_without_a_result_its_name_is_a_parameter_that_is_not_there(self) -> None:
        with pytest.raises(ConfigError, match=r"tags='\{result\.id\}' names `result`"):
            text_function(one, "{result.id}")

    def test_the_setting_is_named_in_errors(self) -> None:
        with pytest.raises(ConfigError, match=r"prefixes='\{x\}'"):
            text_function(one, "{x}", setting="prefixes")

    def test_a_key_to_invalidate_can_be_written_as_the_key_of_a_cached_function(self) -> None:
        template = "{a}:{b}"
        assert text_function(two, template, setting="keys", percent_encode=True)("x:", 1) == filled(template, "x:", 1)


class TestEvents:
    def test_names_are_keyword_arguments(self) -> None:
        assert names_text("product:{product_id}", "invalidate_tags")({"product_id": 1, "other": 2}) == "product:1"

    def test_a_constant_needs_no_names(self) -> None:
        assert names_text("products", "invalidate_tags")({}) == "products"

    def test_a_missing_name_is_an_error_with_the_names_given(self) -> None:
        text = names_text("product:{product_id}", "invalidate_tags")
        with pytest.raises(
            UnkeyableError, match=r"invalidate_tags='product:\{product_id\}' names `product_id`.*given: `id`, `x`"
        ):
            text({"id": 1, "x": 2})

    def test_a_value_without_text_is_refused(self) -> None:
        with pytest.raises(UnkeyableError, match=r"\{product\} is dict"):
            names_text("{product}", "tags")({"product": {}})

    def test_a_missing_attribute_is_refused(self) -> None:
        with pytest.raises(UnkeyableError, match="cannot be filled: AttributeError"):
            names_text("{product.id}", "tags")({"product": None})

    def test_a_template_is_checked_where_it_is_set(self) -> None:
        with pytest.raises(ConfigError, match="private"):
            names_text("{product._id}", "tags")
