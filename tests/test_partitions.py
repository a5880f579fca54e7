"""Separate stored responses per identity, and what credentials forbid without one."""

from collections.abc import Callable

import pytest

from hotplate import RequestHead, Rule, by_cookie, by_field
from hotplate.asgi import Scope
from tests.driver import Header, Reply, Site

pytestmark = pytest.mark.asyncio

ALICE: list[Header] = [("authorization", "Bearer alice")]
BOB: list[Header] = [("authorization", "Bearer bob")]


def whoami(scope: Scope) -> Reply:
    """Answers with the credentials it got: what must never reach anybody else."""
    secrets = [value for name, value in scope["headers"] if name in (b"authorization", b"cookie")]
    return Reply(b"|".join(secrets) or b"anonymous")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ALICE, BOB),
        ([("cookie", "sid=alice")], [("cookie", "sid=bob")]),
        ([("authorization", "")], ALICE),
        (ALICE, []),
        ([("cookie", "sid=alice")], []),
        ([("cookie", "theme=dark; sid=alice")], [("cookie", "theme=dark; sid=bob")]),
    ],
)
async def test_credentials_keep_a_response_from_everybody_else(one: list[Header], other: list[Header]) -> None:
    site = Site(whoami)
    await site.get("/", headers=one)
    response = await site.get("/", headers=other)
    assert response.body == whoami({"headers": [(str(n).lower().encode(), str(v).encode()) for n, v in other]}).body


@pytest.mark.parametrize("headers", [ALICE, [("cookie", "sid=alice")]])
async def test_a_stored_anonymous_response_is_not_served_to_credentials(headers: list[Header]) -> None:
    site = Site(whoami)
    await site.get("/")
    assert (await site.get("/", headers=headers)).body != b"anonymous"


@pytest.mark.parametrize(("headers", "detail"), [(ALICE, "authorization"), ([("cookie", "sid=alice")], "cookie")])
async def test_the_reason_names_the_credential(headers: list[Header], detail: str) -> None:
    site = Site(whoami)
    assert (await site.get("/", headers=headers)).detail == detail


@pytest.mark.parametrize("headers", [ALICE, [("cookie", "theme=dark")]], ids=["authorization", "cookie"])
@pytest.mark.parametrize("control", ["public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"])
async def test_a_response_that_says_it_is_for_everyone_is_shared(headers: list[Header], control: str) -> None:
    site = Site(Reply(b"same for all", headers=[("cache-control", control)]))
    await site.get("/", headers=headers)
    assert (await site.get("/", headers=headers)).hit


async def test_max_age_alone_does_not_open_a_response_to_credentials() -> None:
    site = Site(Reply(headers=[("cache-control", "max-age=60")]))
    await site.get("/", headers=ALICE)
    await site.get("/", headers=ALICE)
    assert site.runs == 2


async def test_a_304_meant_for_credentials_is_not_what_others_get() -> None:
    def answer(scope: Scope) -> Reply:
        headers: list[Header] = [("etag", '"v1"'), ("cache-control", "public, max-age=60")]
        conditional = any(name == b"if-none-match" for name, _ in scope["headers"])
        return Reply(b"", 304, headers) if conditional else Reply(b"whole", 200, headers)

    site = Site(answer)
    await site.get("/", headers=[*ALICE, ("if-none-match", '"v1"')])
    assert (await site.get("/")).body == b"whole"


async def test_a_rule_may_say_that_cookies_do_not_matter() -> None:
    site = Site(rules=[Rule("*", cookies="ignore")])
    await site.get("/", headers=[("cookie", "tracking=1")])
    assert (await site.get("/", headers=[("cookie", "tracking=2")])).hit


async def test_ignoring_cookies_does_not_open_authorization() -> None:
    site = Site(whoami, rules=[Rule("*", cookies="ignore")])
    await site.get("/", headers=ALICE)
    assert (await site.get("/", headers=BOB)).body == b"Bearer bob"


@pytest.mark.parametrize("cookies", ["guard", "ignore"])
async def test_a_response_with_set_cookie_is_not_stored(cookies: str) -> None:
    site = Site(Reply(headers=[("set-cookie", "sid=1")]), rules=[Rule("*", cookies=cookies)])  # type: ignore[arg-type]
    await site.get("/")
    await site.get("/")
    assert site.runs == 2


@pytest.mark.parametrize("control", ["max-age=60", "public, max-age=60", "s-maxage=60"])
async def test_set_cookie_is_not_replayed_whatever_the_lifetime(control: str) -> None:
    site = Site(Reply(headers=[("set-cookie", "sid=1"), ("cache-control", control)]))
    await site.get("/")
    site.origin.answer = b"no cookie"
    assert (await site.get("/")).lines("set-cookie") == []


@pytest.mark.parametrize("control", ["private", "private, max-age=60", "Private", "PRIVATE", "max-age=60,private"])
async def test_a_private_response_is_not_stored(control: str) -> None:
    site = Site(Reply(headers=[("cache-control", control)]))
    await site.get("/")
    await site.get("/")
    assert site.runs == 2


@pytest.mark.parametrize("headers", [(ALICE, BOB), ([("cookie", "sid=alice")], [("cookie", "sid=bob")])])
async def test_credentials_guard_a_cached_post_too(headers: tuple[list[Header], list[Header]]) -> None:
    site = Site(whoami, rules=[Rule("/search", methods=["POST"])])
    alice, bob = headers
    await site.post("/search", body=b"q", headers=alice)
    assert b"bob" in (await site.post("/search", body=b"q", headers=bob)).body


# Partitions.


def by_user(head: RequestHead) -> str:
    return head.field("authorization", "anonymous") or "anonymous"


async def test_a_partition_gives_each_identity_its_own_responses() -> None:
    site = Site(whoami, partition=by_user)
    bodies = [(await site.get("/", headers=headers)).body for headers in (ALICE, BOB, [], ALICE, BOB, [])]
    assert bodies == [b"Bearer alice", b"Bearer bob", b"anonymous"] * 2


async def test_a_partition_caches_requests_with_credentials() -> None:
    site = Site(whoami, partition=by_user)
    await site.get("/", headers=ALICE)
    assert (await site.get("/", headers=ALICE)).hit


@pytest.mark.parametrize("partition", [by_field("Authorization"), by_cookie("sid")], ids=["field", "cookie"])
async def test_the_ready_made_partitions_keep_identities_apart(partition: Callable[[RequestHead], str]) -> None:
    site = Site(whoami, partition=partition)
    await site.get("/", headers=[("authorization", "alice"), ("cookie", "sid=alice")])
    response = await site.get("/", headers=[("authorization", "bob"), ("cookie", "sid=bob")])
    assert b"alice" not in response.body


@pytest.mark.parametrize("partition", [by_field("Authorization"), by_cookie("sid")], ids=["field", "cookie"])
async def test_the_ready_made_partitions_tell_absent_from_empty(partition: Callable[[RequestHead], str]) -> None:
    site = Site(partition=partition)
    await site.get("/", headers=[("authorization", ""), ("cookie", "sid=")])
    assert (await site.get("/")).body == b"run 2"


async def test_a_partition_is_asked_with_the_request_head() -> None:
    seen: list[tuple[str, str, bytes, str | None, str | None]] = []

    def partition(head: RequestHead) -> str:
        seen.append((head.method, head.path, head.query, head.field("X-Many"), head.cookie("b")))
        return "one"

    site = Site(partition=partition)
    await site.get("/caf%C3%A9?x=1", headers=[("x-many", "1"), ("x-many", "2"), ("cookie", "a=1; b=2")])
    assert seen == [("GET", "/caf\u00e9", b"x=1", "1, 2", "2")]


async def test_a_head_gives_the_default_for_what_is_not_there() -> None:
    head = RequestHead({"headers": []})
    assert (head.field("absent", "default"), head.cookie("absent", "default")) == ("default", "default")


@pytest.mark.parametrize(
    "line",
    [
        "sid=alice",
        "theme=dark; sid=alice",
        "sid=alice; theme=dark",
        "sid=alice;",
        "; ;sid=alice",
        " sid = alice ",
        "flag; sid=alice",
        'prefs={"dark":1}; sid=alice',
        'sid=alice; prefs={"dark":1}',
        'half="open; sid=alice',
        "a b=c d; sid=alice",
        "=nameless; sid=alice",
        "name:with=colons; sid=alice",
        "caf\u00e9=1; sid=alice",
        "path=/; sid=alice",
        "expires=never; sid=alice",
        "$Version=1; sid=alice",
    ],
)
async def test_a_cookie_is_found_whatever_stands_beside_it(line: str) -> None:
    """A cookie the application sees and the partition does not would put its answer where all may read it."""
    assert RequestHead({"headers": [(b"cookie", line.encode("latin-1"))]}).cookie("sid") == "alice"


@pytest.mark.parametrize("name", ["path", "domain", "expires", "max-age", "version", "secure"])
async def test_a_cookie_may_have_the_name_of_an_attribute(name: str) -> None:
    assert RequestHead({"headers": [(b"cookie", f"a=1; {name}=x".encode())]}).cookie(name) == "x"


async def test_a_cookie_beside_one_that_cannot_be_read_keeps_its_partition() -> None:
    site = Site(whoami, partition=by_cookie("sid"))
    await site.get("/", headers=[("cookie", 'prefs={"dark":1}; sid=alice')])
    assert (await site.get("/")).body == b"anonymous"


@pytest.mark.parametrize("other", ["sid=alice", "sid=bob", "sid=bob; sid=alice"])
async def test_a_cookie_sent_twice_is_an_identity_of_its_own(other: str) -> None:
    """Frameworks differ in which of the two they take, so neither may stand for both."""
    site = Site(partition=by_cookie("sid"))
    await site.get("/", headers=[("cookie", "sid=alice; sid=bob")])
    assert (await site.get("/", headers=[("cookie", other)])).body == b"run 2"


async def test_a_cookie_on_a_second_line_counts() -> None:
    site = Site(partition=by_cookie("sid"))
    await site.get("/", headers=[("cookie", "sid=alice"), ("cookie", "sid=bob")])
    assert (await site.get("/", headers=[("cookie", "sid=alice")])).body == b"run 2"


async def test_no_partition_name_forwards_the_request() -> None:
    site = Site(partition=lambda head: None)
    await site.get("/")
    assert (await site.get("/")).detail == "partition-refused"


def _raises(head: RequestHead) -> str:
    raise RuntimeError("no database")


@pytest.mark.parametrize(
    "partition", [_raises, lambda head: 42, lambda head: b"bytes", lambda head: ["a"], lambda head: "\ud800"],
    ids=["raises", "number", "bytes", "list", "not Unicode"],
)  # fmt: skip
async def test_a_partition_that_fails_forwards_the_request(partition: Callable[[RequestHead], str]) -> None:
    site = Site(partition=partition)
    await site.get("/")
    assert (await site.get("/")).detail == "partition-failed"


async def test_a_rule_has_a_partition_of_its_own() -> None:
    site = Site(whoami, rules=[Rule("/me", partition=by_user)])
    await site.get("/me", headers=ALICE)
    assert (await site.get("/me", headers=BOB)).body == b"Bearer bob"


async def test_the_empty_name_is_not_the_absence_of_a_partition() -> None:
    site = Site(rules=[Rule("/a", partition=lambda head: "" if head.query else None)])
    await site.get("/a?x")
    assert (await site.get("/a?x")).hit


async def test_a_private_response_is_stored_in_no_partition() -> None:
    site = Site(Reply(headers=[("cache-control", "private, max-age=60")]), partition=by_user)
    await site.get("/", headers=ALICE)
    site.origin.answer = b"other"
    assert (await site.get("/", headers=BOB)).body == b"other"


async def test_names_and_paths_do_not_run_together() -> None:
    site = Site(partition=lambda head: head.field("x-user"))
    await site.get("/b", headers=[("x-user", "a")])
    assert (await site.get("/", headers=[("x-user", "a/b")])).body == b"run 2"
