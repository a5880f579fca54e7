"""Environments of the contenders: each has the packages that its `requirements/bench/NAME.txt` pins, and no others.

They are made when they are asked for, from the interpreter that runs the benchmark, beside its own packages.
"""

import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements" / "bench"


def environment(name: str) -> str:
    """The path of the interpreter whose packages are those of `requirements/bench/NAME.txt`.

    Installs them if that was not done yet, or if the file says something else than when it was. Raises `SystemExit`
    with pip's words if they cannot be had.
    """
    folder = Path(sys.prefix) / "peers" / name
    python, stamp = folder / "bin" / "python", folder / ".packages"
    file = REQUIREMENTS / f"{name}.txt"
    wanted = f"# Python {sys.version}\n{file.read_text('utf-8')}"
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        print(f"installing requirements/bench/{name}.txt", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _done(sys.executable, "-m", "venv", str(folder))
        _done(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", str(file))
        stamp.write_text(wanted, "utf-8")
    return str(python)


def pinned(name: str) -> dict[str, str]:
    """The versions in `requirements/bench/NAME.txt` by package."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text("utf-8").splitlines()
    pins = (line.split(";")[0].strip().partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {package: version for package, _, version in pins}


def _done(*command: str) -> None:
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{ran.stdout}{ran.stderr}")
