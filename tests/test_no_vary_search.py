"""`No-Vary-Search`: a response says which part of the query it depends on."""

import pytest

from hotplate.asgi import Scope
from tests.driver import Reply, Site

pytestmark = pytest.mark.asyncio


def site(no_vary_search: str) -> Site:
    def answer(scope: Scope) -> Reply:
        return Reply(body=scope["query_string"], headers=[("no-vary-search", no_vary_search)])

    return Site(answer)


@pytest.mark.parametrize(
    ("no_vary_search", "first", "second", "shared"),
    [
        ('params=("utm_source")', "/a?q=1&utm_source=x", "/a?q=1", True),
        ('params=("utm_source")', "/a?q=1&utm_source=x", "/a?q=2", False),
        ('params=("utm_source")', "/a?q=1&utm_source=x", "/b?q=1", False),
        ("params", "/a?q=1", "/a", True),
        ('params, except=("q")', "/a?q=1&z=9", "/a?z=8&q=1", True),
        ('params, except=("q")', "/a?q=1", "/a?q=2", False),
        ("key-order", "/a?x=1&y=2", "/a?y=2&x=1", True),
        ("key-order", "/a?x=1&x=2", "/a?x=2&x=1", False),
        ("nonsense=(", "/a?q=1", "/a?q=2", False),
        ('except=("q")', "/a?q=1", "/a?z=1", False),
    ],
)
async def test_queries_with_the_same_significant_part_share_a_response(
    no_vary_search: str, first: str, second: str, shared: bool
) -> None:
    cached = site(no_vary_search)
    await cached.get(first)
    assert ((await cached.get(second)).body == first.partition("?")[2].encode()) is shared


async def test_an_invalidated_path_is_loaded_again_under_every_query() -> None:
    cached = site("params")
    await cached.get("/a?q=1")
    await cached.cache.invalidate(paths=["/a"])
    assert (await cached.get("/a?q=2")).body == b"q=2"


async def test_hosts_and_variants_stay_apart_under_one_significant_query() -> None:
    def answer(scope: Scope) -> Reply:
        fields = dict(scope["headers"])
        body = fields[b"host"] + fields.get(b"accept-language", b"")
        return Reply(body=body, headers=[("no-vary-search", "params"), ("vary", "accept-language")])

    cached = Site(answer)
    bodies = [
        (await cached.get(path, host=host, headers=[("accept-language", language)])).body
        for path in ("/a?q=1", "/a?q=2")
        for host in ("one", "two")
        for language in ("de", "fr")
    ]
    assert bodies == [b"onede", b"onefr", b"twode", b"twofr"] * 2
    assert cached.origin.runs == 4
