"""The cache owns the load: whoever leaves takes nothing from those who stay."""

import asyncio

import pytest
from starlette.requests import Request

import hotplate.loads
from hotplate.asgi import Message, Receive, Scope, Send
from tests.driver import Reply, Site, call
from tests.loading import Gate, asking, led_and_followed
from tests.waiting import turns

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("start")]


class Halves:
    """An application whose answer stops in the middle until ``finish`` is set."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.finish = asyncio.Event()

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        self.begun.set()
        await self.finish.wait()
        await send({"type": "http.response.body", "body": b"second"})


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
    halves = Halves()
    site = Site(app=halves)
    leader = asking(site, call("GET", "/"))
    await halves.begun.wait()
    waiting = asking(site, call("GET", "/"))
    await turns()
    leader.cancel()
    await asyncio.wait([leader])
    halves.finish.set()
    assert (await waiting).body == b"first second"
    assert (await site.get("/")).body == b"first second"


async def test_a_leader_whose_send_fails_truncates_nobody() -> None:
    halves = Halves()

    async def broken(_message: Message) -> None:
        raise OSError("the connection is gone")

    site = Site(app=halves)
    request = call("GET", "/")
    leader = asyncio.ensure_future(site.app(request.scope, request.receive, broken))
    await halves.begun.wait()
    waiting = asking(site, call("GET", "/"))
    await asyncio.wait([leader])
    assert isinstance(leader.exception(), OSError)
    halves.finish.set()
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


async def test_each_of_several_listeners_of_an_application_hears_that_the_client_has_left() -> None:
    go_on, told = asyncio.Event(), list[str]()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        listening = [asyncio.ensure_future(receive()) for _ in range(3)]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"no-store")]})
        await go_on.wait()
        listening.pop(0).cancel()
        told.extend([(await heard)["type"] for heard in listening])

    site = Site(app=app)
    request = call("GET", "/")
    leader = asyncio.ensure_future(site.app(request.scope, request.receive, request.send))
    await turns()
    go_on.set()
    await turns()
    assert told == []
    request.disconnect()
    await asyncio.wait_for(leader, 5)
    assert told == ["http.disconnect"] * 2


async def test_a_stream_that_has_stopped_listening_is_told_where_it_sends() -> None:
    refused = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        listening = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"no-store")]})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        listening.cancel()
        await asyncio.wait([listening])
        request.disconnect()
        try:
            while True:
                await send({"type": "http.response.body", "body": b"more", "more_body": True})
                await asyncio.sleep(0)
        except OSError:
            refused.set()

    site = Site(app=app)
    request = call("GET", "/")
    request.scope["asgi"] = {"version": "3.0", "spec_version": "2.4"}
    await asyncio.wait_for(site.app(request.scope, request.receive, request.send), 5)
    assert refused.is_set()


async def test_a_receive_channel_that_raises_is_a_client_that_has_left(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        listening = asyncio.ensure_future(receive())
        await turns()
        assert not listening.done()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})
        listening.cancel()

    async def broken() -> Message:
        raise ConnectionError("gone")

    site = Site(app=app)
    request = call("GET", "/")
    await asyncio.wait_for(site.app(request.scope, broken, request.send), 5)
    assert [record.reason for record in caplog.records if hasattr(record, "reason")] == ["receive-failed"]
    assert (await site.get("/")).hit


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


@pytest.mark.parametrize("headers", [[], [("cache-control", "no-store")]])
async def test_who_still_listens_when_the_load_has_ended_hears_that_it_is_over(headers: list[tuple[str, str]]) -> None:
    heard = list[str]()
    left = list[asyncio.Task[None]]()

    async def listen(receive: Receive) -> None:
        heard.append((await receive())["type"])

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        left.append(asyncio.create_task(listen(receive)))
        await asyncio.sleep(0)
        lines = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        await send({"type": "http.response.body", "body": b"whole"})
        left.append(asyncio.create_task(listen(receive)))

    request = call("GET", "/")
    assert (await request.run(Site(app=app).app)).body == b"whole"
    await asyncio.wait_for(left[1], 5)
    request.disconnect()
    await asyncio.wait_for(left[0], 5)
    assert heard == ["http.disconnect"] * 2


async def test_after_a_complete_answer_the_application_hears_of_the_client_at_once() -> None:
    heard = list[str]()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})
        heard.append((await receive())["type"])

    site = Site(app=app)
    request = call("GET", "/")
    asked = asking(site, request)
    await turns()
    assert not heard
    request.disconnect()
    await asyncio.wait_for(asked, 5)
    assert heard == ["http.disconnect"]
    assert (await site.get("/")).hit


async def test_an_application_that_answers_a_client_who_has_left_hears_of_it_once_it_has_answered() -> None:
    halves = Halves()
    heard = list[str]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await halves(scope, receive, send)
        heard.append((await receive())["type"])

    site = Site(app=app)
    leader = asking(site, call("GET", "/"))
    await halves.begun.wait()
    leader.cancel()
    await asyncio.wait([leader])
    halves.finish.set()
    await turns()
    assert heard == ["http.disconnect"]
    assert (await site.get("/")).hit


async def test_a_load_of_a_closed_loop_is_waited_for_by_nobody() -> None:
    site = Site(Gate(Reply()))

    async def leave_it() -> None:
        leader = asking(site, call("GET", "/"))
        await turns()
        assert not leader.done()

    def on_two_loops() -> bytes:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(leave_it())
        loop.close()
        site.origin.answer = b"other"
        return asyncio.run(asyncio.wait_for(site.get("/"), 5)).body

    assert await asyncio.to_thread(on_two_loops) == b"other"
