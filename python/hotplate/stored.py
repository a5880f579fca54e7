"""Values that are set and read by hand: what they are in memory, and what codecs make of them.

Not here: the results of functions (``functions``), and which bytes a codec writes (``codecs``).
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hotplate._core import Stored, ValuePlan, seconds
from hotplate.codecs import Codec, codec_for, return_annotation
from hotplate.codecs.annotations import MISSING as NO_ANNOTATION
from hotplate.codecs.annotations import is_missing, is_plain
from hotplate.errors import DecodeError
from hotplate.functions import UNREADABLE, Results
from hotplate.once import refuse_used_once
from hotplate.texts import several
from hotplate.weights import weight

if TYPE_CHECKING:
    from hotplate.cache import Cache
    from hotplate.rules import Duration

__all__ = ["StoredValues", "as_tags"]

Given = tuple[str, Any, int | None, bytes | None, Any, list[str]]


_OCTETS = (bytes, bytearray, memoryview)


class StoredValues:
    """The codecs of one cache, and values on their way through them."""

    def __init__(self, cache: "Cache", signing_key: str | bytes | None, *, encrypted: bool) -> None:
        self._cache = cache
        self._signing_key = signing_key
        self._encrypted = encrypted
        self._plain = self._made(NO_ANNOTATION)
        self._typed: dict[Any, Codec] = {}

    def codec(self, value: Any, type: Any, codec: Any) -> Codec | None:
        """For a value that is set by hand; ``None``: bytes, which need none."""
        refuse_used_once(value)
        if not self._cache.is_shared:
            self.check(codec)
            return None if value.__class__ in _OCTETS else self._plain
        if codec is None and type is None:
            if value.__class__ in _OCTETS and self._signing_key is None:
                return None
            return self._plain if is_plain(value.__class__) else self._by_type(value.__class__)
        if codec is None:
            return self._by_type(type)
        return self._made(NO_ANNOTATION if type is None else type, codec)

    def check(self, codec: str | Codec | None) -> None:
        """Raises ``ConfigError`` for a ``codec=`` that cannot be meant; in memory no key is needed."""
        if codec is not None:
            encrypted = self._encrypted or not self._cache.is_shared
            codec_for(NO_ANNOTATION, codec, signing_key=self._signing_key, encrypted=encrypted)

    def codec_of(self, function: Callable[..., Any], codec: str | Codec | None) -> Codec:
        """For what a function returns."""
        return self._made(return_annotation(function), "auto" if codec is None else codec)

    def _made(self, annotation: Any, codec: str | Codec = "auto") -> Codec:
        return codec_for(annotation, codec, signing_key=self._signing_key, encrypted=self._encrypted)

    def _by_type(self, annotation: Any) -> Codec:
        if is_missing(annotation) or is_plain(annotation):
            return self._plain
        try:
            known = self._typed.get(annotation)
        except TypeError:  # an annotation that cannot be hashed
            return self._made(annotation)
        if known is None:
            known = self._typed[annotation] = self._made(annotation)
        return known

    def given(self, key: str, value: Any, ttl: "Duration", tags: Iterable[str], codec: Codec | None) -> Given:
        """What the engine takes."""
        named = several("tags", tags)
        refuse_used_once(value)
        if codec is None:
            return key, value, None, None, ttl, named
        coded = codec.encode(value) if self._cache.is_shared else None
        return key, value, weight(value), coded, ttl, named

    def decoded(self, stored: Stored, type: Any, default: Any) -> Any:
        """The value of what another process wrote."""
        try:
            value = (self._plain if type is None else self._by_type(type)).decode(stored.data)
        except DecodeError as error:
            self._cache.faults.report("unreadable", UNREADABLE, error, about=error.token)
            stored.reject()
            return default
        stored.keep(value, weight(value))
        return value

    def results(self, ttl: "Duration", type: Any, codec: Any, loader: Callable[..., Any]) -> Results:
        """For a value that is loaded where it is not stored."""
        seconds("ttl", ttl)

        def made() -> Codec:
            if type is None and codec is None:
                annotation = return_annotation(loader)
                return self._by_type(annotation)
            return self.codec(None, type, codec) or self._plain

        return Results(self._cache, ValuePlan(), made, ttl, function=loader)


def as_tags(tags: Iterable[str]) -> Callable[[Any], list[str]]:
    """The same tags for whatever is stored."""
    named = several("tags", tags)
    return lambda result: named
