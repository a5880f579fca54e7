"""What a function says it returns, wherever and however that is written."""

import functools
from collections.abc import Awaitable, Coroutine
from inspect import Parameter
from typing import Annotated, Any

import pytest

from hotplate.codecs import return_annotation


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
            return 1

        def method(self) -> int:
            return 2

        @staticmethod
        def static() -> int:
            return 3

    @functools.wraps(Callee.static)
    def wrapper(*args: Any) -> Any: ...

    for function in (Callee(), Callee().method, Callee.static, wrapper, functools.partial(Callee.static)):
        assert return_annotation(function) is int
