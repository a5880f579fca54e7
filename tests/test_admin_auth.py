"""Nobody reads or empties a cache without a token: both dresses, every request."""

import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException

from hotplate import Cache, ConfigError, RequestHead, admin_app, admin_router
from hotplate.admin import PurgeMiddleware
from hotplate.admin.auth import Refusals, Tokens
from hotplate.faults import EVERY_SECONDS, Faults
from tests.admin_site import (
    DRESSES,
    GUARDED,
    MOUNT,
    OTHER_TOKEN,
    TOKEN,
    Administered,
    administered,
    by_fastapi,
    detail,
)
from tests.driver import Header as Line
from tests.driver import call, http_scope

pytestmark = pytest.mark.asyncio

WRONG = [
    [],
    [("Authorization", "")],
    [("Authorization", "Bearer")],
    [("Authorization", "Bearer ")],
    [("Authorization", f"Bearer {TOKEN}x")],
    [("Authorization", f"Bearer {TOKEN[:-1]}")],
    [("Authorization", f"Bearer {TOKEN.upper()}")],
    [("Authorization", f"Bearer {OTHER_TOKEN}")],
    [("Authorization", f"Bearer {TOKEN}, Bearer {TOKEN}")],
    [("Authorization", f"Basic {TOKEN}")],
    [("Authorization", TOKEN)],
    [
        (
            "Authorization",
            "Bearer \u00e9\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff",
        )
    ],
    [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {OTHER_TOKEN}")],
    [("Cookie", f"token={TOKEN}")],
    [("Proxy-Authorization", f"Bearer {TOKEN}")],
]


@pytest.fixture(params=sorted(DRESSES))
def site(request: pytest.FixtureRequest, cache: Cache) -> Administered:
    return administered(request.param, cache)


def is_refusal(response: Any) -> bool:
    return (
        response.status == 401
        and response["www-authenticate"] == "Bearer"
        and response["cache-control"] == "no-store"
        and "token" in detail(response)
    )


# --- Tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("headers", WRONG)
async def test_without_the_token_nothing_is_readable(
    site: Administered, method: str, path: str, headers: list[Line]
) -> None:
    site.token = None
    assert is_refusal(await site.ask(method, path, headers=headers))


async def test_every_route_of_the_openapi_schema_is_closed_but_for_the_files_of_the_page(cache: Cache) -> None:
    site = administered("fastapi", cache)
    schema = json.loads((await site.get("/openapi.json")).body)
    tried = []
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if not path.startswith(f"{MOUNT}/"):
                continue
            response = await site.request(method.upper(), path)
            is_file = not any("json" in media or media == "text/plain" for media in media_types(operation))
            assert is_refusal(response) != is_file, (method, path, response)
            assert bool(operation.get("security")) != is_file, (method, path)
            if not is_file:
                tried.append((method.upper(), path.removeprefix(MOUNT)))
    assert sorted(tried) == sorted(GUARDED)


def media_types(operation: dict[str, Any]) -> list[str]:
    return list(operation["responses"]["200"]["content"])


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
async def test_the_token_admits(site: Administered, scheme: str) -> None:
    site.token = None
    body = b'{"tags": ["a"]}'
    headers: list[Line] = [("Authorization", scheme + TOKEN), ("Content-Type", "application/json")]
    assert (await site.request("POST", f"{MOUNT}/invalidate", headers, body)).status == 200


@pytest.mark.parametrize("dress", sorted(DRESSES))
async def test_each_of_several_tokens_admits(cache: Cache, dress: str) -> None:
    site = administered(dress, cache, auth=[TOKEN, OTHER_TOKEN])
    for token, status in [(TOKEN, 200), (OTHER_TOKEN, 200), (TOKEN + OTHER_TOKEN, 401)]:
        site.token = token
        assert (await site.ask("POST", "/invalidate", {"tags": ["a"]})).status == status


async def test_every_token_is_compared_whether_or_not_one_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    tokens = Tokens([TOKEN, OTHER_TOKEN])
    monkeypatch.setattr("hotplate.admin.auth.hmac.compare_digest", compare)
    for header, admitted in [(f"Bearer {TOKEN}", True), ("Bearer x", False), ("", False)]:
        compared.clear()
        head = RequestHead(http_scope("GET", "/", headers=[("Authorization", header)]))
        assert tokens(head) is admitted
        assert compared == [(32, 32), (32, 32)]


async def test_a_body_is_not_read_before_the_token(site: Administered) -> None:
    site.token = None
    request = call("POST", f"{MOUNT}/invalidate", body=b"{", headers=[("Content-Type", "application/json")])

    async def receive() -> Any:
        raise AssertionError("the body was read")

    request.receive = receive  # type: ignore[method-assign]
    inner = site.app.app  # type: ignore[attr-defined]  # what the middleware stands before
    assert is_refusal(await request.run(inner))


# --- What auth may be ------------------------------------------------------------------------------------------------

MAKERS: dict[str, Any] = {
    "admin_router": admin_router,
    "admin_app": admin_app,
    "PurgeMiddleware": lambda cache, **settings: PurgeMiddleware(by_fastapi(cache, TOKEN), cache=cache, **settings),
}


@pytest.mark.parametrize("maker", sorted(MAKERS))
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs auth="),
        ({"auth": ""}, "of 0 characters"),
        ({"auth": "fifteen letters"}, "of 15 characters"),
        ({"auth": [TOKEN, "short"]}, "of 5 characters"),
        ({"auth": []}, "no token"),
        ({"auth": ["sixteen letters, with spaces"]}, "space"),
        ({"auth": "sixteen letters\u00e9"}, "ASCII"),
        ({"auth": [TOKEN, None]}, "NoneType"),
        ({"auth": TOKEN.encode()}, "bytes"),
        ({"auth": True}, "bool"),
        ({"auth": {"a name of a token": TOKEN}}, "dict"),
        ({"auth": 1234567890123456}, "int"),
    ],
)
async def test_an_auth_that_cannot_be_meant_is_refused_at_the_start(
    cache: Cache, maker: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        MAKERS[maker](cache, **settings)
    assert "auth" in str(caught.value)
    assert "short" not in str(caught.value)
    assert "letters" not in str(caught.value)


@pytest.mark.parametrize("maker", sorted(MAKERS))
async def test_open_by_name_is_said_in_the_log_once(cache: Cache, maker: str, caplog: pytest.LogCaptureFixture) -> None:
    MAKERS[maker](cache, auth=None)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("hotplate", logging.WARNING)
    assert f"{maker}(auth=None)" in record.getMessage()


@pytest.mark.parametrize("dress", sorted(DRESSES))
async def test_open_by_name_admits_everybody(cache: Cache, dress: str) -> None:
    site = administered(dress, cache, auth=None)
    site.token = None
    assert (await site.told("POST", "/invalidate", {"tags": ["a"]}))["position"] > 0


async def test_open_by_name_is_open_in_the_schema_too(cache: Cache) -> None:
    app = FastAPI()
    app.include_router(admin_router(cache, auth=None))
    assert "securitySchemes" not in app.openapi()["components"]
    assert "401" not in app.openapi()["paths"]["/stats"]["get"]["responses"]


# --- A FastAPI dependency --------------------------------------------------------------------------------------------


async def only_ann(x_name: Annotated[str, Header()] = "") -> str:
    if x_name != "ann":
        raise HTTPException(403, "only Ann", headers={"X-Why": "name"})
    return x_name


async def with_session(x_name: Annotated[str, Header()] = "") -> AsyncIterator[str]:
    yield await only_ann(x_name)


def is_ann(x_name: Annotated[str, Header()] = "") -> bool:
    return x_name == "ann"


@pytest.mark.parametrize(
    ("auth", "status"),
    [(only_ann, 403), (Depends(only_ann), 403), (with_session, 403), (is_ann, 401), (Depends(is_ann), 401)],
)
async def test_a_dependency_decides(cache: Cache, auth: Any, status: int) -> None:
    site = administered("fastapi", cache, auth=auth)
    site.token = None
    for name, expected in [("ann", 200), ("bob", status)]:
        response = await site.ask("POST", "/invalidate", {"tags": ["a"]}, headers=[("X-Name", name)])
        assert response.status == expected
        assert response["cache-control"] == "no-store"
    assert Refusals.of(cache).count == 1


async def test_what_a_dependency_says_reaches_the_client(cache: Cache) -> None:
    site = administered("fastapi", cache, auth=only_ann)
    response = await site.ask("GET", "/stats")
    assert (detail(response), response["x-why"]) == ("only Ann", "name")


async def test_a_dependency_that_fails_admits_nobody(cache: Cache) -> None:
    def fails() -> None:
        raise RuntimeError("no database")

    site = administered("fastapi", cache, auth=fails)
    with pytest.raises(RuntimeError, match="no database"):
        await site.ask("GET", "/stats")


# --- A check ---------------------------------------------------------------------------------------------------------


def named_ann(head: RequestHead) -> bool:
    return head.field("x-name") == "ann"


async def named_ann_later(head: RequestHead) -> str | None:
    return "ann" if named_ann(head) else None


@pytest.mark.parametrize("check", [named_ann, named_ann_later])
async def test_a_check_decides(cache: Cache, check: Any) -> None:
    site = administered("starlette", cache, auth=check)
    site.token = None
    for name, expected in [("ann", 200), ("bob", 401)]:
        response = await site.ask("POST", "/invalidate", {"tags": ["a"]}, headers=[("X-Name", name)])
        assert response.status == expected
    assert Refusals.of(cache).count == 1


async def test_what_a_check_says_itself_reaches_the_client(cache: Cache) -> None:
    def closed(_head: RequestHead) -> bool:
        raise HTTPException(403, "closed today", headers={"X-Why": "sunday"})

    response = await administered("starlette", cache, auth=closed).ask("GET", "/stats")
    assert (response.status, detail(response), response["x-why"]) == (403, "closed today", "sunday")


# --- Refusals are counted --------------------------------------------------------------------------------------------


async def test_refusals_are_counted_for_everything_that_administers_a_cache(cache: Cache) -> None:
    sites = [administered(dress, cache) for dress in sorted(DRESSES)]
    for site in sites:
        site.token = OTHER_TOKEN
        await site.ask("GET", "/stats")
    purging = PurgeMiddleware(sites[0].app, cache=cache, auth=TOKEN)
    await call("PURGE", "/products/1").run(purging)
    assert Refusals.of(cache).count == 3
    assert Refusals.of(Cache()).count == 0


async def test_one_refusal_in_ten_seconds_is_logged_and_says_how_many_were_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    refusals = Refusals(Faults(lambda: now))
    scope = http_scope("GET", "/_cache/stats")
    for now in (0.0, 1.0, EVERY_SECONDS - 0.1, EVERY_SECONDS, EVERY_SECONDS + 1):  # noqa: B007 - read by the clock
        refusals.add(scope)
    first, second = (record.getMessage() for record in caplog.records)
    assert first == "refused 'GET' of '/_cache/stats' to 127.0.0.1: no valid token"
    assert second == f"{first} (and 2 times before, not logged)"
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert refusals.count == 5


async def test_what_was_given_for_a_token_is_not_logged(site: Administered, caplog: pytest.LogCaptureFixture) -> None:
    site.token = OTHER_TOKEN
    await site.ask("GET", f"/stats?token={TOKEN}")
    assert len(caplog.records) == 1
    assert TOKEN not in caplog.text
    assert OTHER_TOKEN not in caplog.text


async def test_what_a_client_sends_makes_no_line_of_the_log(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    site = administered("starlette", cache)
    purging = PurgeMiddleware(site.app, cache=cache, auth=TOKEN)
    await call("PURGE", "/a%0AWARNING%20forged%1B[2J" + "x" * 5000).run(purging)
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert "\x1b" not in record.getMessage()
    assert len(record.getMessage()) < 500
