"""What a cache middleware makes of a route: which rule speaks, and what would be stored, and for how long.

Which rule speaks is asked of the engine (``CacheMiddleware.rule_of``), for a path that the route answers, and for every
path that a rule or an exclusion names and the route answers too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hotplate._core import seconds
from hotplate.cli.check.routes import Route
from hotplate.cli.figures import age_text
from hotplate.middleware import CacheMiddleware
from hotplate.rules import Query, Rule

__all__ = ["Verdict", "sample_of", "verdicts"]


_REASONS = {"method": "forwarded", "excluded": "excluded", "rule-no-store": "not cached", "aside": "never"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds for some paths of a route."""

    route: Route
    path: str
    """The route's, or the part of it that this is about."""
    rule: Rule | None
    """``None``: the settings of the middleware."""
    reason: str | None
    """Why nothing is cached; ``None``: it may be."""
    ttl: float | None
    """Seconds; ``None``: what the response says."""
    client_ttl: float | None
    is_partitioned: bool
    cookies: str
    """As in ``Rule``; ``ignore`` also where the profile does not guard them."""
    vary: tuple[str, ...]
    query: Query
    override: bool
    tags: tuple[str, ...]

    @property
    def is_cached(self) -> bool:
        """Whether a response may be stored."""
        return self.reason is None

    @property
    def rule_text(self) -> str:
        """The rule's pattern, or what speaks instead."""
        return "default" if self.rule is None else self.rule.pattern

    @property
    def lifetime_text(self) -> str:
        """For how long a response is stored, in words."""
        if self.reason is not None:
            return _REASONS.get(self.reason, self.reason)
        if self.ttl is None:
            return "as the response says"
        return age_text(self.ttl) + (" whatever the response says" if self.override else "")


def verdicts(middleware: CacheMiddleware, routes: Sequence[Route], prefix: str = "") -> Iterator[Verdict]:
    """One for each route; more where other rules speak for some of its paths.

    ``prefix``: where the application of the middleware is mounted; its rules see what follows.
    """
    patterns = [rule.pattern for rule in middleware.settings["rules"]]
    patterns += [*(middleware.settings["include"] or ()), *middleware.settings["exclude"]]
    named = dict.fromkeys(path for pattern in patterns for path in (sample_of(pattern), sample_of(pattern) + "/1"))
    declared = {(route.method, route.path) for route in routes}
    for route in routes:
        usual = _verdict(middleware, route, route.sample.removeprefix(prefix), route.path)
        yield usual
        told = {(id(usual.rule), usual.reason)}
        for path in named if "{" in route.path else ():
            if (route.method, prefix + path) not in declared and route.answers(prefix + path):
                other = _verdict(middleware, route, path, prefix + path)
                if (id(other.rule), other.reason) not in told:
                    told.add((id(other.rule), other.reason))
                    yield other


def sample_of(pattern: str) -> str:
    """A path that a pattern matches."""
    text, _, rest = pattern.partition("{")
    while rest:
        _, _, after = rest.partition("}")
        more, _, rest = after.partition("{")
        text += "1" + more
    text = text.replace("*", "1")
    return text if text.startswith("/") else "/" + text


def _verdict(middleware: CacheMiddleware, route: Route, path: str, shown: str) -> Verdict:
    settings = middleware.settings
    rule, reason = middleware.rule_of(route.method, path)
    if route.is_aside and reason is None:
        reason = "aside"
    if reason in ("excluded", "aside"):
        rule = None  # whatever rules say
    spoken: Any = Rule("*") if rule is None else rule
    cookies = spoken.cookies
    if cookies == "guard" and settings["profile"] != "safe":
        cookies = "ignore"
    return Verdict(
        route,
        shown,
        rule,
        reason,
        _seconds("ttl", spoken.ttl if spoken.ttl is not None else settings["ttl"]),
        _seconds("client_ttl", spoken.client_ttl if spoken.client_ttl is not None else settings["client_ttl"]),
        is_partitioned=(spoken.partition or settings["partition"]) is not None,
        cookies=cookies,
        vary=tuple(name.lower() for name in spoken.vary),
        query=spoken.query,
        override=spoken.override,
        tags=tuple(spoken.tags),
    )


def _seconds(setting: str, value: Any) -> float | None:
    return None if value is None else seconds(setting, value)
