"""``hotplate check``: what looks dangerous in an application, and what does not."""

from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPBearer, OAuth2PasswordBearer
from starlette.middleware.authentication import AuthenticationMiddleware

from hotplate import Cache, CacheMiddleware, Query, Rule, by_cookie, by_field
from hotplate.cli.check import examined
from tests.checked import app_of, endpoint, findings, found, table
from tests.redis_servers import RedisServer

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
        app = app_of(cache=Cache(redis_server.url, prefix=prefix, command_timeout="10s", connect_timeout="5s"))
        return [(one.level, one.subject) for one in examined(app, offline=offline)[1]]

    assert around(None) == [("warn", "memory"), ("warn", "prefix")]
    assert around(None, offline=True) == [("warn", "prefix")]
    redis_server.config("maxmemory", "100mb")
    assert around("shop") == [("warn", "memory")]
    redis_server.config("maxmemory-policy", "allkeys-lru")
    assert around("shop") == []
    # What was said of the server by keyword counts too.
    url = f"redis://127.0.0.1:{redis_server.port}"
    other = app_of(cache=Cache(url, prefix="shop", db=3, command_timeout="10s", connect_timeout="5s"))
    assert findings(other) == []
    redis_server.kill()
    assert around("shop") == [("warn", "connection")]
