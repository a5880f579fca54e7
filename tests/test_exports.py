"""The public names: what people may import, from one place each."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from importlib.resources import files

import pytest

import hotplate

PUBLIC = [
    "Cache",
    "CacheMiddleware",
    "ConfigError",
    "EncodeError",
    "HotplateError",
    "LocalCache",
    "Query",
    "RequestHead",
    "Rule",
    "Stats",
    "UnkeyableError",
    "admin_app",
    "admin_router",
    "by_cookie",
    "by_field",
    "memoize",
]
MODULES = sorted(module.name for module in pkgutil.iter_modules(hotplate.__path__) if module.name != "_core")


def test_the_public_names_are_these() -> None:
    assert sorted(hotplate.__all__) == PUBLIC


def test_nothing_else_is_reachable_from_the_package_but_its_modules() -> None:
    reachable = {name for name in vars(hotplate) if not name.startswith("_")}
    assert reachable - set(MODULES) == set(PUBLIC)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("hotplate.admin", ["PurgeMiddleware", "admin_app", "admin_router"]),
        ("hotplate.metrics", ["CONTENT_TYPE", "OPENMETRICS_CONTENT_TYPE", "Processes", "scrape", "selected", "text"]),
        ("hotplate.metrics.opentelemetry", ["Instrumentation", "instrument"]),
        ("hotplate.metrics.prometheus", ["HotplateCollector"]),
        ("hotplate.testing", ["ManualClock", "MemoryCache", "assert_cache_status", "cache_status"]),
        ("hotplate.errors", ["ConfigError", "DecodeError", "EncodeError", "HotplateError", "UnkeyableError"]),
        ("hotplate.keys", ["key_function", "names_text", "text_function"]),
        ("hotplate.objects", ["CacheInfo", "LocalCache", "LocalCacheInfo", "Memoized", "memoize"]),
        ("hotplate.fastapi", ["CacheDep", "Policy", "current_cache"]),
        ("hotplate.rules", ["Duration", "Partition", "Query", "Rule", "by_cookie", "by_field"]),
    ],
)
def test_a_module_promises_these_names(module: str, names: list[str]) -> None:
    assert sorted(importlib.import_module(module).__all__) == names


@pytest.mark.parametrize("module", MODULES)
def test_every_module_keeps_the_promise_of_its_list(module: str) -> None:
    loaded = importlib.import_module(f"hotplate.{module}")
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(hotplate, name))


@pytest.mark.parametrize("name", ["Cache", "CacheMiddleware", "LocalCache", "RequestHead", "Stats"])
def test_every_public_method_is_documented(name: str) -> None:
    members = vars(getattr(hotplate, name)).items()
    bare = [member for member, value in members if not member.startswith("_") and callable(value) and not value.__doc__]
    assert bare == []


def test_the_package_is_typed() -> None:
    assert files("hotplate").joinpath("py.typed").is_file()


@pytest.mark.parametrize("absent", ["fastapi", "starlette", "pydantic", "uvicorn", "httpx"])
def test_importing_hotplate_imports_no_framework(absent: str) -> None:
    code = f"import hotplate, hotplate.testing, sys; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
