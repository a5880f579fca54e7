"""``hotplate completion``: what a shell offers while a command is being written. Bash runs its script here."""

import shlex
import subprocess

import pytest

from hotplate.cli.arguments import make_parser
from hotplate.cli.completion import script
from tests.command_line import run

SHELLS = ["bash", "zsh", "fish"]


def offered(line: str) -> set[str]:
    """What bash offers where the line ends."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    program = f"""
        {script("bash")}
        COMP_WORDS=({" ".join(map(shlex.quote, words))}) COMP_CWORD={len(words) - 1}
        _hotplate
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-u", "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("hotplate ", {"stats", "invalidate", "doctor", "--version", "--admin"}),
        ("hotplate in", {"inspect", "invalidate"}),
        ("hotplate --admin http://x top --", {"--by", "--tags", "--admin", "--json"}),
        ("hotplate top --by ", {"hits", "bytes"}),
        ("hotplate invalidate --s", {"--soft"}),
        ("hotplate completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_offers_what_may_stand_there(line: str, some: set[str]) -> None:
    assert some <= offered(line)


@pytest.mark.parametrize("line", ["hotplate top --most ", "hotplate invalidate --tag ", "hotplate --token "])
def test_bash_offers_nothing_where_only_the_user_knows(line: str) -> None:
    assert offered(line) == set()


def test_bash_offers_only_what_fits() -> None:
    assert offered("hotplate st") == {"stats"}
    assert "--by" not in offered("hotplate doctor --")


def test_bash_offers_files_for_an_option_that_reads_one() -> None:
    assert "pyproject.toml" in offered("hotplate warm main:app --file pyproj")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_every_long_option_is_in_the_script(shell: str) -> None:
    text = script(shell)
    parser = make_parser()
    (commands,) = (action.choices for action in parser._actions if action.dest == "command")
    assert commands is not None
    flags = {
        flag
        for one in [parser, *dict(commands).values()]
        for action in one._actions
        for flag in action.option_strings
        if flag.startswith("--")
    }
    assert len(flags) > 20
    for name in [*commands, *flags]:
        assert name.removeprefix("--") in text, name


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_what_the_program_writes(shell: str) -> None:
    done = run("completion", shell)
    assert (done.status, done.out, done.err) == (0, script(shell), "")
