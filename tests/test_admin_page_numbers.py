"""What the admin page shows of a cache that works is what the API, the cache and its clients say."""

import asyncio
import re
from collections import Counter
from contextlib import AsyncExitStack
from importlib.resources import files as resources
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from examples.products.app import cache
from examples.products.drive import Client
from hotplate import Cache
from hotplate.watching import BOUNDS
from tests import admin_products as products
from tests.admin_page_site import MOUNT, TOKEN, Shop, Switch, application
from tests.browsing import tab
from tests.servers import serving
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_server_that_goes_is_said_to_be_away_until_it_is_back(browser: Browser) -> None:
    own = Cache("memory://")
    app = application(own, TOKEN)
    async with AsyncExitStack() as stack:
        async with serving(app) as server:
            opened = await stack.enter_async_context(tab(browser, server.authority))
            shop = Shop(own, server, Switch(app), opened)
            await shop.open()
            await expect(shop.at("#notice")).to_be_hidden()
        await expect(shop.at("#notice")).to_contain_text("No answer from the server since")
        await expect(shop.at("#announcement")).to_have_text("The server does not answer.")
        await expect(shop.at("#main")).to_be_visible()
        async with serving(app, port=server.port):
            await expect(shop.at("#notice")).to_be_hidden()
            await expect(shop.at("#announcement")).to_have_text("The server answers again.")
            await shop.asked()


async def test_nobody_is_asked_while_nobody_looks(shop: Shop) -> None:
    await shop.open()
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await shop.asked()
    await shop.page.evaluate(hide, True)
    before = len(shop.tab.answers)
    await shop.page.clock.run_for(60_000)
    assert len(shop.tab.answers) == before
    async with shop.page.expect_response(f"**{MOUNT}/stats"):
        await shop.page.evaluate(hide, False)


# What it shows.


async def test_the_graphs_move_under_load(shop: Shop) -> None:
    async def load() -> None:
        while not enough.is_set():
            for name in range(5):
                await shop.get(f"/products/{name}")
            await shop.server.request("POST", "/orders")

    async def drawn(graph: str) -> list[str]:
        paths = shop.at(f"#{graph} :is(.lines, .areas) path")
        forms: list[str] = await paths.evaluate_all("(paths) => paths.map((path) => path.getAttribute('d'))")
        return forms

    await shop.open()
    enough = asyncio.Event()
    working = asyncio.create_task(load())
    try:
        seen = {graph: {str(await drawn(graph))} for graph in ("hit-rate-graph", "outcome-graph")}

        async def moved() -> bool:
            for graph, forms in seen.items():
                forms.add(str(await drawn(graph)))
            return all(len(forms) >= 4 for forms in seen.values())

        await eventually(moved, "both graphs have been drawn anew three times")
        assert await shop.value("hit-rate-now") > 0.9
        (line,) = await drawn("hit-rate-graph")
        assert len(re.findall("L", line)) >= 3
        hit, _, _, _, bypass = await drawn("outcome-graph")
        assert "L" in hit
        assert "L" in bypass
        rates = {outcome: float(row[0]) for outcome, row in (await shop.figures("outcomes")).items()}
        assert rates["hit"] > rates["bypass"] > 0
        assert re.fullmatch(r"[\d.]+ % · hotplate", await shop.page.title())
    finally:
        enough.set()
        await working


async def test_the_numbers_are_those_of_the_api_of_the_cache_and_of_the_load(shop: Shop) -> None:
    for name in [*range(7), *range(7), *range(7), *range(4)]:
        await shop.get(f"/products/{name}")
    await shop.get("/cookie")
    for _ in range(3):
        await shop.server.request("POST", "/orders")
    await shop.cache.set("settings", {"a": 1}, ttl=60)
    await shop.open()
    told = await shop.hold()
    total = told["sum"]

    shown = await shop.figures("outcomes")
    since_start = {outcome: int(row[2]) for outcome, row in shown.items()}
    stats = shop.cache.stats()
    assert (since_start["hit"], since_start["miss"]) == (18, 8) == (stats.hits, stats.misses)
    assert since_start["stale"] == since_start["validated"] == 0
    assert since_start["bypass"] == 3, "what the page itself asks is not counted"
    assert await shop.value("hit-rate") == stats.hit_rate == 18 / 26
    assert await shop.figures("top-keys") == {
        top["name"]: [str(top["hits"]), str(top["bytes"])] for top in total["top"]["keys_by_hits"]
    }
    assert await shop.figures("top-tags") == {
        top["name"]: [str(top["entries"]), str(top["hits"]), str(top["bytes"])] for top in total["top"]["tags_by_hits"]
    }
    assert {row: cells[:5] for row, cells in (await shop.figures("rules")).items()} == {
        rule["rule"]: [str(rule[outcome]) for outcome in shown] for rule in total["rules"]
    }
    counts = await shop.facts("counts")
    assert int(counts["stored"]) == stats.stored == 8
    assert int(counts["tokens refused"]) == told["auth_failures"] == 1
    assert [await shop.value(place) for place in ("bytes", "max-bytes", "entries", "evictions")] == [
        stats.bytes,
        16 * 2**20,
        stats.entries,
        0,
    ]
    assert await shop.facts("not-stored") == {"set-cookie": "1"}
    assert await shop.facts("bypass") == {"method": "3"}
    (process,) = told["processes"]
    assert (await shop.figures("processes"))[process["process"]][1] == str(sum(since_start.values()))
    await expect(shop.at("#tier-word")).to_have_text("In memory")


async def test_under_load_it_shows_what_the_clients_of_the_example_have_counted(browser: Browser) -> None:
    before = cache.stats()
    async with serving(products.app, lifespan="on") as server, tab(browser, server.authority) as opened:
        shop = Shop(cache, server, Switch(products.app), opened)
        client = Client(server.port)
        await shop.open()
        enough = asyncio.Event()
        busy = [asyncio.create_task(products.shop_around(client, seed, enough)) for seed in range(20)]
        try:
            await eventually(lambda: cache.stats().hits > before.hits + 300, "three hundred hits")
            await shop.asked()
        finally:
            enough.set()
            counted: Counter[str] = sum(await asyncio.gather(*busy), Counter())
        await shop.hold()
        shown = {outcome: int(row[2]) for outcome, row in (await shop.figures("outcomes")).items()}
        assert shown["hit"] - before.hits == counted["HIT"] > 300
        assert shown["miss"] - before.misses == counted["MISS"] > 0
        assert shown["bypass"] - sum(before.bypass.values()) == counted["BYPASS"] > 0
        assert sum(counted.values()) == counted["HIT"] + counted["MISS"] + counted["BYPASS"]


def quantile(histogram: dict[str, Any], share: float) -> float:
    """What lies within a share of it, in seconds; each bucket evenly full."""
    rank, below = share * histogram["count"], 0
    for lower, upper, inside in zip((0.0, *BOUNDS), BOUNDS, histogram["buckets"], strict=False):
        if inside and below + inside >= rank:
            return float(lower + (upper - lower) * (rank - below) / inside)
        below += inside
    return float("inf")


async def test_latency_is_estimated_from_the_histograms(shop: Shop) -> None:
    for name in [*range(20)] * 5:
        await shop.get(f"/products/{name}")
    await shop.open()
    latency = (await shop.hold())["sum"]["latency"]
    shown = await shop.figures("latency")
    assert set(shown) == {"hit", "miss", "load"}
    for kind, (_, *cells) in shown.items():
        expected = [quantile(latency[kind], share) for share in (0.5, 0.95, 0.99)]
        assert [float(cell) for cell in cells[:3]] == pytest.approx(expected)
        assert int(cells[3]) == latency[kind]["count"]
    assert float(shown["hit"][1]) < float(shown["miss"][1])
    bars = await shop.page.evaluate(
        "() => [...document.querySelectorAll('#latency svg')].map((svg) => svg.children.length)"
    )
    assert bars == [len(BOUNDS) + 1] * 3


async def test_latency_of_the_last_minutes_is_that_of_what_came_since_the_page_was_opened(shop: Shop) -> None:
    for name in range(20):
        await shop.get(f"/products/{name}")
    await shop.open()
    for name in range(6):
        await shop.get(f"/products/{name}")
    await shop.hold()
    await shop.page.get_by_label("last 5 min").check()
    shown = await shop.figures("latency")
    assert (shown["hit"][4], shown["miss"][4]) == ("6", "0")
    assert shown["miss"][1] == ""


async def test_the_bounds_are_those_of_the_histograms() -> None:
    text = resources("hotplate.admin.page").joinpath("figures.js").read_text()
    (listed,) = re.findall(r"BOUNDS = \[([^\]]*)\]", text)
    assert tuple(float(bound) for bound in listed.split(",") if bound.strip()) == BOUNDS


async def test_decisions_are_shown_with_their_sentence_and_can_be_filtered(shop: Shop) -> None:
    await shop.open()
    await shop.asked()  # from here on hits are recorded
    for target in ("/products/1", "/products/1", "/greeting"):
        await shop.get(target)
    rows = shop.at("#decisions-list li")
    await expect(rows.filter(has_text=f"GET {shop.server.authority}/products/1")).to_have_count(2)
    await expect(rows.filter(has_text="Served from the cache: the stored response is fresh")).to_have_count(1)
    assert MOUNT not in await shop.at("#decisions-list").inner_text(), "what the page itself asks is not shown"
    await shop.page.get_by_label("Show only decisions with").fill("greeting")
    await expect(rows).to_have_count(1)
    await rows.get_by_role("button").click()
    await expect(shop.at(".entry").filter(has_text="response 200")).to_contain_text("/greeting")


@pytest.mark.parametrize(
    ("polls", "hits_a_second"),
    [
        pytest.param([[("a", 100, 50)], [("a", 102, 70)]], 10, id="one-process"),
        pytest.param([[("a", 100, 50)], [("a", 100, 50)], [("a", 102, 70)]], 10, id="no-news-is-no-pause"),
        pytest.param([[("a", 100, 50)], [("a", 102, 70)], [("a", 102, 70)]], 10, id="until-the-next-news"),
        pytest.param([[("a", 100, 0)], [("a", 102, 20), ("b", 102, 900)]], 10, id="another-is-seen-first"),
        pytest.param([[("a", 100, 0)], [("a", 102, 0), ("b", 102, 5, 101)]], 5, id="another-has-started"),
        pytest.param([[("a", 100, 9), ("b", 100, 9)], [("a", 102, 29)]], 10, id="another-has-ended"),
        pytest.param([[("b", 100, 0)], [("b", 102, 20)], [("a", 120, 0), ("b", 102, 20)]], 0, id="another-is-silent"),
    ],
)
async def test_rates_are_those_of_the_processes_there_are(
    shop: Shop, polls: list[list[tuple[Any, ...]]], hits_a_second: float
) -> None:
    await shop.page.goto(shop.url)
    rate = await shop.page.evaluate(
        """async (polls) => {
            const { History } = await import(location.pathname + "figures.js");
            const history = new History();
            const report = ([process, at, hits, started = 0]) => {
                const counts = { hits, misses: 0, stale: 0, validated: 0, evictions: 0 };
                return { process, at, started, counts, bypass: {}, latency: {} };
            };
            polls.forEach((reports, place) => history.add(reports.map(report), 2 * place));
            return history.samples.at(-1).each.hit;
        }""",
        polls,
    )
    assert rate == hits_a_second


@pytest.mark.parametrize("by", ["hits", "bytes"])
async def test_top_keys_are_ordered_as_chosen(shop: Shop, by: str) -> None:
    for name in ("often", "often", "often", "x" * 100, "x" * 100):
        await shop.get(f"/products/{name}")
    await shop.open()
    await shop.at("#top").get_by_label(f"by {by}").check()
    keys = shop.at("#top-keys th")
    first = "often" if by == "hits" else "x" * 100
    await expect(keys.first).to_have_text(f"GET {shop.server.authority}/products/{first}")
