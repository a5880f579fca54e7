"""An application with its admin page open in a browser: what the tests of the page press and read.

``shop_of`` serves it by uvicorn on the test's own loop, so that a test has the cache itself in its hands too.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Response
from playwright.async_api import Browser, Locator, Page, expect

from hotplate import Cache, CacheMiddleware, Rule, admin_router
from hotplate.asgi import ASGIApp, Receive, Scope, Send
from tests.browsing import Scheme, Tab, tab
from tests.servers import Server, serving
from tests.waiting import eventually

TOKEN = "correct-horse-battery-staple"
NEW_TOKEN = "another-horse-another-staple"
MOUNT = "/_cache"
POLL_MILLISECONDS = 2000

RULES = [
    Rule("/products/{name}", ttl="5m", tags=["products", "product:{name}"], stale_while_revalidate="30s"),
    Rule("/mine", ttl="5m", partition=lambda head: head.field("x-user")),
]


def application(cache: Cache, auth: Any) -> FastAPI:
    """Products, and the admin API beside them."""
    app = FastAPI(docs_url=None, redoc_url=None, lifespan=cache.lifespan)
    app.add_middleware(CacheMiddleware, cache=cache, ttl=60, rules=RULES)

    @app.get("/products/{name:path}")
    async def product(name: str) -> dict[str, str]:
        return {"name": name}

    @app.get("/greeting")
    async def greeting(response: Response) -> str:
        response.headers["vary"] = "accept-language"
        return "hello"

    @app.get("/cookie")
    async def cookie(response: Response) -> None:
        response.set_cookie("seen", "1")

    @app.get("/mine")
    async def mine() -> str:
        return "yours"

    @app.post("/orders")
    async def order() -> None:
        """Never cached."""

    app.include_router(admin_router(cache, auth=auth), prefix=MOUNT)
    return app


class Switch:
    """An application that can be exchanged while it is served."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@dataclass
class Shop:
    """An application that is served, its cache, and a tab with its admin page."""

    cache: Cache
    server: Server
    switch: Switch
    tab: Tab

    @property
    def page(self) -> Page:
        return self.tab.page

    @property
    def url(self) -> str:
        return f"http://{self.server.authority}{MOUNT}/"

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    async def get(self, target: str, **fields: str) -> None:
        """A request of a user."""
        answer = await self.server.get(target, [(name.replace("_", "-"), value) for name, value in fields.items()])
        assert answer.status == 200, answer

    def field(self, name: str) -> Locator:
        """A text field of the form that invalidates."""
        return self.page.get_by_role("textbox", name=name, exact=True)

    def sent(self, path: str) -> int:
        """How many requests of the page to a path of the API have been answered."""
        return sum(answer.url.endswith(MOUNT + path) for answer in self.tab.answers)

    async def sign_in(self, token: str = TOKEN) -> None:
        await self.page.fill("#token", token)
        await self.page.keyboard.press("Enter")

    async def open(self) -> None:
        """Opens the page and signs in. From here on the page's clock can be turned."""
        await self.page.clock.install()
        await self.page.goto(self.url)
        await self.sign_in()
        await expect(self.at("#main")).to_be_visible()

    async def hold(self) -> dict[str, Any]:
        """Lets the page ask once more and no more after that. Returns the numbers that it got."""
        await self.asked()
        await self.page.click("#pause")
        await eventually(lambda: self.tab.pending == 0, "the page asks no more")
        await self.page.evaluate("() => new Promise(requestAnimationFrame)")
        return dict(await self.tab.last("/stats"))

    async def asked(self) -> None:
        """Turns the page's clock until it has asked anew."""
        async with self.page.expect_response(f"**{MOUNT}/decisions*"):
            await self.page.clock.run_for(POLL_MILLISECONDS)

    async def figures(self, table: str) -> dict[str, list[str]]:
        """The rows of a table: their heads, and the numbers in them, or the text where there is none."""
        found: dict[str, list[str]] = await self.page.evaluate(
            """(id) => Object.fromEntries([...document.querySelectorAll(`#${id} tr`)].map((row) => {
                const [head, ...cells] = row.cells;
                return [head.textContent, cells.map((cell) => cell.querySelector("data")?.value ?? cell.textContent)];
            }))""",
            table,
        )
        return found

    async def facts(self, facts: str) -> dict[str, str]:
        """A list of facts: its names, and the numbers beside them."""
        found: dict[str, str] = await self.page.evaluate(
            """(id) => Object.fromEntries([...document.querySelectorAll(`#${id} dt`)].map((name) => {
                return [name.textContent, name.nextElementSibling.querySelector("data").value];
            }))""",
            facts,
        )
        return found

    async def value(self, place: str) -> float:
        """The number that stands somewhere."""
        return float(await self.at(f"#{place}").get_attribute("value") or "nan")

    async def ask_to_invalidate(self, **targets: str) -> Locator:
        """Fills in the form and sends it; the dialog that then asks."""
        for kind, names in targets.items():
            await self.page.fill(f"#invalidate-{kind}", names)
        await self.at("#invalidate-form").get_by_role("button", name="Invalidate").click()
        dialog = self.page.get_by_role("dialog")
        await expect(dialog).to_be_visible()
        return dialog


@asynccontextmanager
async def shop_of(
    browser: Browser, cache: Cache, *, auth: Any = TOKEN, width: int = 1280, scheme: Scheme = "light"
) -> AsyncIterator[Shop]:
    """An application and a tab, before the page is opened."""
    async with AsyncExitStack() as stack:
        switch = Switch(application(cache, auth))
        server = await stack.enter_async_context(serving(switch, lifespan="on"))
        opened = await stack.enter_async_context(tab(browser, server.authority, width=width, scheme=scheme))
        yield Shop(cache, server, switch, opened)
