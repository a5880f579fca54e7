"""``hotplate completion``: a script for bash, zsh or fish, made from the parser: it knows what that knows.

    source <(hotplate completion bash)                                    # in ~/.bashrc
    hotplate completion zsh > "${fpath[1]}/_hotplate"                     # then: compinit
    hotplate completion fish > ~/.config/fish/completions/hotplate.fish

The scripts are whole: completing starts no program and asks no cache.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hotplate.cli import arguments as command_line
from hotplate.cli.display import Display
from hotplate.cli.ends import DONE

__all__ = ["completion", "script"]

FILES = ("FILE",)
"""Metavariables that stand for a file."""


@dataclass(frozen=True, slots=True)
class _Option:
    flags: tuple[str, ...]
    text: str
    value: str | None
    """What stands for its value; ``None``: it has none."""
    choices: tuple[str, ...]

    @property
    def wants_file(self) -> bool:
        return self.value in FILES


def completion(arguments: argparse.Namespace, display: Display) -> int:
    """Writes the script for a shell."""
    text = script(arguments.shell)
    if arguments.json:
        display.json({"shell": arguments.shell, "script": text})
    else:
        display.raw(text)
    return DONE


def script(shell: str) -> str:
    """The script for a shell."""
    parser = command_line.make_parser()
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](parser, dict(_commands(parser)))


Parsers = Mapping[str, argparse.ArgumentParser]


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 - argparse tells in no other way what a parser takes


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in _actions(parser):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.items()


def _options(parser: argparse.ArgumentParser) -> list[_Option]:
    return [
        _Option(
            tuple(action.option_strings),
            (action.help or "").replace("%%", "%"),
            None if action.nargs == 0 else str(action.metavar or action.dest).upper(),
            tuple(map(str, action.choices or ())),
        )
        for action in _actions(parser)
        if action.option_strings
    ]


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """What may stand without a dash, where that is known."""
    positional = (action for action in _actions(parser) if not action.option_strings)
    return [str(choice) for action in positional for choice in action.choices or ()]


# --- bash ------------------------------------------------------------------------------------------------------------


def _bash(parser: argparse.ArgumentParser, commands: Parsers) -> str:
    cases = "\n".join(f"        {name}) {_bash_of(one)} ;;" for name, one in commands.items())
    names = " ".join(commands)
    return f"""\
# bash completion for hotplate: source <(hotplate completion bash)
_hotplate() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command= words= values= files= word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case " {names} " in *" $word "*) command=$word; break ;; esac
    done
    case $command in
{cases}
        *) {_bash_of(parser)} words="{names} $words" ;;
    esac
    COMPREPLY=()
    case " $values " in *" $previous "*) return ;; esac
    case " $files " in *" $previous "*) COMPREPLY=($(compgen -f -- "$current")); return ;; esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _hotplate hotplate
"""


def _bash_of(parser: argparse.ArgumentParser) -> str:
    options = _options(parser)
    words = [flag for option in options for flag in option.flags] + ([] if _has_commands(parser) else _words(parser))
    free = [flag for one in options if one.value and not one.choices and not one.wants_file for flag in one.flags]
    files = [flag for one in options if one.wants_file for flag in one.flags]
    lines = [f'words="{" ".join(words)}"; values="{" ".join(free)}"; files="{" ".join(files)}";']
    lines += [
        f'[ "$previous" = {flag} ] && words="{" ".join(one.choices)}";'
        for one in options
        if one.choices
        for flag in one.flags
    ]
    return " ".join(lines)


def _has_commands(parser: argparse.ArgumentParser) -> bool:
    return any(True for _ in _commands(parser))


# --- zsh -------------------------------------------------------------------------------------------------------------


def _zsh(parser: argparse.ArgumentParser, commands: Parsers) -> str:
    texts = " ".join(_quoted(f"{name}:{one.description or ''}") for name, one in commands.items())
    cases = "\n".join(
        f"                {name}) _arguments {' '.join(_zsh_of(one))} ;;" for name, one in commands.items()
    )
    return f"""\
#compdef hotplate
# zsh completion for hotplate: hotplate completion zsh > "${{fpath[1]}}/_hotplate"
_hotplate() {{
    local state line
    local -a commands
    commands=({texts})
    _arguments -C {" ".join(_zsh_of(parser))} '1: :->command' '*:: :->rest'
    case $state in
        command) _describe command commands ;;
        rest)
            case $words[1] in
{cases}
            esac ;;
    esac
}}
if [ "$funcstack[1]" = _hotplate ]; then _hotplate "$@"; else compdef _hotplate hotplate; fi
"""


def _zsh_of(parser: argparse.ArgumentParser) -> list[str]:
    specs = []
    for option in _options(parser):
        text = option.text.replace("[", "(").replace("]", ")").replace(":", " -")
        value = ""
        if option.value:
            action = f"({' '.join(option.choices)})" if option.choices else "_files" if option.wants_file else ""
            value = f":{option.value.replace(':', ' ').strip()}:{action}"
        specs += [_quoted(f"*{flag}[{text}]{value}") for flag in option.flags]
    if not _has_commands(parser):
        words = _words(parser)
        specs.append(_quoted(f"*: :({' '.join(words)})" if words else "*: :"))
    return specs


# --- fish ------------------------------------------------------------------------------------------------------------


def _fish(parser: argparse.ArgumentParser, commands: Parsers) -> str:
    lines = [
        "# fish completion for hotplate: hotplate completion fish > ~/.config/fish/completions/hotplate.fish",
        "complete -c hotplate -f",
    ]
    none = f"not __fish_seen_subcommand_from {' '.join(commands)}"
    lines += [_fish_option(none, option) for option in _options(parser)]
    for name, one in commands.items():
        lines.append(f"complete -c hotplate -n {_quoted(none)} -a {name} -d {_quoted(one.description or '')}")
        here = f"__fish_seen_subcommand_from {name}"
        lines += [_fish_option(here, option) for option in _options(one)]
        lines += [f"complete -c hotplate -n {_quoted(here)} -a {_quoted(word)}" for word in _words(one)]
    return "\n".join(lines) + "\n"


def _fish_option(condition: str, option: _Option) -> str:
    parts = [f"complete -c hotplate -n {_quoted(condition)}"]
    parts += [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
    if option.choices:
        parts.append(f"-x -a {_quoted(' '.join(option.choices))}")
    elif option.value:
        parts.append("-r -F" if option.wants_file else "-x")
    parts.append(f"-d {_quoted(option.text)}")
    return " ".join(parts)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
