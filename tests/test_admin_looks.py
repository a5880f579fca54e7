"""What the admin API shows of a cache: numbers, what is stored, decisions, previews. Both dresses, memory and Redis."""

import base64
import json
from dataclasses import asdict
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from hotplate import Cache, watching
from hotplate.admin.questions import MOST_DECISIONS
from hotplate.admin.schemas import ANSWERS
from tests.admin_site import DRESSES, MOUNT, NASTY, TOKEN, Administered, administered, detail, everywhere
from tests.driver import Header, call

pytestmark = pytest.mark.asyncio

site = everywhere


async def told(site: Administered, method: str, path: str, body: object = None) -> Any:
    """What the API answers, which has to be as the OpenAPI schema says."""
    answer = await site.told(method, path, body)
    ANSWERS[path.strip("/").partition("?")[0]].model_validate_json(json.dumps(answer), strict=True)
    return answer


# --- Shapes ----------------------------------------------------------------------------------------------------------

SHAPES = ["Histogram", "RuleCounts", "Top", "Invalidation", "Report", "EntryView", "Decision", "Preview"]


@pytest.mark.parametrize("name", SHAPES)
async def test_the_schema_has_what_the_engine_tells(name: str) -> None:
    from hotplate.admin import schemas

    told, model = get_type_hints(getattr(watching, name)), getattr(schemas, name)
    assert set(told) == set(model.model_fields)
    for field, annotation in told.items():
        assert _plain(model.model_fields[field].annotation) == _plain(annotation), field


def _plain(annotation: Any) -> str:
    """An annotation in words that are the same for a ``TypedDict`` and its model, and for a literal and its type."""
    if get_origin(annotation) is None:
        return annotation.__name__ if isinstance(annotation, type) else str(annotation)
    parts = get_args(annotation)
    if all(isinstance(part, str) for part in parts):
        return "str"
    return f"{get_origin(annotation).__name__}[{', '.join(map(_plain, parts))}]"


async def test_every_answer_is_a_model() -> None:
    assert all(issubclass(model, BaseModel) for model in ANSWERS.values())


# --- Numbers ---------------------------------------------------------------------------------------------------------


async def test_the_numbers_are_those_of_the_cache(site: Administered) -> None:
    for _ in range(5):
        await site.get("/products/1")
    before = site.cache.stats()
    answer = await told(site, "GET", "/stats")
    (report,) = answer["processes"]
    assert report["counts"]["hits"] == before.hits == 4
    for name, count in report["counts"].items():
        assert answer["sum"]["counts"][name] == count == getattr(site.cache.stats(), name), name
    assert (answer["sum"]["entries"], answer["sum"]["max_bytes"]) == (before.entries, before.max_bytes)
    assert (report["shared"] is not None) == site.cache.is_shared


async def test_refusals_are_among_the_numbers(site: Administered) -> None:
    site.token = None
    for _ in range(3):
        await site.ask("GET", "/stats")
    site.token = TOKEN
    assert (await told(site, "GET", "/stats"))["auth_failures"] == 3


async def test_invalidations_are_told(site: Administered) -> None:
    await told(site, "POST", "/invalidate", {"tags": ["products"], "soft": True})
    told_of = (await told(site, "GET", "/stats"))["sum"]["invalidations"]
    assert ("tag products", True) in [(one["target"], one["soft"]) for one in told_of]


async def test_the_numbers_of_each_process_are_told_to_prometheus(site: Administered) -> None:
    for _ in range(3):
        await site.get("/products/1")
    (process,) = [report["process"] for report in (await told(site, "GET", "/stats"))["processes"]]
    response = await site.ask("GET", "/metrics")
    assert (response.status, response["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    labels = f'outcome="hit",rule="/products/{{product_id}}",process="{process}"'
    assert f"hotplate_requests_total{{{labels}}} 2\n".encode() in response.body


# --- What is stored --------------------------------------------------------------------------------------------------


async def entries(site: Administered, **query: str) -> list[Any]:
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    found: list[Any] = (await told(site, "GET", f"/entry?{text}"))["entries"]
    return found


@pytest.mark.parametrize("url", ["/products/1", "http://example.test/products/1"])
async def test_a_url_is_looked_up(site: Administered, url: str) -> None:
    body = (await site.get("/products/1")).body
    (entry,) = await entries(site, url=url)
    assert (entry["kind"], entry["status"], entry["valid"], entry["soft"]) == ("response", 200, True, False)
    assert (entry["tier"], entry["partitioned"], entry["body"]) == ("local", False, None)
    assert sorted(entry["tags"]) == ["product:1", "products"]
    assert 0 <= entry["age"] < 30 < entry["ttl"] <= 60
    assert ["content-type", "application/json"] in entry["headers"]
    (shown,) = await entries(site, url=url, body="true")
    assert base64.b64decode(shown["body"]) == body


async def test_a_response_is_looked_up_by_its_key(site: Administered) -> None:
    await site.get("/products/1")
    (entry,) = await entries(site, url="/products/1")
    (again,) = await entries(site, key=entry["key"])
    assert again["key"] == entry["key"]


async def test_a_value_is_looked_up_by_its_name(site: Administered) -> None:
    await site.cache.set("settings", {"theme": "dark"}, ttl=60, tags=["users"])
    (entry,) = await entries(site, key="settings")
    assert (entry["kind"], entry["name"], entry["tags"]) == ("value", "settings", ["users"])


@pytest.mark.parametrize("query", [{"url": "/never"}, {"key": "never"}, {"url": "http://other.test/products/1"}])
async def test_what_is_not_stored_is_an_empty_list(site: Administered, query: dict[str, str]) -> None:
    await site.get("/products/1")
    assert await entries(site, **query) == []


async def test_what_an_invalidation_has_made_untrue_says_so(site: Administered) -> None:
    await site.get("/products/1")
    await site.told("POST", "/invalidate", {"tags": ["products"]})
    assert [entry["valid"] for entry in await entries(site, url="/products/1")] in ([], [False])


@pytest.mark.parametrize("dress", sorted(DRESSES))
async def test_the_body_of_a_partitioned_response_is_shown_to_who_names_the_partition(dress: str) -> None:
    site = administered(dress, Cache(), rules=(), partition=lambda head: head.field("x-user"))
    site_body = (await site.get("/mine/basket", x_user="ann")).body
    (ann,) = await entries(site, url="/mine/basket", partition="ann")
    assert (ann["partitioned"], ann["body"]) == (True, None)
    assert [entry["body"] for entry in await entries(site, key=ann["key"], body="true")] == [None]
    (shown,) = await entries(site, key=ann["key"], partition="ann", body="true")
    assert base64.b64decode(shown["body"]) == site_body
    assert await entries(site, url="/mine/basket", body="true") == []
    assert await entries(site, url="/mine/basket", partition="bob", body="true") == []


@pytest.mark.parametrize(
    "url", ["products", "ftp://example.test/a", "http://", "http://[::1", "http://a:99999/", "javascript:alert(1)"]
)
@pytest.mark.parametrize("path", ["/entry", "/explain"])
async def test_a_url_that_cannot_be_read_is_422(site: Administered, path: str, url: str) -> None:
    response = await site.ask("GET", f"{path}?url={quote(url, safe='')}")
    assert (response.status, "url=" in detail(response)) == (422, True)


@pytest.mark.parametrize("host", ["[", "a:b", "", None])
async def test_a_host_that_cannot_be_read_matters_only_to_a_url_without_one(cache: Cache, host: str | None) -> None:
    site = administered("starlette", cache)
    headers: list[Header] = [("Authorization", f"Bearer {TOKEN}")]
    for path, status in [("/stats", 200), ("/entry?url=http://example.test/a", 200), ("/entry?url=/a", 422)]:
        assert (await call("GET", MOUNT + path, headers=headers, host=host).run(site.app)).status == status


# --- Why -------------------------------------------------------------------------------------------------------------


async def test_a_url_is_explained(site: Administered) -> None:
    missing = await told(site, "GET", "/explain?url=/products/1")
    await site.get("/products/1")
    stored = await told(site, "GET", "/explain?url=/products/1")
    assert stored["sentence"].startswith("Served from the cache")
    assert not missing["sentence"].startswith("Served from the cache")


async def test_decisions_are_told_newest_first_and_as_many_as_are_wanted(site: Administered) -> None:
    await told(site, "GET", "/decisions")  # from now on hits are recorded too
    await site.get("/products/1")
    await site.get("/products/1")
    newest, before = (await told(site, "GET", "/decisions?most=2"))["decisions"]
    assert [(one["url"], one["outcome"]) for one in (newest, before)] == [
        ("example.test/products/1", "hit"),
        ("example.test/products/1", "miss"),
    ]
    assert newest["sentence"].startswith("Served from the cache")
    assert len((await told(site, "GET", f"/decisions?most={MOST_DECISIONS}"))["decisions"]) >= 2


# --- Previews --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "count"),
    [
        ({"tags": ["products"]}, 3),
        ({"tags": ["product:1"]}, 2),
        ({"paths": ["/products/2"]}, 1),
        ({"prefixes": ["/products"]}, 3),
        ({"prefixes": ["/products"], "tags": ["product:1"]}, 3),
        ({"tags": ["unknown"]}, 0),
        ({"keys": ["one"]}, 1),
        ({"everything": True}, 5),
    ],
)
async def test_a_preview_tells_what_it_would_reach_and_changes_nothing(
    site: Administered, named: dict[str, Any], count: int
) -> None:
    await site.cache.set("one", 1, ttl=60)
    targets = ["/products/1", "/products/1?x=1", "/products/2", "/other"]
    for target in targets:
        await site.get(target)
    preview = await told(site, "POST", "/preview", named)
    assert (preview["entries"], len(preview["names"]), preview["bytes"] > 0) == (count, count, count > 0)
    assert all([(await site.get(target)).hit for target in targets])


# --- Text is data ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NASTY)
async def test_what_clients_and_the_application_have_named_comes_back_as_it_is(site: Administered, text: str) -> None:
    await site.cache.set(text, 1, ttl=60, tags=[text])
    (entry,) = await entries(site, key=text)
    assert (entry["name"], entry["tags"]) == (text, [text])
    await site.get(f"/products/{quote(text, safe='')}?q={quote(text, safe='')}")
    for method, path, body in [
        ("GET", "/stats", None),
        ("GET", "/decisions", None),
        ("GET", f"/explain?url={quote(f'/products/{text}', safe='')}", None),
        ("POST", "/preview", {"tags": [text]}),
    ]:
        response = await site.ask(method, path, body)
        assert (response.status, response["content-type"]) == (200, "application/json")
        assert response.body.isascii()
        assert "x-injected" not in response
    assert (await told(site, "POST", "/preview", {"tags": [text]}))["names"] == [text]


# --- Nothing of its own ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dress", sorted(DRESSES))
async def test_what_the_api_is_asked_is_in_no_number_no_decision_and_no_record(dress: str) -> None:
    site = administered(dress, Cache())
    before = asdict(site.cache.stats())
    for method, path, body in [
        ("GET", "/stats", None),
        ("GET", "/decisions", None),
        ("GET", "/entry?url=/a", None),
        ("POST", "/preview", {"tags": ["a"]}),
    ]:
        await told(site, method, path, body)
    site.token = None
    await site.ask("GET", "/stats")
    assert asdict(site.cache.stats()) == before
    assert site.cache.watch.decisions() == []
