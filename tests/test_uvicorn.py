"""The main job: a FastAPI application under a real uvicorn, cached by one line."""

import asyncio
import json
from collections import Counter
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Header, Response

from hotplate import Cache, CacheMiddleware
from hotplate.fastapi import CacheDep
from hotplate.testing import ManualClock
from tests.driver import START
from tests.servers import Server, serving, serving_process
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

runs: Counter[str] = Counter()
cache = Cache("memory://")
app = FastAPI(lifespan=cache.lifespan)
app.add_middleware(CacheMiddleware, cache=cache, ttl=30)


@app.get("/items/{item}")
async def read_item(item: str) -> dict[str, str]:
    runs[item] += 1
    await asyncio.sleep(0.05)  # what a handler does: wait for something else
    return {"item": item, "text": "x" * 5_000}


@app.put("/items/{item}")
async def write_item(item: str) -> None:
    runs[f"put {item}"] += 1


@app.get("/runs")
async def read_runs(response: Response) -> dict[str, int]:
    response.headers["cache-control"] = "no-store"
    return dict(runs)


@app.get("/cookies")
async def read_cookies(response: Response) -> str:
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return "ok"


FLAVOURS = [
    pytest.param(["--loop", "asyncio", "--http", "h11"], id="asyncio-h11"),
    pytest.param(["--loop", "uvloop", "--http", "httptools"], id="uvloop-httptools"),
]


@pytest.mark.parametrize("options", FLAVOURS)
async def test_one_line_caches_an_application(options: list[str]) -> None:
    async with serving_process("tests.test_uvicorn:app", options=options) as server:
        await answers_are_cached(server)
        await one_load_serves_a_crowd(server)
        await a_write_invalidates(server)
        await cookies_survive(server)


async def answers_are_cached(server: Server) -> None:
    cold, warm = await server.get("/items/1"), await server.get("/items/1")
    assert (cold.hit, warm.hit) == (False, True)
    assert cold.body == warm.body
    assert (cold["etag"], cold["content-type"]) == (warm["etag"], warm["content-type"])
    unchanged = await server.get("/items/1", [("If-None-Match", cold["etag"])])
    assert (unchanged.status, unchanged.body) == (304, b"")
    head = await server.request("HEAD", "/items/1")
    assert (head.status, head.body, head["content-length"]) == (200, b"", cold["content-length"])
    part = await server.get("/items/1", [("Range", "bytes=1-6")])
    assert (part.status, part.body) == (206, b'"item"')
    assert not (await server.get("/items/1?page=2")).hit
    assert (await counted(server))["1"] == 2


async def one_load_serves_a_crowd(server: Server) -> None:
    answers = await server.crowd(500, "/items/cold")
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len(answers[0].body) > 5_000
    assert (await counted(server))["cold"] == 1


async def a_write_invalidates(server: Server) -> None:
    assert (await server.get("/items/1")).hit
    assert (await server.request("PUT", "/items/1")).status == 200
    assert not (await server.get("/items/1")).hit


async def cookies_survive(server: Server) -> None:
    for _ in range(2):
        answer = await server.get("/cookies")
        assert [line.partition(";")[0] for line in answer.lines("set-cookie")] == ["a=1", "b=2"]
        assert not answer.hit


async def counted(server: Server) -> dict[str, int]:
    result: dict[str, int] = json.loads((await server.get("/runs")).body)
    return result


# What needs a hand on the application: its clock, its cache, its gates.


async def test_a_response_lives_for_the_ttl() -> None:
    clock = ManualClock(START)
    app = FastAPI()

    @app.get("/")
    async def read() -> int:
        return 1

    app.add_middleware(CacheMiddleware, cache=Cache(clock=clock), ttl=30)
    async with serving(app) as server:
        assert not (await server.get("/")).hit
        clock.advance(29)
        warm = await server.get("/")
        assert (warm.hit, warm["age"]) == (True, "29")
        clock.advance(1)
        assert not (await server.get("/")).hit


async def test_a_crowd_on_a_cold_key_gets_one_whole_answer() -> None:
    ran: list[int] = []
    arrived = asyncio.Event()
    app = FastAPI()

    @app.get("/")
    async def read() -> str:
        ran.append(1)
        await arrived.wait()
        return "x" * 100_000

    app.add_middleware(CacheMiddleware, ttl=30)
    inside: list[int] = []

    async def counting(scope: object, receive: object, send: object) -> None:
        inside.append(1)
        await app(scope, receive, send)  # type: ignore[arg-type]

    async with serving(counting, lifespan="off") as server:
        crowd = asyncio.ensure_future(server.crowd(500, "/"))
        await eventually(lambda: len(inside) == 500, "all 500 have arrived")
        arrived.set()
        bodies = {answer.body for answer in await crowd}
    assert bodies == {b'"' + b"x" * 100_000 + b'"'}
    assert len(ran) == 1


async def test_requests_on_one_connection_do_not_disturb_each_other() -> None:
    app = FastAPI()

    @app.get("/{number}")
    async def read(number: int) -> str:
        return str(number) * number

    app.add_middleware(CacheMiddleware, ttl=30)
    async with serving(app) as server, server.connection() as connection:
        for number in [1, 2, 3, 1, 2, 3, 40, 1]:
            await connection.send("GET", f"/{number}")
            assert (await connection.answer()).body == f'"{str(number) * number}"'.encode()
            await connection.send("HEAD", f"/{number}")
            assert (await connection.answer()).body == b""


async def test_pieces_of_the_request_that_select_are_not_mixed_up() -> None:
    app = FastAPI()

    @app.get("/{rest:path}")
    async def read(rest: str, host: Annotated[str, Header()]) -> str:
        return f"{host} {rest}"

    app.add_middleware(CacheMiddleware, ttl=30)
    async with serving(app) as server, server.connection() as connection:
        for _ in range(2):
            for host in ("a.test", "b.test"):
                connection.authority = host
                await connection.send("GET", "/x")
                assert (await connection.answer()).body == f'"{host} x"'.encode()


async def test_the_policy_of_a_route_reaches_the_middleware() -> None:
    clock = ManualClock(START)
    cache = Cache(clock=clock)
    app = FastAPI()

    @app.get("/report/{year}", dependencies=[Depends(cache.policy(ttl="10m", tags=["report:{year}"]))])
    async def report(year: int) -> int:
        return year

    @app.get("/live", dependencies=[Depends(cache.policy(cache=False))])
    async def live() -> str:
        return "now"

    @app.post("/close/{year}")
    async def close(year: int, cache: CacheDep) -> None:
        await cache.invalidate(tags=[f"report:{year}"])

    app.add_middleware(CacheMiddleware, cache=cache, ttl=30)
    async with serving(app) as server:
        for year in (2001, 2002):
            await server.get(f"/report/{year}")
        clock.advance(599)
        assert (await server.get("/report/2001")).hit
        assert (await server.request("POST", "/close/2001")).status == 200
        assert [(await server.get(f"/report/{year}")).hit for year in (2001, 2002)] == [False, True]
        for _ in range(2):
            assert not (await server.get("/live")).hit


async def test_one_cache_serves_two_applications_in_one_process() -> None:
    cache = Cache()
    ran: list[int] = []

    def make() -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read() -> int:
            ran.append(1)
            return len(ran)

        app.add_middleware(CacheMiddleware, cache=cache, ttl=30)
        return app

    async with serving(make()) as one, serving(make()) as other:
        # Another port is another authority, and so another key.
        assert [(await server.get("/")).body for server in (one, other, one, other)] == [b"1", b"2", b"1", b"2"]
        await cache.invalidate(paths=["/"])
        assert not (await one.get("/")).hit
