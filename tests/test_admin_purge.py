"""The method PURGE on an application itself."""

import json
from typing import Any

import pytest
from fastapi import FastAPI

from hotplate import Cache, CacheMiddleware, Rule
from hotplate.admin import PurgeMiddleware
from tests.admin_site import OTHER_TOKEN, TOKEN, detail
from tests.driver import Header, Response, Site, call
from tests.fleet import Fleet
from tests.redis_servers import RedisServer
from tests.servers import serving
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

AUTHORIZED: list[Header] = [("Authorization", f"Bearer {TOKEN}")]
RULES = [Rule("/products/{product_id}", tags=["products", "product:{product_id}"])]


class Purged(Site):
    """An origin behind the cache, and PURGE before both."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(rules=RULES, **settings)
        self.purging = PurgeMiddleware(self.app, cache=self.cache, auth=TOKEN)

    async def purge(self, target: str, *headers: Header, **request: Any) -> Response:
        return await call("PURGE", target, headers=[*AUTHORIZED, *headers], **request).run(self.purging)

    async def left(self, *targets: str) -> list[str]:
        """Which of these are still hits."""
        return [target for target in targets if (await self.get(target)).hit]


@pytest.fixture
def site() -> Purged:
    return Purged()


def told(response: Response) -> Any:
    assert response.status == 200, response.body
    return json.loads(response.body)


# --- What it makes untrue --------------------------------------------------------------------------------------------


async def test_the_path_of_the_request_is_no_longer_true_and_no_other(site: Purged) -> None:
    await site.left("/products/1", "/products/1?x=1", "/products/2", "/products")
    said = told(await site.purge("/products/1"))
    assert said == {"position": 1, "soft": False, "paths": ["/products/1"]}
    assert await site.left("/products/1", "/products/1?x=1", "/products/2", "/products") == ["/products/2", "/products"]


@pytest.mark.parametrize("request_", [{"host": "other.test"}, {"scheme": "https"}])
async def test_a_path_is_purged_for_every_host_and_scheme(site: Purged, request_: dict[str, Any]) -> None:
    await site.get("/products/1", **request_)
    await site.purge("/products/1")
    assert not (await site.get("/products/1", **request_)).hit


async def test_a_query_says_nothing(site: Purged) -> None:
    await site.left("/products/1", "/products/1?x=1")
    assert told(await site.purge("/products/1?x=2"))["paths"] == ["/products/1"]
    assert await site.left("/products/1", "/products/1?x=1") == []


async def test_a_path_is_purged_as_it_is_requested(site: Purged) -> None:
    await site.left("/caf%C3%A9")
    assert told(await site.purge("/caf%C3%A9"))["paths"] == ["/caf\u00e9"]
    assert await site.left("/caf%C3%A9") == []


@pytest.mark.parametrize("root_path", ["/api", "/api/"])
async def test_a_path_is_purged_below_the_prefix_the_application_is_mounted_under(site: Purged, root_path: str) -> None:
    await site.get("/api/products/1", root_path=root_path)
    assert told(await site.purge("/api/products/1", root_path=root_path))["paths"] == ["/products/1"]
    assert not (await site.get("/api/products/1", root_path=root_path)).hit


async def test_a_prefix_that_only_looks_like_the_mount_is_part_of_the_path(site: Purged) -> None:
    assert told(await site.purge("/apis/1", root_path="/api"))["paths"] == ["/apis/1"]


@pytest.mark.parametrize(
    ("headers", "tags", "left"),
    [
        ([("Surrogate-Key", "product:1")], ["product:1"], ["/products/2", "/other"]),
        ([("Surrogate-Key", " product:1  product:2 ")], ["product:1", "product:2"], ["/other"]),
        ([("X-Cache-Tags", "product:1, product:2")], ["product:1", "product:2"], ["/other"]),
        ([("X-Cache-Tags", "product:1"), ("X-Cache-Tags", "product:2")], ["product:1", "product:2"], ["/other"]),
        ([("Surrogate-Key", "product:1"), ("X-Cache-Tags", "product:2")], ["product:1", "product:2"], ["/other"]),
        ([("Surrogate-Key", "product:1,product:2")], ["product:1,product:2"], ["/products/1", "/products/2", "/other"]),
        ([("Surrogate-Key", "caf\u00e9".encode())], ["caf\u00e9"], ["/products/1", "/products/2", "/other"]),
    ],
)
async def test_tags_are_purged_in_place_of_the_path(
    site: Purged, headers: list[Header], tags: list[str], left: list[str]
) -> None:
    await site.left("/products/1", "/products/2", "/other")
    assert told(await site.purge("/other", *headers))["tags"] == tags
    assert await site.left("/products/1", "/products/2", "/other") == left


async def test_a_soft_purge_marks_stale() -> None:
    site = Purged()
    await site.get("/products/1")
    assert told(await site.purge("/products/1", ("Fastly-Soft-Purge", "1")))["soft"] is True
    served = await site.get("/products/1")
    assert (served.hit, served.body) == (True, b"run 1")
    await site.settle()
    assert (await site.get("/products/1")).body == b"run 2"


async def test_what_is_stored_need_not_be_known(site: Purged) -> None:
    assert told(await site.purge("/never/asked/for"))["position"] > 0


# --- Who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [[], [("Authorization", f"Bearer {OTHER_TOKEN}")], [("Authorization", f"Basic {TOKEN}")], [("Fastly-Key", TOKEN)]],
)
@pytest.mark.parametrize("target", ["/products/1", "/no/such/path", "*"])
async def test_without_the_token_it_is_401_and_nothing_happens(
    site: Purged, target: str, headers: list[Header]
) -> None:
    await site.get("/products/1")
    response = await call("PURGE", target, headers=headers).run(site.purging)
    assert (response.status, response["www-authenticate"]) == (401, "Bearer")
    assert await site.left("/products/1") == ["/products/1"]
    assert site.cache.stats().invalidations == 0


async def test_the_application_never_sees_it(site: Purged) -> None:
    await site.purge("/products/1")
    await call("PURGE", "/products/1").run(site.purging)
    assert site.runs == 0
    assert site.cache.stats().bypass == {}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "purge", "PURGEALL", "BAN"])
async def test_another_method_passes_untouched(site: Purged, method: str) -> None:
    assert (await call(method, "/products/1").run(site.purging)).body == b"run 1"


async def test_websockets_and_the_lifespan_pass_untouched() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    purging = PurgeMiddleware(app, cache=Cache(), auth=TOKEN)
    for kind in ("websocket", "lifespan"):
        await purging({"type": kind, "method": "PURGE"}, None, None)  # type: ignore[arg-type]
    assert seen == ["websocket", "lifespan"]


# --- What cannot be meant --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "headers", "said"),
    [
        ("/a", [("Fastly-Soft-Purge", "0")], "Fastly-Soft-Purge='0'"),
        ("/a", [("Surrogate-Key", "  ")], "name no tag"),
        ("/a", [("X-Cache-Tags", ", ,")], "name no tag"),
        ("/a", [("Surrogate-Key", b"\xff\xfe")], "no UTF-8"),
        ("*", [], "paths"),
        ("/a%3Fb", [], "paths"),
    ],
)
async def test_what_cannot_be_meant_is_422_and_nothing_happens(
    site: Purged, target: str, headers: list[Header], said: str
) -> None:
    response = await site.purge(target, *headers)
    assert response.status == 422
    assert said in detail(response)
    assert site.cache.stats().invalidations == 0


# --- Over sockets, and for every process -----------------------------------------------------------------------------


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("inside", [False, True])
async def test_a_real_server_lets_it_through_wherever_it_stands(http: str, inside: bool) -> None:
    cache = Cache()
    app = FastAPI()
    app.add_api_route("/products/{product_id}", lambda product_id: product_id)
    purging = (PurgeMiddleware, {"cache": cache, "auth": TOKEN})
    caching = (CacheMiddleware, {"cache": cache, "ttl": 60})
    for kind, settings in [purging, caching] if inside else [caching, purging]:
        app.add_middleware(kind, **settings)  # type: ignore[arg-type]
    headers = [("Authorization", f"Bearer {TOKEN}")]
    async with serving(app, http=http) as server:
        for expected in (False, True):
            assert (await server.get("/products/1")).hit is expected
        assert (await server.request("PURGE", "/products/1")).status == 401
        assert (await server.get("/products/1")).hit
        answer = await server.request("PURGE", "/products/1", headers)
        assert (answer.status, answer["cache-control"], answer["content-type"]) == (
            200,
            "no-store",
            "application/json",
        )
        assert not (await server.get("/products/1")).hit


async def test_a_purge_reaches_every_process(redis: RedisServer) -> None:
    fleet = Fleet(redis)
    one, two = await fleet.nodes(2)
    for node in (one, two):
        await node.get("/a")
    purging = PurgeMiddleware(one.app, cache=one.cache, auth=TOKEN)
    said = told(await call("PURGE", "/a", headers=AUTHORIZED).run(purging))
    await two.reads_to(said["position"])
    assert not (await two.get("/a")).hit


async def test_a_purge_during_an_outage_says_position_0_and_acts_here(redis_server: RedisServer) -> None:
    fleet = Fleet(redis_server, command_timeout=0.5)
    node = await fleet.node()
    await node.get("/a")
    redis_server.close()
    await eventually(lambda: not node.seen.up, "the outage is known")
    purging = PurgeMiddleware(node.app, cache=node.cache, auth=TOKEN)
    assert told(await call("PURGE", "/a", headers=AUTHORIZED).run(purging))["position"] == 0
    assert not (await node.get("/a")).hit
