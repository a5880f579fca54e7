"""Pictures of the admin page for the documentation, of the product API under load: `python -m tests.admin_images`.

They go to `docs/images/`. It takes a minute and a half, so that the graphs have something to show.
"""

import asyncio
import re

from playwright.async_api import Browser, Page, expect

from examples.products.drive import Client
from tests.admin_products import TOKEN, app, shop_around
from tests.browsing import Scheme, browsing, tab
from tests.servers import ROOT, Server, serving

IMAGES = ROOT / "docs" / "images"
CLIENTS = 6
LOAD_SECONDS = 80
MOST_BYTES = 150_000


async def opened(page: Page, server: Server) -> None:
    """The page, with the token typed."""
    await page.goto(f"http://{server.authority}/_cache/")
    await page.fill("#token", TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.locator("#top-keys tr").first).to_be_visible()


async def kept(page: Page, name: str, height: int = 900) -> None:
    """Writes what is seen, of this height."""
    size = page.viewport_size
    assert size is not None
    image = await page.screenshot(clip={"x": 0, "y": 0, "width": size["width"], "height": height})
    assert len(image) < MOST_BYTES, f"{name}: {len(image)} bytes"
    (IMAGES / f"admin-{name}.png").write_bytes(image)


async def overview(browser: Browser, server: Server, scheme: Scheme, width: int, name: str) -> None:
    """The top of the page, once the graphs are full."""
    async with tab(browser, server.authority, width=width, scheme=scheme) as watched:
        await opened(watched.page, server)
        await asyncio.sleep(LOAD_SECONDS)
        await kept(watched.page, name)


async def question(browser: Browser, server: Server) -> None:
    """A look-up, and the dialog that asks before it invalidates."""
    async with tab(browser, server.authority) as watched:
        page = watched.page
        await opened(page, server)
        await page.fill("#lookup-what", "/products/1")
        await page.keyboard.press("Enter")
        await expect(page.locator(".entry").first).to_be_visible()
        await page.fill("#invalidate-tags", "products\nproduct:1")
        await expect(page.locator("#preview")).to_contain_text(re.compile("Matches [1-9]"))
        await page.locator("#lookup").evaluate("(section) => section.scrollIntoView()")
        await kept(page, "lookup", 520)
        await page.set_viewport_size({"width": 1280, "height": 640})
        await page.get_by_role("button", name="Invalidate…").last.click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        await kept(page, "invalidate", 640)
        await page.keyboard.press("Escape")


async def main() -> None:
    """All of them."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with serving(app, lifespan="on") as server, browsing() as browser:
        enough = asyncio.Event()
        client = Client(server.port)
        busy = [asyncio.create_task(shop_around(client, seed, enough, 0.02)) for seed in range(CLIENTS)]
        try:
            await asyncio.gather(
                overview(browser, server, "light", 1280, "light"),
                overview(browser, server, "dark", 1280, "dark"),
                overview(browser, server, "light", 400, "narrow"),
            )
        finally:
            enough.set()
            await asyncio.gather(*busy)
        # Now nothing else is invalidated.
        for target in ("/products/1", "/products/1/price", "/products?page=1", "/products?page=2"):
            await client.get(target)
        await question(browser, server)


if __name__ == "__main__":
    asyncio.run(main())
