"""The routes of an application: what Starlette lists, and what the OpenAPI schema says of each.

FastAPI's own objects are not looked into: they move. Who has to authenticate, and which fields, cookies and parameters
a route reads, is what its schema says; routes that the schema leaves out are known by path and methods only, and where
they came by ``include_router``, not at all.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hotplate.admin.aside import SCHEMA_MARK
from hotplate.stacks import layers

__all__ = ["Identity", "Route", "routes_of", "schema_trouble"]

METHODS = ("GET", "HEAD", "POST", "QUERY", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

_NAME = re.compile(r"\{(\w+)(?::(\w+))?\}")

_SHAPES = {"path": r".+", "int": r"[0-9]+", "float": r"[0-9]+(\.[0-9]+)?", "uuid": r"[0-9a-fA-F-]+"}
_SAMPLES = {"uuid": "00000000-0000-0000-0000-000000000001"}


@dataclass(frozen=True, slots=True)
class Identity:
    """How a caller says who he is."""

    scheme: str
    """Its name in the schema."""
    place: str
    """``header``, ``cookie``, ``query``, or ``connection`` (a client's certificate)."""
    name: str
    """Of the field, cookie or parameter, as it is written."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path with one method."""

    path: str
    """As it is declared, with the prefix of what it is mounted under."""
    method: str
    """``GET`` stands for ``HEAD`` too, where it answers both."""
    sample: str
    """A path that it answers."""
    is_described: bool = False
    """Whether the schema says anything of it."""
    identities: tuple[Identity, ...] = ()
    headers: tuple[str, ...] = ()
    """Request fields that it reads as parameters."""
    cookies: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    is_aside: bool = False
    """Whether it administers a cache, which stores nothing of it."""
    prefix: str = field(default="", compare=False)
    """What it is mounted under."""

    def answers(self, path: str) -> bool:
        """Whether this is a path of it."""
        return _pattern(self.path).fullmatch(path) is not None


def routes_of(app: object, prefix: str = "") -> Iterator[tuple[object, str, list[Route]]]:
    """The routes of an application, and again those of each that is mounted: the application, its prefix, its routes.

    The first is ``app`` itself with every route; paths begin at the top everywhere.
    """
    inner = _routing(app)
    own, mounted = _listed(inner, prefix), []
    for route in getattr(inner, "routes", None) or ():
        below = getattr(route, "app", None)
        if getattr(route, "methods", None) is None and hasattr(route, "routes") and below is not None:
            path = prefix + str(getattr(route, "path", ""))
            parts = list(routes_of(below, path)) if _routing(below) is not None else []
            if parts:
                own += parts[0][2]
                mounted += parts
            elif hasattr(route, "path"):
                own.append(Route(path + "/{path:path}", "GET", path + "/1", prefix=path))
    yield app, prefix, own
    yield from mounted


def _routing(app: object) -> Any:
    """The application with the routes, inside of its middleware; ``None`` where there is none."""
    return next((layer for layer in layers(app) if isinstance(getattr(layer, "routes", None), list)), None)


def _listed(app: Any, prefix: str) -> list[Route]:
    document = _known_schema(app)
    found: dict[str, Route] = {}
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if method.upper() in METHODS and isinstance(operation, Mapping):
                route = _described(prefix, str(path), method.upper(), item, operation, document)
                found[f"{route.method} {_format(path)}"] = route
    shapes = {}
    for route in getattr(app, "routes", None) or ():
        path, methods = getattr(route, "path", None), getattr(route, "methods", None)
        if not isinstance(path, str) or (methods is None and not hasattr(route, "endpoint")) or _is_socket(route):
            continue
        shapes[_format(path)] = path
        for method in sorted(methods or ("GET",), key=_rank):
            found.setdefault(f"{method} {_format(path)}", Route(prefix + path, method, "", prefix=prefix))
    return _gathered(found, shapes, prefix)


def _gathered(found: Mapping[str, Route], shapes: Mapping[str, str], prefix: str) -> list[Route]:
    """The routes in order, ``HEAD`` with ``GET``, with the converters of their paths and a sample of each."""
    gathered: list[Route] = []
    for key, route in found.items():
        method, _, formatted = key.partition(" ")
        if method == "HEAD" and f"GET {formatted}" in found:
            continue
        path = prefix + shapes.get(formatted, route.path.removeprefix(prefix))
        gathered.append(replace(route, path=path, sample=_sample(path)))
    return sorted(gathered, key=lambda one: (one.path, _rank(one.method)))


def _rank(method: str) -> int:
    return METHODS.index(method) if method in METHODS else len(METHODS)


def _is_socket(route: object) -> bool:
    return "WebSocket" in type(route).__name__


def schema_trouble(app: object) -> str | None:
    """Why the application's schema cannot be made, where it cannot."""
    try:
        _schema(_routing(app))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _known_schema(app: Any) -> Mapping[str, Any]:
    try:
        return _schema(app)
    except Exception:  # said by ``schema_trouble``
        return {}


def _schema(app: Any) -> Mapping[str, Any]:
    """What ``app.openapi()`` gives; nothing where there is none."""
    make = getattr(app, "openapi", None)
    if not callable(make):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        document = make()
    return document if isinstance(document, Mapping) else {}


def _described(
    prefix: str,
    path: str,
    method: str,
    item: Mapping[str, Any],
    operation: Mapping[str, Any],
    document: Mapping[str, Any],
) -> Route:
    parameters: dict[str, list[str]] = {"header": [], "cookie": [], "query": [], "path": []}
    for parameter in [*item.get("parameters", ()), *operation.get("parameters", ())]:
        parameters.get(parameter.get("in"), []).append(str(parameter.get("name")))
    return Route(
        prefix + path,
        method,
        "",
        is_described=True,
        identities=tuple(_identities(operation.get("security", document.get("security", ())), document)),
        headers=tuple(parameters["header"]),
        cookies=tuple(parameters["cookie"]),
        queries=tuple(parameters["query"]),
        is_aside=operation.get(SCHEMA_MARK) is True,
        prefix=prefix,
    )


def _identities(security: Any, document: Mapping[str, Any]) -> Iterator[Identity]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    for name in dict.fromkeys(name for alternative in security for name in alternative):
        scheme = schemes.get(name, {})
        kind = scheme.get("type")
        if kind == "apiKey":
            yield Identity(name, str(scheme.get("in")), str(scheme.get("name")))
        elif kind == "mutualTLS":
            yield Identity(name, "connection", "the client's certificate")
        else:  # http, oauth2, openIdConnect
            yield Identity(name, "header", "Authorization")


# --- Paths -----------------------------------------------------------------------------------------------------------


def _format(path: str) -> str:
    """A path without its converters, as the schema has it."""
    return _NAME.sub(r"{\1}", path)


def _sample(path: str) -> str:
    return _NAME.sub(lambda name: _SAMPLES.get(name[2] or "", "1"), path)


def _pattern(path: str) -> "re.Pattern[str]":
    parts, end = [], 0
    for name in _NAME.finditer(path):
        parts += [re.escape(path[end : name.start()]), _SHAPES.get(name[2] or "", r"[^/]+")]
        end = name.end()
    return re.compile("".join(parts) + re.escape(path[end:]))
