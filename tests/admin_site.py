"""An application with the admin API at ``/_cache``, whichever way it is mounted, and a client for it.

``administered`` makes it: products behind a ``CacheMiddleware``, the API from FastAPI's router or as Starlette's
application. A test never names which.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Mount, Route

from hotplate import Cache, CacheMiddleware, Rule, admin_app, admin_router, by_field
from hotplate.asgi import ASGIApp
from tests.driver import Header, Response, call
from tests.fleet import Fleet
from tests.waiting import eventually

TOKEN = "correct-horse-battery-staple"
OTHER_TOKEN = "another-horse-another-staple"
MOUNT = "/_cache"
GUARDED = [
    ("GET", "/stats"),
    ("GET", "/entry"),
    ("GET", "/explain"),
    ("GET", "/decisions"),
    ("POST", "/preview"),
    ("POST", "/invalidate"),
    ("GET", "/metrics"),
]
"""What needs the token."""

PATHS = ["/products/{rest:path}", "/mine/{rest:path}", "/other"]

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "line\r\nX-Injected: yes",
    "\x1b[2J\x00\u2028\u202e",
    "caf\u00e9 \U0001f600",
    "{product_id}",
    "' OR 1=1 --",
]
"""Texts that mean something where text is taken for code."""

RULES = [
    Rule("/products/{product_id}", tags=["products", "product:{product_id}"]),
    Rule("/mine/*", partition=by_field("x-user")),
]


def by_fastapi(cache: Cache, auth: Any) -> ASGIApp:
    """Without OpenAPI's own pages; the schema is at ``/openapi.json``."""
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(admin_router(cache, auth=auth), prefix=MOUNT)
    for path in PATHS:
        app.add_route(path, _said)
    return app


def by_starlette(cache: Cache, auth: Any) -> ASGIApp:
    return Starlette(routes=[Mount(MOUNT, admin_app(cache, auth=auth)), *(Route(path, _said) for path in PATHS)])


async def _said(request: Request) -> StarletteResponse:
    return JSONResponse({"path": request.url.path, "user": request.headers.get("x-user")})


DRESSES: dict[str, Callable[[Cache, Any], ASGIApp]] = {"fastapi": by_fastapi, "starlette": by_starlette}


@dataclass
class Administered:
    """The application, its cache, and the token the client uses."""

    app: ASGIApp
    cache: Cache
    token: str | None = TOKEN

    async def request(
        self, method: str, target: str, headers: list[Header] | None = None, body: bytes = b""
    ) -> Response:
        return await call(method, target, headers=headers or [], body=body).run(self.app)

    async def get(self, target: str, **fields: str) -> Response:
        """A request of a user of the application."""
        return await self.request("GET", target, [(name.replace("_", "-"), value) for name, value in fields.items()])

    async def ask(self, method: str, path: str, body: object = None, headers: list[Header] | None = None) -> Response:
        """A request to the admin API. ``body`` is sent as JSON; bytes as they are."""
        lines = list(headers or [])
        if self.token is not None:
            lines.append(("Authorization", f"Bearer {self.token}"))
        octets = b""
        if body is not None:
            lines.append(("Content-Type", "application/json"))
            octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.request(method, MOUNT + path, lines, octets)

    async def told(self, method: str, path: str, body: object = None) -> Any:
        """What the admin API answers, which has to be 200."""
        response = await self.ask(method, path, body)
        assert response.status == 200, response.body
        return json.loads(response.body)


def administered(dress: str, cache: Cache, *, auth: Any = TOKEN, **settings: Any) -> Administered:
    """The application in a dress. ``settings`` are those of the middleware."""
    settings = {"ttl": 60, "rules": RULES, **settings}
    return Administered(CacheMiddleware(DRESSES[dress](cache, auth), cache=cache, **settings), cache)


@pytest_asyncio.fixture(params=[f"{dress} {place}" for dress in sorted(DRESSES) for place in ("memory", "redis")])
async def everywhere(request: pytest.FixtureRequest) -> Administered:
    """The application in both dresses, its cache in memory and on Redis. A test names it ``site``."""
    dress, place = request.param.split()
    if place == "memory":
        return administered(dress, Cache())
    cache = Fleet(request.getfixturevalue("redis")).cache(clock=None)
    cache.core.start()

    def is_connected() -> bool:
        seen = cache.shared_stats()
        return seen is not None and seen.up and seen.certain

    await eventually(is_connected, "connected")
    return administered(dress, cache)


def detail(response: Response) -> str:
    """Why it was refused, in the one form in which that is said."""
    said = json.loads(response.body)
    assert list(said) == ["detail"], said
    return str(said["detail"])
