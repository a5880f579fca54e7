"""The program itself: what may be written, how it ends, and what it makes of text that comes from elsewhere."""

import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from hotplate.cli import main
from hotplate.cli.display import Cell, Column, PlainDisplay, display_for, shown
from hotplate.cli.figures import age_text, bytes_text, quantile, seconds_text, share_text
from hotplate.cli.terminal import RichDisplay
from hotplate.watching import BOUNDS
from tests.command_line import command, environment, on_terminal, run

COMMANDS = ["stats", "top", "explain", "inspect", "invalidate", "check", "doctor", "warm", "completion"]


class Terminal(io.StringIO):
    """What looks like a terminal."""

    def isatty(self) -> bool:
        return True


# --- Beginning and ending --------------------------------------------------------------------------------------------


def test_help_names_every_command_and_every_status() -> None:
    done = run("--help")
    assert done.status == 0
    assert all(f"    {name} " in done.out for name in COMMANDS)
    assert "status: 0 done" in done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"hotplate {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["nothing"], "invalid choice"),
        (["top", "--by", "age"], "invalid choice"),
        (["top", "-n", "0"], "invalid number (1 or more)"),
        (["stats", "--interval", "soon"], "invalid number of seconds"),
        (["stats", "--pre", "x"], "unrecognized arguments"),
        (["stats"], "which cache?"),
        (["stats", "--admin", "http://localhost", "--url", "redis://localhost"], "three ways"),
        (["stats", "--admin", "ftp://localhost"], "is no URL"),
        (["stats", "--admin", "http://me:secret@localhost"], "takes scheme, host and path only"),
        (["stats", "--admin", "http://localhost:port"], "is no URL"),
        (["stats", "--admin", "http://localhost", "--token", "a\nb"], "characters that no token has"),
        (["stats", "--url", "memory://"], "in memory is reached by --admin only"),
        (["stats", "--url", "http://localhost"], "begin the URL with redis://"),
        (["stats", "--url", "redis://localhost", "--cache-prefix", "a b"], "prefix="),
        (["invalidate", "--admin", "http://localhost"], "what is no longer true?"),
        (["invalidate", "--admin", "http://localhost", "--path", "products"], "--path 'products' is no path"),
        (["invalidate", "--admin", "http://localhost", "--prefix", "shop"], "is --cache-prefix"),
        (["explain", "--admin", "http://localhost", "product:1"], "neither a path nor a URL"),
        (["check", "main"], "names no application"),
        (["warm", "main:app"], "which URLs?"),
        (["warm", "main:app", "/", "--header", "gzip"], "--header 'gzip' is no field"),
        (["completion", "csh"], "invalid choice"),
    ],
)
def test_what_cannot_be_meant_is_status_2_and_says_what_to_write(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOTPLATE_ADMIN", "HOTPLATE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert "secret" not in told.err
    assert told.out == ""


def test_the_version_is_said() -> None:
    assert run("--version").out.startswith("hotplate ")


def test_a_reader_that_has_enough_is_no_error() -> None:
    process = subprocess.Popen(
        command("completion", "bash"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_the_environment_names_a_cache_and_an_option_outranks_it() -> None:
    nobody = "http://127.0.0.1:1/_cache"
    done = run("stats", HOTPLATE_ADMIN=nobody, HOTPLATE_URL="redis://127.0.0.1:1")
    assert (done.status, "127.0.0.1:1/_cache does not answer" in done.err) == (3, True)
    done = run("stats", "--admin", "http://127.0.0.1:2", HOTPLATE_ADMIN=nobody)
    assert "127.0.0.1:2 does not answer" in done.err


# --- Text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("GET example.org/products/42?x=1", "GET example.org/products/42?x=1"),
        ("Spätzle 鍋", "Spätzle 鍋"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\r\nb\tc\x00", r"a\r\nb\tc\x00"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028\u200b\ufeff", r"\u2028\u200b\ufeff"),
        ("\udcff", r"\udcff"),
        (r"back\slash", r"back\\slash"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, escaped: str) -> None:
    assert shown(text) == escaped


@pytest.mark.parametrize("kind", [PlainDisplay, RichDisplay])
def test_text_from_a_cache_is_never_markup_nor_control(kind: "type[PlainDisplay] | type[RichDisplay]") -> None:
    nasty = "[red]tag[/red] :boom: [link=http://x]y[/link] \x1b[2J <b>"
    out = Terminal()
    display = kind(out, io.StringIO())
    display.heading(nasty)
    display.line(nasty, Cell(nasty, "bad"))
    display.fields([("name", nasty)])
    display.table([Column("name", is_wide=True)], [[nasty]])
    written = out.getvalue()
    assert written.count("[red]tag[/red] :boom: [link=http://x]y[/link]") == 5
    assert "\x1b[2J" not in written
    assert "\x1b]8" not in written
    assert "https" not in written


def test_what_goes_to_standard_error_is_escaped_too() -> None:
    err = io.StringIO()
    PlainDisplay(io.StringIO(), err).tell("no \x1b[2J")
    assert err.getvalue() == "hotplate: no \\x1b[2J\n"


def test_a_plain_table_has_columns_and_no_frames() -> None:
    out = io.StringIO()
    columns = [Column("key", is_wide=True), Column("hits", is_number=True)]
    PlainDisplay(out, io.StringIO()).table(columns, [["a", "1"], ["long name", "12,345"]])
    assert out.getvalue() == "KEY          HITS\na               1\nlong name  12,345\n"


def test_json_is_one_line_of_ascii() -> None:
    out = io.StringIO()
    PlainDisplay(out, io.StringIO()).json({"key": "Spätzle\x1b\u202e"})
    assert out.getvalue().isascii()
    assert out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue()) == {"key": "Spätzle\x1b\u202e"}


def test_a_terminal_gets_tables_and_a_pipe_gets_plain_text() -> None:
    assert isinstance(display_for(Terminal(), io.StringIO()), RichDisplay)
    assert isinstance(display_for(io.StringIO(), io.StringIO()), PlainDisplay)
    assert isinstance(display_for(Terminal(), io.StringIO(), as_json=True), PlainDisplay)


def test_without_rich_a_terminal_is_told_how_to_get_it_and_json_needs_none(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['rich'] = None\n")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    done = on_terminal("doctor", "redis://127.0.0.1:1", PYTHONPATH=path)
    assert "pip install 'hotplate[cli]'" in done.out
    assert "fail connection" in done.out
    done = run("doctor", "redis://127.0.0.1:1", "--json", PYTHONPATH=path)
    assert (done.err, done.json[0]["level"]) == ("", "fail")


def test_a_terminal_that_knows_no_unicode_gets_escapes() -> None:
    done = run("check", "nö:app", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.status == 2
    assert r"n\xf6" in done.err


# --- Numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0 µs"),
        (12e-6, "12 µs"),
        (1.5e-3, "1.5 ms"),
        (0.25, "250 ms"),
        (2.5, "2.5 s"),
        (4000, "4,000 s"),
    ],
)
def test_a_short_time_has_the_unit_that_fits(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.5, "0.5s"),
        (12, "12s"),
        (61, "1m 1s"),
        (3600, "1h"),
        (90_061, "1d 1h"),
        (-61, "-1m 1s"),
        (59.9, "59s"),
    ],
)
def test_a_long_time_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 * 2**20, "64 MiB")])
def test_a_size_has_the_unit_that_fits(size: float, text: str) -> None:
    assert bytes_text(size) == text


def test_a_share_of_nothing_is_unknown() -> None:
    assert (share_text(1, 3), share_text(0, 0)) == ("33.3 %", "-")


def test_a_quantile_lies_in_its_bucket_and_never_above_the_last_bound() -> None:
    buckets = [0] * (len(BOUNDS) + 1)
    assert quantile({"buckets": buckets}, 0.5) is None
    buckets[7] = 100  # 500 µs to 1 ms
    half = quantile({"buckets": buckets}, 0.5)
    assert half == pytest.approx(750e-6)
    buckets[-1] = 900
    assert quantile({"buckets": buckets}, 0.99) == BOUNDS[-1]
