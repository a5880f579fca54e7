"""Responses that depend on request fields: learned from ``Vary``, or named by a rule."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hotplate import Rule
from hotplate.asgi import Scope
from tests.driver import Header, Reply, Response, Site

pytestmark = pytest.mark.asyncio


def echo(name: str, vary: str | None) -> Site:
    """An origin that answers with the value of one request field, or ``none``."""

    def answer(scope: Scope) -> Reply:
        values = [value for key, value in scope["headers"] if key == name.lower().encode()]
        return Reply(b",".join(values) or b"none", headers=[("vary", vary)] if vary is not None else [])

    return Site(answer)


@pytest.mark.parametrize(
    "vary",
    ["Accept-Language", "accept-language", "ACCEPT-LANGUAGE", " Accept-Language ", "\tAccept-Language",
     "Accept , Accept-Language", "Accept,,Accept-Language", "Accept-Language, Accept-Language"],
)  # fmt: skip
async def test_a_variant_is_not_served_for_another_value(vary: str) -> None:
    site = echo("Accept-Language", vary)
    await site.get("/", headers=[("accept-language", "fr")])
    assert (await site.get("/", headers=[("accept-language", "de")])).body == b"de"


async def test_a_variant_is_served_for_its_own_value_again() -> None:
    site = echo("Accept-Language", "Accept-Language")
    for language in ("fr", "de"):
        await site.get("/", headers=[("accept-language", language)])
    response = await site.get("/", headers=[("accept-language", "fr")])
    assert (response.body, response.hit) == (b"fr", True)


async def test_a_forward_for_another_value_says_so() -> None:
    site = echo("Accept-Language", "Accept-Language")
    await site.get("/", headers=[("accept-language", "fr")])
    response = await site.get("/", headers=[("accept-language", "de")])
    assert response["cache-status"].startswith("hotplate; fwd=vary-miss; stored")


@pytest.mark.parametrize("name", ["X-Tenant", "Accept-Language", "Accept-Encoding", "Cookie-Less", "Accept"])
async def test_a_missing_and_an_empty_field_are_two_variants(name: str) -> None:
    site = echo(name, name)
    await site.get("/", headers=[(name, "")])
    await site.get("/")
    assert site.runs == 2


async def test_values_of_two_fields_do_not_run_together() -> None:
    site = Site(lambda scope: Reply(repr(scope["headers"][1:]).encode(), headers=[("vary", "x-a, x-b")]))
    await site.get("/", headers=[("x-a", "1"), ("x-b", "23")])
    await site.get("/", headers=[("x-a", "12"), ("x-b", "3")])
    assert site.runs == 2


async def test_values_moved_to_another_field_are_another_variant() -> None:
    site = Site(Reply(headers=[("vary", "x-a, x-b")]))
    await site.get("/", headers=[("x-a", "1")])
    await site.get("/", headers=[("x-b", "1")])
    assert site.runs == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([("x-a", "1, 2")], [("x-a", "1"), ("x-a", "2")]),
        ([("x-a", "1,2")], [("x-a", "1 , 2")]),
    ],
    ids=["combined lines", "white space between members"],
)
async def test_values_that_mean_the_same_share_a_variant(first: list[Header], second: list[Header]) -> None:
    site = Site(Reply(headers=[("vary", "x-a")]))
    await site.get("/", headers=first)
    assert (await site.get("/", headers=second)).hit


@pytest.mark.parametrize("vary", ["*", "Accept, *", " * ", "*, Accept"])
async def test_a_response_that_varies_on_everything_is_not_stored(vary: str) -> None:
    site = Site(Reply(headers=[("vary", vary)]))
    await site.get("/")
    await site.get("/")
    assert site.runs == 2


async def test_a_star_on_a_line_of_its_own_counts() -> None:
    site = Site(Reply(headers=[("vary", "Accept"), ("vary", "*")]))
    await site.get("/")
    await site.get("/")
    assert site.runs == 2


async def test_names_on_two_vary_lines_all_count() -> None:
    site = Site(Reply(headers=[("vary", "x-a"), ("vary", "x-b")]))
    await site.get("/", headers=[("x-a", "1"), ("x-b", "1")])
    await site.get("/", headers=[("x-a", "1"), ("x-b", "2")])
    assert site.runs == 2


async def test_encodings_in_another_order_share_a_variant() -> None:
    site = echo("Accept-Encoding", "Accept-Encoding")
    await site.get("/", headers=[("accept-encoding", "gzip, br")])
    assert (await site.get("/", headers=[("accept-encoding", "br,gzip")])).hit


async def test_gzip_and_identity_are_two_variants() -> None:
    site = echo("Accept-Encoding", "Accept-Encoding")
    await site.get("/", headers=[("accept-encoding", "gzip")])
    assert (await site.get("/", headers=[("accept-encoding", "identity")])).body == b"identity"


async def test_vary_on_cookie_keeps_two_cookies_apart() -> None:
    site = Site(
        lambda scope: Reply(repr(scope["headers"]).encode(), headers=[("vary", "Cookie"), ("cache-control", "public")])
    )
    await site.get("/", headers=[("cookie", "sid=alice")])
    assert b"bob" in (await site.get("/", headers=[("cookie", "sid=bob")])).body


async def test_a_rule_may_name_the_fields_a_response_depends_on() -> None:
    site = echo("X-Tenant", None)
    site = Site(site.origin.answer, rules=[Rule("*", vary=["X-Tenant"])])
    await site.get("/", headers=[("x-tenant", "a")])
    assert (await site.get("/", headers=[("x-tenant", "b")])).body == b"b"


@pytest.mark.parametrize("request_number", [1, 2])
async def test_the_fields_a_rule_names_are_told_in_vary(request_number: int) -> None:
    site = Site(Reply(headers=[("vary", "Accept")]), rules=[Rule("*", vary=["X-Tenant"])])
    response = await site.last(request_number)
    assert ", ".join(response.lines("vary")).lower() == "accept, x-tenant"


async def test_a_field_in_both_rule_and_response_is_told_once() -> None:
    site = Site(Reply(headers=[("vary", "X-Tenant")]), rules=[Rule("*", vary=["x-tenant"])])
    assert (await site.get("/")).lines("vary") == ["X-Tenant"]


async def test_a_response_that_changes_its_vary_is_not_served_by_the_old_one() -> None:
    site = Site(Reply(b"one", headers=[("vary", "x-a")]))
    await site.get("/", headers=[("x-a", "1"), ("x-b", "1")])
    site.origin.answer = Reply(b"two", headers=[("vary", "x-b")])
    await site.get("/", headers=[("x-a", "2"), ("x-b", "2")])
    site.origin.answer = Reply(b"three", headers=[("vary", "x-b")])
    assert (await site.get("/", headers=[("x-a", "2"), ("x-b", "3")])).body == b"three"


async def test_the_number_of_variants_of_one_key_is_bounded() -> None:
    site = echo("X-Random", "X-Random")
    for number in range(500):
        await site.get("/", headers=[("x-random", str(number))])
    assert 1 < site.cache.stats().entries < 200


async def test_invalidating_the_path_reaches_every_variant() -> None:
    site = echo("Accept-Language", "Accept-Language")
    for language in ("fr", "de"):
        await site.get("/p", headers=[("accept-language", language)])
    await site.cache.invalidate(paths=["/p"])
    for language in ("fr", "de"):
        await site.get("/p", headers=[("accept-language", language)])
    assert site.runs == 4


class Gate:
    """Holds an origin back until opened, and tells when it has been entered."""

    def __init__(self, answer: Callable[[Scope], Reply]) -> None:
        self.answer = answer
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, scope: Scope) -> Reply:
        self.entered.set()
        await self.opened.wait()
        return self.answer(scope)


async def together(answer: Callable[[Scope], Reply], *requests: Sequence[Header], **settings: Any) -> list[Response]:
    """The answers to requests of which the first is being loaded while the others arrive."""
    gate = Gate(answer)
    site = Site(gate, **settings)
    tasks = [asyncio.ensure_future(site.get("/", headers=requests[0]))]
    await gate.entered.wait()
    tasks += [asyncio.ensure_future(site.get("/", headers=headers)) for headers in requests[1:]]
    for _ in range(10):
        await asyncio.sleep(0)
    gate.opened.set()
    return await asyncio.gather(*tasks)


async def test_those_who_wait_for_another_variant_get_their_own() -> None:
    def answer(scope: Scope) -> Reply:
        return Reply(dict(scope["headers"])[b"accept-language"], headers=[("vary", "Accept-Language")])

    languages = ("fr", "de", "fr", "en")
    responses = await together(answer, *([("accept-language", language)] for language in languages))
    assert [response.body.decode() for response in responses] == list(languages)


async def test_those_who_wait_do_not_get_the_error_of_another_variant() -> None:
    def answer(scope: Scope) -> Reply:
        encoding = dict(scope["headers"])[b"accept-encoding"]
        return Reply(encoding, 503, [("content-encoding", encoding), ("vary", "Accept-Encoding")])

    encodings = ("gzip", "identity")
    responses = await together(answer, *([("accept-encoding", encoding)] for encoding in encodings))
    assert [response.body.decode() for response in responses] == list(encodings)


async def test_those_who_wait_do_not_get_the_error_of_another_variant_a_rule_names() -> None:
    responses = await together(
        lambda scope: Reply(dict(scope["headers"])[b"x-tenant"], 503),
        *([("x-tenant", tenant)] for tenant in ("a", "b")),
        rules=[Rule("*", vary=["X-Tenant"])],
    )
    assert [response.body for response in responses] == [b"a", b"b"]


@pytest.mark.parametrize("vary", ["*", "Cookie-Jar"])
async def test_those_who_wait_do_not_share_an_answer_that_varies_otherwise(vary: str) -> None:
    def answer(scope: Scope) -> Reply:
        return Reply(dict(scope["headers"])[b"cookie-jar"], headers=[("vary", vary)])

    responses = await together(answer, *([("cookie-jar", value)] for value in ("a", "b", "c")))
    assert [response.body for response in responses] == [b"a", b"b", b"c"]
