"""The program ``hotplate``: watch, explain, empty and check a cache from a command line.

``arguments`` says what may be written, ``connection`` leads to a running cache, ``display`` writes what comes of it;
each command is a function in a module of its own, which gives a status of ``ends``.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from hotplate.cli.arguments import command_of, make_parser
from hotplate.cli.display import display_for
from hotplate.cli.ends import DONE, FOUND, USAGE, End
from hotplate.errors import ConfigError, HotplateError

__all__ = ["main"]

STOPPED = 130
"""As shells have it for what Ctrl-C ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program with these arguments, or those of the process, and gives its status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no Unicode gets escapes instead of an error.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = make_parser()
    try:
        given = _parsed(parser, arguments)
    except SystemExit as end:  # help, or what cannot be parsed: said already
        return int(end.code or 0)
    if given.version:
        sys.stdout.write(f"hotplate {_version()}\n")
        return DONE
    if given.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    return _run(given)


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    given, rest = parser.parse_known_args(arguments)
    if rest and (given.command != "warm" or any(one.startswith("-") for one in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # after an option, argparse takes no more of what may be several
        given.urls += rest
    return given


def _run(given: argparse.Namespace) -> int:
    display = display_for(sys.stdout, sys.stderr, as_json=given.json)
    try:
        status = command_of(given)(given, display)
        sys.stdout.flush()
    except End as end:
        display.tell(str(end))
        return end.status
    except HotplateError as error:
        display.tell(str(error))
        return USAGE if isinstance(error, ConfigError) else FOUND
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:
        # Who reads has enough (`hotplate top | head`); what is left in the buffer must not raise at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return status


def _version() -> str:
    try:
        return version("hotplate")
    except PackageNotFoundError:
        return "(not installed: run from its sources)"
