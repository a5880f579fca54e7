"""Where the server of a cache is: its URL, judged by the engine and then taken apart."""

from dataclasses import dataclass
from os import fspath
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

from hotplate._core import CacheCore, seconds

__all__ = ["Address", "address_of"]

_PORT, _SENTINEL_PORT = 6379, 26379


@dataclass(frozen=True, slots=True)
class Address:
    """A URL of a cache in its parts. Passwords are in no text that is made of it."""

    kind: Literal["single", "socket", "sentinel", "cluster"]
    hosts: tuple[tuple[str, int], ...]
    path: str
    """Of the socket, or the name that sentinels know the master by."""
    db: int
    is_encrypted: bool
    user: str | None
    password: str | None
    sentinel_user: str | None
    sentinel_password: str | None
    ca_file: str | None
    cert_file: str | None
    key_file: str | None
    prefix: str
    has_prefix: bool
    """Whether a prefix was given, or is the one that every cache without has."""
    command_seconds: float
    connect_seconds: float

    def __str__(self) -> str:
        places = ", ".join(f"{host}:{port}" for host, port in self.hosts)
        if self.kind == "socket":
            return self.path
        if self.kind == "sentinel":
            return f"{self.path} by the sentinels {places}"
        return f"the cluster {places}" if self.kind == "cluster" else places

    def __repr__(self) -> str:
        return f"<Address {self}>"


def address_of(url: str, prefix: str | None = None, **settings: Any) -> Address:
    """The parts of a URL as ``Cache`` takes it, with what else was said of the server by keyword.

    ``ConfigError``, by the engine, for what it refuses.
    """
    CacheCore(max_bytes=2**20, url=url, prefix=prefix, on_outage="serve-local", **settings)  # does not connect
    scheme, _, rest = url.strip().partition("://")
    rest, _, query_text = rest.partition("?")
    query: dict[str, Any] = dict(parse_qsl(query_text.replace("+", "%2B"))) | settings
    authority, _, path = rest.partition("/")
    userinfo, _, hosts = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    family, _, kind = scheme.lower().partition("+")
    path = path.rstrip("/")
    places: tuple[tuple[str, int], ...]
    if family == "unix" or kind == "unix":
        name, path, places = "socket", "/" + unquote(path), ()
    elif kind == "sentinel":
        service, _, db = path.partition("/")
        name, path, places = "sentinel", unquote(service), _hosts(hosts, _SENTINEL_PORT)
        query.setdefault("db", db or "0")
    elif kind == "cluster":
        name, path, places = "cluster", "", _hosts(hosts, _PORT)
    else:
        query.setdefault("db", path or "0")
        name, path, places = "single", "", _hosts(hosts, _PORT)
    return Address(
        kind=name,  # type: ignore[arg-type]
        hosts=places,
        path=path,
        db=int(query.get("db", "0")),
        is_encrypted=family in ("rediss", "valkeys"),
        user=unquote(user) or None,
        password=unquote(password) or None,
        sentinel_user=query.get("sentinel_username"),
        sentinel_password=query.get("sentinel_password"),
        ca_file=_path(query.get("ca_file")),
        cert_file=_path(query.get("cert_file")),
        key_file=_path(query.get("key_file")),
        prefix=prefix or query.get("prefix") or "hotplate",
        has_prefix=bool(prefix or query.get("prefix")),
        command_seconds=seconds("command_timeout", query.get("command_timeout", "50ms")),
        connect_seconds=seconds("connect_timeout", query.get("connect_timeout", "1s")),
    )


def _path(given: Any) -> str | None:
    return None if given is None else str(fspath(given))


def _hosts(text: str, usual: int) -> tuple[tuple[str, int], ...]:
    found = []
    for one in text.split(","):
        if one.startswith("["):
            host, _, port = one[1:].partition("]")
            port = port.removeprefix(":")
        else:
            host, _, port = one.partition(":")
        found.append((host, int(port) if port else usual))
    return tuple(found)
