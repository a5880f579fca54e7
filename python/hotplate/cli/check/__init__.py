"""``hotplate check``: what an application would cache, by which rule and for how long, and what looks dangerous.

``routes`` lists what the application answers, ``verdicts`` asks the engine what it would make of each, ``dangers`` and
``surroundings`` look for trouble. No request is made, and nothing is stored.

What only a request shows is not seen: a policy that a route gets by ``Depends(cache.policy(...))``, and what responses
say themselves.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hotplate.cli.applications import application
from hotplate.cli.check.dangers import dangers, rule_dangers
from hotplate.cli.check.routes import routes_of, schema_trouble
from hotplate.cli.check.surroundings import about_cache, about_order
from hotplate.cli.check.verdicts import Verdict, verdicts
from hotplate.cli.display import Cell, Column, Display
from hotplate.cli.findings import Finding, as_json, show, status_of
from hotplate.errors import ConfigError
from hotplate.stacks import cache_middlewares

if TYPE_CHECKING:
    from hotplate.cache import Cache

__all__ = ["check", "examined"]


Group = tuple[str, list[Verdict]]
"""Where a cache middleware stands (the prefix of what is mounted), and what it makes of each route there."""


def check(arguments: argparse.Namespace, display: Display) -> int:
    """Examines an application; status 1 where something is dangerous, with ``--strict`` also for a warning."""
    app = application(arguments.application, is_factory=arguments.factory)
    groups, findings = examined(app, offline=arguments.offline)
    if arguments.json:
        found = [_as_json(prefix, verdict) for prefix, made in groups for verdict in made]
        display.json({"routes": found, "findings": as_json(findings)})
    else:
        _show(groups, findings, display)
    return status_of(findings, strict=arguments.strict)


def examined(app: object, *, offline: bool) -> tuple[list[Group], list[Finding]]:
    """What each cache before an application would store, and what looks dangerous. ``offline``: Redis is not asked."""
    groups: list[Group] = []
    findings: list[Finding] = []
    caches: list[Cache] = []
    try:
        for below, prefix, routes in routes_of(app):
            for middleware in cache_middlewares(below):
                made = list(verdicts(middleware, routes, prefix))
                groups.append((prefix, made))
                caches.append(middleware.cache)
                findings += [danger for verdict in made for danger in dangers(verdict)]
                findings += rule_dangers(middleware, routes, made)
            findings += about_order(below)
            trouble = schema_trouble(below)
            if trouble is not None:
                text = f"the OpenAPI schema of {prefix or 'the application'} cannot be made: {trouble}"
                findings.append(Finding("warn", "schema", text, "who has to authenticate is not known without it"))
    except ConfigError as refused:
        findings.append(Finding("fail", "settings", f"the application would not start: {refused}"))
    for cache in dict.fromkeys(caches):
        findings += about_cache(cache, offline=offline)
    if not groups and not findings:
        text = "there is no CacheMiddleware: nothing is cached"
        findings.append(Finding("fail", "middleware", text, "app.add_middleware(CacheMiddleware, ttl=30)"))
    return groups, list(dict.fromkeys(findings))


def _show(groups: Sequence[Group], findings: Sequence[Finding], display: Display) -> None:
    for prefix, made in groups:
        if len(groups) > 1:
            display.heading(f"the cache before {prefix or 'everything'}")
        if made:
            wide = [Column("path", is_wide=True), Column("rule", is_wide=True)]
            columns = [Column("method"), *wide, Column("cached"), Column("apart by")]
            display.table(columns, [_row(verdict) for verdict in made])
            display.line("")
    show(findings, display, width=min(30, max((len(one.subject) for one in findings), default=0)))
    if not findings:
        display.line(Cell("nothing was found", "good"))


def _row(verdict: Verdict) -> list[str | Cell]:
    cached = Cell(verdict.lifetime_text, "good" if verdict.is_cached else "dim")
    apart = [*(["partition"] if verdict.is_partitioned else []), *verdict.vary] if verdict.is_cached else []
    rule = verdict.rule_text if verdict.reason in (None, "rule-no-store") else "-"
    return [verdict.route.method, verdict.path, rule, cached, ", ".join(apart)]


def _as_json(prefix: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "cache_before": prefix or "/",
        "method": verdict.route.method,
        "path": verdict.path,
        "rule": None if verdict.rule is None else verdict.rule.pattern,
        "cached": verdict.is_cached,
        "reason": verdict.reason,
        "ttl": verdict.ttl if verdict.is_cached else None,
        "client_ttl": verdict.client_ttl if verdict.is_cached else None,
        "partitioned": verdict.is_partitioned,
        "cookies": verdict.cookies,
        "vary": list(verdict.vary),
        "query": asdict(verdict.query),
        "override": verdict.override,
        "tags": list(verdict.tags),
        "security": [asdict(identity) for identity in verdict.route.identities],
        "described": verdict.route.is_described,
    }
