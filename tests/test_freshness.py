"""How long a response is used: ttl, the response's own directives, targeted fields, jitter, client_ttl."""

from datetime import timedelta
from typing import Any

import pytest

from hotplate import Rule
from hotplate.asgi import Scope
from tests.driver import Header, Reply, Site

pytestmark = pytest.mark.asyncio


async def lifetime(site: Site, *, most: int = 4000) -> int:
    """Whole seconds for which the answer to ``/`` is served without the handler; 0: it was not stored."""
    await site.get("/")
    response = await site.get("/")
    if not response.hit:
        return 0
    (ttl,) = (part for part in response["cache-status"].split("; ") if part.startswith("ttl="))
    seconds = int(ttl.removeprefix("ttl="))
    assert 0 <= seconds <= most
    return seconds


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [
        (30, 30),
        (30.0, 30),
        (1.5, 1),
        ("30", 30),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1h1s", 3601),
        ("1500ms", 1),
        (" 5m ", 300),
        (timedelta(minutes=5), 300),
        (timedelta(seconds=90), 90),
    ],
)
async def test_a_ttl_is_seconds_text_or_a_timedelta(ttl: Any, seconds: int) -> None:
    assert await lifetime(Site(ttl=ttl)) == seconds


@pytest.mark.parametrize(
    ("ttl", "seconds"), [("1h30m", 5400), ("1d12h", 129_600), ("2d", 172_800), ("1w", 604_800), (2**31, 2**31)]
)
async def test_long_lifetimes_are_kept_in_full(ttl: Any, seconds: int) -> None:
    assert await lifetime(Site(ttl=ttl), most=2**31) == seconds


def of(date: str, expires: str) -> Reply:
    return Reply(headers=[("date", date), ("expires", expires)])


IN_AN_HOUR = "Tue, 14 Nov 2023 23:13:20 GMT"


async def test_a_response_that_is_dated_68_years_back_is_stale_when_it_expires() -> None:
    site = Site(of("Sun, 02 Oct 1955 22:28:20 GMT", IN_AN_HOUR))
    assert await lifetime(site) == pytest.approx(3600, abs=2)
    site.clock.advance(3600)
    assert not (await site.get("/")).hit


async def test_a_response_without_a_real_date_is_fresh_until_it_expires() -> None:
    site = Site(of("Mon, 01 Jan 0001 00:00:00 GMT", IN_AN_HOUR))
    assert await lifetime(site) == pytest.approx(3600, abs=2)
    site.clock.advance(3600)
    assert not (await site.get("/")).hit


async def test_what_never_expires_has_68_years_that_run_out() -> None:
    site = Site(of("Tue, 14 Nov 2023 22:13:20 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"))
    before = await lifetime(site, most=2**31 + 2**22)
    assert before >= 2**31
    site.clock.advance(1000)
    assert await lifetime(site, most=2**31 + 2**22) == before - 1000


async def test_a_long_age_is_not_rounded_down() -> None:
    def slowly(_scope: Scope) -> Reply:
        site.clock.advance(0.9)
        return Reply(headers=[("cache-control", "max-age=2592001"), ("age", "2592000")])

    site = Site(slowly)
    await site.get("/")
    site.clock.advance(0.2)
    assert not (await site.get("/")).hit


async def test_a_lifetime_of_less_than_a_second_holds_for_that_long() -> None:
    site = Site(ttl="250ms")
    await site.get("/")
    site.clock.advance(0.2)
    assert (await site.get("/")).hit


async def test_a_lifetime_of_less_than_a_second_ends() -> None:
    site = Site(ttl="250ms")
    await site.get("/")
    site.clock.advance(0.25)
    await site.get("/")
    assert site.runs == 2


async def test_without_a_ttl_only_what_responses_allow_is_stored() -> None:
    assert await lifetime(Site(ttl=None)) == 0


async def test_without_a_ttl_a_response_with_a_lifetime_is_stored() -> None:
    assert await lifetime(Site(Reply(headers=[("cache-control", "max-age=7")]), ttl=None)) == 7


EXPIRES_IN_20 = "Tue, 14 Nov 2023 22:13:40 GMT"
EXPIRES_IN_30 = "Tue, 14 Nov 2023 22:13:50 GMT"
NOW = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("cache-control", "max-age=10")], 10),
        ([("cache-control", "MAX-AGE=10")], 10),
        ([("Cache-Control", "Max-Age=10")], 10),
        ([("cache-control", 'max-age="10"')], 10),
        ([("cache-control", "max-age=10, s-maxage=20")], 20),
        ([("cache-control", "s-maxage=20"), ("cache-control", "max-age=10")], 20),
        ([("cache-control", "public, max-age=10")], 10),
        ([("cache-control", "foo=bar, max-age=10, baz")], 10),
        ([("cache-control", 'ext="a, max-age=99", max-age=10')], 10),
        ([("expires", EXPIRES_IN_20)], 20),
        ([("expires", EXPIRES_IN_20), ("date", NOW)], 20),
        ([("expires", EXPIRES_IN_20), ("cache-control", "max-age=10")], 10),
        ([("cdn-cache-control", "max-age=30"), ("cache-control", "max-age=10")], 30),
        ([("hotplate-cache-control", "max-age=40"), ("cdn-cache-control", "max-age=30")], 40),
        ([("cdn-cache-control", "max-age=30"), ("cache-control", "no-store")], 30),
        ([("cdn-cache-control", "not a dictionary ="), ("cache-control", "max-age=10")], 10),
        ([("cdn-cache-control", ""), ("cache-control", "max-age=10")], 10),
        ([("cache-control", "")], 60),
        ([("cache-control", "public")], 60),
        ([("pragma", "no-cache")], 60),
    ],
)
async def test_the_response_outranks_the_ttl(headers: list[Header], seconds: int) -> None:
    assert await lifetime(Site(Reply(headers=headers))) == seconds


@pytest.mark.parametrize(
    "headers",
    [
        [("cache-control", "no-store")],
        [("cache-control", "No-Store")],
        [("cache-control", "NO-STORE")],
        [("cache-control", "max-age=60, no-store")],
        [("cache-control", "max-age=60"), ("cache-control", "no-store")],
        [("cache-control", "no-store, max-age=60, public")],
        [("cache-control", "no-store=true")],
        [("cache-control", "private, public, max-age=60")],
        [("cache-control", "no-cache")],
        [("cache-control", "max-age=0")],
        [("cache-control", "s-maxage=0, max-age=60")],
        [("cache-control", "max-age=60, max-age=0")],
        [("cache-control", "max-age=30, max-age=10")],
        [("cache-control", "max-age=30"), ("cache-control", "max-age=10")],
        [("expires", EXPIRES_IN_20), ("expires", EXPIRES_IN_30)],
        [("cache-control", "max-age=-1")],
        [("cache-control", "max-age=ten")],
        [("cache-control", "max-age=")],
        [("cache-control", "max-age")],
        [("cache-control", "max-age=1.5")],
        [("expires", "0")],
        [("expires", "-1")],
        [("expires", "soon")],
        [("expires", NOW)],
        [("expires", "Tue, 14 Nov 2023 22:13:00 GMT")],
        [("age", "60"), ("cache-control", "max-age=60")],
        [("cdn-cache-control", "no-store"), ("cache-control", "max-age=60")],
        [("cdn-cache-control", "private"), ("cache-control", "max-age=60")],
    ],
)
async def test_what_the_response_forbids_is_not_served_again(headers: list[Header]) -> None:
    site = Site(Reply(headers=headers))
    await site.get("/")
    await site.get("/")
    assert site.runs == 2


@pytest.mark.parametrize("age", ["99999999999999999999", "2147483648", "4294967296"])
async def test_an_overflowing_age_makes_a_response_stale(age: str) -> None:
    assert await lifetime(Site(Reply(headers=[("age", age), ("cache-control", "max-age=60")]))) == 0


@pytest.mark.parametrize("age", ["-1", "abc", "1.5", ""])
async def test_an_age_that_is_no_number_never_makes_a_response_younger(age: str) -> None:
    assert await lifetime(Site(Reply(headers=[("age", age), ("cache-control", "max-age=60")]))) <= 60


@pytest.mark.parametrize("value", ["2147483648", "99999999999999999999", "9" * 400])
async def test_an_overflowing_max_age_is_a_very_long_one(value: str) -> None:
    site = Site(Reply(headers=[("cache-control", f"max-age={value}")]))
    await site.get("/")
    site.clock.advance(10 * 365 * 86_400)
    assert (await site.get("/")).hit


async def test_an_old_date_counts_as_age() -> None:
    site = Site(Reply(headers=[("date", "Tue, 14 Nov 2023 22:13:00 GMT"), ("cache-control", "max-age=60")]))
    assert await lifetime(site) == 40


async def test_a_date_in_the_future_does_not_lengthen_a_life() -> None:
    site = Site(Reply(headers=[("date", "Tue, 14 Nov 2023 23:13:20 GMT"), ("cache-control", "max-age=60")]))
    assert await lifetime(site) == 60


async def test_the_time_a_handler_takes_counts_as_age() -> None:
    site = Site()

    def slow(scope: object) -> bytes:
        site.clock.advance(5)
        return b"slow"

    site.origin.answer = slow
    assert await lifetime(site) == 55


# Rules.


@pytest.mark.parametrize(
    ("rule", "headers", "seconds"),
    [
        (Rule("*", ttl=5), [], 5),
        (Rule("*", ttl=5), [("cache-control", "max-age=10")], 10),
        (Rule("*", ttl=5, override=True), [("cache-control", "max-age=10")], 5),
        (Rule("*", ttl=5, override=True), [("cache-control", "no-cache")], 5),
        (Rule("*", ttl=5, override=True), [("expires", "0")], 5),
        (Rule("*", override=True), [("cache-control", "max-age=10")], 60),
    ],
)
async def test_a_rule_is_a_default_unless_it_overrides(rule: Rule, headers: list[Header], seconds: int) -> None:
    assert await lifetime(Site(Reply(headers=headers), rules=[rule])) == seconds


@pytest.mark.parametrize(
    "headers",
    [[("set-cookie", "a=1")], [("vary", "*")], [("cache-control", "no-store")], [("cache-control", "private")]],
)
async def test_an_override_does_not_switch_off_the_guards(headers: list[Header]) -> None:
    assert await lifetime(Site(Reply(headers=headers), rules=[Rule("*", ttl=5, override=True)])) == 0


# What clients are told.


@pytest.mark.parametrize("request_number", [1, 2])
@pytest.mark.parametrize(
    ("client_ttl", "expected"),
    [(5, "max-age=5"), ("1m", "max-age=60"), (timedelta(hours=1), "max-age=3600"), (0, "no-cache")],
)
async def test_client_ttl_is_told_to_clients(client_ttl: Any, expected: str, request_number: int) -> None:
    site = Site(client_ttl=client_ttl)
    response = await site.last(request_number)
    assert response.lines("cache-control") == [expected]


@pytest.mark.parametrize("request_number", [1, 2])
async def test_client_ttl_is_told_as_expires_too(request_number: int) -> None:
    site = Site(client_ttl=20)
    response = await site.last(request_number)
    assert response.lines("expires") == [EXPIRES_IN_20]


@pytest.mark.parametrize("request_number", [1, 2])
async def test_client_ttl_replaces_what_the_application_told_clients(request_number: int) -> None:
    site = Site(Reply(headers=[("cache-control", "max-age=600"), ("expires", EXPIRES_IN_20)]), client_ttl=5)
    response = await site.last(request_number)
    assert (response.lines("cache-control"), len(response.lines("expires"))) == (["max-age=5"], 1)


async def test_client_ttl_does_not_change_the_lifetime_here() -> None:
    assert await lifetime(Site(client_ttl=5)) == 60


async def test_client_ttl_of_a_partitioned_response_is_private() -> None:
    site = Site(client_ttl=5, partition=lambda head: "me")
    assert (await site.get("/"))["cache-control"] == "private, max-age=5"


@pytest.mark.parametrize("control", ["no-store", "private", "private, max-age=60"])
async def test_client_ttl_does_not_open_what_the_application_keeps_back(control: str) -> None:
    site = Site(Reply(headers=[("cache-control", control)]), client_ttl=5)
    assert (await site.get("/")).lines("cache-control") == [control]


async def test_without_client_ttl_the_application_speaks_to_clients() -> None:
    site = Site(Reply(headers=[("cache-control", "max-age=60, s-maxage=600")]))
    await site.get("/")
    assert (await site.hit("/")).lines("cache-control") == ["max-age=60, s-maxage=600"]


async def test_a_silent_response_is_given_no_cache_control(site: Site) -> None:
    await site.get("/")
    assert "cache-control" not in await site.hit("/")


# Jitter.


async def lifetimes(site: Site, number: int = 40) -> list[int]:
    found: list[int] = []
    for place in range(number):
        await site.get(f"/{place}")
        status = (await site.get(f"/{place}"))["cache-status"]
        found.append(int(status.rpartition("ttl=")[2]))
    return found


async def test_jitter_spreads_the_ends_of_lifetimes() -> None:
    assert len(set(await lifetimes(Site(ttl=1000, jitter=0.5)))) > 10


async def test_jitter_never_lengthens_a_lifetime_and_keeps_its_bound() -> None:
    found = await lifetimes(Site(ttl=1000, jitter=0.1))
    assert min(found) >= 899
    assert max(found) <= 1000


async def test_without_jitter_lifetimes_are_exact() -> None:
    assert set(await lifetimes(Site(ttl=1000), 5)) == {1000}


# Request directives.


@pytest.mark.parametrize("control", ["no-cache", "max-age=0", "min-fresh=600", "only-if-cached", "NO-CACHE"])
async def test_clients_cannot_order_the_cache_round_by_default(site: Site, control: str) -> None:
    await site.get("/")
    assert (await site.get("/", headers=[("cache-control", control)])).hit


async def test_pragma_does_not_either(site: Site) -> None:
    await site.get("/")
    assert (await site.get("/", headers=[("pragma", "no-cache")])).hit


async def test_a_client_cannot_set_the_lifetime_of_what_is_stored(site: Site) -> None:
    await site.get("/", headers=[("cache-control", "max-age=1")])
    site.clock.advance(30)
    assert (await site.get("/")).hit


async def test_a_request_that_says_no_store_is_not_stored(site: Site) -> None:
    await site.get("/", headers=[("cache-control", "no-store")])
    await site.get("/")
    assert site.runs == 2


@pytest.mark.parametrize(
    ("control", "age"),
    [("no-cache", 0), ("No-Cache", 0), ("max-age=0", 0), ("max-age=10", 11), ("min-fresh=50", 11)],
)
async def test_honoured_directives_forward_the_request(control: str, age: int) -> None:
    site = Site(request_directives="honor")
    await site.get("/")
    site.clock.advance(age)
    response = await site.get("/", headers=[("cache-control", control)])
    assert response["cache-status"].startswith("hotplate; fwd=request")


@pytest.mark.parametrize(
    ("control", "age"), [("max-age=10", 10), ("min-fresh=50", 10), ("max-stale", 61), ("max-stale=5", 64)]
)
async def test_honoured_directives_accept_what_they_accept(control: str, age: int) -> None:
    site = Site(request_directives="honor")
    await site.get("/")
    site.clock.advance(age)
    await site.get("/", headers=[("cache-control", control)])
    assert site.runs == 1


async def test_only_if_cached_is_504_when_nothing_is_stored() -> None:
    site = Site(request_directives="honor")
    assert (await site.get("/", headers=[("cache-control", "only-if-cached")])).status == 504


async def test_only_if_cached_never_runs_the_handler() -> None:
    site = Site(request_directives="honor")
    await site.get("/", headers=[("cache-control", "only-if-cached")])
    assert site.runs == 0


async def test_only_if_cached_is_a_hit_when_something_is_stored() -> None:
    site = Site(request_directives="honor")
    await site.get("/")
    assert (await site.get("/", headers=[("cache-control", "only-if-cached")])).hit


# The letter of the RFC.


async def test_profile_rfc9111_honours_requests() -> None:
    site = Site(profile="rfc9111")
    await site.get("/")
    await site.get("/", headers=[("cache-control", "no-cache")])
    assert site.runs == 2


async def test_profile_rfc9111_shares_responses_to_requests_with_cookies() -> None:
    site = Site(profile="rfc9111")
    await site.get("/", headers=[("cookie", "a=1")])
    assert (await site.get("/", headers=[("cookie", "a=2")])).hit


async def test_profile_rfc9111_may_still_ignore_requests() -> None:
    site = Site(profile="rfc9111", request_directives="ignore")
    await site.get("/")
    assert (await site.get("/", headers=[("cache-control", "no-cache")])).hit
