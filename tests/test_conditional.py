"""Validators: ETags made and kept, 304 from stored responses, and validation towards the application."""

import pytest
import pytest_asyncio

from hotplate import Rule
from hotplate.asgi import Scope
from tests.driver import Header, Reply, Site

pytestmark = pytest.mark.asyncio

MODIFIED = "Mon, 13 Nov 2023 10:00:00 GMT"
LATER = "Mon, 13 Nov 2023 10:00:01 GMT"
EARLIER = "Mon, 13 Nov 2023 09:59:59 GMT"
TAGGED = Reply(b"hello", headers=[("etag", '"v1"'), ("last-modified", MODIFIED), ("content-type", "text/plain")])


async def test_a_response_without_an_etag_gets_a_strong_one(site: Site) -> None:
    await site.get("/")
    assert (await site.hit("/"))["etag"].startswith('"')


async def test_the_etag_of_the_miss_is_that_of_the_hit() -> None:
    site = Site(Reply(b"hello", headers=[("content-length", "5")]))
    assert (await site.get("/"))["etag"] == (await site.get("/"))["etag"]


async def test_equal_bodies_have_equal_etags_in_any_process() -> None:
    one, other = Site(b"hello"), Site(b"hello")
    for site in (one, other):
        await site.get("/")
    assert (await one.get("/"))["etag"] == (await other.get("/"))["etag"]


async def test_other_bodies_have_other_etags(site: Site) -> None:
    for target in ("/a", "/b", "/a", "/b"):
        await site.get(target)
    assert (await site.get("/a"))["etag"] != (await site.get("/b"))["etag"]


@pytest.mark.parametrize("etag", ['"v1"', 'W/"v1"'])
async def test_an_etag_of_the_application_stays(etag: str) -> None:
    site = Site(Reply(headers=[("etag", etag)]))
    await site.get("/")
    assert (await site.hit("/")).lines("etag") == [etag]


async def test_only_a_200_gets_an_etag() -> None:
    site = Site(Reply(status=404))
    await site.get("/")
    assert "etag" not in await site.hit("/")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ('"v1"', 304),
        ('W/"v1"', 304),
        ("*", 304),
        ('"v0", "v1"', 304),
        ('"v0","v1"', 304),
        ('"v0" , W/"v1" ,"v2"', 304),
        (', ,"v1"', 304),
        ('"v0"', 200),
        ('"v0", "v2"', 200),
        ('"V1"', 200),
        ("v1", 200),
        ('"v1', 200),
        ('"v1" junk', 200),
        ('"v0,v1"', 200),
        ("", 200),
        ("garbage", 200),
        ('w/"v1"', 200),
    ],
)
async def test_if_none_match_is_answered_from_what_is_stored(value: str, status: int) -> None:
    site = Site(TAGGED)
    await site.get("/")
    assert (await site.hit("/", headers=[("if-none-match", value)])).status == status


@pytest.mark.parametrize("value", ['"v1"', "*"])
async def test_if_none_match_on_a_fresh_response_does_not_run_the_handler(value: str) -> None:
    site = Site(TAGGED)
    await site.get("/")
    await site.get("/", headers=[("if-none-match", value)])
    assert site.runs == 1


async def test_a_weak_stored_etag_matches_weakly() -> None:
    site = Site(Reply(headers=[("etag", 'W/"v1"')]))
    await site.get("/")
    assert (await site.hit("/", headers=[("if-none-match", '"v1"')])).status == 304


async def test_two_if_none_match_lines_are_one_list() -> None:
    site = Site(TAGGED)
    await site.get("/")
    response = await site.hit("/", headers=[("if-none-match", '"v0"'), ("if-none-match", '"v1"')])
    assert response.status == 304


async def test_a_made_etag_answers_if_none_match(site: Site) -> None:
    await site.get("/")
    etag = (await site.get("/"))["etag"]
    assert (await site.get("/", headers=[("if-none-match", etag)])).status == 304


async def test_a_304_has_no_body(site: Site) -> None:
    await site.get("/")
    assert (await site.hit("/", headers=[("if-none-match", "*")])).body == b""


async def test_a_304_does_not_tell_a_length_it_does_not_have() -> None:
    site = Site(TAGGED)
    await site.get("/")
    assert (await site.hit("/", headers=[("if-none-match", "*")])).lines("content-length") in ([], ["5"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("etag", '"v1"'),
        ("cache-control", "max-age=60"),
        ("expires", "Tue, 14 Nov 2023 22:14:20 GMT"),
        ("vary", "Accept"),
        ("content-location", "/x"),
        ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ],
)
async def test_a_304_carries_what_rfc_9110_15_4_5_asks_for(name: str, value: str) -> None:
    lines: dict[str, str] = {"etag": '"v1"', name: value}
    site = Site(Reply(headers=list(lines.items())))
    await site.get("/")
    response = await site.hit("/", headers=[("if-none-match", "*")])
    assert (response.status, response[name]) == (304, value)


async def test_a_304_has_an_age() -> None:
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(7)
    assert (await site.hit("/", headers=[("if-none-match", "*")]))["age"] == "7"


async def test_an_etag_seen_elsewhere_gives_no_304() -> None:
    site = Site(lambda scope: Reply(headers=[("etag", f'"{scope["path"]}"')]))
    await site.get("/a")
    await site.get("/b")
    assert (await site.get("/b", headers=[("if-none-match", '"/a"')])).status == 200


async def test_a_path_nobody_may_see_gives_no_304() -> None:
    def answer(scope: Scope) -> Reply:
        return Reply(b"no", 401) if scope["path"] == "/secret" else Reply(headers=[("etag", '"v1"')])

    site = Site(answer)
    await site.get("/open")
    assert (await site.get("/secret", headers=[("if-none-match", '"v1"')])).status == 401


async def test_a_status_other_than_200_gives_no_304() -> None:
    site = Site(Reply(status=404, headers=[("etag", '"v1"')]))
    await site.get("/")
    assert (await site.hit("/", headers=[("if-none-match", '"v1"')])).status == 404


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (MODIFIED, 304),
        (LATER, 304),
        (EARLIER, 200),
        ("Monday, 13-Nov-23 10:00:00 GMT", 304),
        ("Mon Nov 13 10:00:00 2023", 304),
        ("yesterday", 200),
        ("", 200),
        ("0", 200),
    ],
)
async def test_if_modified_since_is_answered_from_what_is_stored(value: str, status: int) -> None:
    site = Site(TAGGED)
    await site.get("/")
    assert (await site.hit("/", headers=[("if-modified-since", value)])).status == status


async def test_if_none_match_outranks_if_modified_since() -> None:
    site = Site(TAGGED)
    await site.get("/")
    headers: list[Header] = [("if-none-match", '"v0"'), ("if-modified-since", LATER)]
    assert (await site.get("/", headers=headers)).status == 200


@pytest.mark.parametrize("name", ["if-match", "if-unmodified-since"])
async def test_preconditions_a_cache_cannot_evaluate_reach_the_application(name: str) -> None:
    value = '"v1"' if name == "if-match" else MODIFIED
    site = Site(TAGGED)
    await site.get("/", headers=[(name, value)])
    assert site.origin.seen(name) == [value]


async def test_head_is_answered_with_304_too() -> None:
    site = Site(TAGGED)
    await site.get("/")
    assert (await site.head("/", headers=[("if-none-match", '"v1"')])).status == 304


async def test_the_first_request_with_a_matching_etag_gets_a_304() -> None:
    assert (await Site(TAGGED).get("/", headers=[("if-none-match", '"v1"')])).status == 304


async def test_a_first_conditional_request_stores_the_whole_response() -> None:
    site = Site(TAGGED)
    await site.get("/", headers=[("if-none-match", '"v1"')])
    assert (await site.get("/")).body == b"hello"


@pytest.mark.parametrize("name", ["if-none-match", "if-modified-since"])
async def test_a_client_condition_does_not_reach_the_application_of_a_load(name: str) -> None:
    value = '"v0"' if name == "if-none-match" else EARLIER
    site = Site(TAGGED)
    await site.get("/", headers=[(name, value)])
    assert site.origin.seen(name) == []


async def test_other_middleware_inside_still_sees_the_other_fields() -> None:
    site = Site(TAGGED)
    await site.get("/", headers=[("if-none-match", '"v0"'), ("x-request-id", "1")])
    assert site.origin.seen("x-request-id") == ["1"]


# Validation towards the application.


async def test_a_stale_response_is_validated_with_its_validators() -> None:
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(61)
    await site.get("/")
    assert (site.origin.seen("if-none-match"), site.origin.seen("if-modified-since")) == (['"v1"'], [MODIFIED])


async def test_a_made_etag_is_not_shown_to_the_application(site: Site) -> None:
    await site.get("/")
    assert "etag" in await site.hit("/")
    site.clock.advance(61)
    await site.get("/")
    assert site.origin.seen("if-none-match") == []


@pytest_asyncio.fixture
async def confirmed() -> Site:
    """A stored response that went stale and will be confirmed by the next answer."""
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(61)
    site.origin.answer = Reply(b"", 304, [("etag", '"v1"'), ("x-new", "1")])
    return site


async def test_a_confirmed_response_is_served_whole(confirmed: Site) -> None:
    response = await confirmed.get("/")
    assert (response.status, response.body) == (200, b"hello")


async def test_a_confirmed_response_is_fresh_again(confirmed: Site) -> None:
    await confirmed.get("/")
    confirmed.clock.advance(59)
    assert (await confirmed.get("/")).hit


async def test_a_confirmed_response_has_the_new_header_lines(confirmed: Site) -> None:
    await confirmed.get("/")
    assert (await confirmed.get("/"))["x-new"] == "1"


async def test_a_confirmed_response_keeps_the_old_header_lines(confirmed: Site) -> None:
    await confirmed.get("/")
    assert (await confirmed.get("/"))["content-type"] == "text/plain"


async def test_cache_status_tells_of_the_confirmation(confirmed: Site) -> None:
    assert (await confirmed.get("/"))["cache-status"].startswith("hotplate; fwd=stale; fwd-status=304; ")


async def test_a_confirmation_answers_a_conditional_client_with_304(confirmed: Site) -> None:
    assert (await confirmed.get("/", headers=[("if-none-match", '"v1"')])).status == 304


async def test_a_confirmation_for_another_etag_is_not_taken_for_this_one() -> None:
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(61)
    site.origin.answer = Reply(b"", 304, [("etag", '"v2"')])
    await site.get("/")
    site.origin.answer = b"new"
    assert (await site.get("/")).body == b"new"


async def test_a_new_answer_replaces_the_stale_one() -> None:
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(61)
    site.origin.answer = Reply(b"new", headers=[("etag", '"v2"')])
    await site.get("/")
    assert (await site.hit("/")).body == b"new"


async def test_no_cache_with_a_validator_is_validated_on_each_use() -> None:
    site = Site(Reply(headers=[("etag", '"v1"'), ("cache-control", "no-cache")]))
    await site.get("/")
    await site.get("/")
    assert site.origin.seen("if-none-match") == ['"v1"']


async def test_a_head_on_a_stale_entry_is_loaded_with_get() -> None:
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(61)
    await site.head("/")
    assert site.origin.scope["method"] == "GET"


async def test_a_head_on_a_stale_entry_gets_no_body() -> None:
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(61)
    assert (await site.head("/")).body == b""


async def test_client_ttl_is_in_a_304_too() -> None:
    site = Site(TAGGED, rules=[Rule("*", client_ttl=5)])
    await site.get("/")
    assert (await site.hit("/", headers=[("if-none-match", '"v1"')]))["cache-control"] == "max-age=5"


@pytest.mark.parametrize(
    "line", [("cache-control", "no-store"), ("cache-control", "private"), ("set-cookie", "sid=1"), ("vary", "*")]
)
async def test_a_confirmation_that_forbids_storing_ends_the_stored_response(line: tuple[str, str]) -> None:
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(61)
    site.origin.answer = Reply(b"", 304, [("etag", '"v1"'), line])
    await site.get("/")
    site.origin.answer = b"new"
    assert (await site.get("/")).body == b"new"


async def test_a_cookie_set_by_a_confirmation_reaches_the_client_it_is_for() -> None:
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(61)
    site.origin.answer = Reply(b"", 304, [("etag", '"v1"'), ("set-cookie", "sid=1")])
    assert (await site.get("/")).lines("set-cookie") == ["sid=1"]


async def test_a_confirmation_of_a_load_older_than_an_invalidation_is_not_served_after_it() -> None:
    site = Site(TAGGED)
    await site.get("/")
    site.clock.advance(61)

    async def confirm(scope: Scope) -> Reply:
        await site.cache.invalidate(paths=["/"])
        return Reply(b"", 304, [("etag", '"v1"')])

    site.origin.answer = confirm
    await site.get("/")
    site.origin.answer = b"new"
    assert (await site.get("/")).body == b"new"
