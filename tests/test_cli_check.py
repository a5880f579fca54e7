"""``hotplate check``: what an application would cache, and how the command says so."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from hotplate import Cache, CacheMiddleware, Rule, admin_router
from hotplate.cli.check.verdicts import sample_of
from tests.checked import app_of, endpoint, findings, found, table, verdicts
from tests.command_line import on_terminal, run

# --- What would be cached --------------------------------------------------------------------------------------------


def test_every_route_has_the_rule_that_speaks_and_its_lifetime() -> None:
    app = app_of(
        Rule("/products", ttl="1m", override=True),
        Rule("/products/{product_id}", ttl="5m"),
        Rule("/search", methods=["POST"], ttl=60),
        Rule("/live/*", cache=False),
        exclude=["/admin"],
    )
    for path in ("/products", "/products/{product_id}", "/live/ticker", "/admin/report", "/other"):
        app.add_api_route(path, endpoint, methods=["GET"])
    app.add_api_route("/products", endpoint, methods=["POST"])
    app.add_api_route("/search", endpoint, methods=["POST"])
    assert table(app) == [
        ("GET", "/admin/report", "default", "excluded"),
        ("GET", "/live/ticker", "/live/*", "not cached"),
        ("GET", "/other", "default", "30s"),
        ("GET", "/products", "/products", "1m whatever the response says"),
        ("POST", "/products", "default", "forwarded"),
        ("GET", "/products/{product_id}", "/products/{product_id}", "5m"),
        ("POST", "/search", "/search", "1m"),
    ]
    assert findings(app) == []


def test_without_a_lifetime_it_is_what_the_response_says() -> None:
    app = app_of(ttl=None)
    app.add_api_route("/a", endpoint)
    assert [one.lifetime_text for one in verdicts(app)] == ["as the response says"]


def test_a_rule_for_some_paths_of_a_route_has_a_line_of_its_own() -> None:
    app = app_of(Rule("/users/root", ttl=5), Rule("/users/{id}", ttl=60), exclude=["/users/none"])
    app.add_api_route("/users/{user_id}", endpoint)
    assert table(app) == [
        ("GET", "/users/{user_id}", "/users/{id}", "1m"),
        ("GET", "/users/root", "/users/root", "5s"),
        ("GET", "/users/none", "default", "excluded"),
    ]
    app.add_api_route("/users/root", endpoint)
    assert ("GET", "/users/root", "/users/root", "5s") in table(app)
    assert len(table(app)) == 3


def test_routers_and_converters_and_mounts_are_followed(tmp_path: Path) -> None:
    inner = APIRouter(prefix="/items")
    inner.add_api_route("/{item}", endpoint)
    app = app_of(
        Rule("/api/items/{item}", ttl=1), Rule("/files/*", ttl=2), Rule("/static/*", ttl=3), Rule("/sub/x", ttl=4)
    )
    app.include_router(inner, prefix="/api")
    app.add_api_route("/files/{rest:path}", endpoint)
    sub = FastAPI(openapi_url=None)
    sub.add_api_route("/x", endpoint)
    app.mount("/sub", sub)
    app.mount("/static", StaticFiles(directory=tmp_path))
    assert table(app) == [
        ("GET", "/api/items/{item}", "/api/items/{item}", "1s"),
        ("GET", "/files/{rest:path}", "/files/*", "2s"),
        ("GET", "/sub/x", "/sub/x", "4s"),
        ("GET", "/static/{path:path}", "/static/*", "3s"),
    ]


def test_what_is_mounted_may_have_a_cache_of_its_own_whose_rules_see_its_own_paths() -> None:
    sub = app_of(Rule("/x", ttl=1))
    sub.add_api_route("/x", endpoint)
    app = app_of(Rule("/sub/x", ttl=2))
    app.mount("/sub", sub)
    assert table(app) == [("GET", "/sub/x", "/sub/x", "2s"), ("GET", "/sub/x", "/x", "1s")]


def test_an_application_of_starlette_in_other_middleware() -> None:
    def answer(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    routes = [Route("/a/{n:int}", answer), WebSocketRoute("/ws", answer), Mount("/b", routes=[Route("/c", answer)])]
    app = Starlette(routes=routes)
    wrapped = GZipMiddleware(CacheMiddleware(app, ttl=30, rules=[Rule("/b/*", ttl=1)]))
    assert table(wrapped) == [("GET", "/a/{n:int}", "default", "30s"), ("GET", "/b/c", "/b/*", "1s")]
    assert findings(wrapped) == []


def test_an_application_that_is_none_of_these_has_no_routes_and_its_cache_is_still_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")

    async def app(_scope: object, _receive: object, _send: object) -> None: ...

    assert table(CacheMiddleware(app, ttl=30, rules=[Rule("/a")])) == []
    assert found(CacheMiddleware(app, ttl=30, rules=[Rule("/a")])) == [("fail", "workers"), ("warn", "memory")]


def test_what_administers_a_cache_is_never_in_it() -> None:
    cache = Cache()
    app = app_of(cache=cache)
    app.include_router(admin_router(cache, auth="correct-horse-battery-staple"), prefix="/_cache")
    lifetimes = {path: lifetime for method, path, _, lifetime in table(app) if method == "GET"}
    assert lifetimes["/_cache/stats"] == lifetimes["/_cache/"] == "never"
    assert findings(app) == []


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("/a/{id}/b", "/a/1/b"), ("/a/{rest:path}", "/a/1"), ("/a/*", "/a/1"), ("*", "/1"), ("*.css", "/1.css")],
)
def test_a_pattern_has_a_path_that_it_matches(pattern: str, path: str) -> None:
    assert sample_of(pattern) == path
    side = CacheMiddleware(app_of(), rules=[Rule(pattern)])
    assert side.rule_of("GET", path) == (side.settings["rules"][0], None)


# --- The command -----------------------------------------------------------------------------------------------------

DANGEROUS = """
from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from hotplate import CacheMiddleware, Rule

app = FastAPI()
app.add_middleware(CacheMiddleware, ttl=30, rules=[Rule("/orders", ttl=60)])

@app.get("/orders", dependencies=[Depends(HTTPBearer())])
async def orders() -> str: ...

@app.get("/me")
async def me() -> str: ...

def make() -> FastAPI:
    return app

def broken() -> FastAPI:
    raise RuntimeError("no settings")

number = 7
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "dangerous.py").write_text(DANGEROUS)
    (tmp_path / "harmless.py").write_text(DANGEROUS.replace(', rules=[Rule("/orders", ttl=60)]', ""))
    (tmp_path / "raises.py").write_text("raise RuntimeError('no database')\n")
    (tmp_path / "wants.py").write_text("import nothing_like_this\n")
    return tmp_path


def test_status_1_is_for_dangers_and_with_strict_for_warnings(directory: Path) -> None:
    done = run("check", "dangerous:app", cwd=directory)
    assert (done.status, done.err) == (1, "")
    assert "GET     /orders                /orders  1m" in done.out
    assert "fail GET /orders HTTPBearer (Authorization) is asked for" in done.out
    assert "warn GET /me     'me' is usually one person's" in done.out
    assert run("check", "dangerous:make", "--factory", cwd=directory).status == 1
    assert run("check", "harmless:app", cwd=directory).status == 0
    assert run("check", "harmless:app", "--strict", cwd=directory).status == 1


def test_json_has_routes_and_findings(directory: Path) -> None:
    done = run("check", "dangerous:app", "--json", cwd=directory)
    assert done.status == 1
    (orders,) = (route for route in done.json["routes"] if route["path"] == "/orders")
    assert orders["security"] == [{"scheme": "HTTPBearer", "place": "header", "name": "Authorization"}]
    assert (orders["rule"], orders["cached"], orders["ttl"], orders["partitioned"]) == ("/orders", True, 60.0, False)
    assert {one["level"] for one in done.json["findings"]} == {"fail", "warn"}


def test_the_example_has_nothing_dangerous() -> None:
    done = run("check", "examples.products.app:app", "--strict")
    assert (done.status, done.out.splitlines()[-1]) == (0, "nothing was found")


def test_a_terminal_gets_colours(directory: Path) -> None:
    done = on_terminal("check", "dangerous:app", cwd=directory)
    assert (done.status, "\x1b[" in done.out, "/orders" in done.out) == (1, True, True)
    assert "\x1b[" not in on_terminal("check", "dangerous:app", cwd=directory, NO_COLOR="1", TERM="dumb").out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing:app", "there is no module nothing in"),
        ("raises:app", "raises cannot be imported: RuntimeError: no database"),
        ("wants:app", "wants cannot be imported: ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("dangerous:none", "the module dangerous has no none"),
        ("dangerous:number", "is no ASGI application, but a int"),
    ],
)
def test_an_application_that_cannot_be_had_is_status_2(directory: Path, name: str, words: str) -> None:
    done = run("check", name, cwd=directory)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_a_factory_that_raises_says_where(directory: Path) -> None:
    done = run("check", "dangerous:broken", "--factory", cwd=directory)
    assert done.status == 2
    assert "RuntimeError: no settings" in done.err
    assert "dangerous.py, line 19" in done.err
