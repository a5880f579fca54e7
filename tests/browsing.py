"""A real Chromium for the tests, and a tab that writes down whatever a page must not do.

The browser is the system's (``apt-get install chromium``); Playwright only drives it. Another program: set ``CHROMIUM``
to its path. Missing, the tests fail and say what to install; they are never skipped.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, Request, Response, async_playwright, expect

from tests.waiting import DEADLINE_SECONDS

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
INSTALL = (
    "the tests of the admin page need Chromium on the PATH, or its path in CHROMIUM.\n"
    "  Install: apt-get install chromium   (macOS: brew install --cask chromium)"
)

Scheme = Literal["light", "dark"]


def program() -> str:
    """The path of the browser."""
    named = os.environ.get("CHROMIUM")
    found = [path for name in ([named] if named else PROGRAMS) if (path := shutil.which(name)) is not None]
    if not found:
        raise RuntimeError(INSTALL)
    return found[0]


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """A browser without a window, from started to ended."""
    expect.set_options(timeout=DEADLINE_SECONDS * 1000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Tab:
    """A page of its own context: no cookies, no storage, nothing from other tests.

    ``faults``: errors and warnings of scripts, violations of the policy, requests to other hosts, windows that opened.
    ``statuses``: the statuses of 400 and above that the page was answered. ``pending``: requests without an answer yet.
    """

    page: Page
    host: str
    faults: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    answers: list[Response] = field(default_factory=list)
    pending: int = 0

    def watch(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self.page.on("requestfinished", self._ended)
        self.page.on("requestfailed", self._ended)
        self.page.on("dialog", self._opened)

    def _said(self, message: ConsoleMessage) -> None:
        # The browser's own word for an answer of 400 and above, which `statuses` has, or for none.
        own = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not own:
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        self.pending += 1
        if urlsplit(request.url).netloc != self.host:
            self.faults.append(f"request: {request.url}")

    def _answered(self, response: Response) -> None:
        self.answers.append(response)
        if response.status >= 400:
            self.statuses.add(response.status)

    def _ended(self, _: Request) -> None:
        self.pending -= 1

    async def _opened(self, dialog: Dialog) -> None:
        self.faults.append(f"{dialog.type}: {dialog.message}")
        await dialog.dismiss()

    async def last(self, path: str) -> Any:
        """The last answer to a request whose path ends so."""
        found = [answer for answer in self.answers if urlsplit(answer.url).path.endswith(path)]
        return await found[-1].json()

    async def width(self) -> tuple[int, int]:
        """How wide what is on the page is, and how wide the window."""
        wide, window = await self.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
        return wide, window

    async def focused(self) -> str:
        """The id of what has the focus."""
        return str(await self.page.evaluate("() => document.activeElement.id"))


@asynccontextmanager
async def tab(browser: Browser, host: str, *, width: int = 1280, scheme: Scheme = "light") -> AsyncIterator[Tab]:
    """A tab for pages of one host. In the end it must be without faults."""
    context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        opened = Tab(await context.new_page(), host)
        opened.watch()
        yield opened
        assert not opened.faults, opened.faults
    finally:
        await context.close()
