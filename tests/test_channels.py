"""The send channel an application gets: it does whatever one may do with that of a server."""

import asyncio
import gc
import inspect
import sys
import warnings
import weakref
from collections.abc import Awaitable, Callable

import anyio
import pytest

from hotplate.asgi import Message, Receive, Scope, Send
from hotplate.loads import Load
from tests.driver import Site, call
from tests.waiting import eventually, turns

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("start")]

START_MESSAGE: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b"whole"}

Answering = Callable[[Send], Awaitable[object]]

either = pytest.mark.parametrize("path", ["/stored", "/excluded"])
"""A load has one channel, a request that is forwarded another."""


def answered_by(answer: Answering) -> Site:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await answer(send)

    return Site(app=app, exclude=["/excluded"])


async def in_tasks(send: Send) -> None:
    await asyncio.gather(asyncio.ensure_future(send(START_MESSAGE)), send(BODY))


async def within_a_deadline(send: Send) -> None:
    await asyncio.wait_for(send(START_MESSAGE), 5)
    await asyncio.wait_for(send(BODY), 5)


async def by_hand(send: Send) -> None:
    for message in (START_MESSAGE, BODY):
        for _ in send(message).__await__():
            raise AssertionError("it waits")


async def from_another_thread(send: Send) -> None:
    loop = asyncio.get_running_loop()

    def run() -> None:
        for message in (START_MESSAGE, BODY):
            asyncio.run_coroutine_threadsafe(send(message), loop).result(5)  # type: ignore[arg-type]

    await asyncio.to_thread(run)


@either
@pytest.mark.parametrize("answer", [in_tasks, within_a_deadline, by_hand, from_another_thread])
async def test_sending_is_awaited_however_one_likes(answer: Answering, path: str) -> None:
    site = answered_by(answer)
    assert (await site.get(path)).body == b"whole"
    assert (await site.get(path)).body == b"whole"


def in_pieces(*headers: tuple[bytes, bytes]) -> list[Message]:
    pieces: list[Message] = [{"type": "http.response.body", "body": body, "more_body": True} for body in (b"a", b"b")]
    return [{**START_MESSAGE, "headers": headers}, *pieces, {"type": "http.response.body", "body": b"c"}]


async def by_gathering(send: Send, messages: list[Message]) -> None:
    await asyncio.gather(*map(send, messages))


async def by_tasks(send: Send, messages: list[Message]) -> None:
    for task in [asyncio.ensure_future(send(message)) for message in messages]:
        await task


async def by_a_task_group(send: Send, messages: list[Message]) -> None:
    async with anyio.create_task_group() as group:
        for message in messages:
            group.start_soon(send, message)  # type: ignore[arg-type]


async def by_awaiting_later(send: Send, messages: list[Message]) -> None:
    for sending in [send(message) for message in messages]:
        await sending


@either
@pytest.mark.parametrize("headers", [[], [(b"cache-control", b"no-store")]])
@pytest.mark.parametrize("sending", [by_gathering, by_tasks, by_a_task_group, by_awaiting_later])
async def test_pieces_arrive_in_the_order_in_which_they_are_sent(
    sending: Callable[[Send, list[Message]], Awaitable[None]], headers: list[tuple[bytes, bytes]], path: str
) -> None:
    site = answered_by(lambda send: sending(send, in_pieces(*headers)))
    assert [(await site.get(path)).body for _ in range(2)] == [b"abc", b"abc"]


@either
async def test_what_is_cancelled_before_it_is_sent_is_not_sent(path: str) -> None:
    async def answer(send: Send) -> None:
        start, first, second, last = in_pieces()
        await send(start)
        await send(first)
        never = asyncio.ensure_future(send(second))
        never.cancel()
        await asyncio.sleep(0)
        await send(last)

    site = answered_by(answer)
    assert [(await site.get(path)).body for _ in range(2)] == [b"ac", b"ac"]


@either
async def test_field_lines_may_come_from_an_iterator(path: str) -> None:
    async def answer(send: Send) -> None:
        await send({**START_MESSAGE, "headers": iter([(b"x-one", b"1"), (b"x-two", b"2")])})
        await send(BODY)

    site = answered_by(answer)
    for response in [await site.get(path) for _ in range(2)]:
        assert [response["x-one"], response["x-two"]] == ["1", "2"]


@either
@pytest.mark.parametrize("headers", [[], [(b"cache-control", b"no-store")]])
async def test_a_message_and_its_body_may_be_used_again(headers: list[tuple[bytes, bytes]], path: str) -> None:
    async def answer(send: Send) -> None:
        await send({**START_MESSAGE, "headers": headers})
        body = bytearray(b"a")
        message: Message = {"type": "http.response.body", "body": body, "more_body": True}
        for piece, more in ((b"a", True), (b"b", True), (b"c", False)):
            body[:] = piece
            message["more_body"] = more
            await send(message)

    site = answered_by(answer)
    for response in [await site.get(path) for _ in range(2)]:
        assert bytes(response.body) == b"abc"


@either
async def test_it_is_a_coroutine_function_to_whoever_asks(path: str) -> None:
    asked = list[bool]()

    async def answer(send: Send) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            asked.append(asyncio.iscoroutinefunction(send))
        if sys.version_info >= (3, 12):  # nothing of the extension can be marked so before
            asked.append(inspect.iscoroutinefunction(send))
        asked.append(bool(send))
        await within_a_deadline(send)

    await answered_by(answer).get(path)
    assert all(asked)


@either
async def test_what_is_no_message_is_refused_where_it_is_sent(path: str) -> None:
    async def answer(send: Send) -> None:
        with pytest.raises(KeyError, match="type"):
            await send({"status": 200})
        await within_a_deadline(send)

    assert (await answered_by(answer).get(path)).body == b"whole"


@either
async def test_a_second_head_is_refused_where_it_is_sent(path: str) -> None:
    async def answer(send: Send) -> None:
        await send(START_MESSAGE)
        if path == "/stored":
            with pytest.raises(RuntimeError, match="sent already"):
                await send(START_MESSAGE)
        await send(BODY)

    assert (await answered_by(answer).get(path)).body == b"whole"


async def test_what_is_sent_after_the_application_has_returned_is_for_nobody_and_waits_for_nothing() -> None:
    late = list[asyncio.Task[None]]()

    async def answer(send: Send) -> None:
        await within_a_deadline(send)

        async def go_on() -> None:
            await asyncio.sleep(0)
            for _ in range(3):
                await send({"type": "http.response.body", "body": b"late", "more_body": True})

        late.append(asyncio.create_task(go_on()))

    site = answered_by(answer)
    assert (await site.get("/stored")).body == b"whole"
    await asyncio.wait_for(late[0], 5)
    assert (await site.get("/stored")).body == b"whole"


async def test_an_answer_in_one_piece_that_is_not_stored_does_not_wait_for_its_client() -> None:
    sent = list[str]()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({**START_MESSAGE, "headers": [(b"cache-control", b"no-store")]})
        sent.append("head")
        await send(BODY)
        sent.append("body")

    site = Site(app=app)
    slow = asyncio.Event()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(_message: Message) -> None:
        await slow.wait()

    asked = asyncio.create_task(site.app(call("GET", "/").scope, receive, send))
    await eventually(lambda: sent == ["head", "body"], "the application has sent both")
    assert not asked.done()
    slow.set()
    await asyncio.wait_for(asked, 5)


@either
async def test_a_channel_that_is_kept_in_its_own_scope_goes_with_it(path: str) -> None:
    kept = list["weakref.ref[Held]"]()

    class Held:
        pass

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        held = Held()
        kept.append(weakref.ref(held))
        scope["mine"] = (held, send)
        await within_a_deadline(send)

    await Site(app=app, exclude=["/excluded"]).get(path)
    gc.collect()
    assert kept[0]() is None


async def test_a_sending_that_is_left_over_waits_for_nobody() -> None:
    left = list[Awaitable[None]]()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        start, first, second, last = in_pieces((b"cache-control", b"no-store"))
        await send(start)
        await send(first)
        left.append(send(second))
        await send(last)

    await Site(app=app).get("/")
    await asyncio.wait_for(left[0], 5)


async def test_a_load_goes_when_its_stream_has_ended() -> None:
    async def answer(send: Send) -> None:
        await by_awaiting_later(send, in_pieces())

    def loads() -> int:
        return sum(isinstance(known, Load) for known in gc.get_objects())

    site = answered_by(answer)
    counts = list[int]()
    gc.collect()
    gc.disable()
    try:
        for number in range(5):
            await site.get(f"/{number}")
            await turns()
            counts.append(loads())
    finally:
        gc.enable()
    assert counts[-1] == counts[0]
