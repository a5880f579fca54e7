"""The commands that ask a running cache through the admin API of an application: here one in memory, behind a token."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI

from hotplate import Cache, CacheMiddleware, Rule, admin_router
from hotplate.cli.admin_connection import AdminConnection
from tests.admin_site import NASTY, OTHER_TOKEN, TOKEN
from tests.command_line import Done, on_terminal, run
from tests.servers import Server, serving


class Administered:
    """A server with an admin API at ``/_cache``, and the program that is told so by its environment."""

    def __init__(self, server: Server, cache: Cache, token: str | None = TOKEN) -> None:
        self.server = server
        self.cache = cache
        self.settings: dict[str, Any] = {"HOTPLATE_ADMIN": f"http://{server.authority}/_cache"}
        if token is not None:
            self.settings["HOTPLATE_TOKEN"] = token

    async def __call__(self, *arguments: str, **more: str) -> Done:
        return await asyncio.to_thread(run, *arguments, **{**self.settings, **more})


def application() -> tuple[FastAPI, Cache]:
    cache = Cache(max_bytes="16MiB")
    app = FastAPI(lifespan=cache.lifespan)
    rules = [Rule("/items/{item}", ttl=60, tags=["items", "item:{item}"])]
    app.add_middleware(CacheMiddleware, cache=cache, rules=rules, exclude=["/_cache"])
    app.include_router(admin_router(cache, auth=TOKEN), prefix="/_cache")

    @app.get("/items/{item}")
    async def read(item: str) -> dict[str, str]:
        return {"item": item}

    return app, cache


@pytest_asyncio.fixture
async def cli() -> AsyncIterator[Administered]:
    app, cache = application()
    async with serving(app) as server:
        yield Administered(server, cache)


@pytest.mark.asyncio
async def test_the_numbers_are_those_of_the_cache(cli: Administered) -> None:
    for item in (1, 1, 1, 2):
        await cli.server.get(f"/items/{item}")
    done = await cli("stats", "--json")
    assert (done.status, done.err) == (0, "")
    stats = cli.cache.stats()
    counts = done.json["sum"]["counts"]
    assert (counts["hits"], counts["misses"]) == (stats.hits, stats.misses) == (2, 2)
    assert (done.json["sum"]["bytes"], done.json["sum"]["max_bytes"]) == (stats.bytes, 16 * 2**20)
    text = (await cli("stats")).out
    assert "requests       2 hits, 0 stale, 0 validated, 2 misses\n" in text
    assert "shared tier    none: in memory\n" in text
    assert "/items/{item}    2" in text


@pytest.mark.asyncio
async def test_what_is_used_most_is_named(cli: Administered) -> None:
    for item in (1, 1, 1, 2, 2):
        await cli.server.get(f"/items/{item}")
    found = (await cli("top", "--json", "-n", "1")).json
    assert [(top["name"], top["hits"]) for top in found] == [(f"GET {cli.server.authority}/items/1", 2)]
    assert "items" in (await cli("top", "--tags")).out


@pytest.mark.asyncio
async def test_what_is_stored_is_found_by_its_url_its_path_and_its_key(cli: Administered) -> None:
    await cli.server.get("/items/1")
    url = f"http://{cli.server.authority}/items/1"
    (entry,) = (await cli("inspect", url, "--json")).json
    assert (entry["tier"], entry["status"], sorted(entry["tags"])) == ("local", 200, ["item:1", "items"])
    for named in ("/items/1", entry["key"]):
        done = await cli("inspect", named, "--body")
        assert (done.status, done.err) == (0, "")
        assert f"GET {cli.server.authority}/items/1\n" in done.out
        assert '{"item":"1"}' in done.out
    assert (await cli("inspect", "/items/2")).status == 1


@pytest.mark.asyncio
async def test_what_a_request_would_get_is_said_in_a_sentence(cli: Administered) -> None:
    await cli.server.get("/items/1")
    done = await cli("explain", f"http://{cli.server.authority}/items/1")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Served from the cache: the stored response is fresh")
    assert "nothing is stored" in (await cli("explain", "/items/2", "--json")).json["sentence"]


@pytest.mark.asyncio
async def test_an_invalidation_acts_at_once_and_can_be_tried_first(cli: Administered) -> None:
    for item in (1, 2):
        await cli.server.get(f"/items/{item}")
    done = await cli("invalidate", "--tag", "items", "--dry-run")
    assert (done.status, done.out.splitlines()[0][:21]) == (0, "would match 2 entries")
    assert f"  GET {cli.server.authority}/items/1\n" in done.out
    assert (await cli.server.get("/items/1")).hit
    done = await cli("invalidate", "--tag", "item:1", "--json")
    assert (done.status, done.json["position"] > 0) == (0, True)
    assert not (await cli.server.get("/items/1")).hit
    assert (await cli.server.get("/items/2")).hit
    assert (await cli("invalidate", "--all")).out.startswith("invalidated: everything (position ")
    assert not (await cli.server.get("/items/2")).hit


@pytest.mark.asyncio
async def test_everything_is_asked_for_with_what_it_would_match(cli: Administered) -> None:
    await cli.server.get("/items/1")
    done = await asyncio.to_thread(lambda: on_terminal("invalidate", "--all", typed="n\n", **cli.settings))
    assert (done.status, "This invalidates everything: 1 entries, " in done.out) == (1, True)
    assert (await cli.server.get("/items/1")).hit


@pytest.mark.asyncio
@pytest.mark.parametrize("command", [["stats"], ["top"], ["explain", "/a"], ["inspect", "a"], ["invalidate", "--all"]])
async def test_without_a_token_or_with_a_wrong_one_nothing_is_told(cli: Administered, command: list[str]) -> None:
    await cli.server.get("/items/1")
    wrong = await cli(*command, HOTPLATE_TOKEN=OTHER_TOKEN)
    assert (wrong.status, wrong.out) == (3, "")
    assert "refuses the token" in wrong.err
    assert OTHER_TOKEN not in wrong.err
    assert "refused        1 requests to the admin API without a valid token" in (await cli("stats")).out
    without = await cli(*command, HOTPLATE_TOKEN="")
    assert (without.status, without.out) == (3, "")
    assert "wants a token" in without.err
    assert (await cli.server.get("/items/1")).hit


@pytest.mark.asyncio
async def test_a_token_on_the_command_line_outranks_that_of_the_environment(cli: Administered) -> None:
    assert (await cli("stats", "--token", TOKEN, HOTPLATE_TOKEN=OTHER_TOKEN)).status == 0


def test_a_token_on_its_way_to_another_machine_in_the_clear_is_a_warning() -> None:
    for url, warned in (("http://192.0.2.1/_cache", True), ("https://192.0.2.1", False), ("http://localhost:1", False)):
        assert AdminConnection(url, TOKEN).is_overheard is warned
        assert AdminConnection(url, None).is_overheard is False


@pytest.mark.asyncio
async def test_where_there_is_no_admin_api_it_says_so(cli: Administered) -> None:
    done = await cli("stats", HOTPLATE_ADMIN=f"http://{cli.server.authority}/cache")
    assert (done.status, "is it mounted there?" in done.err) == (3, True)
    # Something else that answers is none either.
    done = await cli("stats", HOTPLATE_ADMIN=f"http://{cli.server.authority}/items")
    assert (done.status, "answers with something else" in done.err) == (3, True)


@pytest.mark.asyncio
async def test_what_the_api_refuses_is_said_in_its_words(cli: Administered) -> None:
    done = await cli("invalidate", "--path", "/a?b")
    assert (done.status, done.out) == (2, "")
    assert "/a?b" in done.err


@pytest.mark.asyncio
@pytest.mark.parametrize("nasty", NASTY)
async def test_names_and_tags_are_shown_as_text(cli: Administered, nasty: str) -> None:
    await cli.cache.set(nasty, 1, ttl=60, tags=[nasty])
    assert await cli.cache.get(nasty) == 1
    for command in (["top"], ["top", "--tags"]):
        done = await cli(*command)
        assert (done.status, done.err, len(done.out.splitlines())) == (0, "", 2)
        assert all(character.isprintable() for character in done.out.replace("\n", ""))
        named = [one["name"] for one in (await cli(*command, "--json")).json]
        assert named == [nasty]
    if "\x00" not in nasty:  # no argument of a program has one
        done = await cli("inspect", nasty)
        assert (done.status, done.err) == (0, "")
        assert all(character.isprintable() for character in done.out.replace("\n", ""))
