"""The admin page invalidates: it shows what that reaches, asks first, and the keyboard is enough."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect

from tests.admin_page_site import Shop

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
