"""What may be written on the command line: every command with its options, for parsing, for help and for completion."""

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from hotplate.cli.display import Display

__all__ = ["Command", "command_of", "make_parser"]

Command = Callable[[argparse.Namespace, Display], int]
"""Runs a command and gives the status with which the program ends."""

STATUSES = """\
status: 0 done, nothing found; 1 findings, nothing stored, or something failed; 2 wrong usage;
3 the cache or its server cannot be reached or refuses. Environment: HOTPLATE_ADMIN, HOTPLATE_TOKEN, or
HOTPLATE_URL, HOTPLATE_PREFIX, HOTPLATE_ENCRYPTION_KEYS (with commas between).
"""

EVERYWHERE = argparse.SUPPRESS
"""The default of options that may stand before the command and after it: what is not given changes nothing."""


class Parser(argparse.ArgumentParser):
    """A parser whose options are written out: ``--pre`` is not ``--prefix``, which may come to mean something else."""

    def __init__(self, **settings: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)  # type: ignore[arg-type]


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole program."""
    parser = Parser(prog="hotplate", description="Watch, explain, empty and check a cache.", epilog=STATUSES)
    parser.add_argument("--version", action="store_true", help="say which version this is")
    parser.add_argument("--json", action="store_true", help="JSON for programs")
    _add_cache(parser, default=None)
    parser.add_argument("--prefix", dest="cache_prefix", metavar="NAME", help="with --url: the cache's prefix")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)
    for add in (_stats, _top, _explain, _inspect, _invalidate, _check, _doctor, _warm, _completion):
        add(commands)
    return parser


def command_of(arguments: argparse.Namespace) -> Command:
    """What runs the command; its module is imported now, not before."""
    module, _, name = arguments.run.rpartition(".")
    command: Command = getattr(import_module(f"hotplate.cli.{module}"), name)
    return command


if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction["Parser"]  # noqa: SLF001 - it has no other name


def _add(commands: "Commands", name: str, run: str, text: str, *, cache: bool = False, more: str = "") -> Parser:
    parser: Parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=more)
    parser.set_defaults(run=run)
    if cache:
        _add_cache(parser, default=EVERYWHERE)
    parser.add_argument("--json", action="store_true", default=EVERYWHERE, help="JSON for programs")
    return parser


def _add_cache(parser: argparse.ArgumentParser, default: str | None) -> None:
    group = parser.add_argument_group("which running cache")
    group.add_argument("--admin", metavar="URL", default=default, help="where an application has its admin API mounted")
    group.add_argument(
        "--token", default=default, help="of the admin API; better in HOTPLATE_TOKEN, where nobody sees it"
    )
    group.add_argument("--url", metavar="URL", default=default, help="the Redis the cache is on, as in Cache(...)")
    group.add_argument("--app", metavar="MODULE:APP", default=default, help="the cache of this application, on Redis")
    group.add_argument("--cache-prefix", metavar="NAME", default=default, help="with --url: the cache's prefix")


def _stats(commands: "Commands") -> None:
    parser = _add(commands, "stats", "stats.stats", "what all processes have counted", cache=True)
    parser.add_argument("--watch", action="store_true", help="again and again, until stopped")
    parser.add_argument("--interval", type=_seconds, default=2.0, metavar="SECONDS", help="between two looks (2)")
    parser.add_argument("--count", type=_number, metavar="N", help="with --watch: stop after so many looks")


def _top(commands: "Commands") -> None:
    parser = _add(commands, "top", "stats.top", "what is asked for most, or takes most room", cache=True)
    parser.add_argument("--by", choices=("hits", "bytes"), default="hits", help="by hits (default) or by bytes")
    parser.add_argument("--tags", action="store_true", help="tags instead of keys")
    parser.add_argument("-n", "--most", type=_number, default=20, metavar="N", help="at most so many (20)")


def _explain(commands: "Commands") -> None:
    parser = _add(commands, "explain", "lookups.explain", "what a GET for a URL would get now, and why", cache=True)
    parser.add_argument("url_to_explain", metavar="URL", help="/products/42 or https://example.org/products/42")


def _inspect(commands: "Commands") -> None:
    parser = _add(commands, "inspect", "lookups.inspect", "what is stored under a URL or key", cache=True)
    parser.add_argument("key_or_url", metavar="KEY|URL", help="a URL, the name of a value, or a key in hexadecimal")
    parser.add_argument("--partition", metavar="NAME", help="of this partition")
    parser.add_argument("--body", action="store_true", help="the body too")


def _invalidate(commands: "Commands") -> None:
    text = "make what is stored untrue, for every process"
    parser = _add(commands, "invalidate", "invalidate.invalidate", text, cache=True)
    for name, metavar, meaning in (
        ("tag", "TAG", "everything stored with this tag"),
        ("prefix", "PATH", "responses for this path and all below"),
        ("path", "PATH", "responses for exactly this path"),
        ("key", "KEY", "a value's name, or a response's key in hexadecimal"),
    ):
        plural = {"tag": "tags", "prefix": "prefixes", "path": "paths", "key": "keys"}[name]
        parser.add_argument(f"--{name}", dest=plural, action="append", default=[], metavar=metavar, help=meaning)
    parser.add_argument("--all", dest="everything", action="store_true", help="everything; asks first on a terminal")
    parser.add_argument("--soft", action="store_true", help="mark stale instead: served until it is refreshed")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="say what it would match, and invalidate nothing")


def _check(commands: "Commands") -> None:
    more = "Status 1 where something is dangerous; with --strict also where there are warnings."
    parser = _add(
        commands, "check", "check.check", "what an application would cache, and what looks dangerous", more=more
    )
    _add_application(parser)
    parser.add_argument("--strict", action="store_true", help="warnings count as findings")
    parser.add_argument("--offline", action="store_true", help="do not ask the Redis that the cache is on")


def _doctor(commands: "Commands") -> None:
    more = (
        "Status 1 where something fails; with --strict also where there are warnings.\n"
        "Writes a few names of its own under the prefix, and removes them."
    )
    parser = _add(commands, "doctor", "doctor.doctor", "whether a Redis or Valkey serves a cache well", more=more)
    parser.add_argument("redis_url", metavar="REDIS_URL", help="as in Cache(...): redis://localhost:6379/0")
    parser.add_argument("--prefix", dest="cache_prefix", default=EVERYWHERE, metavar="NAME", help="the cache's prefix")
    parser.add_argument("--strict", action="store_true", help="warnings count as findings")


def _warm(commands: "Commands") -> None:
    parser = _add(commands, "warm", "warm.warm", "fill the cache through the application")
    _add_application(parser)
    parser.add_argument("urls", nargs="*", metavar="URL", help="/products?page=2 or https://example.org/products")
    parser.add_argument(
        "--file", metavar="FILE", action="append", default=[], help="URLs, one a line; - for standard input"
    )
    parser.add_argument("--sitemap", metavar="FILE", action="append", default=[], help="the URLs of a sitemap (XML)")
    parser.add_argument(
        "--base-url", metavar="URL", help="scheme and host that clients ask for, for URLs that are paths"
    )
    parser.add_argument("-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="of every request")
    parser.add_argument("--concurrency", type=_number, default=8, metavar="N", help="requests at a time (8)")
    parser.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="for one request (60)")


def _completion(commands: "Commands") -> None:
    parser = _add(commands, "completion", "completion.completion", "a script that completes commands in a shell")
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")


def _add_application(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("application", metavar="MODULE:APP", help="as for uvicorn: main:app")
    parser.add_argument("--factory", action="store_true", help="call it: it makes the application")


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise ValueError
    return number


_number.__name__, _seconds.__name__ = "number (1 or more)", "number of seconds"
