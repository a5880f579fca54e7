"""The middleware among others, and in front of everything an application is made of."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Response
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Mount, Route

from hotplate import Cache, CacheMiddleware, Rule
from hotplate.asgi import Message, Receive, Scope, Send
from tests.driver import Site, call
from tests.servers import serving
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

TEXT = b"a text that is worth its compression, " * 100


def fixed(content: bytes | str = TEXT, **response: Any) -> Callable[[Request], Awaitable[StarletteResponse]]:
    """An endpoint that always answers the same."""

    async def endpoint(_request: Request) -> StarletteResponse:
        return PlainTextResponse(content, **response)

    return endpoint


def starlette(endpoint: Callable[[Request], Awaitable[StarletteResponse]]) -> Starlette:
    return Starlette(routes=[Route("/", endpoint), Route("/{rest:path}", endpoint)])


# Background tasks.


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_background_task_runs_once_for_a_miss_and_not_for_a_hit(streamed: bool) -> None:
    ran: list[int] = []

    async def task() -> None:
        ran.append(1)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def endpoint(_request: Request) -> StarletteResponse:
        if streamed:
            return StreamingResponse(pieces(), background=BackgroundTask(task))
        return PlainTextResponse("ab", background=BackgroundTask(task))

    site = Site(app=starlette(endpoint))
    assert ((await site.get("/")).body, (await site.get("/")).body) == (b"ab", b"ab")
    assert ran == [1]


async def test_a_background_task_does_not_hold_back_the_response() -> None:
    finish, ended = asyncio.Event(), asyncio.Event()

    async def task() -> None:
        await finish.wait()
        ended.set()

    async def endpoint(_request: Request) -> StarletteResponse:
        return PlainTextResponse("done", background=BackgroundTask(task))

    app = starlette(endpoint)
    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        assert (await server.get("/")).body == b"done"
        assert (await server.get("/")).hit
        assert not ended.is_set()
        finish.set()
        await asyncio.wait_for(ended.wait(), 10)


async def test_those_who_wait_do_not_wait_for_a_background_task() -> None:
    entered, answer, finish = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def endpoint(_request: Request) -> StarletteResponse:
        entered.set()
        await answer.wait()
        return PlainTextResponse("done", background=BackgroundTask(finish.wait))

    app = starlette(endpoint)
    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        crowd = asyncio.ensure_future(server.crowd(20, "/"))
        await entered.wait()
        answer.set()
        assert {response.body for response in await crowd} == {b"done"}
        finish.set()


async def test_background_tasks_run_for_fastapi_in_their_order() -> None:
    ran: list[str] = []
    app = FastAPI()

    @app.get("/")
    async def read(tasks: BackgroundTasks) -> str:
        tasks.add_task(ran.append, "first")
        tasks.add_task(ran.append, "second")
        return "ok"

    site = Site(app=app)
    await site.get("/")
    await site.get("/")
    assert ran == ["first", "second"]


async def test_an_exception_in_a_background_task_leaves_the_stored_response() -> None:
    async def task() -> None:
        raise LookupError("afterwards")

    async def endpoint(_request: Request) -> StarletteResponse:
        return PlainTextResponse("done", background=BackgroundTask(task))

    site = Site(app=starlette(endpoint))
    request = call("GET", "/")
    with pytest.raises(LookupError, match="afterwards"):
        await request.run(site.app)
    assert request.response().body == b"done"
    assert (await site.get("/")).hit


# Other middlewares.


@pytest.mark.parametrize("where", ["inside", "outside"])
async def test_compression_gives_each_client_what_it_understands(where: str) -> None:
    app = starlette(fixed())
    if where == "inside":
        app.add_middleware(GZipMiddleware)
        app.add_middleware(CacheMiddleware, ttl=60)
    else:
        app.add_middleware(CacheMiddleware, ttl=60)
        app.add_middleware(GZipMiddleware)
    async with serving(app) as server:
        for warm in (False, True):
            small = await server.get("/", [("Accept-Encoding", "gzip")])
            plain = await server.get("/", [("Accept-Encoding", "identity")])
            nothing = await server.get("/")
            assert small["content-encoding"] == "gzip"
            assert len(small.body) < len(TEXT)
            assert (plain.body, nothing.body) == (TEXT, TEXT)
            assert "content-encoding" not in plain
            assert "accept-encoding" in small["vary"].lower()
            if warm:
                assert (small.hit, plain.hit, nothing.hit) == (True, True, True)


async def test_a_compressed_stream_is_stored_whole_with_compression_inside() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield TEXT

    async def endpoint(_request: Request) -> StarletteResponse:
        return StreamingResponse(pieces())

    app = starlette(endpoint)
    app.add_middleware(GZipMiddleware)
    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        cold, warm = [await server.get("/", [("Accept-Encoding", "gzip")]) for _ in range(2)]
        assert warm.hit
        assert cold.body == warm.body
        assert cold["content-encoding"] == warm["content-encoding"] == "gzip"


@pytest.mark.parametrize("where", ["inside", "outside"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_function_middleware_works_on_either_side(where: str, streamed: bool) -> None:
    marked: list[int] = []

    async def mark(request: Request, go_on: Callable[[Request], Awaitable[StarletteResponse]]) -> StarletteResponse:
        marked.append(1)
        response = await go_on(request)
        response.headers["x-marked"] = "yes"
        return response

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def endpoint(_request: Request) -> StarletteResponse:
        return StreamingResponse(pieces()) if streamed else PlainTextResponse("ab")

    app = starlette(endpoint)
    if where == "inside":
        app.add_middleware(BaseHTTPMiddleware, dispatch=mark)
        app.add_middleware(CacheMiddleware, ttl=60)
    else:
        app.add_middleware(CacheMiddleware, ttl=60)
        app.add_middleware(BaseHTTPMiddleware, dispatch=mark)
    async with serving(app) as server:
        cold, warm = await server.get("/"), await server.get("/")
        assert (cold.body, warm.body) == (b"ab", b"ab")
        assert (cold["x-marked"], warm["x-marked"]) == ("yes", "yes")
        assert warm.hit
    assert len(marked) == (1 if where == "inside" else 2)


async def test_a_client_that_leaves_through_a_function_middleware_truncates_nobody() -> None:
    go_on = asyncio.Event()
    arrived: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first "
        await go_on.wait()
        yield b"last"

    async def endpoint(_request: Request) -> StarletteResponse:
        return StreamingResponse(pieces())

    async def through(request: Request, go_on: Callable[[Request], Awaitable[StarletteResponse]]) -> StarletteResponse:
        arrived.append(1)
        return await go_on(request)

    app = starlette(endpoint)
    app.add_middleware(CacheMiddleware, ttl=60)
    app.add_middleware(BaseHTTPMiddleware, dispatch=through)
    async with serving(app) as server, server.connection() as leader:
        await leader.send("GET", "/")
        await leader.head()
        assert await leader.chunk() == b"first "
        others = asyncio.ensure_future(server.crowd(10, "/"))
        await eventually(lambda: len(arrived) == 11, "all have arrived")
        leader.abort()
        go_on.set()
        assert {answer.body for answer in await others} == {b"first last"}
        assert (await server.get("/")).hit


async def test_cors_outside_answers_each_origin_for_itself() -> None:
    app = starlette(fixed())
    app.add_middleware(CacheMiddleware, ttl=60)
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.test", "https://b.test"], allow_methods=["GET"])
    async with serving(app) as server:
        for origin in ("https://a.test", "https://b.test"):
            for _ in range(2):
                assert (await server.get("/", [("Origin", origin)]))["access-control-allow-origin"] == origin
        assert "access-control-allow-origin" not in await server.get("/", [("Origin", "https://c.test")])
        preflight = [("Origin", "https://a.test"), ("Access-Control-Request-Method", "GET")]
        assert (await server.request("OPTIONS", "/", preflight)).status == 200
        assert (await server.get("/", [("Origin", "https://a.test")])).hit


async def test_cors_inside_keeps_the_origins_apart() -> None:
    app = starlette(fixed())
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.test", "https://b.test"])
    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        for _ in range(2):
            for origin in ("https://a.test", "https://b.test"):
                assert (await server.get("/", [("Origin", origin)]))["access-control-allow-origin"] == origin


async def test_two_cache_middlewares_agree() -> None:
    app = starlette(fixed())
    app.add_middleware(CacheMiddleware, ttl=60)
    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        assert [(await server.get("/")).body for _ in range(3)] == [TEXT] * 3


async def test_a_middleware_outside_sees_the_route_that_answered() -> None:
    seen: list[object] = []
    app = FastAPI()

    @app.get("/items/{item}")
    async def read(item: str) -> str:
        return item

    inner = CacheMiddleware(app, ttl=60)

    async def outside(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)
        seen.append(scope.get("path_params"))

    await call("GET", "/items/7").run(outside)
    assert seen == [{"item": "7"}]


async def test_a_context_variable_of_a_middleware_outside_is_the_handlers() -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")

    async def endpoint(_request: Request) -> StarletteResponse:
        return PlainTextResponse(tenant.get())

    inner = CacheMiddleware(starlette(endpoint), ttl=60, rules=[Rule("*", partition=lambda _head: tenant.get())])

    async def outside(scope: Scope, receive: Receive, send: Send) -> None:
        tenant.set(dict(scope["headers"])[b"x-tenant"].decode())
        await inner(scope, receive, send)

    bodies = [(await call("GET", "/", headers=[("x-tenant", name)]).run(outside)).body for name in ("a", "b", "a", "b")]
    assert bodies == [b"a", b"b", b"a", b"b"]


# Applications inside applications.


async def test_mounted_applications_are_cached_apart() -> None:
    runs: list[str] = []

    async def endpoint(request: Request) -> StarletteResponse:
        runs.append(request.scope["root_path"])
        return PlainTextResponse(request.scope["root_path"])

    app = Starlette(
        routes=[
            Mount("/one", app=Starlette(routes=[Route("/page", endpoint)])),
            Mount("/two", app=Starlette(routes=[Route("/page", endpoint)])),
        ]
    )
    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        for _ in range(2):
            assert [(await server.get(f"/{name}/page")).body for name in ("one", "two")] == [b"/one", b"/two"]
    assert runs == ["/one", "/two"]


async def test_a_mounted_application_may_have_a_cache_of_its_own() -> None:
    runs: list[int] = []

    async def endpoint(_request: Request) -> StarletteResponse:
        runs.append(1)
        return PlainTextResponse("inner")

    inner = Starlette(routes=[Route("/page", endpoint), Route("/live", endpoint)])
    cache = Cache()
    inner.add_middleware(CacheMiddleware, cache=cache, ttl=60, exclude=["/live"])
    app = Starlette(routes=[Mount("/shop", app=inner)])
    async with serving(app) as server:
        for _ in range(2):
            await server.get("/shop/page")
        assert len(runs) == 1
        for _ in range(2):
            await server.get("/shop/live")
        assert len(runs) == 3
        await cache.invalidate(paths=["/page"])
        assert not (await server.get("/shop/page")).hit


async def test_rules_are_written_without_the_root_path_the_server_sets() -> None:
    app = starlette(fixed())
    app.add_middleware(CacheMiddleware, ttl=60, exclude=["/live"])
    async with serving(app, root_path="/api") as server:
        for warm in (False, True):
            assert (await server.get("/page")).hit == warm
            assert not (await server.get("/live")).hit


# Errors that are responses, and errors that are not.


async def test_an_http_exception_keeps_its_status_body_and_headers() -> None:
    runs: list[int] = []
    app = FastAPI()

    @app.get("/{number}")
    async def read(number: int) -> None:
        runs.append(number)
        raise HTTPException(number, detail={"why": number}, headers={"x-why": "because"})

    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        for status in (404, 403, 503):
            for _ in range(2):
                answer = await server.get(f"/{status}")
                assert (answer.status, answer["x-why"]) == (status, "because")
                assert answer.body == f'{{"detail":{{"why":{status}}}}}'.encode()
    assert runs == [404, 403, 403, 503, 503]


async def test_an_exception_handler_of_the_application_still_answers() -> None:
    async def handler(_request: Request, error: Exception) -> StarletteResponse:
        return JSONResponse({"error": str(error)}, status_code=418)

    async def endpoint(_request: Request) -> StarletteResponse:
        raise KeyError("teapot")

    app = Starlette(routes=[Route("/", endpoint)], exception_handlers={KeyError: handler})
    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        assert (await server.get("/")).status == 418


async def test_an_exception_nobody_handles_is_a_500_for_all_and_the_server_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrived: list[int] = []
    runs: list[int] = []
    go_on = asyncio.Event()

    async def endpoint(_request: Request) -> StarletteResponse:
        runs.append(1)
        await go_on.wait()
        raise KeyError("unhandled")

    app = starlette(endpoint)
    app.add_middleware(CacheMiddleware, ttl=60)

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            arrived.append(1)
        await app(scope, receive, send)

    async with serving(counting) as server:
        crowd = asyncio.ensure_future(server.crowd(10, "/"))
        await eventually(lambda: len(arrived) == 10, "all have arrived")
        go_on.set()
        assert {(answer.status, answer.body) for answer in await crowd} == {(500, b"Internal Server Error")}
        assert len(runs) == 1
        assert (await server.get("/")).status == 500
    assert "unhandled" in caplog.text


async def test_validation_errors_of_fastapi_are_not_stored() -> None:
    app = FastAPI()

    @app.get("/items/{item}")
    async def read(item: int) -> int:
        return item

    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        for _ in range(2):
            answer = await server.get("/items/seven")
            assert (answer.status, answer.hit) == (422, False)


async def test_a_dependency_with_yield_is_closed_after_each_load() -> None:
    events: list[str] = []
    app = FastAPI()

    async def session() -> AsyncIterator[str]:
        events.append("open")
        try:
            yield "session"
        finally:
            events.append("close")

    @app.get("/")
    async def read(session: Annotated[str, Depends(session)]) -> str:
        return session

    site = Site(app=app)
    await site.get("/")
    await site.get("/")
    assert events == ["open", "close"]


async def test_a_synchronous_handler_is_cached() -> None:
    runs: list[int] = []
    app = FastAPI()

    @app.get("/")
    def read() -> int:
        runs.append(1)
        return 7

    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        assert [(await server.get("/")).body for _ in range(3)] == [b"7"] * 3
    assert runs == [1]


# Header lines.


@pytest.mark.parametrize("rules", [[], [Rule("*", cookies="danger-store")]], ids=["not-stored", "stored"])
async def test_repeated_header_lines_survive_in_their_order(rules: list[Rule]) -> None:
    app = FastAPI()

    @app.get("/")
    async def read(response: Response) -> str:
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        response.headers.append("link", "</a>; rel=preload")
        response.headers.append("link", "</b>; rel=preload")
        return "ok"

    app.add_middleware(CacheMiddleware, ttl=60, rules=rules)
    async with serving(app) as server:
        answers = [await server.get("/") for _ in range(2)]
        for answer in answers:
            assert [line.partition(";")[0] for line in answer.lines("set-cookie")] == ["a=1", "b=2"]
            assert answer.lines("link") == ["</a>; rel=preload", "</b>; rel=preload"]
        assert answers[1].hit == bool(rules)


# What is not HTTP.


@pytest.mark.parametrize("kind", ["lifespan", "websocket", "something.new"])
async def test_other_scopes_reach_the_application_untouched(kind: str) -> None:
    given: list[tuple[Scope, Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        given.append((scope, receive, send))

    async def receive() -> Message:
        return {"type": f"{kind}.receive"}

    async def send(_message: Message) -> None:
        return

    scope: Scope = {"type": kind}
    await CacheMiddleware(app, ttl=60)(scope, receive, send)
    assert given == [(scope, receive, send)]
    assert given[0][0] is scope
    assert scope == {"type": kind}


async def test_the_lifespan_of_the_application_runs_behind_the_middleware() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, str]]:
        events.append("start")
        yield {"name": "state of the lifespan"}
        events.append("stop")

    async def endpoint(request: Request) -> StarletteResponse:
        return PlainTextResponse(request.state.name)

    app = Starlette(routes=[Route("/", endpoint)], lifespan=lifespan)
    app.add_middleware(CacheMiddleware, ttl=60)
    async with serving(app) as server:
        assert (await server.get("/")).body == b"state of the lifespan"
        assert events == ["start"]
    assert events == ["start", "stop"]


async def test_the_lifespan_of_the_cache_works_for_fastapi() -> None:
    cache = Cache()
    app = FastAPI(lifespan=cache.lifespan)

    @app.get("/")
    async def read() -> str:
        return "ok"

    app.add_middleware(CacheMiddleware, cache=cache, ttl=60)
    async with serving(app, lifespan="on") as server:
        assert (await server.get("/")).status == 200
