"""``hotplate invalidate``: makes what is stored untrue, by tag, path, prefix, key, or all of it."""

import argparse
import sys
from typing import Any

from hotplate.cli.connection import Running, Targets, connected
from hotplate.cli.display import Cell, Display
from hotplate.cli.ends import DONE, FOUND, USAGE, End
from hotplate.cli.figures import bytes_text, count_text

__all__ = ["invalidate"]


def invalidate(arguments: argparse.Namespace, display: Display) -> int:
    """Invalidates, after a question where that is everything and somebody can answer; or says what it would match."""
    targets = _targets(arguments)
    running = connected(arguments, display)
    try:
        if arguments.dry_run:
            return _preview(running.preview(targets), arguments, display)
        if (
            targets["everything"]
            and not arguments.yes
            and sys.stdin.isatty()
            and not _is_meant(running, targets, display)
        ):
            display.tell("nothing was invalidated")
            return FOUND
        position = running.invalidate(targets, soft=arguments.soft)
    finally:
        running.close()
    if arguments.json:
        display.json({"position": position})
    elif position:
        how = "marked stale" if arguments.soft else "invalidated"
        display.line(f"{how}: {_words(targets)} (position {count_text(position)})")
    if not position:
        display.tell(
            "the shared tier cannot be told now: the process that was asked has invalidated, "
            "and tells the others when it is back"
        )
    return DONE if position else FOUND


def _targets(arguments: argparse.Namespace) -> Targets:
    targets: Targets = {
        "tags": arguments.tags,
        "paths": arguments.paths,
        "prefixes": arguments.prefixes,
        "keys": arguments.keys,
        "everything": arguments.everything,
    }
    for option, paths in (("--path", arguments.paths), ("--prefix", arguments.prefixes)):
        for path in paths:
            if not path.startswith("/"):
                remedy = f"{option} takes a path, which begins with /"
                if option == "--prefix":
                    remedy += "; what names in Redis begin with is --cache-prefix"
                raise End(USAGE, f"{option} {path!r} is no path: {remedy}")
    if not any(targets.values()):
        raise End(USAGE, "what is no longer true? Name it by --tag, --path, --prefix or --key, or say --all")
    return targets


def _words(targets: Targets) -> str:
    if targets["everything"]:
        return "everything"
    words = {"tags": "tag", "paths": "path", "prefixes": "prefix", "keys": "key"}
    return ", ".join(f"{word} {name}" for kind, word in words.items() for name in targets[kind])


def _is_meant(running: Running, targets: Targets, display: Display) -> bool:
    found = running.preview(targets)
    here = f"{_matched(found)} in the process that answers, and " if found else ""
    display.line(f"This invalidates everything: {here}all that any process has.")
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _matched(found: dict[str, Any]) -> str:
    return f"{count_text(found['entries'])} entries, {bytes_text(found['bytes'])}"


def _preview(found: dict[str, Any] | None, arguments: argparse.Namespace, display: Display) -> int:
    if found is None:
        raise End(USAGE, "what it would match, only a process of the application can tell: --dry-run needs --admin")
    if arguments.json:
        display.json(found)
        return DONE
    display.line(f"would match {_matched(found)} in the process that answers")
    for name in found["names"]:
        display.line("  ", name)
    more = found["entries"] - len(found["names"])
    if more > 0:
        display.line(Cell(f"  and {count_text(more)} more", "dim"))
    return DONE
