"""How the admin page looks, whatever it has to show: markup as text, narrow, light and dark, on Redis."""

import re
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect

from hotplate import Cache
from tests.admin_page_site import Shop, shop_of
from tests.browsing import Scheme
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
