"""``hotplate check``: what an application would cache, and what of that looks dangerous."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPBearer, OAuth2PasswordBearer
from starlette.applications import Starlette
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from hotplate import Cache, CacheMiddleware, Query, Rule, by_cookie, by_field
from hotplate.cli.check import examined
from hotplate.cli.check.verdicts import Verdict, sample_of
from hotplate.cli.findings import Finding
from tests.command_line import on_terminal, run
from tests.redis_servers import RedisServer


async def endpoint() -> str:
    return "ok"


def app_of(*rules: Rule, **settings: Any) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    known: dict[str, Any] = {"ttl": 30, "rules": rules, **settings}
    app.add_middleware(CacheMiddleware, **known)
    return app


def verdicts(app: object) -> list[Verdict]:
    groups, _ = examined(app, offline=True)
    return [verdict for _, made in groups for verdict in made]


def table(app: object) -> list[tuple[str, str, str, str]]:
    return [(one.route.methods[0], one.path, one.rule_text, one.lifetime_text) for one in verdicts(app)]


def findings(app: object) -> list[Finding]:
    return examined(app, offline=True)[1]


def found(app: object) -> list[tuple[str, str]]:
    return [(one.level, one.subject) for one in findings(app)]


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


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("/a/{id}/b", "/a/1/b"), ("/a/{rest:path}", "/a/1"), ("/a/*", "/a/1"), ("*", "/1"), ("*.css", "/1.css")],
)
def test_a_pattern_has_a_path_that_it_matches(pattern: str, path: str) -> None:
    assert sample_of(pattern) == path
    side = CacheMiddleware(app_of(), rules=[Rule(pattern)])
    assert side.rule_of("GET", path) == (side.settings["rules"][0], None)


# --- Who asks --------------------------------------------------------------------------------------------------------

BEARER = HTTPBearer()
SCHEMES = {
    "bearer": (BEARER, "Authorization"),
    "oauth2": (OAuth2PasswordBearer(tokenUrl="token"), "Authorization"),
    "cookie": (APIKeyCookie(name="session"), "Cookie"),
}


def guarded(scheme: Any, *rules: Rule, **settings: Any) -> FastAPI:
    app = app_of(*rules, **settings)
    app.add_api_route("/orders", endpoint, dependencies=[Security(scheme)])
    return app


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_a_rule_for_a_route_that_asks_who_it_is_and_no_partition_fails(scheme: str) -> None:
    security, field = SCHEMES[scheme]
    (finding,) = findings(guarded(security, Rule("/orders", ttl=60)))
    assert (finding.level, finding.subject) == ("fail", "GET /orders")
    assert f"requests with {field} are forwarded" in finding.text
    assert "partition=" in finding.remedy


def test_where_no_rule_names_such_a_route_it_is_a_warning() -> None:
    assert found(guarded(BEARER)) == [("warn", "GET /orders")]


@pytest.mark.parametrize(
    ("rules", "settings"),
    [
        ([Rule("/orders", partition=by_field("Authorization"))], {}),
        ([], {"partition": by_field("Authorization")}),
        ([Rule("/orders", cache=False)], {}),
        ([], {"exclude": ["/orders"]}),
    ],
)
def test_a_partition_or_no_cache_is_fine(rules: Sequence[Rule], settings: dict[str, Any]) -> None:
    assert findings(guarded(BEARER, *rules, **settings)) == []


def test_a_dependency_of_a_router_or_of_the_application_counts() -> None:
    router = APIRouter(dependencies=[Security(BEARER)])
    router.add_api_route("/orders", endpoint)
    app = app_of()
    app.include_router(router)
    assert found(app) == [("warn", "GET /orders")]
    whole = FastAPI(dependencies=[Depends(BEARER)], docs_url=None, redoc_url=None, openapi_url=None)
    whole.add_middleware(CacheMiddleware, ttl=30)
    whole.add_api_route("/orders", endpoint)
    assert found(whole) == [("warn", "GET /orders")]


def test_a_key_in_a_field_of_its_own_is_not_guarded() -> None:
    scheme = APIKeyHeader(name="X-API-Key")
    (finding,) = findings(guarded(scheme))
    assert (finding.level, "one caller's answer is everybody's" in finding.text) == ("fail", True)
    assert findings(guarded(scheme, Rule("/orders", vary=["x-api-key"]))) == []


def test_a_cookie_that_says_who_it_is_and_a_rule_that_ignores_cookies() -> None:
    scheme = APIKeyCookie(name="session")
    (finding,) = findings(guarded(scheme, Rule("/orders", cookies="ignore")))
    assert (finding.level, "one caller's answer is everybody's" in finding.text) == ("fail", True)
    (finding,) = findings(guarded(scheme, profile="rfc9111"))
    assert finding.level == "fail"
    assert findings(guarded(scheme, Rule("/orders", cookies="ignore", partition=by_cookie("session")))) == []


def test_a_key_in_the_query_is_part_of_the_key_unless_the_rule_leaves_it_out() -> None:
    scheme = APIKeyQuery(name="api_key")
    assert findings(guarded(scheme)) == []
    (finding,) = findings(guarded(scheme, Rule("/orders", query=Query(drop=["api_*"]))))
    assert (finding.level, "parameters api_key" in finding.text) == ("fail", True)


def test_a_schema_with_a_clients_certificate() -> None:
    app = app_of()
    app.add_api_route("/orders", endpoint, openapi_extra={"security": [{"mtls": []}]})
    document = app.openapi()
    document.setdefault("components", {})["securitySchemes"] = {"mtls": {"type": "mutualTLS"}}
    assert found(app) == [("fail", "GET /orders")]


# --- What it reads ---------------------------------------------------------------------------------------------------


def reading(*rules: Rule, **settings: Any) -> FastAPI:
    app = app_of(*rules, **settings)

    @app.get("/a")
    async def read(
        page: int = 1,
        size: int = 20,
        accept_language: Annotated[str | None, Header()] = None,
        x_tenant: Annotated[str | None, Header()] = None,
        theme: Annotated[str | None, Cookie()] = None,
    ) -> str:
        return f"{page} {size} {accept_language} {x_tenant} {theme}"

    return app


def test_fields_that_are_read_and_are_no_part_of_the_key() -> None:
    language, tenant = findings(reading())
    assert (language.level, "field accept-language" in language.text) == ("warn", True)
    assert (tenant.level, "field x-tenant" in tenant.text) == ("fail", True)
    assert findings(reading(Rule("/a", vary=["Accept-Language", "X-Tenant"]))) == []
    assert findings(reading(partition=by_field("X-Tenant"))) == []
    assert [one.level for one in findings(reading(ttl=None))] == ["warn", "warn"]


def test_a_cookie_that_is_read_where_the_rule_ignores_cookies() -> None:
    rule = Rule("/a", vary=["accept-language", "x-tenant"], cookies="ignore")
    (finding,) = findings(reading(rule))
    assert (finding.level, "cookie theme" in finding.text) == ("fail", True)


@pytest.mark.parametrize(
    ("query", "left_out"),
    [
        (Query(sort=True, drop=["utm_*"]), None),
        (Query(keep=["page", "size"]), None),
        (Query(keep=["p*"]), "size"),
        (Query(drop=["*"]), "page, size"),
    ],
)
def test_parameters_that_are_read_and_are_no_part_of_the_key(query: Query, left_out: str | None) -> None:
    rule = Rule("/a", vary=["accept-language", "x-tenant"], query=query)
    texts = [one.text for one in findings(reading(rule))]
    assert texts == (
        [f"it reads the parameters {left_out}, which the rule's query= leaves out of the key"] if left_out else []
    )


@pytest.mark.parametrize("path", ["/me", "/users/me", "/account/orders", "/cart", "/Profile"])
def test_paths_that_are_usually_one_persons(path: str) -> None:
    app = app_of()
    app.add_api_route(path, endpoint)
    assert found(app) == [("warn", f"GET {path}")]
    careless = app_of(Rule("*", cookies="ignore"))
    careless.add_api_route(path, endpoint)
    assert found(careless) == [("fail", f"GET {path}")]


@pytest.mark.parametrize("path", ["/menu", "/carts-of-wood", "/products/{me}"])
def test_paths_that_only_look_like_it(path: str) -> None:
    app = app_of()
    app.add_api_route(path, endpoint)
    assert findings(app) == []


def test_stored_cookies_are_a_warning() -> None:
    app = app_of(Rule("/a", cookies="danger-store"))
    app.add_api_route("/a", endpoint)
    assert found(app) == [("warn", "GET /a")]


# --- Rules, order, settings ------------------------------------------------------------------------------------------


def test_rules_that_never_speak() -> None:
    app = app_of(Rule("/a/*"), Rule("/a/b"), Rule("/typo"), Rule("/out"), exclude=["/out"])
    app.add_api_route("/a/b", endpoint)
    shadowed, typo, out = findings(app)
    assert (shadowed.subject, "stands before it" in shadowed.text) == ("rules[1]", True)
    assert (typo.subject, "matches no route" in typo.text) == ("rules[2]", True)
    assert (out.subject, "exclude=" in out.text) == ("rules[3]", True)


def test_authentication_inside_of_the_cache_is_passed_by() -> None:
    app = FastAPI(openapi_url=None)
    app.add_middleware(AuthenticationMiddleware, backend=None)  # type: ignore[arg-type]
    app.add_middleware(CacheMiddleware, ttl=30)
    assert found(app) == [("warn", "order")]
    app = FastAPI(openapi_url=None)
    app.add_middleware(CacheMiddleware, ttl=30)
    app.add_middleware(AuthenticationMiddleware, backend=None)  # type: ignore[arg-type]
    assert findings(app) == []


def test_settings_that_cannot_be_meant_are_a_finding() -> None:
    (finding,) = findings(app_of(ttl="5 parsecs"))
    assert (finding.level, "ttl=" in finding.text) == ("fail", True)


def test_a_schema_that_cannot_be_made_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_of()
    app.add_api_route("/orders", endpoint, dependencies=[Security(BEARER)])

    def refuse() -> None:
        raise RuntimeError("no schema")

    monkeypatch.setattr(app, "openapi", refuse)
    (finding,) = findings(app)
    assert (finding.level, finding.subject) == ("warn", "schema")
    assert "RuntimeError: no schema" in finding.text
    assert [one[1] for one in table(app)] == ["/orders"]


def test_a_partition_does_not_bring_parameters_back_into_the_key() -> None:
    rule = Rule("/a", query=Query(keep=["page"]), partition=by_cookie("session"))
    assert found(reading(rule)) == [("fail", "GET /a")]


def test_no_middleware_is_a_finding() -> None:
    assert found(FastAPI()) == [("fail", "middleware")]


# --- Around it -------------------------------------------------------------------------------------------------------


def test_several_workers_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    workers, memory = findings(app_of())
    assert (workers.level, workers.subject) == ("fail", "workers")
    assert (memory.level, "256 MiB in all" in memory.text) == ("warn", True)
    assert found(app_of(cache=Cache(max_bytes="32MiB"))) == [("fail", "workers")]
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    assert findings(app_of()) == []


def test_the_redis_of_a_cache_is_looked_at(redis_server: RedisServer) -> None:
    def around(prefix: str | None, *, offline: bool = False) -> list[tuple[str, str]]:
        app = app_of(cache=Cache(redis_server.url, prefix=prefix))
        return [(one.level, one.subject) for one in examined(app, offline=offline)[1]]

    assert around(None) == [("warn", "memory"), ("warn", "prefix")]
    assert around(None, offline=True) == [("warn", "prefix")]
    redis_server.config("maxmemory", "100mb")
    assert around("shop") == [("warn", "memory")]
    redis_server.config("maxmemory-policy", "allkeys-lru")
    assert around("shop") == []
    # What was said of the server by keyword counts too.
    url = f"redis://127.0.0.1:{redis_server.port}"
    other = app_of(cache=Cache(url, prefix="shop", db=3, connect_timeout="5s"))
    assert findings(other) == []
    redis_server.kill()
    assert around("shop") == [("warn", "connection")]


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
