"""Lists of text, as settings take them: tags, keys, paths, prefixes."""

from collections.abc import Iterable

from hotplate.errors import ConfigError

__all__ = ["several"]


def several(setting: str, texts: Iterable[str]) -> list[str]:
    """The texts of a setting. One text in place of a list would mean each of its letters: it is a ``ConfigError``."""
    if isinstance(texts, str):
        raise ConfigError(f"{setting}={texts!r} is one text where several are meant: write {setting}=[{texts!r}]")
    return list(texts)
