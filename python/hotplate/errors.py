"""Every exception hotplate raises.

    HotplateError
    └── ConfigError (also ValueError)   a setting cannot be meant; raised where it is set

A fault of the cache while it serves is not here: it becomes a forwarded request with a named reason
(see ``Cache.stats().bypass`` and the ``hotplate`` logger), never an exception to the application's client.
"""

__all__ = ["ConfigError", "HotplateError"]


class HotplateError(Exception):
    """Base of every exception hotplate raises."""


class ConfigError(HotplateError, ValueError):
    """A setting cannot be meant: the message names the setting, the value and the remedy."""
