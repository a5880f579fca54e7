"""The ways to a running cache: through the admin API of an application, or on the Redis that it is on.

Both answer the same questions (``Running``). The admin API is asked over HTTP, by the standard library. On Redis the
program becomes, for a moment, one more process of the cache: by a URL, or, with all of its settings and rules, by the
name of the application.
"""

import argparse
import os
from typing import Any, Protocol

from hotplate.cli.display import Display
from hotplate.cli.ends import USAGE, End

__all__ = ["Running", "Targets", "connected"]

Targets = dict[str, Any]
"""What an invalidation names: ``tags``, ``paths``, ``prefixes``, ``keys`` and ``everything``."""


class Running(Protocol):
    """A cache that runs elsewhere. Shapes are those of ``hotplate.watching``."""

    def stats(self) -> dict[str, Any]:
        """``sum``: one report of all processes; ``processes``: one of each."""

    def entries(self, *, url: str | None, key: str | None, partition: str | None, body: bool) -> list[dict[str, Any]]:
        """What is stored under a URL or a key."""

    def explain(self, url: str) -> str:
        """What a ``GET`` for a URL would get now, and why, in a sentence."""

    def preview(self, targets: Targets) -> dict[str, Any] | None:
        """What an invalidation would match in the process that answers; ``None``: there is none that has anything."""

    def invalidate(self, targets: Targets, *, soft: bool) -> int:
        """The position of the record in the log; 0 where the shared tier could not be told."""

    def close(self) -> None:
        """Ends the connection."""


def connected(arguments: argparse.Namespace, display: Display) -> Running:
    """The running cache that options or the environment name.

    An option outranks the environment, and in the environment the admin API outranks a URL.
    """
    admin, url, app = arguments.admin, arguments.url, arguments.app
    if sum(map(bool, (admin, url, app))) > 1:
        raise End(USAGE, "--admin, --url and --app are three ways to a cache: give one of them")
    if not (admin or url or app):
        admin = os.environ.get("HOTPLATE_ADMIN")
        url = None if admin else os.environ.get("HOTPLATE_URL")
    if admin:
        from hotplate.cli.admin_connection import AdminConnection

        connection = AdminConnection(admin, arguments.token or os.environ.get("HOTPLATE_TOKEN"))
        if connection.is_overheard:
            display.tell("the token is sent over http://, where whoever is on the network can read it: use https://")
        return connection
    if url or app:
        from hotplate.cli.redis_connection import RedisConnection, cache_at, cache_of

        return RedisConnection(*(cache_at(url, arguments.cache_prefix) if url else cache_of(app)))
    raise End(
        USAGE,
        "which cache? Give --admin http://127.0.0.1:8000/_cache (and --token), or --url redis://localhost:6379/0 "
        "(and --cache-prefix), or --app main:app; or set HOTPLATE_ADMIN or HOTPLATE_URL",
    )
