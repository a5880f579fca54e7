"""Instructions an operation of the engine takes, against those in `bench/instructions.json`: `make bench-guard`.

Callgrind counts what happens in the turns of one operation and nothing of what makes it ready, so the load of the
machine does not matter; `bench/engine/src/operation.rs` says what each operation is. Fails when one takes more than 5 %
more than the file says: then either the change is mended, or the file is written anew (`make bench-guard UPDATE=1`) in
the same commit, which says why. The numbers belong to one compiler, C library, valgrind and processor: with others
nothing is compared.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).with_name("instructions.json")
MARGIN = 0.05
"""What an operation may take more than the file says. Runs of one program differ by less than 1 % (docs/design)."""

TURNS = 2_000
LONG_TURNS = 200
"""For operations on bodies of 64 KiB."""

RUNS = 3
"""The median of so many processes: each seeds its hash tables anew, and one seed in some thirty is an unlucky one."""

UPDATE = "make bench-guard UPDATE=1"
UNITS = "instructions"

Facts = dict[str, str]
Counts = dict[str, int]


def output(*command: str) -> str:
    """What a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def environment() -> Facts:
    """What numbers depend on beside the sources."""
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    known = set(flags.group(1).split()) if flags else set()
    return {
        "C compiler": output("cc", "-dumpfullversion"),
        "C library": " ".join(platform.libc_ver()),
        "machine": " ".join([platform.machine(), *sorted(known & {"avx2", "erms", "sse4_1"})]),
        "rustc": output(os.environ.get("RUSTC", "rustc"), "--version"),
        "valgrind": output("valgrind", "--version"),
    }


# --- Counting --------------------------------------------------------------------------------------------------------


def count(program: str, *arguments: str) -> int:
    """Instructions a run of the program takes in its `counted_turns`."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        command = ["valgrind", "--tool=callgrind", "--toggle-collect=*counted_turns*"]
        ran = subprocess.run(
            [*command, f"--callgrind-out-file={profile}", program, *arguments],
            check=False,
            capture_output=True,
            text=True,
        )
        if ran.returncode != 0:
            raise SystemExit(f"{program} {' '.join(arguments)} failed under valgrind:\n{ran.stderr}")
        total = re.search(r"^(?:summary|totals): (\d+)", profile.read_text(), re.MULTILINE)
    if total is None or int(total.group(1)) == 0:
        raise SystemExit(f"callgrind found no `counted_turns` in {program}: was it built without its symbols?")
    return int(total.group(1))


def measure(program: str) -> Counts:
    """Instructions each operation takes."""
    counts = {}
    for operation in output(program).split():
        turns = LONG_TURNS if operation.endswith("_64k") else TURNS
        runs = [count(program, operation, str(turns)) / turns for _ in range(RUNS)]
        counts[operation] = round(statistics.median(runs))
    return counts


# --- The file --------------------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[Facts, Counts]:
    """What the numbers were counted with, and the numbers."""
    written = json.loads(path.read_text("utf-8"))
    return written["environment"], written[UNITS]


def write(path: Path, facts: Facts, counts: Counts) -> None:
    """Sorted, one line for each, so that a change of one is a change of one line."""
    text = json.dumps({"environment": facts, UNITS: counts}, indent=2, sort_keys=True)
    path.write_text(text + "\n", "utf-8")


# --- The judgement ---------------------------------------------------------------------------------------------------


def differences(known: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """What is not as it was when the numbers were written, in words."""
    names = sorted({*known, *here})
    return [
        f"{name}: {here.get(name)} here, {known.get(name)} in the file"
        for name in names
        if here.get(name) != known.get(name)
    ]


def compare(known: Mapping[str, int], counted: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """What is to be mended, and what is only worth saying."""
    faults, remarks = [], []
    for name in sorted({*known, *counted}):
        if name not in known:
            faults.append(f"{name} is not in {FILE.name}: {UPDATE}")
        elif name not in counted:
            faults.append(f"{name} is in {FILE.name} and not counted any more: {UPDATE}")
        else:
            before, after = known[name], counted[name]
            change = f"{name}: {before:,} instructions in {FILE.name}, now {after:,} ({after / before - 1:+.1%})"
            if after > before * (1 + MARGIN):
                faults.append(
                    f"{change}. Find what it does more, or, if it is worth that, run `{UPDATE}` and commit "
                    f"bench/{FILE.name} with the change, saying why"
                )
            elif after < before * (1 - MARGIN):
                remarks.append(f"{change}. Run `{UPDATE}` and commit it, so that it stays so")
    return faults, remarks


def main() -> int:
    """Count, compare, and say what is found."""
    arguments = argparse.ArgumentParser(prog="make bench-guard", description=__doc__)
    arguments.add_argument("program", help="the program `instructions` of bench/engine")
    arguments.add_argument("--update", action="store_true", help="write the file instead of comparing with it")
    chosen = arguments.parse_args()
    here = environment()
    if chosen.update:
        write(FILE, here, measure(chosen.program))
        print(f"bench-guard: bench/{FILE.name} is written; commit it with the change that makes it so")
        return 0
    facts, known = read(FILE)
    if other := differences(facts, here):
        print(f"bench-guard: NOTHING IS COMPARED: the numbers in bench/{FILE.name} are another environment's.")
        print("\n".join(f"  {line}" for line in other))
        print(f"  To have them compared here: `{UPDATE}` on the commit before the change, and again on the change.")
        return 0
    counted = measure(chosen.program)
    faults, remarks = compare(known, counted)
    for name, number in counted.items():
        print(f"  {name:<30} {number:>8,} {number / known.get(name, number) - 1:>+7.1%}")
    for remark in remarks:
        print(f"bench-guard: shrunk: {remark}")
    for fault in faults:
        print(f"bench-guard: {fault}", file=sys.stderr)
    print(f"bench-guard: {len(counted)} operations, {len(faults)} to be mended")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
