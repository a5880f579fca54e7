"""What a request to the admin API asks: its query and its body, read and bounded.

Whatever cannot be meant is ``Unanswerable``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hotplate.admin.answers import Unanswerable

__all__ = [
    "MOST_BODY_BYTES",
    "MOST_DECISIONS",
    "MOST_TARGETS",
    "Asked",
    "Lookup",
    "Query",
    "Targets",
    "most_of",
    "query_of",
    "url_of",
]

MOST_BODY_BYTES = 256 * 2**10
"""The largest request body that is read."""

MOST_DECISIONS = 1000
"""The most decisions one answer has."""

MOST_TARGETS = 1000
"""The most tags, paths, prefixes and keys one request names."""

LISTS = ("tags", "paths", "prefixes", "keys")
FLAGS = ("everything", "soft")

Query = Mapping[str, str]
"""The query's parameters, each at most once."""


def query_of(octets: bytes, allowed: Sequence[str]) -> Query:
    """The parameters of a raw query, all of them ``allowed``."""
    try:
        pairs = parse_qsl(octets.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError as error:
        raise Unanswerable(f"the query cannot be read: {error}") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            known = f"there are {', '.join(allowed)}" if allowed else "there is none here"
            raise Unanswerable(f"{_shown(name)} is no parameter: {known}")
        if name in found:
            raise Unanswerable(f"{name} is given more than once: give it once")
        found[name] = value
    return found


@dataclass(frozen=True)
class Asked:
    """A request: the parameters of its query, its body, and the ``origin`` (``https://example.org``) it was sent to."""

    query: Query
    body: bytes = b""
    origin: str = ""


@dataclass(frozen=True)
class Lookup:
    """What is looked up: a URL or a key."""

    url: str | None
    key: str | None
    partition: str | None
    body: bool

    PARAMETERS = ("url", "key", "partition", "body")

    @classmethod
    def of(cls, asked: Asked) -> "Lookup":
        """From the parameters of a query."""
        query = asked.query
        if bool(query.get("url")) == bool(query.get("key")):
            raise Unanswerable("url or key is needed, one of the two: ?url=/products/42 or ?key=product:42")
        url = url_of(asked) if query.get("url") else None
        return cls(url, query.get("key") or None, query.get("partition"), _flag(query, "body"))


def _flag(query: Query, name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false", "1", "0"):
        raise Unanswerable(f"{name}={_shown(text)} is neither true nor false: write {name}=true or leave it out")
    return text in ("true", "1")


def url_of(asked: Asked) -> str:
    """The URL that is asked about: one without a host is of the host that was asked."""
    url = asked.query.get("url")
    if not url:
        raise Unanswerable("url is needed: ?url=/products/42 or ?url=http://example.org/products/42")
    whole = asked.origin + url if url.startswith("/") else url
    try:
        parts = urlsplit(whole)
        # Looking at the port is what finds out whether it is one.
        readable = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        readable = False
    if not readable:
        raise Unanswerable(
            f"url={_shown(url)} cannot be read: write a path, or a URL with http:// or https:// and a host"
        )
    return whole


def most_of(asked: Asked) -> int:
    """How many are wanted at most."""
    text = asked.query.get("most", "100")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MOST_DECISIONS):
        raise Unanswerable(f"most={_shown(text)} cannot be meant: write a number from 1 to {MOST_DECISIONS}")
    return int(text)


@dataclass(frozen=True)
class Targets:
    """What an invalidation names."""

    tags: Sequence[str] = ()
    paths: Sequence[str] = ()
    prefixes: Sequence[str] = ()
    keys: Sequence[str] = ()
    everything: bool = False
    soft: bool = False

    @classmethod
    def of(cls, body: bytes, *, soft: bool) -> "Targets":
        """From a request body. ``soft``: whether that may be asked for here."""
        flags = FLAGS if soft else FLAGS[:1]
        given = _object(body)
        for name in given:
            if name not in LISTS and name not in flags:
                raise Unanswerable(f"{_shown(name)} is no setting: there are {', '.join((*LISTS, *flags))}")
        found = cls(
            **{name: _texts(name, given.get(name, [])) for name in LISTS},  # type: ignore[arg-type]
            **{name: _truth(name, given.get(name, False)) for name in flags},  # type: ignore[arg-type]
        )
        count = sum(len(getattr(found, name)) for name in LISTS)
        if not count and not found.everything:
            raise Unanswerable("nothing is named: give tags, paths, prefixes or keys, or everything=true")
        if count > MOST_TARGETS:
            raise Unanswerable(f"{count} targets are named: name at most {MOST_TARGETS} in one request")
        return found


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        raise Unanswerable('the body is no JSON: write an object such as {"tags": ["products"]}') from None
    if not isinstance(given, dict):
        raise Unanswerable('the body is no JSON object: write one such as {"tags": ["products"]}')
    return given


def _texts(name: str, value: object) -> list[str]:
    if not isinstance(value, list):
        raise Unanswerable(f"{name}={_shown(value)} is no list of texts: write {name}=[...]")
    for text in value:
        if not isinstance(text, str) or not text:
            raise Unanswerable(f"{name} has {_shown(text)}: each has to be a text that is not empty")
        if not _is_unicode(text):
            raise Unanswerable(f"{name} has {_shown(text)}, half of a surrogate pair: no text can have one")
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _truth(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Unanswerable(f"{name}={_shown(value)} is neither true nor false")
    return value


def _shown(value: object) -> str:
    """A value in a sentence: as JSON, without end."""
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "..."
    return text if len(text) <= 80 else f"{text[:77]}..."
