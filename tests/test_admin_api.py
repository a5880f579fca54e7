"""The admin API: what it does, what it refuses, and that none of it is ever cached. Both dresses, memory and Redis."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from hotplate import Cache, CacheMiddleware, Rule, admin_router
from hotplate.admin.questions import MOST_BODY_BYTES, MOST_TARGETS
from tests.admin_site import DRESSES, GUARDED, MOUNT, NASTY, TOKEN, Administered, administered, detail, everywhere
from tests.driver import Response

pytestmark = pytest.mark.asyncio

site = everywhere


async def left(site: Administered, *targets: str) -> list[str]:
    """Which of these are still hits."""
    return [target for target in targets if (await site.get(target)).hit]


# --- Invalidation ----------------------------------------------------------------------------------------------------

TARGETS = ["/products/1", "/products/1?x=1", "/products/2", "/other"]


@pytest.mark.parametrize(
    ("named", "remain"),
    [
        ({"tags": ["product:1"]}, ["/products/2", "/other"]),
        ({"tags": ["products"]}, ["/other"]),
        ({"paths": ["/products/2"]}, ["/products/1", "/products/1?x=1", "/other"]),
        ({"prefixes": ["/products"]}, ["/other"]),
        ({"tags": ["product:1"], "paths": ["/other"]}, ["/products/2"]),
        ({"everything": True}, []),
        ({"everything": True, "tags": ["product:1"]}, []),
        ({"tags": ["unknown"], "everything": False, "soft": False}, TARGETS),
    ],
)
async def test_what_is_named_is_no_longer_true(site: Administered, named: dict[str, Any], remain: list[str]) -> None:
    await left(site, *TARGETS)
    assert await left(site, *TARGETS) == TARGETS
    assert (await site.told("POST", "/invalidate", named))["position"] > 0
    assert await left(site, *TARGETS) == remain


async def test_a_value_is_invalidated_by_its_name(site: Administered) -> None:
    for name in ("one", "two"):
        await site.cache.set(name, name, ttl=60)
    await site.told("POST", "/invalidate", {"keys": ["one"]})
    assert await site.cache.get_many(["one", "two"]) == {"one": None, "two": "two"}


@pytest.mark.parametrize("named", [{"tags": ["products"]}, {"everything": True}])
async def test_soft_marks_stale(site: Administered, named: dict[str, Any]) -> None:
    await left(site, "/products/1")
    await site.told("POST", "/invalidate", {**named, "soft": True})
    assert (await site.get("/products/1")).hit
    assert site.cache.stats().stale == 1
    await site.cache.loads.drain(5)


async def test_everything_frees_the_memory(site: Administered) -> None:
    for number in range(50):
        await site.get(f"/products/{number}")
    await site.told("POST", "/invalidate", {"everything": True})
    # What the API itself has come through may leave a mark.
    assert site.cache.stats().entries <= 1


# --- What cannot be meant --------------------------------------------------------------------------------------------

BODIES: list[tuple[object, str]] = [
    (b"", "no JSON"),
    (b"{", "no JSON"),
    (b"\xff\xfe", "no JSON"),
    (b"[" * 100_000, "no JSON"),
    (b"[1]", "no JSON object"),
    (b'"tags"', "no JSON object"),
    (b"1" * 5000, "no JSON"),
    ({}, "nothing is named"),
    ({"tags": []}, "nothing is named"),
    ({"everything": False}, "nothing is named"),
    ({"tag": ["a"]}, '"tag" is no setting'),
    ({"tags": "products"}, "tags="),
    ({"tags": None}, "tags="),
    ({"tags": {"a": 1}}, "tags="),
    ({"tags": [1]}, "tags has 1"),
    ({"tags": [""]}, 'tags has ""'),
    ({"tags": [["a"]]}, "tags has"),
    (b'{"tags": ["\\ud800"]}', "surrogate"),
    ({"paths": ["products"]}, "paths"),
    ({"paths": ["/a?b"]}, "paths"),
    ({"prefixes": ["http://example.org/a"]}, "prefixes"),
    ({"everything": "yes"}, 'everything="yes"'),
    ({"everything": 1}, "everything=1"),
    ({"tags": ["a"] * (MOST_TARGETS + 1)}, f"at most {MOST_TARGETS}"),
    ({"<script>": 1}, '"<script>"'),
]


@pytest.mark.parametrize("path", ["/preview", "/invalidate"])
@pytest.mark.parametrize(("body", "said"), BODIES)
async def test_a_body_that_cannot_be_meant_names_the_setting(
    site: Administered, path: str, body: object, said: str
) -> None:
    before = site.cache.stats().invalidations
    response = await site.ask("POST", path, body)
    assert response.status == 422
    assert said in detail(response)
    assert len(detail(response)) < 300
    assert site.cache.stats().invalidations == before


@pytest.mark.parametrize("value", ["yes", 1, None, []])
async def test_soft_is_true_or_false(site: Administered, value: object) -> None:
    response = await site.ask("POST", "/invalidate", {"tags": ["a"], "soft": value})
    assert (response.status, "soft=" in detail(response)) == (422, True)


async def test_a_preview_is_neither_soft_nor_hard(site: Administered) -> None:
    response = await site.ask("POST", "/preview", {"tags": ["a"], "soft": True})
    assert (response.status, '"soft" is no setting' in detail(response)) == (422, True)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/entry", "url or key"),
        ("/entry?url=", "url or key"),
        ("/entry?url=/a&key=b", "url or key"),
        ("/entry?url=/a&url=/b", "url is given more than once"),
        ("/entry?url=/a&body=yes", 'body="yes"'),
        ("/entry?url=/a&size=1", '"size" is no parameter'),
        ("/entry?url=%ff", "query"),
        ("/explain", "url is needed"),
        ("/explain?url=", "url is needed"),
        ("/decisions?most=0", 'most="0"'),
        ("/decisions?most=1001", 'most="1001"'),
        ("/decisions?most=-1", 'most="-1"'),
        ("/decisions?most=ten", 'most="ten"'),
        ("/decisions?most=1e2", "most="),
        ("/decisions?most=", "most="),
        ("/decisions?most=%C2%B2", "most="),
        ("/decisions?most=" + "9" * 5000, "most="),
        ("/stats?x=1", '"x" is no parameter'),
        ("/metrics?%3Cscript%3E=1", '"<script>" is no parameter'),
        ("/stats?" + "&".join(f"a{n}=1" for n in range(50)), "query"),
    ],
)
async def test_a_query_that_cannot_be_meant_names_the_parameter(site: Administered, path: str, said: str) -> None:
    response = await site.ask("GET", path)
    assert response.status == 422
    assert said in detail(response)
    assert len(detail(response)) < 300


@pytest.mark.parametrize("path", ["/preview", "/invalidate"])
@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_what_another_site_could_send_is_not_read(site: Administered, path: str, media_type: str) -> None:
    response = await sent(site, path, media_type, b'{"everything": true}')
    assert response.status == 415
    assert "application/json" in detail(response)


async def test_a_content_type_may_have_parameters(site: Administered) -> None:
    response = await sent(site, "/invalidate", "Application/JSON; charset=utf-8", b'{"tags": ["a"]}')
    assert response.status == 200


async def sent(site: Administered, path: str, media_type: str, body: bytes) -> Response:
    lines = [("Authorization", f"Bearer {TOKEN}"), ("Content-Type", media_type)]
    return await site.request("POST", MOUNT + path, list(lines), body)


@pytest.mark.parametrize("path", ["/preview", "/invalidate"])
async def test_a_body_is_read_up_to_a_bound(site: Administered, path: str) -> None:
    response = await site.ask("POST", path, b'{"tags": ["' + b"a" * MOST_BODY_BYTES + b'"]}')
    assert response.status == 413
    assert str(MOST_BODY_BYTES) in detail(response)


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/stats"), ("GET", "/invalidate"), ("PURGE", "/stats")])
async def test_another_method_is_405(site: Administered, method: str, path: str) -> None:
    response = await site.ask(method, path)
    assert (response.status, detail(response)) == (405, "Method Not Allowed")


async def test_another_path_is_404(site: Administered) -> None:
    response = await site.ask("GET", "/nowhere")
    assert (response.status, detail(response)) == (404, "Not Found")


# --- Never cached ----------------------------------------------------------------------------------------------------

EAGER = Rule("/_cache/{rest:path}", ttl=600, override=True, cookies="danger-store", methods=["GET", "POST"])


@pytest.mark.parametrize("dress", sorted(DRESSES))
async def test_no_rule_has_the_api_cached(dress: str) -> None:
    site = administered(dress, Cache(), auth=None, rules=[EAGER])
    site.token = None
    for _ in range(2):
        for method, path in [("GET", "/explain"), ("POST", "/invalidate")]:
            response = await site.ask(method, path, {"tags": ["a"]} if method == "POST" else None)
            assert not response.hit, (method, path)
            assert response["cache-control"] == "no-store"
    positions = [(await site.told("POST", "/invalidate", {"tags": ["a"]}))["position"] for _ in range(3)]
    assert positions == sorted(set(positions))
    assert site.cache.stats().stored == 0


async def test_no_dependency_has_the_api_cached() -> None:
    cache = Cache()
    app = FastAPI()
    eager = Depends(cache.policy(ttl=600))
    app.include_router(admin_router(cache, auth=None), prefix=MOUNT, dependencies=[eager])
    site = Administered(CacheMiddleware(app, cache=cache, rules=[EAGER]), cache, token=None)
    for _ in range(2):
        assert not (await site.ask("GET", "/explain")).hit
        assert not (await site.ask("POST", "/invalidate", {"tags": ["a"]})).hit
    assert cache.stats().stored == 0


@pytest.mark.parametrize("dress", sorted(DRESSES))
async def test_requests_at_once_get_an_answer_each(dress: str) -> None:
    site = administered(dress, Cache(), auth=None, rules=[EAGER])
    site.token = None
    told = await asyncio.gather(*(site.told("POST", "/invalidate", {"tags": ["a"]}) for _ in range(20)))
    assert len({answer["position"] for answer in told}) == 20


@pytest.mark.parametrize("dress", sorted(DRESSES))
async def test_a_partition_does_not_let_one_see_what_another_may(dress: str) -> None:
    site = administered(dress, Cache(), partition=lambda head: "all")
    statuses = []
    for token in (TOKEN, None, TOKEN, TOKEN + "x"):
        site.token = token
        statuses.append((await site.ask("GET", "/explain")).status)
    assert statuses == [422, 401, 422, 401]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_every_answer_says_that_it_is_not_to_be_kept(site: Administered, method: str, path: str) -> None:
    for response in (await site.ask(method, path + "?unknown=1"), await site.ask(method, path)):
        assert response.lines("cache-control") == ["no-store"]
        assert response.lines("x-content-type-options") == ["nosniff"]
        assert len(response.lines("content-type")) == 1


# --- Text is data ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NASTY)
async def test_a_name_comes_back_as_it_is_or_as_json(site: Administered, text: str) -> None:
    response = await site.ask("POST", "/invalidate", {"tags": [text], "keys": [text], "<nasty>" + text: 1})
    assert response.status == 422
    assert response["content-type"] == "application/json"
    assert response.body.isascii()
    assert json.dumps("<nasty>" + text) in detail(response)
    assert (await site.ask("POST", "/invalidate", {"tags": [text], "keys": [text]})).status == 200
