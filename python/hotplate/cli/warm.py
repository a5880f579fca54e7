"""``hotplate warm``: fills the cache through the application, in this process."""

import argparse
import asyncio
import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from hotplate import warming
from hotplate.cli.applications import application
from hotplate.cli.display import Cell, Column, Display
from hotplate.cli.ends import DONE, FOUND, USAGE, End
from hotplate.cli.figures import count_text, seconds_text
from hotplate.stacks import caches
from hotplate.warming import Warmed, WarmedUrl

__all__ = ["sitemap_urls", "warm"]

SHOWN_FAILURES = 20
"""How many URLs that failed are shown; JSON has all."""

LOCALHOST = "http://localhost"


def warm(arguments: argparse.Namespace, display: Display) -> int:
    """Asks the application for every URL; status 1 where one failed, or could not be written to the shared tier."""
    urls = list(dict.fromkeys(_urls(arguments)))
    if not urls:
        raise End(USAGE, "which URLs? Give them as arguments, by --file or by --sitemap")
    headers = [_header(text) for text in arguments.header]
    app = application(arguments.application, is_factory=arguments.factory)
    before = caches(app)
    if not before:
        raise End(USAGE, f"{arguments.application} has no CacheMiddleware: nothing would be stored")
    if not any(cache is not None and cache.is_shared for cache in before):
        raise End(
            USAGE,
            f"the cache of {arguments.application} is in the memory of each process, and this one ends: "
            "put it on Redis, or call hotplate.warm(app, urls, lifespan=False) in the application's own startup",
        )
    if arguments.base_url is None and any(url.startswith("/") for url in urls):
        display.tell(f"URLs that are paths are asked for as {LOCALHOST}: name what clients ask for by --base-url")
    with _progress(len(urls)) as step:
        run = warming.warm(
            app,
            urls,
            concurrency=arguments.concurrency,
            headers=headers,
            base_url=arguments.base_url or LOCALHOST,
            timeout=arguments.timeout,
            on_progress=step,
        )
        warmed = asyncio.run(run)
    unwritten = warmed.written is not None and warmed.written < warmed.stored
    if arguments.json:
        display.json(asdict(warmed))
    else:
        _show(warmed, display)
    if unwritten:
        display.tell(f"of {warmed.stored} stored responses, {warmed.written} were written to the shared tier")
    return FOUND if warmed.failed or unwritten else DONE


def _show(warmed: Warmed, display: Display) -> None:
    lines: list[tuple[str, str | Cell]] = [
        ("stored", Cell(count_text(warmed.stored), "good" if warmed.stored else "")),
        ("stored already", count_text(warmed.hits)),
        ("not stored", Cell(count_text(warmed.not_stored), "warn" if warmed.not_stored else "")),
        ("failed", Cell(count_text(warmed.failed), "bad" if warmed.failed else "")),
        ("took", seconds_text(warmed.seconds)),
    ]
    display.fields(lines)
    if warmed.reasons:
        display.line("")
        reasons = sorted(warmed.reasons.items(), key=lambda one: -one[1])
        display.table(
            [Column("not stored because"), Column("URLs", is_number=True)],
            [[reason, count_text(count)] for reason, count in reasons],
        )
    if warmed.failures:
        display.line("")
        rows = [[one.url, one.detail] for one in warmed.failures[:SHOWN_FAILURES]]
        display.table([Column("failed", is_wide=True), Column("why", is_wide=True)], rows)
        more = len(warmed.failures) - SHOWN_FAILURES
        if more > 0:
            display.line(Cell(f"and {count_text(more)} more", "dim"))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[WarmedUrl], object]]:
    """What is called for each URL: it moves a bar, where somebody looks."""
    if not sys.stderr.isatty() or find_spec("rich") is None:
        yield lambda _one: None
        return
    from hotplate.cli.terminal import progress

    with progress(sys.stderr, "warming", total) as step:
        yield lambda _one: step()


# --- What is asked for -----------------------------------------------------------------------------------------------


def _urls(arguments: argparse.Namespace) -> Iterator[str]:
    yield from arguments.urls
    for name in arguments.file:
        lines = _read(name).decode("utf-8", "surrogateescape").splitlines()
        yield from (line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    for name in arguments.sitemap:
        yield from sitemap_urls(_read(name), name)


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise End(USAGE, f"{name} cannot be read: {error.strerror}") from None


def sitemap_urls(data: bytes, name: str) -> list[str]:
    """The URLs of a sitemap (sitemaps.org, also gzipped); of an index, which only names other sitemaps, an error."""
    try:
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise End(USAGE, f"{name} is no sitemap: it declares a document type")
        root = ET.fromstring(data)  # noqa: S314 - without a document type there is nothing to expand
    except (ET.ParseError, OSError, EOFError) as error:
        raise End(USAGE, f"{name} is no sitemap: {error}") from None
    kind = _local(root)
    if kind == "sitemapindex":
        raise End(USAGE, f"{name} is an index of sitemaps: fetch those it names, and give each by --sitemap")
    if kind != "urlset":
        raise End(USAGE, f"{name} is no sitemap: its root is <{kind}>")
    found = (one.text or "" for url in root if _local(url) == "url" for one in url if _local(one) == "loc")
    return [text.strip() for text in found if text.strip()]


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise End(USAGE, f"--header {text!r} is no field: write it as 'Accept-Encoding: gzip'")
    return name.strip(), value.strip()
