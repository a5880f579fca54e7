"""Applications to look at with ``hotplate check``, and what it says of them."""

from typing import Any

from fastapi import FastAPI

from hotplate import CacheMiddleware, Rule
from hotplate.cli.check import examined
from hotplate.cli.check.verdicts import Verdict
from hotplate.cli.findings import Finding


async def endpoint() -> str:
    return "ok"


def app_of(*rules: Rule, **settings: Any) -> FastAPI:
    """An application without routes of its own, before it a cache with these rules and settings."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    known: dict[str, Any] = {"ttl": 30, "rules": rules, **settings}
    app.add_middleware(CacheMiddleware, **known)
    return app


def verdicts(app: object) -> list[Verdict]:
    groups, _ = examined(app, offline=True)
    return [verdict for _, made in groups for verdict in made]


def table(app: object) -> list[tuple[str, str, str, str]]:
    """Method, path, rule and lifetime of every line."""
    return [(one.route.method, one.path, one.rule_text, one.lifetime_text) for one in verdicts(app)]


def findings(app: object) -> list[Finding]:
    return examined(app, offline=True)[1]


def found(app: object) -> list[tuple[str, str]]:
    """Level and subject of every finding."""
    return [(one.level, one.subject) for one in findings(app)]
