"""The page's files, as they are, and the headers they are sent with."""

from collections.abc import Mapping

files: Mapping[str, tuple[bytes, str]] = {"index.html": (b"<!doctype html><title>hotplate</title>", "text/html")}
HEADERS: Mapping[str, str] = {"content-security-policy": "default-src 'none'"}
