"""Bytes that another codec wrote, or nobody: they are told apart from one's own, and never a value."""

import os
import subprocess
import sys
from typing import Any, Optional, Union

import pytest
from pydantic import create_model

from hotplate.codecs import Codec, JsonCodec, MsgpackCodec, PlainCodec, TypedCodec, codec_for
from hotplate.errors import DecodeError, EncodeError, HotplateError
from tests.codec_values import Product, Toy, token

# Fingerprints


def test_what_another_codec_wrote_is_told_apart() -> None:
    names = ("auto", "json", "msgpack")
    for writer in names:
        stored = codec_for(Any, writer).encode([1])
        assert [token(codec_for(Any, reader), stored) for reader in names if reader != writer] == ["other-codec"] * 2


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        (list[int], [], dict[str, int]),
        (list[int], [], Product),
        (Product, Product(id=1), Product | None),
        (Product, Product(id=1), list[Product]),
        (Product, Product(id=1), Toy),
        (int, 1, str),
        (Any, 1, int),
    ],
)
def test_a_value_written_for_another_annotation_is_another_codecs(before: Any, value: Any, after: Any) -> None:
    writer = codec_for(before)
    assert token(codec_for(after), writer.encode(value)) == "other-codec"


@pytest.mark.parametrize(
    "fields",
    [
        {"a": (int, 1), "b": (int, 2)},
        {"a": (str, "1")},
        {"a": (int, 2)},
        {"a": (int | None, 1)},
        {"c": (int, 1)},
    ],
)
def test_a_value_of_a_model_that_has_changed_is_another_codecs(fields: Any) -> None:
    before, after = create_model("Model", a=(int, 1)), create_model("Model", **fields)
    assert token(codec_for(after), codec_for(before).encode(before())) == "other-codec"


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        (Product | None, Optional[Product], Product(id=1)),  # noqa: UP045 (the older spelling)
        (Union[int, str], int | str, 1),  # noqa: UP007 (the older spelling)
        (list[Product], list[Product], [Product(id=1)]),
    ],
)
def test_two_spellings_of_one_annotation_are_one_codec(one: Any, other: Any, value: Any) -> None:
    assert codec_for(other).decode(codec_for(one).encode(value)) == value


def test_a_reader_without_annotation_takes_what_any_built_in_annotation_wrote() -> None:
    assert codec_for(Any).decode(codec_for(list[int]).encode([1])) == [1]


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    program = (
        "from enum import Enum; from typing import *; from pydantic import *; from hotplate.codecs import codec_for\n"
        "def check(v): return v\n"
        "class C(Enum): A = 'a'; B = 'b'\n"
        "class M(BaseModel):\n"
        "    a: Annotated[int, AfterValidator(check)] = 1\n"
        "    b: frozenset[str] = frozenset({'a', 'b', 'c'})\n"
        "    c: C = C.A\n"
        "print(codec_for(Annotated[list[M], AfterValidator(check)])._fingerprint.hex())"
    )
    seeds = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2", "3")]
    runs = {subprocess.run([sys.executable, "-c", program], env=seed, stdout=-1, check=True).stdout for seed in seeds}
    assert len(runs) == 1


# Bytes that are not one's own


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 7])
def test_bytes_too_short_for_a_head_are_malformed(data: bytes) -> None:
    assert token(PlainCodec(), data) == "malformed"


@pytest.mark.parametrize("codec", [PlainCodec(), TypedCodec(Product), MsgpackCodec(), JsonCodec()])
def test_bytes_after_the_value_are_malformed(codec: Codec) -> None:
    value = Product(id=1) if codec.name == "typed" else 1
    assert token(codec, codec.encode(value) + b" ") == "malformed"


def test_a_decode_error_quotes_nothing_of_what_was_stored() -> None:
    codec = TypedCodec(Product)
    stored = codec.encode(Product(id=1, name="hidden-from-logs")).replace(b'"id":1', b'"id":x')
    with pytest.raises(DecodeError) as caught:
        codec.decode(stored)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_the_errors_are_what_python_calls_such_errors_too() -> None:
    assert EncodeError.__bases__ == (HotplateError, TypeError)
    assert DecodeError.__bases__ == (HotplateError, ValueError)


# Depth


def bomb(name: str, depth: int) -> tuple[Any, bytes]:
    codec: Any = TypedCodec(list[Any]) if name == "typed" else codec_for(Any, name)
    lists = b"[" * depth + b"]" * depth
    content = {
        "auto": b"\0\0\0\0J" + lists,
        "typed": b"J" + lists,
        "json": lists,
        "msgpack": b"\x91" * depth + b"\x01",
    }[name]
    return codec, codec._fingerprint + len(content).to_bytes(4, "big") + content


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize("name", ["auto", "typed", "json", "msgpack"])
def test_stored_bytes_that_nest_without_end_are_malformed(name: str, depth: int) -> None:
    codec, data = bomb(name, depth)
    assert token(codec, data) == "malformed"


def test_brackets_in_text_are_not_depth() -> None:
    value = [["[{" * 50] * 50, '"]]' * 500, {"[": "\\"}]
    for name in ("auto", "json"):
        codec = codec_for(Any, name)
        assert codec.decode(codec.encode(value)) == value
