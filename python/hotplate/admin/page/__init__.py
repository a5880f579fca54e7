"""The admin page: files a browser needs, as they are, and the headers they must be sent with.

The page is a static shell without data in it. What it shows it asks of the API beside it, by relative addresses, so it
works wherever it is mounted (with a slash at the end). It needs no other host: the policy below would not let it reach
one, would run no script but these, and lets no text be parsed as HTML (``require-trusted-types-for``).

``index.html`` is for the mount itself; every other name is for that name below it.
"""

from collections.abc import Mapping
from importlib.resources import files as _resources
from types import MappingProxyType

__all__ = ["HEADERS", "files"]

_MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def _read() -> Mapping[str, tuple[bytes, str]]:
    kept = {}
    for file in _resources(__name__).iterdir():
        media_type = _MEDIA_TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            kept[file.name] = (file.read_bytes(), media_type)
    return MappingProxyType(dict(sorted(kept.items())))


files: Mapping[str, tuple[bytes, str]] = _read()
"""What to serve: name → content and media type."""

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": "; ".join(
            [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "connect-src 'self'",
                "img-src 'self'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
                "form-action 'none'",
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            ]
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }
)
"""What each of the files must be sent with, whatever else is."""
