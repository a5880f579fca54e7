"""Annotations: what cannot be keyed is refused at decoration, and what no result depends on is left out."""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NewType

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, Request, Response, Security, WebSocket
from fastapi.security import SecurityScopes

from hotplate.errors import UnkeyableError
from hotplate.keys import key_function
from tests.keyed import (
    AsyncSession,
    Color,
    Engine,
    Filters,
    ModelSession,
    Page,
    Plain,
    Point,
    Said,
    Search,
    Session,
    T,
    anything,  # noqa: F401 - in an annotation that is text
    module_function,
)

if TYPE_CHECKING:
    from nowhere import Unresolved  # type: ignore[import-not-found]


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
