"""Stale responses: served while one refresh runs, served when loading fails, and never where that is forbidden."""

import pytest

from hotplate import Rule
from hotplate.asgi import Scope
from tests.driver import Header, Reply, Site

pytestmark = pytest.mark.asyncio


def revalidating(**settings: object) -> Site:
    """``run n`` for 60 seconds, and for 30 more while it is refreshed."""
    return Site(rules=[Rule("*", stale_while_revalidate=30)], **settings)  # type: ignore[arg-type]


def forgiving(window: int = 30) -> Site:
    """``run n`` for 60 seconds, and for a while more when the handler fails."""
    return Site(rules=[Rule("*", stale_if_error=window)])


async def stale(site: Site, seconds: float = 61) -> Site:
    """The site after its answer was stored and went stale."""
    await site.get("/")
    site.clock.advance(seconds)
    return site


# stale-while-revalidate.


async def test_a_stale_response_is_served_at_once_while_it_is_refreshed() -> None:
    site = await stale(revalidating())
    assert (await site.get("/")).body == b"run 1"


async def test_the_refresh_runs_the_handler_once() -> None:
    site = await stale(revalidating())
    await site.get("/")
    await site.settle()
    assert site.runs == 2


async def test_after_the_refresh_the_new_response_is_a_hit() -> None:
    site = await stale(revalidating())
    await site.get("/")
    await site.settle()
    assert (await site.get("/")).body == b"run 2"


async def test_many_stale_answers_start_one_refresh() -> None:
    site = await stale(revalidating())
    for _ in range(5):
        await site.get("/")
    await site.settle()
    assert site.runs == 2


async def test_cache_status_of_a_stale_answer_has_a_negative_ttl() -> None:
    site = await stale(revalidating(), 65)
    response = await site.get("/")
    await site.settle()
    assert response["cache-status"] == "hotplate; hit; ttl=-5; detail=stale-while-revalidate"


async def test_x_cache_of_a_stale_answer_says_so() -> None:
    site = await stale(revalidating(x_cache=True))
    response = await site.get("/")
    await site.settle()
    assert response["x-cache"] == "STALE"


async def test_the_window_ends() -> None:
    site = await stale(revalidating(), 90)
    assert (await site.get("/")).body == b"run 2"


async def test_the_window_holds_until_it_ends() -> None:
    site = await stale(revalidating(), 89)
    response = await site.get("/")
    await site.settle()
    assert response.body == b"run 1"


@pytest.mark.parametrize("field", ["cache-control", "cdn-cache-control"])
async def test_the_response_itself_may_open_the_window(field: str) -> None:
    site = await stale(Site(Reply(b"one", headers=[(field, "max-age=60, stale-while-revalidate=30")])))
    site.origin.answer = b"two"
    response = await site.get("/")
    await site.settle()
    assert response.body == b"one"


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "no-cache"])
async def test_nothing_is_served_stale_where_the_response_forbids_it(directive: str) -> None:
    headers: list[Header] = [
        ("cache-control", f"max-age=60, stale-while-revalidate=30, stale-if-error=30, {directive}"),
        ("etag", '"1"'),
    ]
    site = await stale(Site(Reply(b"one", headers=headers)))
    site.origin.answer = b"two"
    assert (await site.get("/")).body == b"two"


async def test_a_stale_304_is_served_while_it_is_refreshed() -> None:
    site = await stale(revalidating())
    response = await site.get("/", headers=[("if-none-match", "*")])
    await site.settle()
    assert response.status == 304


async def test_a_refresh_asks_with_the_validators_of_what_is_stored() -> None:
    site = await stale(Site(Reply(headers=[("etag", '"v1"')]), rules=[Rule("*", stale_while_revalidate=30)]))
    await site.get("/", headers=[("if-none-match", '"client"')])
    await site.settle()
    assert site.origin.seen("if-none-match") == ['"v1"']


async def test_a_refresh_that_is_confirmed_makes_the_response_fresh() -> None:
    site = await stale(Site(Reply(headers=[("etag", '"v1"')]), rules=[Rule("*", stale_while_revalidate=30)]))
    site.origin.answer = Reply(b"", 304, [("etag", '"v1"')])
    await site.get("/")
    await site.settle()
    assert (await site.hit("/")).detail is None


async def test_a_refresh_that_raises_leaves_the_stale_response(caplog: pytest.LogCaptureFixture) -> None:
    site = await stale(revalidating())
    site.origin.answer = Reply(error_before=RuntimeError("down"))
    await site.get("/")
    await site.settle()
    assert (await site.get("/")).body == b"run 1"


async def test_a_refresh_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    site = await stale(revalidating())
    site.origin.answer = Reply(error_before=RuntimeError("down"))
    await site.get("/")
    await site.settle()
    assert "a refresh failed" in caplog.text


async def test_a_refresh_that_becomes_private_is_not_stored() -> None:
    site = await stale(revalidating())
    site.origin.answer = Reply(b"secret", headers=[("cache-control", "private")])
    await site.get("/")
    await site.settle()
    site.clock.advance(100)
    site.origin.answer = b"public"
    assert (await site.get("/")).body == b"public"


async def test_a_window_of_zero_is_no_window() -> None:
    site = await stale(Site(rules=[Rule("*", stale_while_revalidate=0, stale_if_error=0)]))
    assert (await site.get("/")).body == b"run 2"


# stale-if-error.


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_is_answered_with_what_is_stored(status: int) -> None:
    site = await stale(forgiving())
    site.origin.answer = Reply(b"oops", status)
    response = await site.get("/")
    assert (response.status, response.body) == (200, b"run 1")


async def test_an_exception_is_answered_with_what_is_stored() -> None:
    site = await stale(forgiving())
    site.origin.answer = Reply(error_before=RuntimeError("down"))
    response = await site.get("/")
    assert (response.status, response.body) == (200, b"run 1")


@pytest.mark.parametrize("status", [400, 404, 410, 501])
async def test_an_answer_that_is_no_failure_is_served(status: int) -> None:
    site = await stale(forgiving())
    site.origin.answer = Reply(b"no", status)
    assert (await site.get("/")).status == status


async def test_cache_status_names_the_error() -> None:
    site = await stale(forgiving())
    site.origin.answer = Reply(b"oops", 503)
    assert (await site.get("/")).detail == "stale-if-error"


async def test_without_a_window_the_error_is_the_answer(site: Site) -> None:
    await stale(site)
    site.origin.answer = Reply(b"oops", 503)
    assert (await site.get("/")).status == 503


async def test_without_a_window_the_exception_is_raised(site: Site) -> None:
    await stale(site)
    site.origin.answer = Reply(error_before=RuntimeError("down"))
    with pytest.raises(RuntimeError, match="down"):
        await site.get("/")


async def test_beyond_the_window_the_error_is_the_answer() -> None:
    site = await stale(forgiving(), 90)
    site.origin.answer = Reply(b"oops", 503)
    assert (await site.get("/")).status == 503


async def test_a_failing_handler_is_not_asked_by_every_request() -> None:
    site = await stale(forgiving())
    site.origin.answer = Reply(b"oops", 503)
    for _ in range(5):
        await site.get("/")
    assert site.runs == 2


async def test_a_failing_handler_is_asked_again_after_a_while() -> None:
    site = await stale(forgiving())
    site.origin.answer = Reply(b"oops", 503)
    await site.get("/")
    site.clock.advance(6)
    site.origin.answer = b"well again"
    assert (await site.get("/")).body == b"well again"


async def test_a_server_error_is_not_stored() -> None:
    site = await stale(forgiving())
    site.origin.answer = Reply(b"oops", 503)
    await site.get("/")
    site.clock.advance(6)
    site.origin.answer = b"well again"
    await site.get("/")
    assert (await site.get("/")).body == b"well again"


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate"])
async def test_must_revalidate_forbids_stale_answers_to_errors(directive: str) -> None:
    headers: list[Header] = [("cache-control", f"max-age=60, stale-if-error=600, {directive}")]
    site = await stale(Site(Reply(headers=headers)))
    site.origin.answer = Reply(b"oops", 503)
    assert (await site.get("/")).status == 503


async def test_an_exception_after_the_first_byte_is_not_hidden() -> None:
    site = await stale(forgiving())
    site.origin.answer = Reply([b"par"], error_after=RuntimeError("cut"))
    with pytest.raises(RuntimeError, match="cut"):
        await site.get("/")


async def test_stale_answers_stay_within_their_partition() -> None:
    def answer(scope: Scope) -> Reply:
        return Reply(dict(scope["headers"])[b"x-user"])

    site = Site(answer, rules=[Rule("*", stale_if_error=600, partition=lambda head: head.field("x-user"))])
    await site.get("/", headers=[("x-user", "alice")])
    site.clock.advance(61)
    site.origin.answer = Reply(b"oops", 503)
    assert (await site.get("/", headers=[("x-user", "bob")])).body == b"oops"


async def test_what_was_invalidated_is_not_served_on_errors() -> None:
    site = forgiving(600)
    await site.get("/")
    await site.cache.invalidate(paths=["/"])
    site.origin.answer = Reply(b"oops", 503)
    assert (await site.get("/")).status == 503
