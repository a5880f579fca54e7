"""The admin page in a real Chromium, before a real application: it loads, and lets in whom the API lets in."""

import asyncio

import pytest
from fastapi import HTTPException, Request
from playwright.async_api import Browser, Route, expect

from hotplate import Cache
from hotplate.admin.page import HEADERS, files
from tests.admin_page_site import MOUNT, NEW_TOKEN, TOKEN, Shop, application, shop_of
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
