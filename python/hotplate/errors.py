"""Every exception hotplate raises.

    HotplateError
    ├── ConfigError (also ValueError)     a setting cannot be meant; raised where it is set
    └── UnkeyableError (also TypeError)   an argument cannot enter a cache key; raised by the decorator where an
                                          annotation tells, else by the call that brings such a value

A fault of the cache while it serves is not here: it becomes a forwarded request with a named reason
(see ``Cache.stats().bypass`` and the ``hotplate`` logger), never an exception to the application's client.
"""

__all__ = ["ConfigError", "HotplateError", "UnkeyableError"]


class HotplateError(Exception):
    """Base of every exception hotplate raises."""


class ConfigError(HotplateError, ValueError):
    """A setting cannot be meant: the message names the setting, the value and the remedy."""


class UnkeyableError(HotplateError, TypeError):
    """An argument cannot enter a cache key: the message names function, parameter, type and remedies."""
