"""What is stored is looked up on the admin page."""

import re

import pytest
from playwright.async_api import expect

from tests.admin_page_site import Shop

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
