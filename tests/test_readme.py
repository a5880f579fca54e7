"""README.md is true: its Python runs, in its order, and does what the text beside it says."""

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from hotplate import CacheMiddleware, Rule
from tests.driver import call
from tests.servers import ROOT

TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


class Product(BaseModel):
    name: str


class Store:
    async def update(self, _product_id: int, product: Product) -> Product:
        return product


def given() -> dict[str, Any]:
    """What the snippets speak of and do not define: a reader has these."""
    return {
        "__name__": "readme",
        "Depends": Depends,
        "Product": Product,
        "Report": dict[str, int],
        "store": Store(),
    }


@pytest.fixture(scope="module")
def readme() -> dict[str, Any]:
    """The names of all snippets, run one after the other as a reader would."""
    names = given()
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    return names


def middleware_of(app: FastAPI) -> Iterator[CacheMiddleware]:
    inner: Any = app.build_middleware_stack()
    while hasattr(inner, "app"):
        if isinstance(inner, CacheMiddleware):
            yield inner
        inner = inner.app


def test_there_are_snippets() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("block", BLOCKS, ids=[f"snippet-{number}" for number in range(1, len(BLOCKS) + 1)])
def test_every_snippet_is_python_that_this_version_reads(block: str) -> None:
    ast.parse(block, "README.md", feature_version=(3, 10))


def test_every_snippet_runs(readme: dict[str, Any]) -> None:
    assert "app" in readme


def test_the_first_snippet_is_a_whole_program_of_four_lines() -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(BLOCKS[0], "README.md", "exec"), names)
    assert len(list(middleware_of(names["app"]))) == 1
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) == 4


@pytest.mark.asyncio
async def test_the_first_snippet_caches_a_handler() -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(BLOCKS[0], "README.md", "exec"), names)
    app: FastAPI = names["app"]
    runs: list[int] = []

    @app.get("/")
    async def read() -> int:
        runs.append(1)
        return 1

    answers = [await call("GET", "/").run(app) for _ in range(2)]
    assert runs == [1]
    for name in ("age", "cache-status", "etag"):
        assert name in answers[1]
    unchanged = await call("GET", "/", headers=[("if-none-match", answers[0]["etag"])]).run(app)
    assert unchanged.status == 304


@pytest.mark.asyncio
async def test_the_routes_of_the_tour_are_cached_and_invalidated_as_told(readme: dict[str, Any]) -> None:
    app: FastAPI = readme["app"]
    runs: list[str] = []

    @app.get("/products/{product_id}")
    async def read(product_id: int) -> int:
        runs.append(f"product {product_id}")
        return product_id

    @app.get("/products")
    async def read_all() -> list[int]:
        runs.append("products")
        return [1]

    async def ask(method: str, target: str, body: bytes = b"") -> int:
        fields = [("content-type", "application/json"), ("content-length", str(len(body)))] if body else []
        return (await call(method, target, headers=fields, body=body).run(app)).status

    for target in ("/products?b=1&a=2&utm_source=x", "/products?a=2&b=1", "/products/1", "/products/1"):
        assert await ask("GET", target) == 200
    assert runs == ["products", "product 1"]
    assert await ask("PUT", "/products/1", b'{"name": "Wok"}') == 200
    for target in ("/products?a=2&b=1", "/products/1"):
        await ask("GET", target)
    assert runs == ["products", "product 1"] * 2


@pytest.mark.asyncio
async def test_the_object_caches_of_the_tour_answer(readme: dict[str, Any]) -> None:
    assert [await readme["exchange_rate"]("EUR") for _ in range(2)] == [1.07, 1.07]
    assert readme["exchange_rate"].cache_info()[:2] == (1, 1)
    assert readme["thumbnails"]["wok.png"] == readme["small"] == b"..."
    assert readme["sessions"].get("abc") == {"user": "ann"}


def names_in_table(title: str) -> set[str]:
    """What the first column of the table names whose head is ``title``."""
    table = TEXT[TEXT.index(f"| `{title}` | default") :].partition("\n\n")[0]
    return {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_tables_name_every_setting() -> None:
    settings = set(inspect.signature(CacheMiddleware).parameters) - {"app"}
    assert settings - names_in_table("CacheMiddleware") <= {"max_bytes"}  # a setting of the cache
    fields = set(inspect.signature(Rule).parameters) - {"pattern"}
    assert fields - names_in_table("Rule") <= {"max_request_body"}  # named in the row of `methods`


def test_every_make_target_of_the_table_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^\| `make (\w+)`", TEXT, re.MULTILINE)
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_every_file_the_readme_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link.partition("#")[0]).exists()] == []
