"""One load per key: one run of the handler, the whole answer for everybody, and where a load runs."""

import asyncio
import contextvars
import threading

import pytest

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import Message, Receive, Scope, Send
from hotplate.testing import ManualClock
from tests.driver import START, Reply, Site, call
from tests.loading import Gate, asking, led_and_followed
from tests.waiting import eventually, turns

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("start")]

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


async def test_a_crowd_that_waited_is_answered_over_several_turns_of_the_loop() -> None:
    """So that a server can write the first answers while it makes the others."""
    gate = Gate(Reply())
    site = Site(gate)
    asked = await led_and_followed(site, gate, 200)
    turn, answered_in = 0, list[int]()

    def count() -> None:
        nonlocal turn
        turn += 1
        if len(answered_in) < len(asked):
            asyncio.get_running_loop().call_soon(count)

    for task in asked:
        task.add_done_callback(lambda _: answered_in.append(turn))
    count()
    gate.opened.set()
    await asyncio.gather(*asked)
    assert max(answered_in.count(one) for one in set(answered_in)) <= 40


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
