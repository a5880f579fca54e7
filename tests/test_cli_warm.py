"""``hotplate warm``: a cache on Redis filled by one process, found full by another."""

import gzip
from pathlib import Path

import pytest

from hotplate.cli.ends import End
from hotplate.cli.warm import sitemap_urls
from tests.command_line import on_terminal, run
from tests.redis_servers import RedisServer
from tests.servers import ROOT, serving_process

APPLICATION = """
import os

from fastapi import FastAPI, HTTPException

from hotplate import Cache, CacheMiddleware, Rule

url = os.environ.get("CACHE_URL", "memory://")
# Patient, so that a machine that is busy is not taken for a server that is away.
cache = Cache(url, prefix="warm-test", command_timeout=None if url == "memory://" else "5s")
app = FastAPI(lifespan=cache.lifespan)
app.add_middleware(CacheMiddleware, cache=cache, ttl=60, rules=[Rule("/private/*", cache=False)])
plain = FastAPI()
runs = 0

@app.get("/items/{item}")
async def read(item: int) -> dict[str, int]:
    global runs
    runs += 1
    return {"item": item, "runs": runs}

@app.get("/private/{item}")
async def private(item: int) -> int:
    return item

@app.get("/broken")
async def broken() -> None:
    raise HTTPException(503)
"""

SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
  <url><loc> https://shop.example.org/items/1 </loc><lastmod>2026-01-01</lastmod>
    <image:image><image:loc>https://shop.example.org/1.png</image:loc></image:image></url>
  <url><loc>https://shop.example.org/items/2?a=1&amp;b=2</loc></url>
  <url><loc/></url>
</urlset>
"""
URLS = ["https://shop.example.org/items/1", "https://shop.example.org/items/2?a=1&b=2"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "warmed.py").write_text(APPLICATION)
    return tmp_path


@pytest.mark.asyncio
async def test_what_one_process_has_warmed_a_server_serves(
    directory: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{directory}:{ROOT / 'python'}:{ROOT}")
    async with serving_process("warmed:app", {"CACHE_URL": redis.url}) as server:
        urls = [f"/items/{number}" for number in range(20)]
        base = ["--base-url", f"http://{server.authority}", "--concurrency", "3"]
        done = run("warm", "warmed:app", *urls, *base, "--json", cwd=directory, CACHE_URL=redis.url)
        assert (done.status, done.err) == (0, "")
        assert (done.json["stored"], done.json["written"], done.json["hits"]) == (20, 20, 0)
        for url in urls:
            assert (await server.get(url)).hit
        again = run("warm", "warmed:app", *urls, *base, "--json", cwd=directory, CACHE_URL=redis.url)
        assert (again.json["stored"], again.json["hits"]) == (0, 20)


def test_what_cannot_be_stored_and_what_fails_is_said(directory: Path, redis: RedisServer) -> None:
    urls = ["/items/1", "/private/1", "/broken", "/items/x"]
    done = run("warm", "warmed:app", *urls, cwd=directory, CACHE_URL=redis.url)
    assert done.status == 1
    assert "stored          1\n" in done.out
    assert "rule-no-store          1" in done.out
    assert "/broken   status 503" in done.out
    assert "/items/x  status 422" in done.out
    assert "asked for as http://localhost: name what clients ask for by --base-url" in done.err


def test_urls_come_from_files_from_standard_input_and_from_sitemaps(directory: Path, redis: RedisServer) -> None:
    (directory / "urls.txt").write_text("# the best\nhttp://a.test/items/1\n\n  http://a.test/items/2  \n")
    (directory / "map.xml").write_text(SITEMAP)
    more = ["--file", "urls.txt", "--file", "-", "--sitemap", "map.xml", "http://a.test/items/1"]
    stdin = "http://a.test/items/3\n"
    done = run("warm", "warmed:app", *more, "--json", cwd=directory, stdin=stdin, CACHE_URL=redis.url)
    assert (done.status, done.err, done.json["stored"]) == (0, "", 5)


def test_fields_of_every_request_may_be_given(directory: Path, redis: RedisServer) -> None:
    base = ["warm", "warmed:app", "/items/1", "--json", "-H", "Host: shop.example.org"]
    run(*base, "-H", "Authorization: Bearer x", cwd=directory, CACHE_URL=redis.url)
    done = run(*base, "-H", "Authorization: Bearer x", cwd=directory, CACHE_URL=redis.url)
    assert (done.json["not_stored"], done.json["reasons"]) == (1, {"authorization": 1})


def test_a_server_that_is_away_is_status_1(directory: Path, redis_server: RedisServer) -> None:
    redis_server.kill()
    done = run("warm", "warmed:app", "http://a.test/items/1", cwd=directory, CACHE_URL=redis_server.url)
    assert done.status == 1
    assert "of 1 stored responses, 0 were written to the shared tier" in done.err


def test_a_bar_moves_on_a_terminal_only(directory: Path, redis: RedisServer) -> None:
    done = on_terminal("warm", "warmed:app", "http://a.test/items/1", cwd=directory, CACHE_URL=redis.url)
    assert (done.status, "warming" in done.out, "1/1" in done.out) == (0, True, True)
    done = run("warm", "warmed:app", "http://a.test/items/1", cwd=directory, CACHE_URL=redis.url)
    assert (done.err, "warming" in done.out) == ("", False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["warmed:app", "/"], "in the memory of each process"),
        (["warmed:plain", "/"], "has no CacheMiddleware"),
        (["warmed:app", "products"], "neither a path nor a URL"),
        (["warmed:app", "--file", "none.txt"], "none.txt cannot be read: No such file"),
        (["warmed:app", "--sitemap", "warmed.py"], "warmed.py is no sitemap"),
    ],
)
def test_what_cannot_be_warmed_is_status_2(directory: Path, arguments: list[str], words: str) -> None:
    settings = {} if "/" in arguments else {"CACHE_URL": "redis://127.0.0.1:1"}
    done = run("warm", *arguments, cwd=directory, **settings)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


@pytest.mark.parametrize("data", [SITEMAP.encode(), gzip.compress(SITEMAP.encode()), SITEMAP.encode("utf-8-sig")])
def test_a_sitemap_has_its_urls_in_order(data: bytes) -> None:
    assert sitemap_urls(data, "map.xml") == URLS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no element found"),
        (b"<urlset>", "no element found"),
        (b"<html></html>", "its root is <html>"),
        (b"<sitemapindex><sitemap><loc>https://a/b.xml</loc></sitemap></sitemapindex>", "is an index"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><urlset/>', "declares a document type"),
        (b"\x1f\x8bnonsense", "is no sitemap"),
    ],
)
def test_what_is_no_sitemap_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(End, match=words) as refused:
        sitemap_urls(data, "map.xml")
    assert refused.value.status == 2
