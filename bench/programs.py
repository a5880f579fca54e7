"""The Rust programs that benches run, built when they are asked for."""

import json
import os
import subprocess
from pathlib import Path

ENGINE = ("--package", "hotplate-bench", "--bin")
"""Before the name of a program of bench/engine."""


def built(*target: str) -> str:
    """The path of the one program that `cargo … --release TARGET…` makes: `built(*ENGINE, "growth")`.

    Raises `SystemExit` with cargo's words when it cannot be built.
    """
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "build", "--locked", "--quiet", "--release", *target, "--message-format", "json"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{ran.stderr}")
    messages = [json.loads(line) for line in ran.stdout.splitlines()]
    programs = [message["executable"] for message in messages if message.get("executable")]
    return str(programs[-1])
