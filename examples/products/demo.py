"""What the cache does to the product API, shown over HTTP in one table: `make demo`.

Every row states what it expects; one that is not as expected is marked with ✗, and the program then ends with status 1.
"""

import asyncio
import re
import statistics
import sys
import time
from dataclasses import dataclass, field, replace

from examples.products.drive import Answer, Client, serving

HANDLER_SECONDS = 0.5
CROWD = 500
MEMBER = {"Authorization": "Bearer ada-token"}
PAN = {"name": "Cast-iron pan, seasoned", "category": "pans", "price_cents": 5900}


@dataclass
class Table:
    """The rows, printed as they come, and which of them were not as expected."""

    failures: list[str] = field(default_factory=list)

    def head(self) -> None:
        """Print the column names."""
        print(f"\n  {'request':<41} {'status':>6}  {'cache':<8} {'time':>9}  what it shows")
        print(f"  {'-' * 41} {'-' * 6}  {'-' * 8} {'-' * 9}  {'-' * 42}")

    def row(self, request: str, answer: Answer, shows: str, expected: bool) -> None:
        """Print a row about one answer; `expected` is whether it came out as it must."""
        self.line(request, str(answer.status), answer.cache, milliseconds(answer.seconds), shows, expected)

    def line(self, request: str, status: str, cache: str, took: str, shows: str, expected: bool) -> None:
        """Print a row given as text."""
        mark = " " if expected else "✗"
        print(f"{mark} {request:<41} {status:>6}  {cache:<8} {took:>9}  {shows}", flush=True)
        if not expected:
            self.failures.append(request)


async def reads(client: Client, table: Table) -> None:
    """A cold read, the same again, a conditional one."""
    cold = await client.get("/products")
    table.row("GET /products", cold, "cold: the 500 ms handler ran", is_miss(cold))

    again = [await client.get("/products") for _ in range(20)]
    typical = replace(again[-1], seconds=statistics.median(answer.seconds for answer in again))
    faster = cold.seconds / typical.seconds
    same = all(is_hit(answer) and answer.body == cold.body for answer in again)
    table.row("GET /products (median of 20)", typical, f"{faster:,.0f} times faster", same and faster > 20)

    etag = typical.fields.get("etag", "")
    unchanged = await client.get("/products", {"If-None-Match": etag})
    not_modified = unchanged.status == 304 and not unchanged.body
    table.row("GET /products, If-None-Match", unchanged, "not modified: no body is sent", not_modified and etag != "")


async def separations(client: Client, table: Table) -> None:
    """Requests that must not share a stored response, and one that is never stored. Sent together to save time."""
    other, report, report_again, public, member = await asyncio.gather(
        client.get("/products?category=pans&page=1"),
        client.get("/admin/report"),
        client.get("/admin/report"),
        client.get("/products/1/price"),
        client.get("/products/1/price", MEMBER),
    )
    table.row("GET /products?category=pans&page=1", other, "another query: stored on its own", is_miss(other))

    ran = (await loads(client)).get("report")
    excluded = {report.cache, report_again.cache} == {"BYPASS"} and ran == 2
    table.row("GET /admin/report, twice", report_again, f"excluded path: the handler ran {ran} times", excluded)

    apart = public.body != member.body
    for who, first, fields in (("anonymous", public, None), ("as a member", member, MEMBER)):
        hit = await client.get("/products/1/price", fields)
        same = is_miss(first) and is_hit(hit) and hit.body == first.body
        price = f"stored apart: {hit.json().get('price_cents')} cents"
        table.row(f"GET /products/1/price, {who}", hit, price, same and apart)


async def invalidation(client: Client, table: Table) -> None:
    """A write, then the item and the list fresh again."""
    await client.get("/products/4")
    warm = await client.get("/products/4")
    written = await client.put("/products/4", PAN)
    done = is_hit(warm) and written.status == 200
    table.row("PUT /products/4", written, "invalidates the product and every list", done)

    item, products = await asyncio.gather(client.get("/products/4"), client.get("/products"))
    names = [product["name"] for product in products.json()]
    table.row("GET /products/4", item, "fresh: the new name", is_miss(item) and item.json()["name"] == PAN["name"])
    table.row("GET /products", products, "fresh: the new name is in it", is_miss(products) and PAN["name"] in names)


async def crowd(client: Client, table: Table) -> None:
    """Many requests at once for something that is not stored yet."""
    before = (await loads(client)).get("item", 0)
    started = time.perf_counter()
    answers = await asyncio.gather(*(client.get("/products/2") for _ in range(CROWD)))
    seconds = time.perf_counter() - started
    ran = (await loads(client)).get("item", 0) - before
    complete = all(answer.status == 200 and answer.body == answers[0].body for answer in answers)
    status = "200" if complete else "mixed"
    shows = f"one load for all: the handler ran {'once' if ran == 1 else f'{ran} times'}"
    table.line(f"GET /products/2, {CROWD} at once", status, "", milliseconds(seconds), shows, complete and ran == 1)


async def summary(client: Client, table: Table) -> None:
    """What the cache counted."""
    stats = (await client.get("/debug/stats")).json()
    kept = f"{stats['entries']} stored responses in {stats['bytes'] / 1024:.1f} KiB"
    table.line("hit rate", "", "", f"{stats['hit_rate']:.1%}", kept, 0 < stats["hit_rate"] < 1 and stats["entries"] > 0)


async def loads(client: Client) -> dict[str, int]:
    """How often each handler of the app ran so far."""
    counted: dict[str, int] = (await client.get("/debug/loads")).json()
    return counted


def is_hit(answer: Answer) -> bool:
    """Answered from the cache, and both fields say so."""
    said = re.search(r"\bhotplate;\s*hit\b", answer.fields.get("cache-status", ""))
    return answer.status == 200 and answer.cache == "HIT" and said is not None


def is_miss(answer: Answer) -> bool:
    """Answered by the handler, which takes its time."""
    return answer.status == 200 and answer.cache == "MISS" and answer.seconds >= HANDLER_SECONDS * 0.9


def milliseconds(seconds: float) -> str:
    """A time as the table shows it."""
    return f"{seconds * 1000:.1f} ms"


async def main() -> int:
    """Run the demonstration; gives the exit status."""
    table = Table()
    async with serving("examples.products.app:app", {"PRODUCTS_DELAY": str(HANDLER_SECONDS)}) as client:
        table.head()
        for part in (reads, separations, invalidation, crowd, summary):
            await part(client, table)
    if table.failures:
        print(f"\nNot as expected: {'; '.join(table.failures)}", file=sys.stderr)
        return 1
    print("\nEvery row is as expected. The app: examples/products/app.py\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
