"""Who may ask: bearer tokens (RFC 6750), a check of the application's own, or everybody where that is said by name.

Not here: a FastAPI dependency as ``auth``, which only FastAPI can run (``fastapi``).
"""

import hashlib
import hmac
import inspect
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import EllipsisType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hotplate.asgi import Scope
from hotplate.errors import ConfigError
from hotplate.faults import Faults
from hotplate.headers import RequestHead

if TYPE_CHECKING:
    from hotplate.cache import Cache

__all__ = ["Auth", "Check", "Guard", "Refusals", "Tokens", "meaning"]

Check = Callable[[RequestHead], "object | Awaitable[object]"]
"""Whether a request may ask: what is true admits it."""

Auth = str | Iterable[str] | Check | EllipsisType | None
"""A token, several tokens, a ``Check``; ``None`` for everybody; ``...`` is what was not given."""

SHORTEST_TOKEN = 16

logger = logging.getLogger("hotplate")


class Tokens:
    """The tokens that admit: kept as digests, and compared in a time that does not depend on what was given."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._key = secrets.token_bytes(32)
        self._digests = [self._digest(_checked(token).encode("ascii")) for token in tokens]
        if not self._digests:
            raise ConfigError(f"auth=[] has no token in it: {_REMEDY}")

    def _digest(self, token: bytes) -> bytes:
        return hmac.digest(self._key, token, hashlib.sha256)

    def __call__(self, head: RequestHead) -> bool:
        """Whether the request has one of them. Two ``Authorization`` lines are none: readers differ in which counts."""
        lines = list(head.fields("authorization"))
        scheme, _, token = (lines[0] if len(lines) == 1 else "").partition(" ")
        given = self._digest(token.strip(" ").encode("latin-1"))
        found = False
        for digest in self._digests:
            found |= hmac.compare_digest(digest, given)
        return found and scheme.lower() == "bearer"


_REMEDY = (
    f"give a token of {SHORTEST_TOKEN} characters or more, such as one of secrets.token_urlsafe(32), several of them, "
    "or a callable; auth=None lets everybody in"
)


def _checked(token: object) -> str:
    """A token that clients can send. What is wrong with one is said without it: it is a secret all the same."""
    if not isinstance(token, str):
        raise ConfigError(f"auth has a token of type {type(token).__name__}: {_REMEDY}")
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(f"auth has a token of {len(token)} characters, which can be guessed: {_REMEDY}")
    if not all("!" <= letter <= "~" for letter in token):
        raise ConfigError("auth has a token with a space or a letter outside of ASCII, which clients cannot send")
    return token


def meaning(auth: object, place: str) -> "Tokens | Callable[..., object] | None":
    """What a value of ``auth`` means: tokens, a callable, or (``None``, which is logged) everybody.

    ``place``: what was called, for the messages. Raises ``ConfigError`` for anything else, and for ``...``.
    """
    if auth is None:
        logger.warning("%s(auth=None): whoever can reach it may read and empty the cache", place)
        return None
    if auth is ...:
        raise ConfigError(f"{place} needs auth=...: {_REMEDY}")
    if isinstance(auth, str):
        return Tokens([auth])
    if callable(auth):
        return auth
    if isinstance(auth, Iterable) and not isinstance(auth, bytes | bytearray | Mapping):
        return Tokens(auth)
    raise ConfigError(f"auth of type {type(auth).__name__} cannot be meant: {_REMEDY}")


class Refusals:
    """Requests that were refused, in this process: each is counted, and one in a while is logged."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._numbers = itertools.count(1)
        self.count = 0

    def add(self, scope: Scope) -> None:
        """Counts one. What the request had in place of a token is not looked at."""
        self.count = next(self._numbers)
        client = scope.get("client")
        self._faults.report(
            "admin-refused",
            "refused %.20r of %.200r to %s: no valid token",
            scope["method"],
            scope["path"],
            client[0] if client else "an unknown client",
            path=scope["path"],
        )

    @classmethod
    def of(cls, cache: "Cache") -> "Refusals":
        """Those of a cache: everything that administers it counts together."""
        return _refusals.setdefault(cache, cls(cache.faults))


_refusals: "WeakKeyDictionary[Cache, Refusals]" = WeakKeyDictionary()


class Guard:
    """Admits requests, or counts that it does not. ``check`` is what ``meaning`` gave."""

    def __init__(self, cache: "Cache", check: Check | None) -> None:
        self._check = check
        self._refusals = Refusals.of(cache)

    async def admits(self, scope: Scope) -> bool:
        """Whether the request may ask."""
        if self._check is None:
            return True
        found = self._check(RequestHead(scope))
        if inspect.isawaitable(found):
            found = await found
        if not found:
            self._refusals.add(scope)
        return bool(found)
