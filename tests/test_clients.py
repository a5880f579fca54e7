"""What an application and its client see through the middleware: the ASGI protocol, and httpx as a real client."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from hotplate import Cache, Rule
from hotplate.asgi import Message, Receive, Scope, Send
from tests.driver import Header, Reply, Site, call, http_scope

pytestmark = pytest.mark.asyncio


# The scope.


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_application_gets_the_scope_of_the_server(site: Site, method: str) -> None:
    sent = http_scope(method, "/a?b=c", headers=[("x-one", "1"), ("x-one", "2")], root_path="")
    await site.request(method, "/a?b=c", headers=[("x-one", "1"), ("x-one", "2")])
    got = {name: value for name, value in site.origin.scope.items() if name != "hotplate"}
    assert got == sent


async def test_the_scope_of_the_server_is_not_changed_by_a_load(site: Site) -> None:
    request = call("GET", "/", headers=[("if-none-match", '"x"')])
    before = list(request.scope["headers"])
    await request.run(site.app)
    assert request.scope["headers"] == before


async def test_the_state_of_the_lifespan_is_shared_not_copied(site: Site) -> None:
    state: dict[str, Any] = {}
    await site.get("/", state=state)
    assert site.origin.scope["state"] is state


@pytest.mark.parametrize("kind", ["lifespan", "websocket", "something.else"])
async def test_scopes_of_another_type_pass_through_untouched(kind: str) -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None: ...

    scope: Scope = {"type": kind}
    await Site(app=app).app(scope, receive, send)
    assert all(got is given for got, given in zip(seen, [scope, receive, send], strict=True))


# Messages.


async def messages(site: Site, method: str = "GET", target: str = "/", **request: Any) -> list[Message]:
    """Every message the client's server gets for a request, whatever its type."""
    got: list[Message] = []
    request_ = call(method, target, **request)

    async def send(message: Message) -> None:
        got.append(message)

    await site.app(request_.scope, request_.receive, send)
    return got


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_messages_of_extensions_reach_the_server(method: str) -> None:
    early: Message = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(early)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    assert (await messages(Site(app=app), method))[0] == early


async def test_trailers_reach_the_server() -> None:
    trailers: Message = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"hello"})
        await send(trailers)

    assert (await messages(Site(app=app)))[-1] == trailers


@pytest.mark.parametrize("stored", [False, True])
async def test_an_answer_is_one_start_and_its_body(stored: bool) -> None:
    site = Site(Reply(b"hello", headers=[("content-length", "5")]))
    if stored:
        await site.get("/")
    got = await messages(site)
    assert [message["type"] for message in got] == ["http.response.start", "http.response.body"]


async def test_a_hit_gives_each_client_messages_of_its_own(site: Site) -> None:
    await site.get("/")
    first = await messages(site)
    first[0]["headers"].clear()
    assert (await site.get("/"))["content-length"] == "5"


async def test_a_client_that_changes_its_headers_changes_nobody_elses(site: Site) -> None:
    """GZip and other middleware outside edit the list in place."""
    first = await messages(site)
    first[0]["headers"].append((b"x-added", b"1"))
    assert "x-added" not in await site.get("/")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_exception_before_the_first_byte_is_raised_as_it_is(method: str) -> None:
    error = RuntimeError("down")
    site = Site(Reply(error_before=error))
    with pytest.raises(RuntimeError) as raised:
        await site.request(method, "/")
    assert raised.value is error


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_exception_after_the_first_byte_comes_after_what_was_sent(method: str) -> None:
    site = Site(Reply([b"par"], error_after=RuntimeError("cut")))
    request = call(method, "/")
    with pytest.raises(RuntimeError, match="cut"):
        await request.run(site.app)
    assert request.response().body == b"par"


@pytest.mark.parametrize("kind", [ValueError, KeyError, OSError, TimeoutError, AssertionError, StopAsyncIteration])
async def test_exceptions_of_any_kind_pass_through(kind: type[Exception]) -> None:
    site = Site(Reply(error_before=kind("x")))
    with pytest.raises((kind, RuntimeError)):
        await site.get("/")


async def test_after_an_exception_the_next_request_is_loaded_again(site: Site) -> None:
    site.origin.answer = Reply(error_before=RuntimeError("down"))
    with pytest.raises(RuntimeError):
        await site.get("/")
    site.origin.answer = b"up"
    assert (await site.get("/")).body == b"up"


async def test_an_application_without_an_answer_stays_without_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    assert await messages(Site(app=app)) == []


async def test_after_an_application_without_an_answer_the_next_request_is_loaded() -> None:
    answers = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if answers:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"hello"})

    site = Site(app=app)
    await messages(site)
    answers = True
    assert (await site.get("/")).body == b"hello"


async def test_the_body_of_a_post_reaches_the_application_part_by_part(site: Site) -> None:
    await site.post("/", body=[b"one", b"two"])
    assert site.origin.bodies == [b"onetwo"]


async def test_a_client_that_leaves_while_its_body_enters_the_key_is_let_go() -> None:
    site = Site(rules=[Rule("/search", methods=["POST"])])
    request = call("POST", "/search", body=[])
    request.disconnect()
    await request.run(site.app)
    assert not (await site.post("/search", body=b"")).hit


async def test_an_application_sees_that_the_client_of_an_unstored_answer_left() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        request.disconnect()
        seen.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    request = call("POST", "/")
    await request.run(Site(app=app).app)
    assert seen == ["http.disconnect"]


# httpx.


@pytest_asyncio.fixture
async def client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=site.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://example.test") as client:
        yield client


async def test_httpx_gets_a_hit(site: Site, client: httpx.AsyncClient) -> None:
    await client.get("/")
    response = await client.get("/")
    assert (response.text, response.headers["cache-status"]) == ("run 1", "hotplate; hit; ttl=60")


async def test_httpx_decodes_a_compressed_hit(site: Site, client: httpx.AsyncClient) -> None:
    headers: list[Header] = [("content-encoding", "gzip"), ("vary", "Accept-Encoding")]
    site.origin.answer = Reply(gzip.compress(b"hello"), headers=headers)
    await client.get("/")
    response = await client.get("/")
    assert (response.text, response.headers["cache-status"]) == ("hello", "hotplate; hit; ttl=60")


async def test_httpx_revalidates_with_the_etag_it_was_given(client: httpx.AsyncClient) -> None:
    await client.get("/")
    etag = (await client.get("/")).headers["etag"]
    assert (await client.get("/", headers={"if-none-match": etag})).status_code == 304


async def test_httpx_reads_a_stream_that_is_recorded(site: Site, client: httpx.AsyncClient) -> None:
    site.origin.answer = Reply([b"a", b"b", b"c"])
    async with client.stream("GET", "/") as response:
        assert await response.aread() == b"abc"


async def test_httpx_cookies_are_nobody_elses(site: Site, client: httpx.AsyncClient) -> None:
    def answer(scope: Scope) -> Reply:
        sent = dict(scope["headers"]).get(b"cookie", b"none")
        return Reply(sent, headers=[("set-cookie", "sid=alice")] if sent == b"none" else [])

    site.origin.answer = answer
    await client.get("/")
    await client.get("/")
    other = httpx.AsyncClient(transport=httpx.ASGITransport(app=site.app), base_url="http://example.test")
    async with other:
        assert (await other.get("/")).text == "none"


async def test_httpx_puts_and_gets_the_new_state(site: Site, client: httpx.AsyncClient) -> None:
    await client.get("/a")
    await client.put("/a", content=b"new")
    assert (await client.get("/a")).text == "run 3"


async def test_the_lifespan_of_the_cache_needs_no_framework(cache: Cache) -> None:
    async with cache.lifespan():
        assert len(cache.loads) == 0
