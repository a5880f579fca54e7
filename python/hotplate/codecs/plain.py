"""The values Python has by itself, of exactly these types, in a form that says what each is.

A part that JSON has is JSON; any other is an object with one name that begins with ``!``, such as ``{"!t": [1, 2]}``
for a tuple. A dict that could be taken for one of them, or that has a key that is no text, is written as its pairs
(``!d``). The first byte of the content:

* ``J`` JSON without any such part: read by the C parser alone,
* ``X`` JSON with such parts,
* ``S`` nothing but text, ``B`` nothing but bytes: as they are, with no encoding around them.

Text is UTF-8 in which lone surrogates may stand (WTF-8's forms), unescaped: written as JSON escapes, two lone ones in
a row would come back as one character.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, Final

from hotplate.codecs.depth import deeper_than
from hotplate.codecs.frame import MAX_DEPTH, Framed
from hotplate.codecs.paths import refused_part
from hotplate.codecs.refusals import too_deep, unsupported
from hotplate.codecs.scalars import READ, WRITTEN, zone_is_kept
from hotplate.errors import DecodeError, EncodeError

__all__ = ["NotKeptError", "PlainCodec", "is_kept", "read", "written"]

_CONTAINERS: Final = (list, dict, tuple, set, frozenset)
_AS_THEY_ARE: Final = frozenset((type(None), bool, float, str))
_LONGEST_DECIMAL_BITS: Final = 2000
"""Integers beyond are hexadecimal: Python refuses to read long decimal ones (`sys.set_int_max_str_digits`)."""
_MAX_BRACKETS: Final = 2 * MAX_DEPTH + 4
"""A marked container is an object and a list, the parts of a scalar two more."""
_WITHOUT_ANNOTATION: Final = bytes(4)

_to_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class NotKeptError(Exception):
    """A part is not kept: the argument; none: the value is too deep. Where it stands is looked up only then."""


def is_kept(value: Any) -> bool:
    """Whether a value without parts is kept, or a container may be."""
    kind = type(value)
    if kind in _AS_THEY_ARE or kind in _CONTAINERS or kind is int or kind is bytes:
        return True
    return kind in WRITTEN and zone_is_kept(getattr(value, "tzinfo", None))


class PlainCodec(Framed):
    """Keeps None, bool, int, float, str, bytes, the built-in containers, dates and times, `Decimal` and `UUID`.

    Exactly these types: a subclass (an `IntEnum`, a named tuple, a model) is an `EncodeError`, since it would come
    back as what it derives from. `annotation` is the text of what a function promises. A codec with one reads only what
    was written with the same; a codec without one reads what any of them wrote.
    """

    def __init__(self, annotation: str = "", *, signing_key: bytes | None = None, signed_name: str = "") -> None:
        super().__init__("plain", signing_key=signing_key, signed_name=signed_name)
        digest = hashlib.blake2b(annotation.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        self._annotation = digest if annotation else _WITHOUT_ANNOTATION

    def _write(self, value: Any) -> bytes:
        return self._annotation + written(value)

    def _read(self, content: bytes) -> Any:
        if self._annotation not in (_WITHOUT_ANNOTATION, content[:4]):
            raise DecodeError("other-codec", "the stored value was written for another annotation")
        return read(content[4:])


def written(value: Any, substitute: Callable[[Any], Any] | None = None) -> bytes:
    """The content for a value. `substitute` gives another value for a part that is not kept, or raises."""
    if type(value) is str:
        return b"S" + value.encode("utf-8", "surrogatepass")
    if type(value) is bytes:
        return b"B" + value
    shaper = _Shaper(substitute)
    try:
        shape = shaper.shape(value, MAX_DEPTH)
        text = _to_json(shape)
    except RecursionError:
        raise too_deep("$") from None
    except NotKeptError as error:
        raise _refusal(value, error.args) from None
    return (b"X" if shaper.marked else b"J") + text.encode("utf-8", "surrogatepass")


def read(content: bytes) -> Any:
    """The value of a content; any exception for one that is none."""
    first, rest = content[:1], content[1:]
    if first == b"B":
        return rest
    text = rest.decode("utf-8", "surrogatepass")
    if first == b"S":
        return text
    if deeper_than(rest, _MAX_BRACKETS):
        raise ValueError("nested too deep")
    if first == b"J":
        return _plain_json(text)
    if first == b"X":
        return _marked_json(text)
    raise ValueError("no such form")


def _refusal(value: Any, parts: tuple[Any, ...]) -> EncodeError:
    found = refused_part(value, lambda part: not parts or part is not parts[0])
    path = found[0] if found else "$"
    if not parts:
        return too_deep(path)
    return unsupported(path, parts[0], "annotate what the function returns, give `type=`, or choose another codec")


class _Shaper:
    """Makes of a value what JSON can write, and notes whether anything had to be marked."""

    __slots__ = ("marked", "substitute")

    def __init__(self, substitute: Callable[[Any], Any] | None) -> None:
        self.marked = False
        self.substitute = substitute

    def shape(self, value: Any, room: int) -> Any:
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        if kind is int:
            return value if value.bit_length() <= _LONGEST_DECIMAL_BITS else self._mark("i", hex(value))
        if kind in _CONTAINERS:
            if not room:
                raise NotKeptError
            if kind is dict:
                return self._dict(value, room - 1)
            items = [self.shape(item, room - 1) for item in value]
            return items if kind is list else self._mark(_LETTERS[kind], items)
        return self._other(value, room)

    def _dict(self, value: dict[Any, Any], room: int) -> Any:
        shaped = {}
        for key, item in value.items():
            if type(key) is not str:
                break
            shaped[key] = self.shape(item, room)
        else:
            if len(shaped) != 1 or not next(iter(shaped)).startswith("!"):
                return shaped
        return self._mark("d", [self.shape(part, room) for pair in value.items() for part in pair])

    def _other(self, value: Any, room: int) -> Any:
        kind = type(value)
        if kind is bytes:
            return self._mark("b", b64encode(value).decode("ascii"))
        scalar = WRITTEN.get(kind)
        if scalar is not None and zone_is_kept(getattr(value, "tzinfo", None)):
            letter, write = scalar
            return self._mark(letter, write(value))
        if self.substitute is None or not room:
            raise NotKeptError(value)
        return self.shape(self.substitute(value), room - 1)

    def _mark(self, letter: str, form: Any) -> dict[str, Any]:
        self.marked = True
        return {f"!{letter}": form}


_LETTERS: Final[dict[type, str]] = {tuple: "t", set: "s", frozenset: "f"}


def _pairs(parts: list[Any]) -> dict[Any, Any]:
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    if 2 * len(found) != len(parts):
        raise ValueError("a key stands twice")
    return found


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "!t": tuple,
    "!s": set,
    "!f": frozenset,
    "!d": _pairs,
    "!b": lambda text: b64decode(text, validate=True),
    "!i": lambda text: int(text, 16),
    **{f"!{letter}": reader for letter, reader in READ.items()},
}


def _unmarked(found: dict[str, Any]) -> Any:
    if len(found) == 1:
        (name,) = found
        if name[:1] == "!":
            return _READERS[name](found[name])
    return found


_plain_json: Final = json.JSONDecoder().decode
_marked_json: Final = json.JSONDecoder(object_hook=_unmarked).decode
