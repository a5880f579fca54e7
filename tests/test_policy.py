"""FastAPI: a policy for one route, the cache in a handler, and an application that behaves as without the cache."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, computed_field

from hotplate import Cache, CacheMiddleware, ConfigError, Rule
from hotplate.fastapi import CacheDep
from hotplate.testing import ManualClock
from tests.driver import START, call
from tests.driver import Response as Answer

pytestmark = pytest.mark.asyncio


class Shop:
    """A FastAPI application whose handlers count their runs."""

    def __init__(self, *, cached: bool = True, **settings: Any) -> None:
        self.clock = ManualClock(START)
        self.cache = Cache(clock=self.clock)
        self.runs = 0
        self.app = FastAPI()
        if cached:
            settings.setdefault("ttl", 60)
            self.app.add_middleware(CacheMiddleware, cache=self.cache, **settings)

    def run(self) -> dict[str, int]:
        self.runs += 1
        return {"run": self.runs}

    async def get(self, target: str, **request: Any) -> Answer:
        return await self.request("GET", target, **request)

    async def request(self, method: str, target: str, **request: Any) -> Answer:
        return await call(method, target, **request).run(self.app)


def routed(**policy: Any) -> Shop:
    """One route ``/item/{name}`` with a policy."""
    shop = Shop()

    @shop.app.get("/item/{name}", dependencies=[Depends(shop.cache.policy(**policy))])
    async def item(name: str) -> dict[str, int]:
        return shop.run()

    return shop


def ttl(answer: Answer) -> int:
    return int(answer["cache-status"].rpartition("ttl=")[2])


# Policies.


@pytest.mark.parametrize("value", ["10m", 600])
async def test_a_policy_gives_its_route_a_ttl(value: Any) -> None:
    shop = routed(ttl=value)
    await shop.get("/item/a")
    assert ttl(await shop.get("/item/a")) == 600


async def test_a_policy_outranks_the_cache_control_of_the_response() -> None:
    shop = Shop()

    @shop.app.get("/", dependencies=[Depends(shop.cache.policy(ttl=600))])
    async def index(response: Response) -> dict[str, int]:
        response.headers["cache-control"] = "max-age=5"
        return shop.run()

    await shop.get("/")
    assert ttl(await shop.get("/")) == 600


async def test_a_policy_outranks_a_rule_that_overrides() -> None:
    shop = Shop(rules=[Rule("/", ttl=7, override=True)])

    @shop.app.get("/", dependencies=[Depends(shop.cache.policy(ttl=600))])
    async def index() -> dict[str, int]:
        return shop.run()

    await shop.get("/")
    assert ttl(await shop.get("/")) == 600


async def test_a_policy_keeps_a_route_out_of_the_cache() -> None:
    shop = routed(cache=False)
    await shop.get("/item/a")
    await shop.get("/item/a")
    assert shop.runs == 2


@pytest.mark.parametrize("status", [400, 403, 422, 500, 503])
async def test_a_policy_does_not_store_failures(status: int) -> None:
    shop = Shop()

    @shop.app.get("/", dependencies=[Depends(shop.cache.policy(ttl=600))])
    async def index() -> None:
        shop.run()
        raise HTTPException(status)

    await shop.get("/")
    await shop.get("/")
    assert shop.runs == 2


async def test_a_policy_tells_clients_its_own_lifetime() -> None:
    shop = routed(client_ttl="1m")
    assert (await shop.get("/item/a"))["cache-control"] == "max-age=60"


@pytest.mark.parametrize(("tag", "left"), [("item:a", [False, True]), ("items", [False, False]), ("item:", [True] * 2)])
async def test_a_policy_gives_tags_with_path_parameters(tag: str, left: list[bool]) -> None:
    shop = routed(tags=["items", "item:{name}"])
    for target in ("/item/a", "/item/b"):
        await shop.get(target)
    await shop.cache.invalidate(tags=[tag])
    assert [(await shop.get(target)).hit for target in ("/item/a", "/item/b")] == left


async def test_a_policy_opens_the_stale_window() -> None:
    shop = routed(stale_while_revalidate=30)
    await shop.get("/item/a")
    shop.clock.advance(61)
    answer = await shop.get("/item/a")
    await shop.cache.loads.drain(5)
    assert answer.body == b'{"run":1}'


async def test_a_policy_allows_stale_answers_to_errors() -> None:
    shop = Shop()
    broken = False

    @shop.app.get("/", dependencies=[Depends(shop.cache.policy(stale_if_error=30))])
    async def index() -> dict[str, int]:
        if broken:
            raise HTTPException(503)
        return shop.run()

    await shop.get("/")
    broken = True
    shop.clock.advance(61)
    assert (await shop.get("/")).status == 200


async def test_a_policy_on_a_router_holds_for_its_routes() -> None:
    shop = Shop(ttl=None)
    router = APIRouter(dependencies=[Depends(shop.cache.policy(ttl=600))])

    @router.get("/in")
    async def inside() -> dict[str, int]:
        return shop.run()

    shop.app.include_router(router)
    await shop.get("/in")
    assert ttl(await shop.get("/in")) == 600


async def test_a_policy_does_not_touch_other_routes() -> None:
    shop = routed(ttl=600)

    @shop.app.get("/other")
    async def other() -> dict[str, int]:
        return shop.run()

    await shop.get("/item/a")
    await shop.get("/other")
    assert ttl(await shop.get("/other")) == 60


async def test_a_policy_does_not_open_a_response_to_credentials() -> None:
    shop = routed(ttl=600)
    await shop.get("/item/a", headers=[("authorization", "alice")])
    await shop.get("/item/a", headers=[("authorization", "bob")])
    assert shop.runs == 2


async def test_a_policy_is_no_part_of_the_documented_interface() -> None:
    operation = routed(ttl=5).app.openapi()["paths"]["/item/{name}"]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["name"]


async def test_a_policy_without_the_middleware_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop(cached=False)

    @shop.app.get("/", dependencies=[Depends(shop.cache.policy(ttl=5))])
    async def index() -> dict[str, int]:
        return shop.run()

    with caplog.at_level(logging.WARNING, "hotplate"):
        await shop.get("/")
        await shop.get("/")
    assert [record.message for record in caplog.records] == [
        "a cache policy has no effect: the application has no CacheMiddleware"
    ]


async def test_a_route_with_a_policy_works_without_the_middleware() -> None:
    shop = Shop(cached=False)

    @shop.app.get("/", dependencies=[Depends(shop.cache.policy(ttl=5))])
    async def index() -> dict[str, int]:
        return shop.run()

    assert (await shop.get("/")).body == b'{"run":1}'


async def test_a_tag_with_a_name_the_route_does_not_have_does_not_break_the_route() -> None:
    shop = routed(tags=["product:{product_id}"])
    assert (await shop.get("/item/a")).status == 200


# The cache in handlers.


async def test_a_handler_can_invalidate_through_cache_dep() -> None:
    shop = Shop()

    @shop.app.get("/list")
    async def listing() -> dict[str, int]:
        return shop.run()

    @shop.app.put("/item")
    async def update(cache: CacheDep) -> None:
        await cache.invalidate(paths=["/list"])

    await shop.get("/list")
    await shop.request("PUT", "/item")
    assert (await shop.get("/list")).body == b'{"run":2}'


async def test_cache_dep_is_the_cache_of_the_middleware() -> None:
    shop = Shop()
    seen: list[Cache] = []

    @shop.app.get("/")
    async def index(cache: CacheDep) -> None:
        seen.append(cache)

    await shop.get("/")
    assert seen == [shop.cache]


async def test_cache_dep_without_the_middleware_says_what_is_missing() -> None:
    shop = Shop(cached=False)

    @shop.app.get("/")
    async def index(cache: CacheDep) -> None: ...

    with pytest.raises(ConfigError, match="add_middleware"):
        await shop.get("/")


@pytest.mark.parametrize("with_lifespan", [True, False])
async def test_the_lifespan_of_the_cache_serves_an_application(with_lifespan: bool) -> None:
    cache = Cache()
    app = FastAPI(lifespan=cache.lifespan if with_lifespan else None)
    async with app.router.lifespan_context(app):
        pass
    assert len(cache.loads) == 0


async def test_the_lifespan_fits_into_another() -> None:
    cache = Cache()
    order: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with cache.lifespan(app):
            order.append("up")
            yield
            order.append("down")

    app = FastAPI(lifespan=lifespan)
    async with app.router.lifespan_context(app):
        order.append("running")
    assert order == ["up", "running", "down"]


# As without the middleware.


class Price(BaseModel):
    net: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def gross(self) -> float:
        return self.net * 1.2


async def test_models_come_back_byte_for_byte() -> None:
    shop = Shop()

    @shop.app.get("/")
    async def index() -> Price:
        return Price(net=10)

    assert (await shop.get("/")).body == (await shop.get("/")).body == b'{"net":10.0,"gross":12.0}'


async def test_a_sync_handler_is_cached() -> None:
    shop = Shop()

    @shop.app.get("/")
    def index() -> dict[str, int]:
        return shop.run()

    await shop.get("/")
    assert (await shop.get("/")).hit


async def test_status_and_headers_of_a_handler_are_kept() -> None:
    shop = Shop()

    @shop.app.get("/")
    async def index() -> JSONResponse:
        return JSONResponse({"a": 1}, 203, {"x-one": "1"})

    await shop.get("/")
    answer = await shop.get("/")
    assert (answer.status, answer["x-one"], answer["content-type"]) == (203, "1", "application/json")


def with_a_background_task(shop: Shop) -> list[str]:
    """What the tasks have done that a handler leaves behind."""
    done: list[str] = []

    @shop.app.get("/")
    async def index(background: BackgroundTasks) -> dict[str, int]:
        background.add_task(done.append, "task")
        return shop.run()

    return done


async def test_background_tasks_run_after_a_miss() -> None:
    shop = Shop()
    done = with_a_background_task(shop)
    await shop.get("/")
    await shop.cache.loads.drain(5)
    assert done == ["task"]


async def test_background_tasks_do_not_run_for_a_hit() -> None:
    shop = Shop()
    done = with_a_background_task(shop)
    for _ in range(3):
        await shop.get("/")
    assert done == ["task"]


async def test_a_404_of_the_router_is_cached_for_the_ttl() -> None:
    shop = Shop()
    await shop.get("/nowhere")
    assert (await shop.get("/nowhere")).hit


async def test_a_422_is_not_cached() -> None:
    shop = routed()

    @shop.app.get("/number/{number}")
    async def number(number: int) -> dict[str, int]:
        return shop.run()

    await shop.get("/number/x")
    assert not (await shop.get("/number/x")).hit


async def test_a_redirect_without_a_lifetime_is_not_cached() -> None:
    shop = Shop()

    @shop.app.get("/")
    async def index() -> RedirectResponse:
        shop.run()
        return RedirectResponse("/x")

    await shop.get("/")
    await shop.get("/")
    assert shop.runs == 2


@pytest.mark.parametrize("number_of_requests", [1, 2])
async def test_an_authentication_that_refuses_is_not_outrun(number_of_requests: int) -> None:
    shop = Shop()

    def user(request: Request) -> str:
        name = request.headers.get("authorization")
        if name is None:
            raise HTTPException(401)
        return name

    @shop.app.get("/me")
    async def me(name: Annotated[str, Depends(user)]) -> dict[str, str]:
        return {"name": name}

    await shop.get("/me", headers=[("authorization", "alice")])
    assert [(await shop.get("/me")).status for _ in range(number_of_requests)] == [401] * number_of_requests


async def test_a_handler_that_reads_a_cookie_by_hand_leaks_nothing() -> None:
    shop = Shop()

    @shop.app.get("/me")
    async def me(request: Request) -> dict[str, str | None]:
        return {"sid": request.cookies.get("sid")}

    await shop.get("/me", headers=[("cookie", "sid=alice")])
    assert (await shop.get("/me", headers=[("cookie", "sid=bob")])).body == b'{"sid":"bob"}'


async def test_a_mounted_application_is_cached_under_its_mount() -> None:
    shop, inner = Shop(), FastAPI()

    @inner.get("/x")
    async def x() -> dict[str, int]:
        return shop.run()

    shop.app.mount("/a", inner)
    shop.app.mount("/b", inner)
    await shop.get("/a/x")
    assert (await shop.get("/b/x")).body == b'{"run":2}'


async def test_two_applications_with_a_cache_each_share_nothing() -> None:
    one, other = routed(), routed()
    await one.get("/item/a")
    await other.get("/item/a")
    assert other.runs == 1


async def test_one_line_is_enough() -> None:
    app = FastAPI()
    runs: list[int] = []

    @app.get("/")
    async def index() -> int:
        runs.append(1)
        return len(runs)

    app.add_middleware(CacheMiddleware, ttl=30)
    for _ in range(2):
        await call("GET", "/").run(app)
    assert len(runs) == 1


async def test_a_path_parameter_that_looks_like_a_template_is_taken_as_it_is() -> None:
    shop = Shop()

    @shop.app.get("/pair/{x}/{y}", dependencies=[Depends(shop.cache.policy(tags=["{x}:{y}"]))])
    async def pair(x: str, y: str) -> dict[str, int]:
        return shop.run()

    await shop.get("/pair/%7By%7D/b")
    await shop.cache.invalidate(tags=["{y}:b"])
    assert not (await shop.get("/pair/%7By%7D/b")).hit
