"""Every exception hotplate raises.

    HotplateError
    ├── ConfigError (also ValueError)     a setting cannot be meant; raised where it is set
    ├── UnkeyableError (also TypeError)   an argument cannot enter a cache key; raised by the decorator where an
    │                                     annotation tells, else by the call that brings such a value
    ├── EncodeError (also TypeError)      a value would not come back from the shared tier as it is
    └── DecodeError (also ValueError)     stored bytes are not what this codec wrote; a cache takes it as a miss

A fault of the cache while it serves is not here: it becomes a forwarded request with a named reason
(see ``Cache.stats().bypass`` and the ``hotplate`` logger), never an exception to the application's client.
"""

__all__ = ["ConfigError", "DecodeError", "EncodeError", "HotplateError", "UnkeyableError"]


class HotplateError(Exception):
    """Base of every exception hotplate raises."""


class ConfigError(HotplateError, ValueError):
    """A setting cannot be meant: the message names the setting, the value and the remedy."""


class UnkeyableError(HotplateError, TypeError):
    """An argument cannot enter a cache key: the message names function, parameter, type and remedies."""


class EncodeError(HotplateError, TypeError):
    """A value that a codec cannot keep: the message names the place in the value, the type and the remedy."""

    path: str
    """The place in the value: ``$`` is the value itself, ``$.items[3].price`` a part of it."""

    def __init__(self, message: str, *, path: str = "$") -> None:
        super().__init__(message)
        self.path = path


class DecodeError(HotplateError, ValueError):
    """Stored bytes that give no value: another codec's, damaged or forged. Nothing was made of them."""

    token: str
    """``"other-codec"``, ``"malformed"`` or ``"forged"``."""

    def __init__(self, token: str, message: str) -> None:
        super().__init__(f"{token}: {message}")
        self.token = token
