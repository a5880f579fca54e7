"""Formats that other programs read too: JSON text and MessagePack, each with hotplate's head before it."""

import json
import math
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from hotplate.codecs.depth import deeper_than
from hotplate.codecs.differences import first_difference
from hotplate.codecs.frame import MAX_DEPTH, Framed
from hotplate.codecs.paths import refused_part
from hotplate.codecs.plain import is_kept
from hotplate.codecs.refusals import changed, too_deep, unsupported
from hotplate.codecs.scalars import READ, WRITTEN
from hotplate.errors import ConfigError, EncodeError

__all__ = ["JsonCodec", "MsgpackCodec"]

_JSON: Final = frozenset((type(None), bool, int, str, list, dict))
_REMEDY: Final = 'use the codec "auto", which keeps it, or return plain {} values'


def _refuse(value: Any, supported: Callable[[Any], bool], key: Callable[[Any], bool] | None, remedy: str) -> None:
    found = refused_part(value, supported, key)
    if found is not None:
        path, part, deep = found
        raise too_deep(path) if deep else unsupported(path, part, remedy)


class JsonCodec(Framed):
    """Keeps what JSON has: None, bool, int, finite float, str, list, and dict with text for keys. No more.

    A tuple, a key that is a number, NaN and lone surrogates are an `EncodeError`: other programs could not read them.
    """

    def __init__(self, annotation: str = "", *, signing_key: bytes | None = None, signed_name: str = "") -> None:
        super().__init__("json", annotation, signing_key=signing_key, signed_name=signed_name)

    def _write(self, value: Any) -> bytes:
        _refuse(value, _is_json, lambda key: type(key) is str, _REMEDY.format("JSON"))
        try:
            content = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            again = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise EncodeError(
                f"value cannot be kept: `$` is no JSON ({type(error).__name__}); use another codec"
            ) from None
        found = first_difference(value, again)
        if found is not None:
            raise changed(*found, codec=self.name)
        return content

    def _read(self, content: bytes) -> Any:
        if deeper_than(content, MAX_DEPTH):
            raise ValueError("nested too deep")
        return json.loads(content.decode(), parse_constant=_no_constant)


def _is_json(part: Any) -> bool:
    return type(part) in _JSON or (type(part) is float and math.isfinite(part))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_TUPLE, _SET, _FROZENSET, _INTEGER = 1, 2, 3, 4
_CONTAINERS: Final[dict[type, int]] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET}
_READ_CONTAINERS: Final[dict[int, Callable[[Any], Any]]] = {code: kind for kind, code in _CONTAINERS.items()}
_UNPACKING: Final[dict[str, Any]] = {"raw": False, "strict_map_key": False, "unicode_errors": "surrogatepass"}


class MsgpackCodec(Framed):
    """Keeps what the self-describing codec keeps, in MessagePack: smaller where there are many numbers or bytes.

    Extension types: 1 tuple, 2 set, 3 frozenset (a packed array each), 4 an integer of more than 64 bits (two's
    complement, big-endian), and by the letters of `hotplate.codecs.scalars` dates, times, `Decimal` and `UUID`.
    Wants the extra ``hotplate[msgpack]``.
    """

    def __init__(self, annotation: str = "", *, signing_key: bytes | None = None, signed_name: str = "") -> None:
        super().__init__("msgpack", annotation, signing_key=signing_key, signed_name=signed_name)
        try:
            msgpack = import_module("msgpack")
        except ImportError:
            raise ConfigError('codec "msgpack" needs the package msgpack: pip install "hotplate[msgpack]"') from None
        self._pack: Callable[..., bytes] = msgpack.packb
        self._unpack: Callable[..., Any] = msgpack.unpackb
        self._extension: Callable[[int, bytes], Any] = msgpack.ExtType

    def _write(self, value: Any) -> bytes:
        _refuse(value, is_kept, None, _REMEDY.format("built-in"))
        try:
            content = self._packed(value)
            again = self._read(content)
        except Exception as error:
            raise EncodeError(f"value cannot be kept: `$` cannot be packed ({error}); use another codec") from None
        found = first_difference(value, again)
        if found is not None:
            raise changed(*found, codec=self.name)
        return content

    def _read(self, content: bytes) -> Any:
        return self._unpack(content, ext_hook=self._unpacked, **_UNPACKING)

    def _packed(self, value: Any) -> bytes:
        return self._pack(
            value, default=self._extended, strict_types=True, use_bin_type=True, unicode_errors="surrogatepass"
        )

    def _extended(self, part: Any) -> Any:
        kind = type(part)
        if kind is int:
            return self._extension(_INTEGER, part.to_bytes(part.bit_length() // 8 + 1, "big", signed=True))
        code = _CONTAINERS.get(kind)
        if code is not None:
            return self._extension(code, self._packed(list(part)))
        letter, write = WRITTEN[kind]
        return self._extension(ord(letter), self._packed(write(part)))

    def _unpacked(self, code: int, content: bytes) -> Any:
        if code == _INTEGER:
            return int.from_bytes(content, "big", signed=True)
        return (_READ_CONTAINERS.get(code) or READ[chr(code)])(self._read(content))
