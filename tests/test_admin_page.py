"""The admin page in a real Chromium, of a real application under uvicorn: what is seen, and what is done by it."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from importlib.resources import files as resources
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from fastapi import HTTPException, Request
from playwright.async_api import Browser, Route, expect

from examples.products.app import cache
from examples.products.drive import Client
from hotplate import Cache
from hotplate.admin.page import HEADERS, files
from hotplate.watching import BOUNDS
from tests import admin_products as products
from tests.admin_page_site import MOUNT, NEW_TOKEN, TOKEN, Shop, Switch, application, shop_of
from tests.browsing import Scheme, browsing, tab
from tests.redis_servers import RedisServer
from tests.servers import serving
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def shop(browser: Browser) -> AsyncIterator[Shop]:
    """An application with its cache in memory."""
    async with shop_of(browser, Cache("memory://", max_bytes="16MiB")) as made:
        yield made


# It loads, and lets in whom the API lets in.


async def test_it_loads_without_an_error_and_asks_no_other_host(shop: Shop) -> None:
    await shop.open()
    await shop.asked()
    got = {answer.url.removeprefix(shop.url) for answer in shop.tab.answers}
    assert {"", "page.js", "page.css", "icon.svg", "stats"} <= got
    assert shop.tab.statuses == {401}, "the first question, before a token was typed"
    assert shop.tab.faults == []


async def test_every_file_is_sent_with_the_policy_and_kept_by_nobody(shop: Shop) -> None:
    for name in ["", *(name for name in files if name != "index.html")]:
        answer = await shop.server.get(f"{MOUNT}/{name}")
        assert answer.status == 200
        sent = dict(answer.headers)
        assert {field: sent.get(field) for field in HEADERS} == dict(HEADERS), name


async def test_a_script_that_is_put_into_the_page_does_not_run(shop: Shop) -> None:
    await shop.open()
    blocked = await shop.page.evaluate(
        """async () => {
            const seen = [];
            document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
            const script = document.createElement("script");
            try { document.body.innerHTML = "<b>x</b>"; } catch { seen.push("refused"); }
            try { script.textContent = "window.ran = 1"; } catch { seen.push("refused"); }
            document.body.append(script);
            const away = await fetch("http://127.0.0.2/").catch(() => "refused");
            await new Promise((done) => setTimeout(done));
            return [...seen, away, window.ran ?? "did not run"];
        }"""
    )
    assert blocked.count("refused") == 3
    assert "did not run" in blocked
    assert "connect-src" in blocked
    shop.tab.faults.clear()  # it was us


async def test_it_needs_no_token_where_the_api_needs_none(browser: Browser) -> None:
    async with shop_of(browser, Cache("memory://"), auth=None) as shop:
        await shop.page.goto(shop.url)
        await expect(shop.at("#main")).to_be_visible()
        await expect(shop.at("#sign-in")).to_be_hidden()
        await expect(shop.at("#forget")).to_be_hidden()
        assert shop.tab.statuses == set()


async def test_it_needs_no_token_where_a_cookie_lets_in(browser: Browser) -> None:
    def operator(request: Request) -> None:
        if request.cookies.get("role") != "operator":
            raise HTTPException(403, "operators only")

    async with shop_of(browser, Cache("memory://"), auth=operator) as shop:
        await shop.page.goto(shop.url)
        await expect(shop.at("#sign-in-why")).to_have_text("You are not let in. The server says: operators only")
        await shop.page.context.add_cookies([{"name": "role", "value": "operator", "url": shop.url}])
        await shop.page.reload()
        await expect(shop.at("#main")).to_be_visible()
        assert shop.tab.statuses == {403}


async def test_without_a_token_it_asks_for_one_and_shows_nothing(shop: Shop) -> None:
    await shop.page.goto(shop.url)
    await expect(shop.page.get_by_label("A token of the admin API")).to_be_focused()
    await expect(shop.at("#main")).to_be_hidden()
    await expect(shop.at("#sign-in-why")).to_have_text("")


async def test_a_wrong_token_is_said_to_be_wrong(shop: Shop) -> None:
    await shop.page.goto(shop.url)
    await shop.sign_in("wrong-horse-wrong-staple")
    await expect(shop.at("#sign-in-why")).to_contain_text("This token is not accepted. The server says: a valid token")
    await expect(shop.at("#main")).to_be_hidden()
    await shop.sign_in()
    await expect(shop.at("#main")).to_be_visible()


async def test_a_token_that_no_header_can_carry_is_not_sent(shop: Shop) -> None:
    await shop.page.goto(shop.url)
    await shop.sign_in("tök en")
    await expect(shop.at("#sign-in-why")).to_have_text("A token is made of visible ASCII characters, without blanks.")


async def test_the_token_stays_in_the_tab_and_is_forgotten_on_request(shop: Shop) -> None:
    await shop.open()
    await shop.page.reload()
    await expect(shop.at("#main")).to_be_visible()
    kept = "() => [Object.values(sessionStorage), localStorage.length, document.cookie, location.href]"
    assert await shop.page.evaluate(kept) == [[TOKEN], 0, "", shop.url]
    await shop.page.get_by_role("button", name="Sign out").click()
    await expect(shop.at("#sign-in")).to_be_visible()
    assert await shop.page.evaluate(kept) == [[], 0, "", shop.url]
    await shop.page.reload()
    await expect(shop.at("#token")).to_be_focused()


async def test_an_expired_token_is_said_to_be_expired_and_what_was_shown_is_gone(shop: Shop) -> None:
    for _ in range(2):
        await shop.get("/products/1")
    await shop.open()
    await expect(shop.at("#top-keys")).to_contain_text("/products/1")
    shop.switch.app = application(shop.cache, NEW_TOKEN)
    await expect(shop.at("#sign-in-why")).to_contain_text("The token has expired. The server says: a valid token")
    await expect(shop.at("#token")).to_be_focused()
    await expect(shop.at("#main")).to_be_hidden()
    assert "/products/1" not in await shop.page.evaluate("() => document.body.textContent")
    await shop.sign_in(NEW_TOKEN)
    await expect(shop.at("#top-keys")).to_contain_text("/products/1")


async def test_a_token_that_expires_before_an_invalidation_is_asked_for_and_nothing_is_done(shop: Shop) -> None:
    await shop.cache.set("settings", b"1", ttl=60, tags=["products"])
    await shop.open()
    await shop.hold()
    dialog = await shop.ask_to_invalidate(tags="products")
    shop.switch.app = application(shop.cache, NEW_TOKEN)
    await dialog.get_by_role("button", name="Invalidate").click()
    await expect(shop.at("#sign-in-why")).to_contain_text("The token has expired.")
    await expect(dialog).to_be_hidden()
    assert await shop.cache.get("settings") == b"1"


async def test_an_answer_that_comes_after_the_token_was_forgotten_is_not_shown(shop: Shop) -> None:
    held = asyncio.Event()

    async def late(route: Route) -> None:
        response = await route.fetch()
        await held.wait()
        await route.fulfill(response=response)

    await shop.cache.set("settings", b"1", ttl=60, tags=["products"])
    await shop.open()
    await shop.hold()
    await shop.page.route("**/entry*", late)
    await shop.page.route("**/preview", late)
    await shop.field("Tags").fill("products")
    await shop.page.keyboard.press("Enter")
    await shop.page.get_by_label("URL or key").fill("settings")
    await shop.page.keyboard.press("Enter")
    await shop.page.get_by_role("button", name="Sign out").click()
    held.set()
    await eventually(lambda: shop.tab.pending == 0, "both are answered")
    await shop.page.evaluate("() => new Promise(requestAnimationFrame)")
    await expect(shop.at("#token")).to_be_focused()
    await expect(shop.page.get_by_role("dialog")).to_be_hidden()
    await expect(shop.at(".entry")).to_have_count(0)


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


async def test_a_url_is_looked_up_with_its_variants(shop: Shop) -> None:
    await shop.get("/greeting", accept_language="en")
    await shop.get("/greeting", accept_language="de")
    await shop.open()
    await shop.page.get_by_label("URL or key").fill("/greeting")
    await shop.page.keyboard.press("Enter")
    entries = shop.at(".entry")
    await expect(entries.filter(has_text="response 200")).to_have_count(2)
    await expect(entries.filter(has_text="varies on").first).to_contain_text("accept-language")
    await expect(entries.filter(has_text="response 200").first).to_contain_text(
        re.compile(r"age [\d.]+ s, (\d+ s|1 min) left")
    )
    await expect(shop.at("#lookup-sentence")).to_contain_text("RFC 9111")


async def test_a_key_is_looked_up_from_the_top_keys(shop: Shop) -> None:
    for _ in range(2):
        await shop.get("/products/1")
    await shop.open()
    await shop.at("#top-keys").get_by_role("button", name="Look up GET").click()
    entry = shop.at(".entry")
    await expect(entry).to_contain_text("fresh")
    await expect(entry.locator(".chips button")).to_have_text(["product:1", "products"])
    await entry.locator("summary").click()
    await expect(entry.locator(".fields")).to_contain_text("application/json")
    await entry.get_by_role("button", name="Invalidate tag product:1").click()
    await expect(shop.field("Tags")).to_have_value("product:1")


async def test_a_value_is_looked_up_and_invalidated_by_its_name(shop: Shop) -> None:
    await shop.cache.set("settings:eu", {"a": 1}, ttl=60, tags=["settings"])
    await shop.open()
    await shop.page.get_by_label("URL or key").fill("settings:eu")
    await shop.page.keyboard.press("Enter")
    entry = shop.at(".entry")
    await expect(entry).to_contain_text("value")
    await entry.get_by_role("button", name="Invalidate settings:eu").click()
    await expect(shop.field("Keys")).to_have_value("settings:eu")
    dialog = await shop.ask_to_invalidate()
    await dialog.get_by_role("button", name="Invalidate").click()
    await expect(dialog).to_be_hidden()
    assert await shop.cache.get("settings:eu") is None


async def test_a_partitioned_response_is_found_by_its_partition(shop: Shop) -> None:
    await shop.get("/mine", x_user="ada")
    await shop.open()
    await shop.page.get_by_label("URL or key").fill("/mine")
    await shop.page.get_by_text("Of one partition").click()
    await shop.page.get_by_label("Partition", exact=True).fill("ada")
    await shop.page.keyboard.press("Enter")
    await expect(shop.at(".entry")).to_contain_text("of one partition")


async def test_what_is_not_stored_is_said_not_to_be(shop: Shop) -> None:
    await shop.open()
    await shop.page.get_by_label("URL or key").fill("/products/404")
    await shop.page.keyboard.press("Enter")
    await expect(shop.at("#lookup-none")).to_have_text("Nothing is stored for /products/404.")
    await expect(shop.at("#lookup-sentence")).to_contain_text("nothing is stored for this URI")
    await shop.page.get_by_label("URL or key").fill("http://")
    await shop.page.keyboard.press("Enter")
    await expect(shop.at("#lookup-error")).to_contain_text("http://")
    assert 422 in shop.tab.statuses


# What it does.


async def test_an_invalidation_is_previewed_asked_for_and_done(shop: Shop) -> None:
    for name in ("1", "2", "3"):
        await shop.get(f"/products/{name}")
    await shop.get("/greeting")
    await shop.open()
    await shop.field("Tags").fill("products")
    await expect(shop.at("#preview")).to_contain_text("Matches 3 entries")
    await expect(shop.at("#preview")).to_contain_text("/products/2")
    dialog = await shop.ask_to_invalidate()
    await expect(dialog).to_contain_text("Matches 3 entries")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    assert shop.cache.stats().invalidations == 0, "it has only asked"

    await dialog.get_by_role("button", name="Invalidate").click()
    await expect(dialog).to_be_hidden()
    await expect(shop.at("#invalidate-done")).to_have_text(
        re.compile("Invalidated products at position [1-9][0-9]* of the log.")
    )
    await expect(shop.at("#announcement")).to_contain_text("Invalidated products")
    await expect(shop.at("#log")).to_contain_text("tag products")
    await expect(shop.field("Tags")).to_have_value("")
    misses = shop.cache.stats().misses
    await shop.get("/products/1")
    await shop.get("/greeting")
    assert shop.cache.stats().misses == misses + 1


async def by_button(shop: Shop) -> None:
    await shop.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()


async def by_escape(shop: Shop) -> None:
    await shop.page.keyboard.press("Escape")


@pytest.mark.parametrize("cancel", [by_button, by_escape])
async def test_cancelling_does_nothing(shop: Shop, cancel: Callable[[Shop], Any]) -> None:
    await shop.get("/products/1")
    await shop.open()
    dialog = await shop.ask_to_invalidate(prefixes="/")
    await cancel(shop)
    await expect(dialog).to_be_hidden()
    await expect(shop.field("Prefixes")).to_have_value("/")
    await shop.asked()
    assert (shop.sent("/invalidate"), shop.cache.stats().invalidations) == (0, 0)


async def test_softly_invalidated_it_is_stale_and_still_there(shop: Shop) -> None:
    await shop.get("/products/1")
    await shop.open()
    await shop.page.get_by_label("Soft: served stale until renewed").check()
    dialog = await shop.ask_to_invalidate(paths="/products/1")
    await expect(dialog).to_contain_text("it is served stale")
    await dialog.get_by_role("button", name="Invalidate").click()
    await expect(shop.at("#log")).to_contain_text("soft")
    await shop.get("/products/1")
    assert shop.cache.stats().stale == 1


async def test_everything_is_everything(shop: Shop) -> None:
    for target in ("/products/1", "/greeting"):
        await shop.get(target)
    await shop.open()
    await shop.page.get_by_label("Everything").check()
    await expect(shop.field("Tags")).to_be_disabled()
    dialog = await shop.ask_to_invalidate()
    await expect(dialog).to_contain_text("everything that is stored")
    await dialog.get_by_role("button", name="Invalidate").click()
    await expect(dialog).to_be_hidden()
    misses = shop.cache.stats().misses
    for target in ("/products/1", "/greeting"):
        await shop.get(target)
    assert shop.cache.stats().misses == misses + 2


async def test_several_of_each_kind_are_invalidated_together(shop: Shop) -> None:
    for name in ("1", "2", "3", "4"):
        await shop.get(f"/products/{name}")
    await shop.open()
    dialog = await shop.ask_to_invalidate(tags="product:1\nproduct:2\n", paths="/products/3")
    await expect(dialog.locator(".named li")).to_have_text(["tagproduct:1", "tagproduct:2", "path/products/3"])
    await expect(dialog).to_contain_text("Matches 3 entries")


async def test_nothing_named_is_not_sent(shop: Shop) -> None:
    await shop.open()
    await shop.at("#invalidate-form").get_by_role("button", name="Invalidate").click()
    await expect(shop.at("#invalidate-error")).to_have_text("Name what to invalidate, or everything.")
    await expect(shop.field("Tags")).to_be_focused()
    await expect(shop.page.get_by_role("dialog")).to_be_hidden()


async def test_what_the_api_refuses_is_shown_with_its_reason(shop: Shop) -> None:
    await shop.open()
    await shop.field("Paths").fill("no-slash")
    await shop.at("#invalidate-form").get_by_role("button", name="Invalidate").click()
    await expect(shop.at("#invalidate-error")).to_contain_text("no-slash")
    assert 422 in shop.tab.statuses


async def test_the_keyboard_is_enough_to_invalidate(shop: Shop) -> None:
    await shop.get("/products/1")
    await shop.open()
    await shop.hold()  # nothing moves under the keys
    await shop.page.evaluate("() => document.activeElement.blur()")
    seen: list[str] = []
    while "invalidate-tags" not in seen[-1:]:
        await shop.page.keyboard.press("Tab")
        seen.append(await shop.tab.focused())
        assert len(seen) < 100, seen
    assert seen.index("lookup-what") < seen.index("invalidate-tags")
    await shop.page.keyboard.type("product:1")
    await shop.page.keyboard.press("Enter")
    dialog = shop.page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await shop.page.keyboard.press("Tab")
    await expect(dialog.get_by_role("button", name="Invalidate")).to_be_focused()
    outline = await shop.page.evaluate("() => getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "2px", "the focus is seen"
    await shop.page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    await expect(shop.at("#invalidate-done")).to_contain_text("Invalidated product:1")
    assert shop.cache.stats().invalidations == 1


# What others write into keys, tags and URLs is text.

SCRIPT = '<script>alert("s")</script>'
IMAGE = '<img src="x" onerror="alert(1)">'
LINK = "javascript:alert(2)"


async def test_what_looks_like_code_is_shown_as_text(shop: Shop) -> None:
    await shop.open()
    await shop.asked()
    for name in (SCRIPT, IMAGE, LINK):
        for _ in range(2):
            await shop.get(f"/products/{quote(name, safe='')}?q={quote(name, safe='')}")
        await shop.cache.set(f"value {name}", name.encode(), ttl=60, tags=[f"tag {name}"])
    await expect(shop.at("#top-tags")).to_contain_text(f"product:{IMAGE}")
    await shop.page.get_by_label("by bytes").last.check()
    await expect(shop.at("#top-tags")).to_contain_text(f"tag {SCRIPT}")
    await expect(shop.at("#top-tags")).to_contain_text(f"tag {LINK}")
    await expect(shop.at("#decisions-list li")).to_have_count(6)

    await shop.page.get_by_label("URL or key").fill(f"value {IMAGE}")
    await shop.page.keyboard.press("Enter")
    await expect(shop.at(".entry h3")).to_have_text(f"value {IMAGE}")
    await shop.at(".entry").get_by_role("button", name=f"Invalidate tag tag {IMAGE}").click()
    await expect(shop.at("#preview")).to_contain_text(f"value {IMAGE}")
    dialog = await shop.ask_to_invalidate(keys=SCRIPT, paths=f"/products/{SCRIPT}")
    await expect(dialog).to_contain_text(f"tag {IMAGE}")
    await expect(dialog).to_contain_text(f"/products/{SCRIPT}")
    await dialog.get_by_role("button", name="Invalidate").click()
    await expect(shop.at("#log")).to_contain_text(f"tag {IMAGE}")
    await expect(shop.at("#invalidate-done")).to_contain_text(SCRIPT)

    made = "body script, main img, dialog img, main a, [onerror], [href^=javascript]"
    await expect(shop.at(made)).to_have_count(0)
    assert shop.tab.faults == []


async def test_a_name_the_form_cannot_write_is_refused_instead_of_meaning_others(shop: Shop) -> None:
    await shop.cache.set("value", b"", ttl=60, tags=["one\ntwo"])
    assert await shop.cache.get("value") == b""
    await shop.open()
    await shop.at("#top-tags").get_by_role("button").click()
    await expect(shop.at("#invalidate-error")).to_contain_text('"one\\ntwo" has a line break')
    await expect(shop.field("Tags")).to_have_value("")


# How it looks.


async def test_400_pixels_are_wide_enough(browser: Browser) -> None:
    async with shop_of(browser, Cache("memory://"), width=400) as shop:
        long = "x" * 300
        for _ in range(2):
            await shop.get(f"/products/{long}?{long}")
        await shop.page.goto(shop.url)
        assert await shop.tab.width() == (400, 400)
        await shop.sign_in()
        await expect(shop.at("#top-keys")).to_contain_text(long[:200])
        await expect(shop.at("#decisions-list")).to_contain_text(long)
        await shop.page.get_by_label("URL or key").fill(f"/products/{long}?{long}")
        await shop.page.keyboard.press("Enter")
        await expect(shop.at(".entry")).to_be_visible()
        await shop.field("Tags").fill(f"product:{long}")
        await expect(shop.at("#preview")).to_contain_text("Matches 1 entry")
        assert await shop.tab.width() == (400, 400)
        dialog = await shop.ask_to_invalidate()
        box = await dialog.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 400
        inside = shop.at("dialog, .scroll, .panel")
        wider = await inside.evaluate_all("(all) => all.filter((one) => one.scrollWidth > one.clientWidth).length")
        assert wider == 0, "nothing inside scrolls sideways"
        await dialog.get_by_role("button", name="Invalidate").click()
        await expect(shop.at("#log")).to_contain_text(long[:150])
        assert await shop.tab.width() == (400, 400)


TEXTS = "h1, h2, h3, .note, .large, th, td, button, dt, dd, label, legend, nav a, .state, .outcome, .took, .sentence"


def luminance(colour: str) -> float:
    """Of `rgb(…)`, relative to white (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_legible_in_light_and_dark(browser: Browser, scheme: Scheme) -> None:
    async with shop_of(browser, Cache("memory://"), scheme=scheme) as shop:
        await shop.open()
        await shop.asked()
        for target in ("/products/1", "/products/1"):
            await shop.get(target)
        await expect(shop.at("#decisions-list li")).to_have_count(2)
        colours = await shop.at(TEXTS).evaluate_all(
            """(nodes) => nodes.filter((node) => node.checkVisibility()).map((node) => {
                let behind = node;
                while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
                return [node.outerHTML, getComputedStyle(node).color, getComputedStyle(behind).backgroundColor];
            })"""
        )
        assert len(colours) > 80
        for node, ink, ground in colours:
            lighter, darker = sorted((luminance(ink), luminance(ground)), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (node, ink, ground)
        ground = await shop.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert (luminance(ground) > 0.5) is (scheme == "light")


# On Redis.


async def test_on_redis_it_shows_all_processes_and_reaches_them(browser: Browser, redis: RedisServer) -> None:
    other = Cache(redis.url, prefix="page")
    async with shop_of(browser, Cache(redis.url, prefix="page")) as shop:
        await other.set("settings", b"1", ttl=60, tags=["settings"])
        await shop.get("/products/1")
        await shop.open()
        await expect(shop.at("#tier-word")).to_have_text("Up")
        await expect(shop.at("#processes tr")).to_have_count(2)
        await expect(shop.at("#state")).to_contain_text("2 processes")
        dialog = await shop.ask_to_invalidate(tags="settings")
        await dialog.get_by_role("button", name="Invalidate").click()
        await expect(dialog).to_be_hidden()

        async def gone() -> bool:
            return await other.get("settings") is None

        await eventually(gone, "the other process has invalidated it")
        told = await shop.hold()
        shown = await shop.figures("processes")
        assert {report["process"] for report in told["processes"]} == set(shown)
        assert (await shop.figures("outcomes"))["miss"][2] == str(told["sum"]["counts"]["misses"])


async def test_a_redis_that_goes_is_shown_as_down_until_it_is_back(browser: Browser, redis_server: RedisServer) -> None:
    async with shop_of(browser, Cache(redis_server.url, prefix="page")) as shop:
        await shop.get("/products/1")
        await shop.open()
        await expect(shop.at("#tier-word")).to_have_text("Up")
        redis_server.kill()
        await expect(shop.at("#tier-word")).to_contain_text("Down")
        await expect(shop.at("#tier-trouble")).not_to_be_empty()
        assert shop.tab.statuses == {401}, "the page itself goes on"
        redis_server.restart()
        await expect(shop.at("#tier-word")).to_have_text("Up")
