"""Which codec keeps a result: by its annotation, by its name, or one of the user's own."""

import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from inspect import Parameter
from typing import Annotated, Any, Literal

import pytest

from hotplate.codecs import Codec, JsonCodec, MsgpackCodec, PlainCodec, TypedCodec, codec_for
from hotplate.errors import ConfigError
from tests.codec_values import KEY, Colour, Foo, Mapped, Point, Product, Row


class Ours:
    name = "ours"

    def encode(self, value: Any) -> bytes:
        return repr(value).encode()

    def decode(self, data: bytes) -> Any:
        return data.decode()


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (Parameter.empty, PlainCodec),
        (Any, PlainCodec),
        (object, PlainCodec),
        (None, PlainCodec),
        (int, PlainCodec),
        (list[dict[str, datetime | None]], PlainCodec),
        (tuple[int, ...] | None, PlainCodec),
        (Annotated[Literal["a", 1], "note"], PlainCodec),
        (dict[str, Any], PlainCodec),
        (Product, TypedCodec),
        (list[Product], TypedCodec),
        (Product | None, TypedCodec),
        (Colour, TypedCodec),
        (Literal[Colour.RED], TypedCodec),
        (Row, TypedCodec),
        (Point, TypedCodec),
    ],
)
def test_built_in_types_need_no_pydantic_and_others_do(annotation: Any, kind: type) -> None:
    assert type(codec_for(annotation)) is kind


@pytest.mark.parametrize(("name", "kind"), [("json", JsonCodec), ("msgpack", MsgpackCodec)])
def test_a_codec_may_be_named(name: str, kind: type) -> None:
    codec = codec_for(Product, name)
    assert type(codec) is kind
    assert codec.name == name


def test_an_object_with_name_encode_and_decode_is_used_as_it_is() -> None:
    codec = Ours()
    assert codec_for(Product, codec, signing_key=KEY) is codec


@pytest.mark.parametrize("codec", [object(), type("Half", (), {"encode": print, "decode": print})(), 3])
def test_an_object_without_name_encode_or_decode_is_refused(codec: Any) -> None:
    with pytest.raises(ConfigError, match=r"codec .* has no (method encode|text called name)"):
        codec_for(Any, codec)


def test_an_unknown_codec_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'yaml' is none of 'auto', 'json', 'msgpack', 'pickle'"):
        codec_for(Any, "yaml")


def test_every_codec_satisfies_the_protocol() -> None:
    for name in ("auto", "json", "msgpack"):
        assert isinstance(codec_for(Any, name), Codec)


def test_a_model_without_pydantic_is_a_setting_that_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(ConfigError, match=r"Point` .*pip install pydantic"):
        codec_for(Point)
    assert codec_for(list[int]).decode(codec_for(list[int]).encode([1])) == [1]


def test_msgpack_without_its_package_is_a_setting_that_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(ConfigError, match=r'pip install "hotplate\[msgpack\]"'):
        codec_for(Any, "msgpack")


@pytest.mark.parametrize("annotation", [Foo, list[Foo], Mapped, Mapped | None, Iterator[Product], AsyncIterator[int]])
def test_an_annotation_that_cannot_be_kept_is_found_at_once(annotation: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"cannot be kept in the shared tier.*cache a model or dataclass made from it"
    ):
        codec_for(annotation)
