"""``hotplate explain`` and ``hotplate inspect``: what a request would get, and what is stored."""

import argparse
import base64
import binascii
import re
from typing import Any

from hotplate.cli.connection import connected
from hotplate.cli.display import Cell, Display
from hotplate.cli.ends import DONE, FOUND, USAGE, End
from hotplate.cli.figures import age_text, bytes_text, count_text

__all__ = ["explain", "inspect"]

MOST_BODY = 2_000
"""How many characters of a body are shown."""


def explain(arguments: argparse.Namespace, display: Display) -> int:
    """Says in one sentence what a ``GET`` for a URL would get now, and why."""
    if not _is_url(arguments.url_to_explain):
        raise End(USAGE, f"{arguments.url_to_explain!r} is neither a path nor a URL: write /products/42")
    running = connected(arguments, display)
    try:
        sentence = running.explain(arguments.url_to_explain)
    finally:
        running.close()
    if arguments.json:
        display.json({"sentence": sentence})
    else:
        display.line(sentence)
    return DONE


def inspect(arguments: argparse.Namespace, display: Display) -> int:
    """Shows what is stored under a URL, a key in hexadecimal or the name of a value. Nothing stored is status 1."""
    named = arguments.key_or_url
    by_url = _is_url(named)
    running = connected(arguments, display)
    try:
        found = running.entries(
            url=named if by_url else None,
            key=None if by_url else named,
            partition=arguments.partition,
            body=arguments.body,
        )
    finally:
        running.close()
    if arguments.json:
        display.json(found)
    elif not found:
        display.line(f"nothing is stored under {named}")
    for number, entry in enumerate([] if arguments.json else found):
        if number:
            display.line("")
        # What has no name of its own that is known stands under what it was asked by.
        _show(entry, named if entry["name"] == entry["key"] else entry["name"], display)
    return DONE if found else FOUND


def _is_url(text: str) -> bool:
    return text.startswith("/") or re.match(r"https?://", text, re.IGNORECASE) is not None


def _show(entry: dict[str, Any], name: str, display: Display) -> None:
    display.heading(name)
    lines: list[tuple[str, str | Cell]] = [
        ("key", entry["key"]),
        ("kind", entry["kind"] + ("" if entry["status"] is None else f", status {entry['status']}")),
        ("state", _state(entry)),
        ("age", age_text(entry["age"])),
        ("tier", f"{entry['tier']}, {bytes_text(entry['bytes'])}, {count_text(entry['hits'])} hits"),
    ]
    stale = {"while revalidating": entry["stale_while_revalidate"], "if error": entry["stale_if_error"]}
    if any(stale.values()):
        lines.append(("may be stale", ", ".join(f"{age_text(s)} {when}" for when, s in stale.items() if s)))
    if entry["tags"]:
        lines.append(("tags", ", ".join(sorted(entry["tags"]))))
    if entry["vary"]:
        lines.append(("varies by", ", ".join(entry["vary"])))
    if entry["partitioned"]:
        lines.append(("partition", "of its own"))
    display.fields(lines)
    if entry["headers"]:
        display.line("")
        display.fields([(f"{name}:", value) for name, value in entry["headers"]])
    if entry["body"] is not None:
        display.line("")
        display.line(_body(entry["body"]))


def _state(entry: dict[str, Any]) -> Cell:
    if not entry["valid"]:
        return Cell("invalidated: not served any more", "bad")
    if entry["soft"]:
        return Cell("stale: marked so by a soft invalidation", "warn")
    if entry["ttl"] < 0:
        return Cell(f"stale for {age_text(-entry['ttl'])}", "warn")
    return Cell(f"fresh for {age_text(entry['ttl'])} more", "good")


def _body(encoded: str) -> str:
    """A body as text, where it is text: its beginning."""
    try:
        data = base64.b64decode(encoded, validate=True)
        text = data.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return f"(a body that is no text: about {bytes_text(len(encoded) * 3 // 4)})"
    return text if len(text) <= MOST_BODY else f"{text[:MOST_BODY]} … ({bytes_text(len(data))} in all)"
