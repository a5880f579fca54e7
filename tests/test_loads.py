"""One load per key: the cache owns it, whoever leaves, and everybody gets the whole answer, or the same error."""

import asyncio
import contextvars
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import Request

import hotplate.loads
from hotplate import Cache, CacheMiddleware, Rule
from hotplate.asgi import Message, Receive, Scope, Send
from hotplate.testing import ManualClock
from tests.driver import START, Call, Reply, Response, Site, call
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

Start = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


def lazily(run: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    return asyncio.get_running_loop().create_task(run)


STARTS: dict[str, Start] = {"lazily": lazily}
if sys.version_info >= (3, 12):

    def eagerly(run: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return asyncio.Task(run, loop=asyncio.get_running_loop(), eager_start=True)

    STARTS["eagerly"] = eagerly


@pytest.fixture(autouse=True, params=sorted(STARTS))
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs with tasks that start at once, where Python has them, and with tasks that start later."""
    monkeypatch.setattr(hotplate.loads, "_start", STARTS[request.param])


class Gate:
    """An origin that is held back: counts who is inside, and lets all go when opened."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.opened = asyncio.Event()
        self.inside = 0

    async def __call__(self, _scope: Scope) -> Reply:
        self.inside += 1
        await self.opened.wait()
        return self.reply

    async def entered(self, count: int = 1) -> None:
        await eventually(lambda: self.inside >= count, f"{count} runs of the application are under way")


def asking(site: Site, request: Call) -> "asyncio.Task[Response]":
    return asyncio.get_running_loop().create_task(request.run(site.app))


async def led_and_followed(site: Site, gate: Gate, followers: int) -> "list[asyncio.Task[Response]]":
    """One request that loads and some that wait for it; the leader is the first."""
    leader = asking(site, call("GET", "/"))
    await gate.entered()
    waiting = [asking(site, call("GET", "/")) for _ in range(followers)]
    await turns()
    return [leader, *waiting]


async def turns(count: int = 20) -> None:
    """Lets everything that can go on without being waited for go on."""
    for _ in range(count):
        await asyncio.sleep(0)


# One run, the whole answer for everybody.


async def test_many_requests_for_one_cold_key_run_the_handler_once() -> None:
    gate = Gate(Reply(b"x" * 10_000))
    site = Site(gate)
    asked = [asking(site, call("GET", "/")) for _ in range(500)]
    await gate.entered()
    gate.opened.set()
    answers = await asyncio.gather(*asked)
    assert site.runs == 1
    assert {answer.body for answer in answers} == {b"x" * 10_000}


async def test_everybody_who_waited_is_counted_as_collapsed() -> None:
    gate = Gate(Reply())
    site = Site(gate)
    asked = await led_and_followed(site, gate, 9)
    gate.opened.set()
    await asyncio.gather(*asked)
    assert (site.cache.stats().misses, site.cache.stats().collapsed) == (1, 9)


async def test_cache_status_says_that_a_request_was_collapsed() -> None:
    gate = Gate(Reply())
    site = Site(gate)
    asked = await led_and_followed(site, gate, 1)
    gate.opened.set()
    _, waited = await asyncio.gather(*asked)
    assert waited["cache-status"].startswith("hotplate; fwd=uri-miss")
    assert "; collapsed" in waited["cache-status"]


async def test_a_streamed_answer_is_whole_for_everybody() -> None:
    gate = Gate(Reply([b"a", b"b", b"c"]))
    site = Site(gate)
    asked = await led_and_followed(site, gate, 5)
    gate.opened.set()
    assert [answer.body for answer in await asyncio.gather(*asked)] == [b"abc"] * 6


async def test_two_keys_do_not_wait_for_each_other() -> None:
    gate = Gate(Reply())
    site = Site(lambda scope: gate(scope) if scope["path"] == "/slow" else Reply(b"quick"))
    slow = asking(site, call("GET", "/slow"))
    await gate.entered()
    assert (await site.get("/quick")).body == b"quick"
    gate.opened.set()
    await slow


async def test_variants_asked_for_together_are_not_mixed_up() -> None:
    gate = Gate(Reply())

    async def spoken(scope: Scope) -> Reply:
        await gate(scope)
        return Reply(dict(scope["headers"])[b"accept-language"], headers=[("vary", "accept-language")])

    site = Site(spoken)
    languages = ["en", "de", "fr"] * 10
    asked = [asking(site, call("GET", "/", headers=[("accept-language", language)])) for language in languages]
    await gate.entered()
    gate.opened.set()
    assert [answer.body.decode() for answer in await asyncio.gather(*asked)] == languages
    assert site.runs == 3


async def test_partitions_asked_for_together_are_not_mixed_up() -> None:
    gate = Gate(Reply())

    async def named(scope: Scope) -> Reply:
        await gate(scope)
        return Reply(dict(scope["headers"])[b"x-tenant"])

    site = Site(named, partition=lambda head: head.field("x-tenant"))
    tenants = ["a", "b"] * 10
    asked = [asking(site, call("GET", "/", headers=[("x-tenant", tenant)])) for tenant in tenants]
    await gate.entered(2)
    gate.opened.set()
    assert [answer.body.decode() for answer in await asyncio.gather(*asked)] == tenants
    assert site.runs == 2


async def test_those_who_wait_get_the_answer_to_their_own_condition() -> None:
    gate = Gate(Reply(headers=[("etag", '"1"')]))
    site = Site(gate)
    leader = asking(site, call("GET", "/"))
    await gate.entered()
    conditional = asking(site, call("GET", "/", headers=[("if-none-match", '"1"')]))
    unlike = asking(site, call("GET", "/", headers=[("if-none-match", '"2"')]))
    await turns()
    gate.opened.set()
    assert [(await asked).status for asked in (leader, conditional, unlike)] == [200, 304, 200]
    assert site.runs == 1


async def test_the_leaders_own_condition_is_not_that_of_the_load() -> None:
    gate = Gate(Reply(headers=[("etag", '"1"')]))
    site = Site(gate)
    leader = asking(site, call("GET", "/", headers=[("if-none-match", '"1"')]))
    await gate.entered()
    follower = asking(site, call("GET", "/"))
    await turns()
    gate.opened.set()
    assert ((await leader).status, (await follower).status) == (304, 200)
    assert site.origin.seen("if-none-match") == []


# The cache owns the load.


async def test_a_cancelled_leader_takes_nothing_from_those_who_wait() -> None:
    gate = Gate(Reply([b"whole ", b"answer"]))
    site = Site(gate)
    leader, *waiting = await led_and_followed(site, gate, 3)
    leader.cancel()
    await asyncio.wait([leader])
    gate.opened.set()
    assert [answer.body for answer in await asyncio.gather(*waiting)] == [b"whole answer"] * 3
    assert site.runs == 1


async def test_the_answer_is_stored_although_its_leader_was_cancelled_and_nobody_waits() -> None:
    gate = Gate(Reply())
    site = Site(gate)
    (leader,) = await led_and_followed(site, gate, 0)
    leader.cancel()
    await asyncio.wait([leader])
    gate.opened.set()
    await site.settle()
    assert (await site.get("/")).hit


async def test_a_leader_cancelled_mid_body_truncates_nobody() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        begun.set()
        await finish.wait()
        await send({"type": "http.response.body", "body": b"second"})

    site = Site(app=app)
    leader = asking(site, call("GET", "/"))
    await begun.wait()
    waiting = asking(site, call("GET", "/"))
    await turns()
    leader.cancel()
    await asyncio.wait([leader])
    finish.set()
    assert (await waiting).body == b"first second"
    assert (await site.get("/")).body == b"first second"


async def test_a_leader_whose_send_fails_truncates_nobody() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        begun.set()
        await finish.wait()
        await send({"type": "http.response.body", "body": b"second"})

    async def broken(_message: Message) -> None:
        raise OSError("the connection is gone")

    site = Site(app=app)
    request = call("GET", "/")
    leader = asyncio.ensure_future(site.app(request.scope, request.receive, broken))
    await begun.wait()
    waiting = asking(site, call("GET", "/"))
    await asyncio.wait([leader])
    assert isinstance(leader.exception(), OSError)
    finish.set()
    assert (await waiting).body == b"first second"


async def test_a_leader_that_disconnects_does_not_stop_a_load_that_listens() -> None:
    heard: list[str] = []
    finish = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

        async def listen() -> None:
            heard.append((await receive())["type"])

        listening = asyncio.ensure_future(listen())
        await finish.wait()
        listening.cancel()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})

    site = Site(app=app)
    request = call("GET", "/")
    leader = asking(site, request)
    await turns()
    request.disconnect()
    await turns()
    waiting = asking(site, call("GET", "/"))
    await turns()
    finish.set()
    assert (await waiting).body == b"whole"
    await asyncio.wait([leader])
    assert heard == []


async def test_a_cancelled_waiter_takes_nothing_from_anybody() -> None:
    gate = Gate(Reply())
    site = Site(gate)
    leader, gone, waiting = await led_and_followed(site, gate, 2)
    gone.cancel()
    await asyncio.wait([gone])
    gate.opened.set()
    assert [(await leader).body, (await waiting).body] == [b"hello", b"hello"]
    assert site.runs == 1


async def test_everybody_leaving_still_stores_the_answer() -> None:
    gate = Gate(Reply())
    site = Site(gate)
    asked = await led_and_followed(site, gate, 4)
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)
    gate.opened.set()
    await site.settle()
    assert (await site.get("/")).hit


async def test_a_load_nobody_listens_to_is_told_so_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hotplate.loads, "ORPHAN_SECONDS", 0.0)
    heard = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        heard.set()

    site = Site(app=app)
    request = call("GET", "/")
    leader = asking(site, request)
    await turns()
    request.disconnect()
    await asyncio.wait_for(heard.wait(), 10)
    leader.cancel()
    await asyncio.wait([leader])


async def test_a_handler_that_polls_for_its_clients_leaving_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hotplate.loads, "ORPHAN_SECONDS", 0.0)
    polled = asyncio.Event()
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, _send: Send) -> None:
        request = Request(scope, receive)
        await request.body()
        while not await request.is_disconnected():
            polled.set()
            await asyncio.sleep(0)
        ended.set()

    site = Site(app=app)
    request = call("GET", "/")
    leader = asyncio.ensure_future(site.app(request.scope, request.receive, request.send))
    await polled.wait()
    request.disconnect()
    await asyncio.wait_for(ended.wait(), 5)
    await leader


async def test_a_client_that_left_before_the_head_is_noticed_when_the_answer_is_not_stored() -> None:
    go_on, heard = asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        listening = asyncio.ensure_future(receive())
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"no-store")]})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        assert (await listening)["type"] == "http.disconnect"
        heard.set()

    site = Site(app=app)
    request = call("GET", "/")
    leader = asyncio.ensure_future(site.app(request.scope, request.receive, request.send))
    await turns()
    request.disconnect()
    await turns()
    go_on.set()
    await asyncio.wait_for(heard.wait(), 5)
    await leader


async def test_the_error_of_a_load_whose_client_has_left_is_told(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate(Reply(error_before=LookupError("nobody is there to hear it")))
    site = Site(gate)
    (leader,) = await led_and_followed(site, gate, 0)
    leader.cancel()
    await asyncio.wait([leader])
    gate.opened.set()
    await site.settle()
    assert "nobody is there to hear it" in caplog.text


async def test_a_load_that_is_cancelled_itself_elects_another_leader() -> None:
    entered, finish = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        runs.append(1)
        entered.set()
        if len(runs) == 1:
            await finish.wait()
            raise asyncio.CancelledError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"second"})

    site = Site(app=app)
    leader = asking(site, call("GET", "/"))
    await entered.wait()
    waiting = [asking(site, call("GET", "/")) for _ in range(3)]
    await turns()
    finish.set()
    assert [answer.body for answer in await asyncio.gather(*waiting)] == [b"second"] * 3
    await asyncio.wait([leader])
    assert leader.cancelled()
    assert len(runs) == 2


async def test_shutdown_waits_for_loads_under_way() -> None:
    gate = Gate(Reply())
    site = Site(gate)
    async with site.cache.lifespan(None):
        (leader,) = await led_and_followed(site, gate, 0)
        leader.cancel()
        await asyncio.wait([leader])
        asyncio.get_running_loop().call_soon(gate.opened.set)
    assert len(site.cache.loads) == 0
    assert (await site.get("/")).hit


async def test_shutdown_cancels_loads_that_do_not_end(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate(Reply())
    site = Site(gate)
    (leader,) = await led_and_followed(site, gate, 0)
    await site.cache.loads.drain(0.01)
    await asyncio.wait([leader])
    assert leader.cancelled()
    assert "cancelled 1 loads" in caplog.text


# Answers that cannot be stored.


@pytest.mark.parametrize(
    "reply",
    [
        Reply(headers=[("cache-control", "no-store")]),
        Reply(headers=[("cache-control", "private")]),
        Reply(headers=[("set-cookie", "a=1")]),
        Reply(headers=[("vary", "*")]),
        Reply(status=302, headers=[("location", "/x")]),
        Reply(status=500, headers=[("cache-control", "no-store")]),
    ],
    ids=["no-store", "private", "set-cookie", "vary-any", "302", "500-no-store"],
)
async def test_waiters_for_an_answer_that_cannot_be_stored_go_at_once_and_together(reply: Reply) -> None:
    first, others = asyncio.Event(), asyncio.Event()
    inside = 0

    async def answer(_scope: Scope) -> Reply:
        nonlocal inside
        inside += 1
        await (first if inside == 1 else others).wait()
        return reply

    site = Site(answer)
    asked = [asking(site, call("GET", "/")) for _ in range(20)]
    await eventually(lambda: inside == 1, "the first is under way")
    await turns()
    assert inside == 1
    first.set()
    await eventually(lambda: inside == 20, "all the others run at the same time")
    others.set()
    assert [answer.status for answer in await asyncio.gather(*asked)] == [reply.status] * 20
    assert site.runs == 20


async def test_nobody_waits_for_a_key_whose_last_answer_could_not_be_stored() -> None:
    site = Site(Reply(headers=[("cache-control", "no-store")]))
    await site.get("/")
    gate = Gate(Reply(headers=[("cache-control", "no-store")]))
    site.origin.answer = gate
    asked = [asking(site, call("GET", "/")) for _ in range(3)]
    await gate.entered(3)
    gate.opened.set()
    await asyncio.gather(*asked)


async def test_a_key_whose_answer_becomes_storable_is_stored_at_once() -> None:
    site = Site(Reply(headers=[("cache-control", "no-store")]))
    await site.get("/")
    site.origin.answer = Reply(b"public")
    await site.get("/")
    assert (await site.get("/")).hit


async def test_waiting_for_a_slow_load_ends_at_the_deadline() -> None:
    gate = Gate(Reply(b"slow"))
    site = Site(lambda scope: Reply(b"own") if gate.inside else gate(scope), wait_timeout=0.02)
    leader, waiting = await led_and_followed(site, gate, 1)
    assert (await waiting).body == b"own"
    assert not leader.done()
    gate.opened.set()
    assert (await leader).body == b"slow"


# Errors.


async def test_an_exception_before_the_first_byte_is_everybodys() -> None:
    gate = Gate(Reply(error_before=LookupError("no such table")))
    site = Site(gate)
    asked = await led_and_followed(site, gate, 20)
    gate.opened.set()
    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert [repr(error) for error in errors] == ["LookupError('no such table')"] * 21
    assert site.runs == 1


async def test_each_who_waits_gets_the_exception_with_the_handlers_own_traceback() -> None:
    gate = Gate(Reply(error_before=LookupError("no such table")))
    site = Site(gate)
    depths: list[int] = []

    async def ask() -> None:
        with pytest.raises(LookupError) as raised:
            await call("GET", "/").run(site.app)
        frames = traceback.extract_tb(raised.value.__traceback__)
        assert frames[-1].name == "__call__"
        assert frames[-1].line == "raise reply.error_before"
        depths.append(len(frames))

    asked = [asyncio.ensure_future(ask()) for _ in range(50)]
    await gate.entered()
    gate.opened.set()
    await asyncio.gather(*asked)
    assert max(depths) < 2 * min(depths), "each exception carries the frames of all who waited before"


async def test_an_exception_is_not_remembered() -> None:
    site = Site(Reply(error_before=LookupError("once")))
    with pytest.raises(LookupError):
        await site.get("/")
    site.origin.answer = Reply(b"well again")
    assert (await site.get("/")).body == b"well again"


async def test_an_exception_after_the_first_byte_is_everybodys_and_nothing_is_stored() -> None:
    gate = Gate(Reply([b"half"], error_after=LookupError("mid-stream")))
    site = Site(gate)
    request = call("GET", "/")
    leader = asking(site, request)
    await gate.entered()
    waiting = [asking(site, call("GET", "/")) for _ in range(5)]
    await turns()
    gate.opened.set()
    errors = await asyncio.gather(leader, *waiting, return_exceptions=True)
    assert [repr(error) for error in errors] == ["LookupError('mid-stream')"] * 6
    assert request.response().body == b"half"
    assert site.runs == 1
    site.origin.answer = Reply(b"whole")
    assert (await site.get("/")).body == b"whole"


@pytest.mark.parametrize(
    "body",
    [
        [{"body": b"half", "more_body": True}],
        [],
    ],
    ids=["no-end", "no-body"],
)
@pytest.mark.parametrize("length", [[], [(b"content-length", b"8")]], ids=["unannounced", "announced"])
async def test_a_body_cut_short_is_never_stored(body: list[Message], length: list[tuple[bytes, bytes]]) -> None:
    runs: list[int] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        runs.append(1)
        await send({"type": "http.response.start", "status": 200, "headers": length})
        for part in body:
            await send({"type": "http.response.body", **part})

    site = Site(app=app)
    for _ in range(2):
        request = call("GET", "/")
        await site.app(request.scope, request.receive, request.send)
        sent = b"".join(message.get("body", b"") for message in request.messages)
        assert sent == b"".join(part["body"] for part in body)
    assert len(runs) == 2
    assert site.cache.stats().stored == 0


@pytest.mark.parametrize("length", [b"3", b"50"])
async def test_a_body_of_another_length_than_announced_is_never_stored(length: bytes) -> None:
    site = Site(Reply(b"hello", headers=[("content-length", length)]))
    for _ in range(2):
        assert (await site.get("/")).body == b"hello"
    assert site.runs == 2


async def test_those_who_wait_for_a_body_cut_short_get_a_whole_one() -> None:
    entered, finish = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        runs.append(1)
        cut = len(runs) == 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole", "more_body": True})
        entered.set()
        await finish.wait()
        if not cut:
            await send({"type": "http.response.body", "body": b""})

    site = Site(app=app)
    request = call("GET", "/")
    leader = asyncio.ensure_future(site.app(request.scope, request.receive, request.send))
    await entered.wait()
    waiting = [asking(site, call("GET", "/")) for _ in range(3)]
    await turns()
    finish.set()
    assert [answer.body for answer in await asyncio.gather(*waiting)] == [b"whole"] * 3
    await leader
    assert len(runs) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_is_shared_by_those_who_wait_and_not_stored(status: int) -> None:
    gate = Gate(Reply(b"sorry", status, headers=[("retry-after", "5"), ("x-a", "1"), ("x-a", "2")]))
    site = Site(gate)
    asked = await led_and_followed(site, gate, 10)
    gate.opened.set()
    answers = await asyncio.gather(*asked)
    assert [(answer.status, answer.body, answer.lines("x-a")) for answer in answers] == [
        (status, b"sorry", ["1", "2"])
    ] * 11
    assert site.runs == 1
    site.origin.answer = Reply(b"well again")
    assert (await site.get("/")).body == b"well again"


async def test_a_server_error_is_not_shared_with_another_variant() -> None:
    gate = Gate(Reply())

    async def spoken(scope: Scope) -> Reply:
        await gate(scope)
        return Reply(dict(scope["headers"])[b"accept-language"], 503, headers=[("vary", "accept-language")])

    site = Site(spoken)
    english = asking(site, call("GET", "/", headers=[("accept-language", "en")]))
    await gate.entered()
    german = asking(site, call("GET", "/", headers=[("accept-language", "de")]))
    await turns()
    gate.opened.set()
    assert [(await english).body, (await german).body] == [b"en", b"de"]


async def test_a_server_error_is_streamed_to_its_leader() -> None:
    site = Site(Reply([b"so", b"rry"], 503))
    assert [chunk for chunk in (await site.get("/")).chunks if chunk] == [b"so", b"rry"]


# Stale while something happens.


def seldom(**settings: Any) -> list[Rule]:
    return [Rule("*", ttl=10, **settings)]


async def test_a_stale_response_is_served_to_all_while_one_load_refreshes_it() -> None:
    site = Site(Reply(b"old"), rules=seldom(stale_while_revalidate=60))
    await site.get("/")
    site.clock.advance(11)
    gate = Gate(Reply(b"new"))
    site.origin.answer = gate
    answers = [await site.get("/") for _ in range(10)]
    await gate.entered()
    assert {answer.body for answer in answers} == {b"old"}
    assert site.runs == 2
    gate.opened.set()
    await site.settle()
    assert (await site.get("/")).body == b"new"
    assert site.runs == 2


async def test_a_refresh_that_fails_leaves_what_is_stored(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(Reply(b"old"), rules=seldom(stale_while_revalidate=60))
    await site.get("/")
    site.clock.advance(11)
    site.origin.answer = Reply(error_before=LookupError("down"))
    assert (await site.get("/")).body == b"old"
    await site.settle()
    assert (await site.get("/")).body == b"old"
    await site.settle()
    assert "a refresh failed" in caplog.text


async def test_the_client_of_a_stale_response_does_not_wait_for_the_refresh() -> None:
    site = Site(Reply(b"old"), rules=seldom(stale_while_revalidate=60))
    await site.get("/")
    site.clock.advance(11)
    gate = Gate(Reply(b"new"))
    site.origin.answer = gate
    request = call("GET", "/")
    answer = await asyncio.wait_for(request.run(site.app), 10)
    assert answer.body == b"old"
    gate.opened.set()
    await site.settle()


@pytest.mark.parametrize(
    "failing",
    [Reply(error_before=LookupError("down")), Reply(b"down", 500), Reply(b"down", 503)],
    ids=["exception", "500", "503"],
)
async def test_a_stale_response_answers_for_a_handler_that_fails(failing: Reply) -> None:
    site = Site(Reply(b"old"), rules=seldom(stale_if_error=60))
    await site.get("/")
    site.clock.advance(11)
    site.origin.answer = failing
    answer = await site.get("/")
    assert (answer.status, answer.body) == (200, b"old")


async def test_those_who_wait_for_a_load_that_fails_also_get_the_stale_response() -> None:
    site = Site(Reply(b"old"), rules=seldom(stale_if_error=60))
    await site.get("/")
    site.clock.advance(11)
    gate = Gate(Reply(error_before=LookupError("down")))
    site.origin.answer = gate
    asked = await led_and_followed(site, gate, 5)
    gate.opened.set()
    assert [answer.body for answer in await asyncio.gather(*asked)] == [b"old"] * 6
    assert site.runs == 2


async def test_a_handler_that_fails_is_not_tried_again_by_every_request() -> None:
    site = Site(Reply(b"old"), rules=seldom(stale_if_error=60))
    await site.get("/")
    site.clock.advance(11)
    site.origin.answer = Reply(error_before=LookupError("down"))
    for _ in range(10):
        assert (await site.get("/")).body == b"old"
    assert site.runs == 2


async def test_a_stale_response_no_longer_answers_once_its_grace_is_over() -> None:
    site = Site(Reply(b"old"), rules=seldom(stale_if_error=60))
    await site.get("/")
    site.clock.advance(71)
    site.origin.answer = Reply(error_before=LookupError("down"))
    with pytest.raises(LookupError):
        await site.get("/")


async def test_an_exception_after_the_first_byte_is_not_hidden_by_a_stale_response() -> None:
    site = Site(Reply(b"old"), rules=seldom(stale_if_error=60))
    await site.get("/")
    site.clock.advance(11)
    site.origin.answer = Reply([b"half", b"more"], error_after=LookupError("mid-stream"))
    with pytest.raises(LookupError):
        await site.get("/")


# Where a load runs.


async def test_context_variables_set_outside_are_seen_inside() -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
    site = Site(lambda _scope: Reply(tenant.get().encode()))
    tenant.set("blue")
    assert (await site.get("/")).body == b"blue"


async def test_what_a_load_leaves_in_the_scope_is_seen_outside() -> None:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        scope["endpoint"] = "index"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    site = Site(app=app)
    request = call("GET", "/")
    await request.run(site.app)
    assert request.scope["endpoint"] == "index"


async def test_a_load_is_given_the_request_once_and_then_silence() -> None:
    heard: list[Message] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())
        listening = asyncio.ensure_future(receive())
        await turns()
        assert not listening.done()
        listening.cancel()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    await Site(app=app).get("/")
    assert heard == [{"type": "http.request", "body": b"", "more_body": False}]


async def test_a_slow_client_slows_down_nobody_elses_answer() -> None:
    gate = Gate(Reply([b"a", b"b", b"c"]))
    site = Site(gate)
    request = call("GET", "/")
    taken = asyncio.Event()

    async def slow(message: Message) -> None:
        await taken.wait()
        await request.send(message)

    leader = asyncio.ensure_future(site.app(request.scope, request.receive, slow))
    await gate.entered()
    waiting = asking(site, call("GET", "/"))
    await turns()
    gate.opened.set()
    assert (await asyncio.wait_for(waiting, 10)).body == b"abc"
    assert (await site.get("/")).hit
    taken.set()
    await leader
    assert request.response().body == b"abc"


async def test_a_slow_client_slows_down_an_answer_that_is_not_stored() -> None:
    produced: list[int] = []
    taken = asyncio.Semaphore(0)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"no-store")]})
        for number in range(100):
            produced.append(number)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    site = Site(app=app)
    request = call("GET", "/")

    async def slow(message: Message) -> None:
        await taken.acquire()
        await request.send(message)

    asked = asyncio.ensure_future(site.app(request.scope, request.receive, slow))
    for number in range(1, 6):
        taken.release()
        await turns()
        assert len(produced) <= number + 2
    for _ in range(200):
        taken.release()
    await asked
    assert len(produced) == 100


async def test_two_tasks_of_one_handler_may_send() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"no-store")]})

        async def several() -> None:
            for _ in range(10):
                await send({"type": "http.response.body", "body": b"x", "more_body": True})

        await asyncio.gather(several(), several())
        await send({"type": "http.response.body", "body": b""})

    answer = await asyncio.wait_for(Site(app=app).get("/"), 5)
    assert answer.body == b"x" * 20


async def test_an_event_loop_that_is_closed_while_it_waits_disturbs_nobody() -> None:
    gate = Gate(Reply())
    site = Site(gate)
    (leader,) = await led_and_followed(site, gate, 0)

    def ask_and_give_up() -> None:
        async def ask() -> None:
            waiting = asyncio.ensure_future(call("GET", "/").run(site.app))
            await turns()
            waiting.cancel()

        asyncio.run(ask())

    thread = threading.Thread(target=ask_and_give_up)
    thread.start()
    await eventually(lambda: not thread.is_alive(), "the other loop is closed")
    staying = asking(site, call("GET", "/"))
    await turns()
    gate.opened.set()
    assert [(await leader).body, (await staying).body] == [b"hello", b"hello"]


async def test_one_cache_serves_several_event_loops_with_one_load() -> None:
    opened = threading.Event()
    runs: list[int] = []
    cache = Cache("memory://", clock=ManualClock(START))

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        runs.append(1)
        await eventually(opened.is_set, "the gate is open")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one for all"})

    middleware = CacheMiddleware(app, cache=cache, ttl=60)
    bodies: list[bytes] = []

    async def ask() -> None:
        answers = await asyncio.gather(*(call("GET", "/").run(middleware) for _ in range(25)))
        bodies.extend(answer.body for answer in answers)

    threads = [threading.Thread(target=asyncio.run, args=(ask(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    await eventually(lambda: len(runs) > 0, "somebody loads")
    await turns()
    opened.set()
    await eventually(lambda: not any(thread.is_alive() for thread in threads), "all loops have ended")
    assert bodies == [b"one for all"] * 100
    assert len(runs) == 1
