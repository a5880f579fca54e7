"""Loads without an answer to store: those who wait go at once, get the same error, or what is stale."""

import asyncio
import traceback
from typing import Any
from weakref import WeakSet

import pytest

from hotplate import Rule
from hotplate.asgi import Message, Receive, Scope, Send
from tests.driver import Reply, Site, call
from tests.loading import Gate, asking, led_and_followed
from tests.value_fleet import collected
from tests.waiting import eventually, turns

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("start")]

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


async def test_an_exception_that_several_got_is_held_by_nobody_afterwards() -> None:
    class FailedError(Exception):
        pass

    gate, failures = Gate(Reply()), WeakSet[FailedError]()

    async def answer(scope: Scope) -> Reply:
        await gate(scope)
        failures.add(failure := FailedError())
        raise failure

    site = Site(answer)
    asked = await led_and_followed(site, gate, 5)
    gate.opened.set()
    assert [type(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == [FailedError] * 6
    del asked
    assert site.runs == 1
    await turns()
    assert collected(lambda: not failures)


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


async def aged(seconds: float, **settings: Any) -> Site:
    """A site that answered ``old`` so many seconds ago, to be kept for ten."""
    site = Site(Reply(b"old"), rules=[Rule("*", ttl=10, **settings)])
    await site.get("/")
    site.clock.advance(seconds)
    return site


async def test_a_stale_response_is_served_to_all_while_one_load_refreshes_it() -> None:
    site = await aged(11, stale_while_revalidate=60)
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
    site = await aged(11, stale_while_revalidate=60)
    site.origin.answer = Reply(error_before=LookupError("down"))
    assert (await site.get("/")).body == b"old"
    await site.settle()
    assert (await site.get("/")).body == b"old"
    await site.settle()
    assert "a refresh failed" in caplog.text


async def test_the_client_of_a_stale_response_does_not_wait_for_the_refresh() -> None:
    site = await aged(11, stale_while_revalidate=60)
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
    site = await aged(11, stale_if_error=60)
    site.origin.answer = failing
    answer = await site.get("/")
    assert (answer.status, answer.body) == (200, b"old")


async def test_those_who_wait_for_a_load_that_fails_also_get_the_stale_response() -> None:
    site = await aged(11, stale_if_error=60)
    gate = Gate(Reply(error_before=LookupError("down")))
    site.origin.answer = gate
    asked = await led_and_followed(site, gate, 5)
    gate.opened.set()
    assert [answer.body for answer in await asyncio.gather(*asked)] == [b"old"] * 6
    assert site.runs == 2


async def test_a_handler_that_fails_is_not_tried_again_by_every_request() -> None:
    site = await aged(11, stale_if_error=60)
    site.origin.answer = Reply(error_before=LookupError("down"))
    for _ in range(10):
        assert (await site.get("/")).body == b"old"
    assert site.runs == 2


async def test_a_stale_response_no_longer_answers_once_its_grace_is_over() -> None:
    site = await aged(71, stale_if_error=60)
    site.origin.answer = Reply(error_before=LookupError("down"))
    with pytest.raises(LookupError):
        await site.get("/")


async def test_an_exception_after_the_first_byte_is_not_hidden_by_a_stale_response() -> None:
    site = await aged(11, stale_if_error=60)
    site.origin.answer = Reply([b"half", b"more"], error_after=LookupError("mid-stream"))
    with pytest.raises(LookupError):
        await site.get("/")
