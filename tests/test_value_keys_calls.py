"""How a call becomes a key: its arguments by their names, what is left out, and whose method it is."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import pytest

from hotplate.errors import ConfigError, UnkeyableError
from hotplate.keys import key_function
from tests.keyed import Plain, Said, anything, key

if TYPE_CHECKING:
    from collections.abc import Callable


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
