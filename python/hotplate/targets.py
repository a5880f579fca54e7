"""What an invalidation names, checked and in the order in which the engine takes it."""

from collections.abc import Iterable

from hotplate.texts import several

__all__ = ["EVERYTHING", "Targets", "as_targets"]

Targets = tuple[list[str], list[str], list[str], list[str], bool]
"""Tags, paths, prefixes, keys; and whether what they name is only marked stale."""

EVERYTHING: Targets = ([], [], ["/"], [], False)


def as_targets(
    tags: Iterable[str], paths: Iterable[str], prefixes: Iterable[str], keys: Iterable[str], soft: bool
) -> Targets:
    """The arguments of ``Cache.invalidate``."""
    return (
        several("tags", tags),
        several("paths", paths),
        several("prefixes", prefixes),
        several("keys", keys),
        soft,
    )
