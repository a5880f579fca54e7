"""README.md and docs/values.md are true: their Python runs, in its order, and does what the text beside it says."""

import ast
import inspect
import json
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
GUIDE = (ROOT / "docs" / "values.md").read_text("utf-8")


def blocks_of(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


BLOCKS, GUIDE_BLOCKS = blocks_of(TEXT), blocks_of(GUIDE)


class Product(BaseModel):
    name: str


class Filters(BaseModel):
    category: str | None = None


class Settings(BaseModel):
    language: str = "en"


class Store:
    def __init__(self) -> None:
        self.product = Product(name="Wok")
        self.asked: list[str] = []

    async def update(self, _product_id: int, product: Product) -> Product:
        return product

    async def find(self, product_id: int) -> Product:
        self.asked.append(f"product {product_id}")
        return self.product

    async def page(self, page: int, size: int, filters: Filters | None) -> list[Product]:
        self.asked.append(f"page {page}")
        return [self.product]

    async def rename(self, _product_id: int, name: str) -> Product:
        self.product = Product(name=name)
        return self.product

    async def save(self, _user_id: int, settings: Settings) -> Settings:
        return settings


def given() -> dict[str, Any]:
    """What the snippets speak of and do not define: a reader has these."""
    return {
        "__name__": "readme",
        "Depends": Depends,
        "Filters": Filters,
        "Product": Product,
        "Report": dict[str, int],
        "Settings": Settings,
        "store": Store(),
    }


@pytest.fixture(scope="module")
def readme() -> dict[str, Any]:
    """The names of all snippets, run one after the other as a reader would."""
    names = given()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CACHE_TOKEN", "a-token-of-16-or-more")
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


def numbered(title: str, blocks: list[str]) -> list[Any]:
    return [pytest.param(block, id=f"{title}-{number}") for number, block in enumerate(blocks, 1)]


@pytest.mark.parametrize("block", [*numbered("snippet", BLOCKS), *numbered("values", GUIDE_BLOCKS)])
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


@pytest.mark.asyncio
async def test_the_cached_functions_of_the_tour_are_run_once_and_invalidated_as_told(readme: dict[str, Any]) -> None:
    store: Store = readme["store"]
    store.asked.clear()
    for _ in range(2):
        assert (await readme["find_product"](1)).name == "Wok"
        assert await readme["list_products"](filters=Filters(category="pans")) == [store.product]
    assert store.asked == ["product 1", "page 1"]
    await readme["rename_product"](1, "Pan")
    assert (await readme["find_product"](1)).name == "Pan"
    assert await readme["list_products"](1, 20, Filters(category="pans")) == [store.product]
    assert store.asked == ["product 1", "page 1"] * 2
    await readme["save_settings"](7, Settings(language="fr"))
    assert await readme["cache"].get("settings:7") == Settings(language="fr")


async def guide() -> dict[str, Any]:
    """The names of all snippets of the guide, run one after the other on this loop, where they may await."""
    names: dict[str, Any] = {"__name__": "values"}
    for block in GUIDE_BLOCKS:
        coroutine = eval(compile(block, "docs/values.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if coroutine is not None:
            await coroutine
    return names


@pytest.mark.asyncio
async def test_every_snippet_of_the_guide_runs_and_asserts_what_it_says() -> None:
    assert len(GUIDE_BLOCKS) >= 15
    assert sum(block.count("assert ") for block in GUIDE_BLOCKS) >= 30
    assert "app" in await guide()


@pytest.mark.asyncio
async def test_the_endpoints_of_the_guide_are_cached_as_told() -> None:
    names = await guide()
    app: FastAPI = names["app"]

    async def ask(method: str, target: str, **headers: str) -> Any:
        fields = [(name.replace("_", "-"), text) for name, text in headers.items()]
        answer = await call(method, target, headers=fields).run(app)
        assert answer.status == 200
        return json.loads(answer.body)

    for _ in range(2):
        assert await ask("GET", "/reports/2026") == {"year": 2026}
        for user in ("ann", "bob"):
            assert await ask("GET", "/whoami", x_user=user) == {"user": user}
    assert (names["report"].cache_info().loads, names["who_am_i"].cache_info().loads) == (1, 2)
    await ask("PUT", "/reports/2026")
    await ask("GET", "/reports/2026")
    assert names["report"].cache_info().loads == 2


def test_every_place_the_guide_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)]+)\)", GUIDE)
    files = [link for link in links if not link.startswith("#")]
    assert files
    assert [link for link in files if not (ROOT / "docs" / link).exists()] == []
    headings = re.findall(r"^## (.+)$", GUIDE, re.MULTILINE)
    anchors = {"#" + re.sub(r"[^a-z ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {link for link in links if link.startswith("#")} == anchors


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
