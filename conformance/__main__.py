"""Runs the public suite http-tests/cache-tests against the middleware and compares with `expected.toml`.

Exits 0 if every outcome is the expected one, 1 if one is not (better or worse), 2 if the suite could not be run.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conformance import outcomes, report
from conformance.processes import HERE, UnavailableError, forward_command, install, node, origin_command, serving

ROOT = HERE.parent
EXPECTED = HERE / "expected.toml"
PAGE = ROOT / "docs" / "conformance.md"
RESULTS = HERE / "results" / "latest.json"
RUN_SECONDS = 300


def run_suite(test_id: str | None) -> str:
    """Runs the suite, or one test of it with everything that is said shown; gives the results as JSON."""
    with (
        tempfile.TemporaryDirectory(prefix="hotplate-conformance-") as scratch,
        serving(origin_command(), HERE) as (origin, origin_log),
        serving(forward_command(origin), ROOT) as (proxy, proxy_log),
    ):
        out = Path(scratch, "results.json")
        command = [node(), "--no-warnings", str(HERE / "suite" / "client.mjs"), str(out), f"http://{proxy}"]
        done = subprocess.run([*command, *([test_id] if test_id else [])], cwd=HERE, check=False, timeout=RUN_SECONDS)
        if test_id:
            print(f"The origin:\n{origin_log.read_text(errors='replace')}")
            print(f"The application:\n{proxy_log.read_text(errors='replace')}")
        if done.returncode:
            raise UnavailableError(
                f"the suite's client failed (exit {done.returncode})\n{proxy_log.read_text(errors='replace')}"
            )
        return out.read_text(encoding="utf-8")


def main() -> int:
    """Install, run, print, compare."""
    arguments = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    arguments.add_argument("--update", action="store_true", help="write expected.toml and docs/conformance.md anew")
    arguments.add_argument("--show", metavar="TEST", help="run one test and show its messages; compares nothing")
    chosen = arguments.parse_args()
    began = time.monotonic()
    try:
        install()
        results = run_suite(chosen.show)
    except (UnavailableError, subprocess.TimeoutExpired) as reason:
        print(f"conformance: {reason}", file=sys.stderr)
        return 2
    found = outcomes.parse(results)
    if chosen.show:
        print("\n".join(f"{test.name}\n{test.id} ({test.kind}): {test.outcome} {test.detail}" for test in found))
        return 0
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(results, encoding="utf-8")
    print(f"{report.text(found)}\n\n{len(found)} tests in {time.monotonic() - began:.0f} s")
    return settle(found, update=chosen.update)


def settle(found: list[outcomes.Outcome], *, update: bool) -> int:
    """Compares with what is kept in the repository, or renews that."""
    expected = outcomes.read_expected(EXPECTED)
    if update:
        expected = outcomes.revised(expected, found)
        EXPECTED.write_text(outcomes.render(expected), encoding="utf-8")
    wrong = outcomes.differences(found, expected)
    page = PAGE.read_text(encoding="utf-8")
    renewed = report.insert(page, report.markdown(found, expected))
    if update:
        PAGE.write_text(renewed, encoding="utf-8")
    elif not wrong and renewed != page:
        wrong = [f"{PAGE.relative_to(ROOT)} is not what came out: python -m conformance --update"]
    if wrong:
        print("\n".join(("", "Not as expected:", *(f"  {line}" for line in wrong))), file=sys.stderr)
        return 1
    print("Every outcome is as expected.toml says.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
