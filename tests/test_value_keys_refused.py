"""Values that cannot be keyed: refused, with what to do instead, and sessions, which are left out."""

from __future__ import annotations

import asyncio
import dataclasses
import decimal
import functools
import logging
import sys
import threading
from typing import Any

import httpx
import pytest
from fastapi import Depends, Request
from pydantic import BaseModel, SecretStr

from hotplate.errors import HotplateError, UnkeyableError
from tests.keyed import (
    AsyncSession,
    Engine,
    Filters,
    GrownFilters,
    ModelSession,
    Named,
    Plain,
    Said,
    Search,
    Session,
    anything,
    key,
    module_function,
    named,
)


class Login(BaseModel):
    password: SecretStr


class SaidWrong:
    def __cache_key__(self) -> int:
        return 1


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
    for part in ("tests.keyed.anything()", "`value`", 'exclude=["value"]', 'key="...:{value.'):
        assert part in message


def test_a_function_is_keyed_only_if_it_is_found_under_its_name() -> None:
    @functools.wraps(module_function)
    def wrapper() -> None: ...

    with pytest.raises(UnkeyableError, match="not found under its name"):
        key(wrapper)


def test_the_error_names_the_type_inside() -> None:
    with pytest.raises(UnkeyableError, match=r"it is dict and has in it tests\.keyed\.Plain: its fields are not known"):
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
