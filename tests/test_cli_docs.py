"""docs/cli.md is true: its commands parse, its options are there, its Python runs, its ACL line is the program's."""

import ast
import re
import shlex
from typing import Any

import pytest

from hotplate.cli.arguments import make_parser
from hotplate.cli.doctor.address import address_of
from hotplate.cli.doctor.rights import acl_line
from tests.servers import ROOT

TEXT = (ROOT / "docs" / "cli.md").read_text("utf-8")
SHELL = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
LINES = [line for block in SHELL for line in block.splitlines() if "hotplate" in line]


def words(line: str) -> list[str]:
    """The arguments of the program in a line of shell."""
    return shlex.split(re.split(r"[|>)]", line.partition("hotplate ")[2])[0], comments=True)


@pytest.mark.parametrize("line", LINES)
def test_every_command_is_one_that_the_program_takes(line: str) -> None:
    given = make_parser().parse_args(words(line))
    assert given.command is not None


def test_every_command_and_most_options_are_explained() -> None:
    parser = make_parser()
    (commands,) = (action.choices for action in parser._actions if action.dest == "command")
    assert commands is not None
    for name, one in dict(commands).items():
        assert f"hotplate {name}" in TEXT, name
        flags = [flag for action in one._actions for flag in action.option_strings if flag.startswith("--")]
        unexplained = {"--help", "--header", "--most", "--timeout", "--url", "--app", "--admin", "--token", "--json"}
        assert [flag for flag in flags if flag not in TEXT and flag not in unexplained] == []


def test_the_python_runs() -> None:
    assert len(PYTHON) == 1
    for block in PYTHON:
        ast.parse(block, "cli.md", feature_version=(3, 10))
        names: dict[str, Any] = {"__name__": "docs"}
        exec(compile(block, "cli.md", "exec"), names)
        assert "app" in names


def test_the_acl_line_is_the_one_that_doctor_gives() -> None:
    assert acl_line(address_of("redis://localhost", "myapi")) in TEXT
    assert "+cluster|slots" in acl_line(address_of("redis+cluster://localhost", "myapi"))
    assert acl_line(address_of("redis://localhost/1", "myapi")).endswith(" +select")


def test_every_link_leads_somewhere() -> None:
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^## (.*)$", TEXT, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("http"):
            assert (ROOT / "docs" / target.partition("#")[0]).exists(), target
