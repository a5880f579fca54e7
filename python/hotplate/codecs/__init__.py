"""How a Python value becomes the bytes in the shared tier, and comes back equal and of the same type.

`codec_for` chooses by a function's return annotation and the setting ``codec=``:

    "auto"      nothing annotated, or built-in types alone  → `plain`, self-describing
                anything else                               → `typed`, through Pydantic
    "json"      JSON values alone                           → `exchange`
    "msgpack"   the same values as `plain`                  → `exchange`
    "pickle"    anything, where entries are authenticated   → `pickled`
    an object   one that has `name`, `encode` and `decode`  → as it is

A codec keeps a value faithfully or refuses it by name and place (`EncodeError`); it never writes something similar.
Stored bytes begin with a fingerprint of codec and type (`frame`): what a former version of the application wrote for
another model is another codec's (`DecodeError`), and a cache takes that as a miss.

Not here: compression, encryption and checksums (the shared tier's), keys (`hotplate.keys`), and the objects in
process memory, which no codec touches.
"""

from typing import Any, Protocol, runtime_checkable

from hotplate.codecs.annotations import annotation_text, is_missing, is_plain, return_annotation
from hotplate.codecs.differences import difference
from hotplate.codecs.exchange import JsonCodec, MsgpackCodec
from hotplate.codecs.frame import secret
from hotplate.codecs.pickled import PickleCodec
from hotplate.codecs.plain import PlainCodec
from hotplate.codecs.typed import TypedCodec
from hotplate.errors import ConfigError

__all__ = [
    "Codec",
    "JsonCodec",
    "MsgpackCodec",
    "PickleCodec",
    "PlainCodec",
    "TypedCodec",
    "codec_for",
    "difference",
    "return_annotation",
]


@runtime_checkable
class Codec(Protocol):
    """What stands between a value and its bytes. `decode(encode(value))` equals the value and is of its type."""

    @property
    def name(self) -> str:
        """What logs and messages call it."""
        ...

    def encode(self, value: Any) -> bytes:
        """The bytes of a value. Raises `EncodeError` for one that would not come back as it is."""
        ...

    def decode(self, data: bytes) -> Any:
        """The value of bytes that `encode` made. Raises `DecodeError` for any others; a cache takes it as a miss."""
        ...


_NAMES = ("auto", "json", "msgpack", "pickle")


def codec_for(
    annotation: Any,
    codec: str | Codec = "auto",
    *,
    signing_key: str | bytes | None = None,
    encrypted: bool = False,
    name: str = "",
) -> Codec:
    """The codec for what `annotation` promises (see `return_annotation`; nothing and `Any` promise nothing).

    `signing_key`, of 32 bytes or more, signs what is stored together with `name`: values of one name are not taken
    for those of another. It holds for every codec of hotplate, and not for an object of one's own. `encrypted` says
    that the shared tier authenticates its entries. Raises `ConfigError` for settings that cannot be meant. Cost: with
    "auto" and a model the making of Pydantic's adapter and schema, so it is called once a function.
    """
    if not isinstance(codec, str):
        return _own(codec)
    if codec not in _NAMES:
        raise ConfigError(
            f"codec {codec!r} is none of {', '.join(map(repr, _NAMES))}, nor an object with encode and decode"
        )
    key = None if signing_key is None else secret(signing_key)
    text = annotation_text(annotation)
    if codec == "json":
        return JsonCodec(text, signing_key=key, signed_name=name)
    if codec == "msgpack":
        return MsgpackCodec(text, signing_key=key, signed_name=name)
    if codec == "pickle":
        return PickleCodec(text, signing_key=key, encrypted=encrypted, signed_name=name)
    if is_missing(annotation) or is_plain(annotation):
        return PlainCodec(text, signing_key=key, signed_name=name)
    return TypedCodec(annotation, signing_key=key, signed_name=name)


def _own(codec: Any) -> Codec:
    for method in ("encode", "decode"):
        if not callable(getattr(codec, method, None)):
            raise ConfigError(
                f"codec {codec!r} has no method {method}: give it name, encode and decode, or use {_NAMES[0]!r}"
            )
    if not isinstance(getattr(codec, "name", None), str):
        raise ConfigError(f"codec {codec!r} has no text called name: logs and messages need one")
    own: Codec = codec
    return own
