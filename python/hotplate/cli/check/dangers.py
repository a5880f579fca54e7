"""What looks dangerous in what a cache would store of a route.

The engine guards ``Authorization`` and ``Cookie``: a request with them is forwarded unless the response allows it to be
shared, or there is a partition. What follows is where that does not help, or where it means that a rule has no effect.
"""

import re
from collections.abc import Iterator, Sequence

from hotplate.cli.check.routes import Identity, Route
from hotplate.cli.check.verdicts import Verdict, sample_of
from hotplate.cli.findings import Finding, Level
from hotplate.middleware import CacheMiddleware
from hotplate.rules import Query, Rule

__all__ = ["dangers", "rule_dangers"]

PERSONAL = frozenset(
    [
        *("me", "self", "my", "mine", "account", "accounts", "profile", "cart", "basket", "checkout", "session"),
        *("sessions", "settings", "preferences", "dashboard", "inbox", "notifications", "wallet", "billing"),
        *("wishlist", "favorites", "favourites", "login", "logout"),
    ]
)
"""Parts of paths whose answer is usually one person's."""

_WHO = re.compile(r"auth|token|api-?key|user|tenant|account|session|identity|customer", re.IGNORECASE)
"""Names of fields that say who asks."""

_PARTITION = "give a partition= (who may share), or cache=False"


def dangers(verdict: Verdict) -> Iterator[Finding]:
    """What is dangerous in one verdict."""
    if not verdict.is_cached:
        return
    route = verdict.route
    yield from _of_query(verdict)
    if verdict.cookies == "danger-store":
        text = "Set-Cookie is stored and sent to everybody who shares it (cookies='danger-store')"
        yield _finding("warn", verdict, text, "be sure that no response sets a cookie for one person")
    if verdict.is_partitioned:
        return
    for identity in route.identities:
        yield from _of_identity(verdict, identity)
    yield from _of_parameters(verdict)
    personal = [part for part in verdict.path.lower().split("/") if part in PERSONAL]
    if personal and not route.identities:
        guarded = verdict.cookies == "guard"
        text = f"{personal[0]!r} is usually one person's" + (
            "; only Authorization and Cookie keep answers apart"
            if guarded
            else ", and cookies do not keep answers apart"
        )
        yield _finding("warn" if guarded else "fail", verdict, text, _PARTITION)


def _of_identity(verdict: Verdict, identity: Identity) -> Iterator[Finding]:
    scheme = f"{identity.scheme} ({identity.name})"
    if identity.place == "query":
        return  # in the key, unless the rule takes it out, which is looked at by itself
    if identity.place == "connection":
        text = f"{scheme} says who asks, and is no part of the key: one caller's answer is everybody's"
        yield _finding("fail", verdict, text, _PARTITION)
    elif identity.place == "cookie":
        if verdict.cookies == "guard":
            yield _without_effect(verdict, scheme, "Cookie")
        else:
            text = f"{scheme} says who asks, and the rule does not look at cookies: one caller's answer is everybody's"
            yield _finding("fail", verdict, text, "give a partition=, such as by_cookie(...), or cookies='guard'")
    elif identity.name.lower() == "authorization":
        yield _without_effect(verdict, scheme, "Authorization")
    elif identity.name.lower() not in verdict.vary:
        text = f"{scheme} says who asks, and is no part of the key: one caller's answer is everybody's"
        yield _finding("fail", verdict, text, f"give a partition=, such as by_field({identity.name!r}), or cache=False")


def _without_effect(verdict: Verdict, scheme: str, name: str) -> Finding:
    """Guarded: safe, and not what whoever wrote a rule for this route has meant."""
    text = (
        f"{scheme} is asked for and there is no partition: requests with {name} are forwarded, "
        "unless the response says that all may share it"
    )
    return _finding("warn" if verdict.rule is None else "fail", verdict, text, _PARTITION)


def _of_parameters(verdict: Verdict) -> Iterator[Finding]:
    known = {identity.name.lower() for identity in verdict.route.identities} | set(verdict.vary)
    for name in verdict.route.headers:
        if name.lower() in known or name.lower() in ("authorization", "cookie"):
            continue
        level: Level = "fail" if _WHO.search(name) and verdict.ttl is not None else "warn"
        text = f"it reads the field {name}, which is no part of the key unless the response's Vary names it"
        yield _finding(level, verdict, text, f"name it in the rule: vary=[{name!r}]; or give a partition=")
    if verdict.cookies != "guard":
        for name in verdict.route.cookies:
            if name.lower() not in known:
                text = f"it reads the cookie {name}, and the rule does not look at cookies"
                yield _finding("fail", verdict, text, f"give a partition=, such as by_cookie({name!r})")


def _of_query(verdict: Verdict) -> Iterator[Finding]:
    query = [identity.name for identity in verdict.route.identities if identity.place == "query"]
    left_out = [name for name in (*verdict.route.queries, *query) if not _counts(verdict.query, name)]
    if left_out:
        names = ", ".join(dict.fromkeys(left_out))
        text = f"it reads the parameters {names}, which the rule's query= leaves out of the key"
        yield _finding("fail", verdict, text, "let them count: different answers would be one")


def _counts(query: Query, name: str) -> bool:
    """Whether a parameter is part of the key."""
    if query.keep is not None and not any(_is_named(name, pattern) for pattern in query.keep):
        return False
    return not any(_is_named(name, pattern) for pattern in query.drop)


def _is_named(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _finding(level: Level, verdict: Verdict, text: str, remedy: str) -> Finding:
    return Finding(level, f"{verdict.route.method} {verdict.path}", text, remedy)


def rule_dangers(middleware: CacheMiddleware, routes: Sequence[Route], found: Sequence[Verdict]) -> Iterator[Finding]:
    """Rules that never speak: no route has their path, or an earlier rule speaks first."""
    rules: Sequence[Rule] = middleware.settings["rules"]
    spoken = {id(verdict.rule) for verdict in found if verdict.rule is not None}
    for place, rule in enumerate(rules):
        if id(rule) in spoken:
            continue
        where = f"rules[{place}]"
        method = rule.methods[0].upper() if rule.methods else "GET"
        first, reason = middleware.rule_of(method, sample_of(rule.pattern))
        if first is not None and first is not rule:
            text = f"Rule({rule.pattern!r}) never speaks: Rule({first.pattern!r}) stands before it"
            yield Finding("warn", where, text, "put the narrower rule first")
        elif reason == "excluded":
            yield Finding(
                "warn", where, f"Rule({rule.pattern!r}) never speaks: exclude= names its path", "drop one of them"
            )
        elif routes:
            yield Finding(
                "warn", where, f"Rule({rule.pattern!r}) matches no route that is known", "look at its spelling"
            )
