"""Values that codecs keep or refuse, and what a codec says of those that it refuses."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, PrivateAttr

from hotplate.codecs import Codec
from hotplate.errors import DecodeError, EncodeError

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


class Foo:
    pass


class Mapped:
    """As SQLAlchemy leaves a class that it maps."""

    __mapper__ = object()


class Private(BaseModel):
    _seen: int = PrivateAttr(default=0)


def seen() -> Private:
    model = Private()
    model._seen = 3
    return model


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
