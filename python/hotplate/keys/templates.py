"""Templates: ``"product:{product_id}"``, ``"{self.tenant}:{filters[status]}"``, ``{{`` and ``}}`` for braces.

A field is a name with attributes and plain indexes: no calls, no conversions, no attribute that begins with an
underscore. Checked where the template is set. The text of a value is what people would write for it; a container, a
model or bytes have none, so a field names one attribute of them.
"""

import dataclasses
import datetime as dt
import enum
import keyword
import math
import re
import string
import uuid
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hotplate.errors import ConfigError
from hotplate.keys.classes import Refused

__all__ = ["Field", "Template", "field_text", "parse"]

_FIELD = re.compile(r"([^\W\d]\w*)((?:\.[^\W\d]\w*|\[[\w. -]+\])*)")
_STEP = re.compile(r"\.(\w+)|\[([^\]]+)\]")
_INDEX = re.compile(r"-?\d+", re.ASCII)
# Percent-encoding writes these, so they cannot mark the end of a field.
_IN_ESCAPES = frozenset("%0123456789ABCDEF")
_FORMATTED = (int, float, str, Decimal, dt.datetime, dt.date, dt.time)


@dataclass(frozen=True)
class Field:
    """``{filters.status[0]:>5}``: what is between braces."""

    source: str
    """As written, in messages."""
    name: str
    path: str
    """Python source of the attributes and indexes after the name; empty if there are none."""
    spec: str
    escaped: str
    """Characters to percent-encode in the text, so that it ends where the next literal begins."""
    escapes: dict[int, str] = dataclasses.field(init=False, compare=False)

    def __post_init__(self) -> None:
        escapes = {ord(one): "".join(f"%{byte:02X}" for byte in one.encode()) for one in self.escaped}
        object.__setattr__(self, "escapes", escapes)


@dataclass(frozen=True)
class Template:
    """A template in pieces: literals and fields in their order."""

    text: str
    setting: str
    pieces: tuple[str | Field, ...]

    @property
    def fields(self) -> list[Field]:
        """The fields alone."""
        return [piece for piece in self.pieces if isinstance(piece, Field)]

    def __str__(self) -> str:
        return f"{self.setting}={self.text!r}"


def parse(text: object, setting: str, *, percent_encode: bool = False) -> Template:
    """The pieces of a template.

    ``percent_encode``: where there are several fields, their texts are encoded so that no two lists of texts give one
    result. ``ConfigError`` for what is no template.
    """
    if not isinstance(text, str) or not text:
        raise ConfigError(f"{setting}={text!r} is no template: text such as 'product:{{product_id}}' is wanted")
    try:
        text.encode()
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ConfigError(f"{setting}={text!r} is no template ({error}); write {{{{ and }}}} for braces") from error
    pieces: list[str | Field] = []
    for literal, field, spec, conversion in parsed:
        if literal:
            # The parser gives `{{` and what follows as two literals.
            before = pieces.pop() if pieces and isinstance(pieces[-1], str) else ""
            pieces.append(f"{before}{literal}")
        if field is not None:
            pieces.append(_field(text, setting, field, spec or "", conversion))
    template = Template(text, setting, tuple(pieces))
    return _encoded(template) if percent_encode and len(template.fields) > 1 else template


def field_text(value: object, field: Field) -> str:
    """The text of a value in a template. Raises ``Refused`` for one that has none."""
    if field.spec:
        if type(value) not in _FORMATTED:
            raise Refused(type(value), f"format {field.spec!r} is for numbers, text and dates")
        try:
            text = format(value, field.spec)
        except ValueError as error:
            raise Refused(type(value), f"format {field.spec!r} does not fit ({error})") from error
    else:
        text = _text(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Refused(type(value), "it has lone surrogates, which no key can have") from None
    return text.translate(field.escapes) if field.escapes else text


def _text(value: Any) -> str:  # noqa: C901 - one case a type
    if type(value) is str:
        return value
    if callable(getattr(type(value), "__cache_key__", None)):
        text = type(value).__cache_key__(value)
        if not isinstance(text, str):
            raise Refused(type(value), f"its __cache_key__() returned {type(text).__name__}, not str")
        return str.__str__(text)
    if isinstance(value, enum.Enum):
        return _text(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, int):
        try:
            return int.__repr__(value)
        except ValueError as error:
            raise Refused(type(value), "it has too many digits") from error
    if isinstance(value, float):
        if math.isnan(value):
            raise Refused(type(value), "NaN is not equal to itself")
        return float.__repr__(value)
    if isinstance(value, Decimal):
        if value.is_nan():
            raise Refused(type(value), "NaN is not equal to itself")
        return Decimal.__str__(value)
    if isinstance(value, uuid.UUID):
        return uuid.UUID.__str__(value)
    if isinstance(value, dt.date):
        exact = dt.datetime if isinstance(value, dt.datetime) else dt.date
        return exact.isoformat(value)
    if isinstance(value, dt.time):
        return dt.time.isoformat(value)
    raise Refused(type(value), "a template has no text for it")


def _field(template: str, setting: str, source: str, spec: str, conversion: str | None) -> Field:
    def wrong(what: str) -> ConfigError:
        return ConfigError(f"{setting}={template!r}: field {{{source}}} {what}")

    if conversion is not None:
        raise wrong(f"has a conversion (!{conversion}); leave it out")
    if "{" in spec or "}" in spec:
        raise wrong("has a field in its format; write the format out")
    match = _FIELD.fullmatch(source)
    if match is None:
        raise wrong("is not a name with attributes and indexes, such as {filters.status} or {filters[status]}")
    path = ""
    for attribute, index in _STEP.findall(match[2]):
        if attribute.startswith("_"):
            raise wrong(f"names {attribute!r}, which is private; name a public attribute")
        if keyword.iskeyword(attribute):
            raise wrong(f"names {attribute!r}, which is a word of Python; name another attribute")
        path += f".{attribute}" if attribute else f"[{int(index) if _INDEX.fullmatch(index) else index!r}]"
    return Field(source=source, name=match[1], path=path, spec=spec, escaped="")


def _encoded(template: Template) -> Template:
    """The same, each field with the characters that its text must not have."""
    pieces = []
    for piece, after in zip(template.pieces, (*template.pieces[1:], None), strict=True):
        if isinstance(piece, Field):
            last = piece is template.fields[-1]
            end = after[0] if isinstance(after, str) else ""
            if not last and (not end or end in _IN_ESCAPES):
                between = f"{after!r}" if end else "nothing"
                raise ConfigError(
                    f"{template}: between {{{piece.source}}} and the next field is {between}, so two calls could give "
                    "one key; begin the text between them with a character such as ':'"
                )
            escaped = "%" if end in _IN_ESCAPES else "%" + end
            piece = replace(piece, escaped=escaped)
        pieces.append(piece)
    return Template(template.text, template.setting, tuple(pieces))
