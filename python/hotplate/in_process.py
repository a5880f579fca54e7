"""An application run in this process, without a server: its life, and requests to it by ASGI messages.

``running`` is startup and shutdown; ``target_of`` takes a URL apart as a server would; ``Answer.of`` is one ``GET`` and
what came of it. Bodies are read to their end and not kept.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from hotplate.asgi import ASGIApp, Message, Scope
from hotplate.errors import ConfigError, HotplateError

__all__ = ["Answer", "Fields", "Headers", "Target", "fields_of", "running", "target_of"]

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
"""Request fields as they are given."""

Fields = list[tuple[bytes, bytes]]
"""Request fields as ASGI has them."""

_PATH = "/%:@!$&'()*+,;=-._~"
_QUERY = _PATH + "?[]"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is for."""

    url: str
    """As it was given."""
    scheme: str
    authority: str
    """What a client writes into ``Host``."""
    server: tuple[str, int]
    raw_path: str
    query: str

    def scope(self, fields: Fields, state: Mapping[str, Any]) -> Scope:
        """The scope that a server makes of it."""
        host = [] if any(name == b"host" for name, _ in fields) else [(b"host", self.authority.encode("ascii"))]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": self.scheme,
            "path": unquote(self.raw_path),
            "raw_path": self.raw_path.encode("ascii"),
            "query_string": self.query.encode("ascii"),
            "root_path": "",
            "headers": [*host, *fields],
            "client": ("127.0.0.1", 0),
            "server": self.server,
            "state": dict(state),
        }


def target_of(url: str, base_url: str) -> Target:
    """A URL, or a path under ``base_url``, taken apart; ``ConfigError`` for what is neither."""
    whole, setting = url, "urls"
    if "://" not in url.partition("?")[0]:
        if not url.startswith("/"):
            raise _refused("urls", url, "it is neither a path nor a URL")
        whole, setting = base_url.rstrip("/") + url, "base_url"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _refused(setting, whole, f"it is no URL ({error})") from None
    usual = _PORTS.get(parts.scheme)
    if usual is None or not host:
        raise _refused(setting, whole, "it is no URL with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise ConfigError(f"{setting} has a user in it: give headers={{'Authorization': ...}} instead")
    try:
        name = f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise _refused(setting, whole, "its host is no name") from None
    # Clients leave out the port that the scheme means anyway.
    authority = name if port in (None, usual) else f"{name}:{port}"
    path, query = quote(parts.path or "/", _PATH), quote(parts.query, _QUERY)
    return Target(url, parts.scheme, authority, (host, port or usual), path, query)


def _refused(setting: str, value: str, why: str) -> ConfigError:
    return ConfigError(f"{setting}={value!r} cannot be used: {why}; write '/products?page=2' or 'https://example.org/'")


def fields_of(headers: Headers, usual: Mapping[str, str]) -> Fields:
    """Request fields for a scope; ``usual`` where they are not given. ``ConfigError`` for what cannot be sent."""
    given: Fields = []
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        try:
            given.append((name.lower().encode("ascii"), value.strip().encode("latin-1")))
        except UnicodeEncodeError:
            raise ConfigError(
                f"headers={name!r} cannot be sent: a field is text in Latin-1, its name in ASCII"
            ) from None
        if not name or any(character in name + value for character in "\r\n\0"):
            raise ConfigError(f"headers={name!r} cannot be sent: a field has a name, and no line breaks")
    names = {name for name, _ in given}
    others = [(name.encode(), value.encode()) for name, value in usual.items()]
    return [*(field for field in others if field[0] not in names), *given]


class Answer:
    """What an application answered to one request; an application that raises has answered too."""

    status: int | None
    """The status, where there was one."""
    error: str
    """What went wrong, in words; else empty."""
    seconds: float
    """How long it took."""

    def __init__(self) -> None:
        self.status = None
        self.error = ""
        self.seconds = 0.0
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        self._has_asked = False
        self._end = asyncio.Event()

    @classmethod
    async def of(cls, app: ASGIApp, scope: Scope, timeout: float) -> "Answer":
        """Sends a request and reads its response to the end, for at most ``timeout`` seconds."""
        answer = cls()
        begun = time.monotonic()
        try:
            await asyncio.wait_for(app(scope, answer._receive, answer._send), timeout)
            if not answer._end.is_set():
                answer.error = "the application ended without a whole response"
        except Exception as raised:
            # An application may raise the same for reasons of its own.
            if isinstance(raised, asyncio.TimeoutError) and time.monotonic() - begun >= timeout:
                answer.error = f"no whole response within {timeout:g} s"
            else:
                answer.error = f"{type(raised).__name__}: {raised}" if str(raised) else type(raised).__name__
        answer.seconds = time.monotonic() - begun
        return answer

    def lines(self, name: str) -> list[str]:
        """The value of every header line of this name, in order."""
        wanted = name.lower().encode("ascii")
        return [bytes(value).decode("latin-1") for key, value in self._headers if bytes(key).lower() == wanted]

    async def _receive(self) -> Message:
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._end.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            self._headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            self._end.set()


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[dict[str, Any]]:
    """Startup before and shutdown after what is inside, which gets the state that requests share.

    An application that knows no lifespan is used as it is. ``HotplateError`` where it does not start.
    """
    given: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    life = asyncio.ensure_future(_life(app, scope, given, told))
    try:
        await _step("startup", given, told)
        yield state
        if not life.done():
            await _step("shutdown", given, told)
    finally:
        life.cancel()
        await asyncio.wait([life])


async def _life(app: ASGIApp, scope: Scope, given: "asyncio.Queue[Message]", told: "asyncio.Queue[Message]") -> None:
    async def send(message: Message) -> None:
        told.put_nowait(message)

    try:
        await app(scope, given.get, send)
    except Exception:  # noqa: S110 - what matters of it was sent as a message; else the application knows no lifespan
        pass
    finally:
        told.put_nowait({"type": "ended"})


async def _step(name: str, given: "asyncio.Queue[Message]", told: "asyncio.Queue[Message]") -> None:
    given.put_nowait({"type": f"lifespan.{name}"})
    answer = await told.get()
    if answer["type"] == f"lifespan.{name}.failed":
        # Frameworks send the whole traceback; its last line says what it was.
        lines = str(answer.get("message", "")).strip().splitlines() or ["it does not say why"]
        raise HotplateError(f"the application's {name} failed: {lines[-1]}")
