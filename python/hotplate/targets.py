"""What an invalidation names, checked and in the order in which the engine takes it."""

from collections.abc import Iterable

from hotplate.errors import ConfigError

__all__ = ["as_targets"]

Targets = tuple[list[str], list[str], list[str], list[str], bool]


def as_targets(
    tags: Iterable[str], paths: Iterable[str], prefixes: Iterable[str], keys: Iterable[str], soft: bool
) -> Targets:
    """The arguments of ``Cache.invalidate``. A text in place of a list would name each of its letters."""
    for name, targets in (("tags", tags), ("paths", paths), ("prefixes", prefixes), ("keys", keys)):
        if isinstance(targets, str):
            raise ConfigError(f"{name}={targets!r} is one text where several are meant: write {name}=[{targets!r}]")
    return list(tags), list(paths), list(prefixes), list(keys), soft
