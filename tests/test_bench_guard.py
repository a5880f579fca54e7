"""What `make bench-guard` makes of the numbers it has counted."""

import json
from pathlib import Path

from bench import instructions

KNOWN = {"hit": 1_000, "key": 100}


def test_what_grows_by_more_than_five_per_cent_is_a_fault_that_says_how_much_and_what_to_do() -> None:
    faults, remarks = instructions.compare(KNOWN, {"hit": 1_051, "key": 105})
    assert len(faults) == 1
    assert remarks == []
    for part in ("hit: 1,000 instructions", "now 1,051", "+5.1%", "make bench-guard UPDATE=1", "commit"):
        assert part in faults[0]


def test_what_shrinks_by_more_than_five_per_cent_is_worth_saying() -> None:
    faults, remarks = instructions.compare(KNOWN, {"hit": 949, "key": 95})
    assert faults == []
    assert [remark.partition(":")[0] for remark in remarks] == ["hit"]


def test_an_operation_that_came_or_went_is_a_fault() -> None:
    faults, _ = instructions.compare(KNOWN, {"hit": 1_000, "codec": 5})
    assert [fault.split()[0] for fault in faults] == ["codec", "key"]


def test_another_compiler_is_named() -> None:
    found = instructions.differences({"rustc": "1.95", "machine": "a"}, {"rustc": "1.96", "machine": "a"})
    assert found == ["rustc: 1.96 here, 1.95 in the file"]


def test_the_file_is_sorted_and_has_a_line_for_each_number(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    instructions.write(path, {"rustc": "1"}, {"key": 2, "hit": 1})
    assert instructions.read(path) == ({"rustc": "1"}, {"hit": 1, "key": 2})
    numbers = [line.strip() for line in path.read_text().splitlines() if line.strip()[:4] in ('"hit', '"key')]
    assert numbers == ['"hit": 1,', '"key": 2']


def test_the_file_of_the_repository_is_as_it_would_be_written(tmp_path: Path) -> None:
    facts, counts = instructions.read(instructions.FILE)
    instructions.write(tmp_path / "again.json", facts, counts)
    assert json.loads(instructions.FILE.read_text()) == json.loads((tmp_path / "again.json").read_text())
    assert instructions.FILE.read_text() == (tmp_path / "again.json").read_text()
