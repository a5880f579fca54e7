"""The commands that ask a running cache on Redis: two servers have it, and the program is a third process of it."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hotplate import Cache
from tests.command_line import Done, on_terminal, run
from tests.redis_servers import RedisServer
from tests.servers import ROOT, Answer, Server, serving_process
from tests.waiting import eventually, until

pytestmark = pytest.mark.asyncio

APPLICATION = """
import os

from fastapi import FastAPI

from hotplate import Cache, CacheMiddleware, Query, Rule

cache = Cache(os.environ["CACHE_URL"], prefix="run-test", command_timeout="5s")
app = FastAPI(lifespan=cache.lifespan)
rules = [
    Rule("/items/{item}", ttl=60, tags=["items", "item:{item}"], stale_if_error=30, query=Query(drop=["utm_*"])),
    Rule("/mine/{item}", ttl=60, partition=lambda head: head.field("x-user")),
]
app.add_middleware(CacheMiddleware, cache=cache, rules=rules, exclude=["/big"])

@app.get("/items/{item}")
async def read(item: str) -> dict[str, str]:
    return {"item": item}

@app.get("/mine/{item}")
async def mine(item: str) -> str:
    return item
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "running.py").write_text(APPLICATION)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT / 'python'}:{ROOT}")
    return tmp_path


class Cli:
    """The program, told by its environment where the cache is."""

    def __init__(self, redis: RedisServer, directory: Path) -> None:
        self.settings: dict[str, Any] = {"HOTPLATE_URL": redis.url, "HOTPLATE_PREFIX": "run-test"}
        self.by_app: dict[str, Any] = {"CACHE_URL": redis.url}
        self.directory = directory

    async def __call__(self, *arguments: str) -> Done:
        return await asyncio.to_thread(run, *arguments, **self.settings)

    async def of_app(self, *arguments: str) -> Done:
        """By the name of the application."""
        more = ["--app", "running:app"]
        return await asyncio.to_thread(run, *arguments, *more, cwd=self.directory, **self.by_app)

    async def counts(self) -> dict[str, int]:
        done = await self("stats", "--json")
        assert (done.status, done.err) == (0, "")
        counts: dict[str, int] = done.json["sum"]["counts"]
        return counts


@pytest.fixture
def cli(redis: RedisServer, directory: Path) -> Cli:
    return Cli(redis, directory)


@asynccontextmanager
async def served(redis: RedisServer) -> AsyncIterator[tuple[Server, Server]]:
    """Two processes of one cache."""
    settings = {"CACHE_URL": redis.url}
    async with serving_process("running:app", settings) as one, serving_process("running:app", settings) as other:
        yield one, other


async def get(server: Server, target: str) -> Answer:
    """One request for a host that all processes answer for."""
    async with server.connection() as connection:
        connection.authority = "example.org"
        await connection.send("GET", target)
        return await connection.answer()


async def test_the_numbers_are_the_sum_of_all_processes_without_the_programs_own(redis: RedisServer, cli: Cli) -> None:
    async with served(redis) as (one, other):
        for server in (one, other):
            for _ in range(3):
                await get(server, "/items/1")
        await get(one, "/items/2")
        wanted = {"hits": 5, "misses": 2, "stored": 2, "stale": 0}

        async def told() -> bool:
            counts = await cli.counts()
            return {name: counts[name] for name in wanted} == wanted

        await eventually(told, "both have told their numbers")
        processes = (await cli("stats", "--json")).json["processes"]
        assert sum(process["counts"]["hits"] > 0 for process in processes) == 2
        text = (await cli("stats")).out
        assert "hit rate       71.4 %" in text
        assert "requests       5 hits, 0 stale, 0 validated, 2 misses\n" in text
        assert "/items/{item}    5" in text
        assert f"at 127.0.0.1:{redis.port}, up, breaker closed" in text


async def test_what_is_used_most_and_what_is_stored(redis: RedisServer, cli: Cli) -> None:
    async with served(redis) as (one, _):
        url = f"http://{one.authority}/items/1"
        for _ in range(4):
            await one.get("/items/1")
        for _ in range(2):
            await one.get("/items/2")
        await eventually(lambda: top(cli), "it has told in full")
        keys = (await cli("top", "--json")).json
        assert (keys[0]["name"], keys[0]["hits"]) == (f"GET {one.authority}/items/1", 3)
        tags = {tag["name"]: tag["entries"] for tag in (await cli("top", "--tags", "--by", "bytes", "--json")).json}
        assert tags == {"items": 2, "item:1": 1, "item:2": 1}
        text = (await cli("top", "-n", "1")).out.splitlines()
        assert len(text) == 2
        assert text[0].split() == ["HITS", "BYTES", "ENTRIES", "KEY"]
        assert text[1].endswith(f"GET {one.authority}/items/1")

        for ask in (cli, cli.of_app):
            done = await ask("inspect", url)
            assert (done.status, done.err) == (0, "")
            assert "kind          response, status 200" in done.out
            assert "tags          item:1, items" in done.out
            assert "may be stale  30s if error" in done.out
            assert "content-type:    application/json" in done.out
            assert '{"item":"1"}' not in done.out
        assert '{"item":"1"}' in (await cli("inspect", url, "--body")).out
        (entry,) = (await cli("inspect", url, "--json")).json
        assert (entry["tier"], entry["status"], entry["key"]) == ("shared", 200, keys[0]["key"])
        done = await cli("inspect", keys[0]["key"])
        assert (done.status, "use --admin, or name its URL" in done.err) == (1, True)


async def top(cli: Cli) -> bool:
    return len((await cli("top", "--json")).json) == 2


async def test_what_rules_make_of_a_url_only_the_application_knows(redis: RedisServer, cli: Cli) -> None:
    async with served(redis) as (one, _):
        await one.get("/items/1?utm_source=x")
        await one.get("/mine/1", [("x-user", "ann")])
        url = f"http://{one.authority}"
        assert (await cli("inspect", f"{url}/items/1?utm_source=y")).status == 1
        assert (await cli.of_app("inspect", f"{url}/items/1?utm_source=y")).status == 0
        assert (await cli.of_app("inspect", f"{url}/mine/1")).status == 1
        mine = await cli.of_app("inspect", f"{url}/mine/1", "--partition", "ann", "--json")
        assert (mine.status, mine.json[0]["partitioned"]) == (0, True)

        done = await cli("explain", f"{url}/items/1")
        assert (done.status, done.out) == (2, "")
        assert "--app main:app" in done.err
        done = await cli.of_app("explain", f"{url}/big")
        assert (done.status, done.out) == (
            0,
            "Forwarded to the origin: this path is excluded from caching (hotplate rules).\n",
        )
        done = await cli.of_app("explain", f"{url}/items/1", "--json")
        assert "In the shared tier there is a response (age " in done.json["sentence"]


TARGETS: list[tuple[list[str], set[int]]] = [
    (["--tag", "item:1"], {1}),
    (["--tag", "item:1", "--tag", "item:2"], {1, 2}),
    (["--path", "/items/2"], {2}),
    (["--prefix", "/items"], {1, 2}),
    (["--all"], {1, 2}),
    (["--key", "somebody-elses"], set()),
]


async def test_an_invalidation_reaches_every_process(redis: RedisServer, cli: Cli) -> None:
    async with served(redis) as servers:
        for target, gone in TARGETS:
            for server in servers:
                for item in (1, 2):
                    await get(server, f"/items/{item}")
            done = await cli("invalidate", *target)
            assert (done.status, done.err) == (0, "")
            assert done.out.startswith("invalidated: ")
            for item in (1, 2):
                for server in servers:
                    answer = await get(server, f"/items/{item}")
                    # The first who asks loads it for both.
                    assert answer.hit == (item not in gone or server is servers[1]), target


async def test_a_soft_invalidation_marks_stale(redis: RedisServer, cli: Cli) -> None:
    async with served(redis) as (one, _):
        await one.get("/items/1")
        done = await cli("invalidate", "--tag", "items", "--soft", "--json")
        assert (done.status, done.json) == (0, {"position": 1})
        (entry,) = (await cli("inspect", f"http://{one.authority}/items/1", "--json")).json
        assert (entry["soft"], entry["valid"]) == (True, True)
        assert "stale: marked so" in (await cli("inspect", f"http://{one.authority}/items/1")).out


async def test_what_it_would_match_a_process_of_the_application_has_to_tell(cli: Cli) -> None:
    done = await cli("invalidate", "--tag", "items", "--dry-run")
    assert (done.status, done.out) == (2, "")
    assert "--dry-run needs --admin" in done.err


def log_of(redis: RedisServer) -> object:
    """Epoch and position of the cache's log."""
    return redis.command("GET", "run-test:{log}:head")


@pytest.mark.parametrize(
    ("typed", "meant"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False), ("\x04", False)]
)
async def test_everything_is_asked_for_first_on_a_terminal(
    redis: RedisServer, cli: Cli, typed: str, meant: bool
) -> None:
    done = await asyncio.to_thread(lambda: on_terminal("invalidate", "--all", typed=typed, **cli.settings))
    assert "Go on? [y/N]" in done.out
    assert done.status == (0 if meant else 1)
    assert ("nothing was invalidated" in done.out) is not meant
    assert str(log_of(redis)).endswith(":1" if meant else ":0")


async def test_with_yes_nothing_is_asked(redis: RedisServer, cli: Cli) -> None:
    done = await asyncio.to_thread(lambda: on_terminal("invalidate", "--all", "--yes", **cli.settings))
    assert (done.status, "Go on?" in done.out) == (0, False)
    assert str(log_of(redis)).endswith(":1")


async def test_watching_goes_on_until_it_is_told_to_stop(redis: RedisServer, cli: Cli) -> None:
    async with serving_process("running:app", {"CACHE_URL": redis.url}):
        watch = ["stats", "--watch", "--interval", "0.01", "--count", "3"]
        done = await cli(*watch, "--json")
        assert (done.status, len([json.loads(line) for line in done.out.splitlines()])) == (0, 3)
        done = await cli(*watch)
        assert done.out.count("hit rate") == 3
        done = await asyncio.to_thread(lambda: on_terminal(*watch, **cli.settings))
        assert (done.status, done.out.count("\x1b[2J")) == (0, 2)


async def test_a_cache_that_no_process_has_is_status_1(cli: Cli) -> None:
    done = await cli("stats")
    assert (done.status, done.out) == (1, "")
    assert "no process of this cache is alive" in done.err


async def test_nothing_stored_is_status_1(cli: Cli) -> None:
    done = await cli("inspect", "product:1")
    assert (done.status, done.out) == (1, "nothing is stored under product:1\n")
    done = await cli("inspect", "product:1", "--json")
    assert (done.status, done.json) == (1, [])


async def test_a_server_that_is_away_is_status_3_and_its_password_stays_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    done = await asyncio.to_thread(run, "stats", "--url", "redis://:hush-hush@127.0.0.1:1")
    assert (done.status, done.out) == (3, "")
    assert "the server cannot be reached: 127.0.0.1:1 does not answer" in done.err
    assert "hush" not in done.err


# --- What comes from a cache is text ---------------------------------------------------------------------------------

NASTY = "[red]a[/red]\x1b[2J\x07\u202e<script>"


@pytest.fixture
def stored(redis: RedisServer) -> Cache:
    """A process of the cache, this one, that has a value with an unpleasant name, tag and content."""
    cache = Cache(redis.url, prefix="run-test")
    until(lambda: cache.sync.set(NASTY, NASTY, ttl=600, tags=[NASTY]), "the value is in Redis")
    cache.sync.get(NASTY)
    return cache


@pytest.mark.parametrize("how", ["pipe", "terminal", "json"])
async def test_what_comes_from_a_cache_is_shown_as_text(stored: Cache, cli: Cli, how: str) -> None:
    def ask(*arguments: str) -> Done:
        if how == "terminal":
            return on_terminal(*arguments, **cli.settings)
        return run(*arguments, *(["--json"] if how == "json" else []), **cli.settings)

    for arguments in (["top"], ["top", "--tags"], ["inspect", NASTY], ["inspect", NASTY, "--body"]):
        done = await asyncio.to_thread(ask, *arguments)
        assert done.status == 0
        assert not any(control in done.out for control in ("\x1b[2J", "\x07", "\u202e")), arguments
        if how == "json":
            assert done.out.isascii()
            assert NASTY in [text for one in done.json for text in (one["name"], *one.get("tags", ()))]
        else:
            assert "[red]a[/red]\\x1b[2J\\x07\\u202e<script>" in done.out


async def test_encrypted_values_need_their_key(redis: RedisServer, cli: Cli) -> None:
    secret = secrets.token_urlsafe(32)
    cache = Cache(redis.url, prefix="run-test", encryption_keys=[secret])
    await eventually(lambda: cache.set("product:1", "a wok", ttl=600), "the value is in Redis")
    assert (await cli("inspect", "product:1")).status == 1
    cli.settings["HOTPLATE_ENCRYPTION_KEYS"] = secret
    assert (await cli("inspect", "product:1")).status == 0
