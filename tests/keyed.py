"""What the tests of keys call with: values of every kind, and the function whose key they make."""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from hotplate.keys import key_function

T = TypeVar("T")


class Color(enum.Enum):
    RED = 1
    BLUE = 2
    CRIMSON = 1  # noqa: PIE796 - another name of RED


class Id(int):
    pass


class Name(str):
    __slots__ = ()


class Named(str):
    heading: str


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Filters:
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


class Page(BaseModel, Generic[T]):
    items: list[T] = []


class Plain:
    def __init__(self, value: int = 0) -> None:
        self.value = value


class Said(Plain):
    def __cache_key__(self) -> str:
        return f"number {self.value}"


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
