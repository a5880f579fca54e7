"""The tools around the public suite: the comparison with what is expected, and the client that reads broken framing."""

import asyncio
from pathlib import Path

import pytest

from conformance import outcomes, report
from conformance.outcomes import Outcome, Reason
from conformance.wire import Answer, DroppedError, request


def came(name: str, outcome: str, kind: str = "required") -> Outcome:
    return Outcome(id=name, name=name, section="Parsing", kind=kind, outcome=outcome, detail="")


@pytest.mark.parametrize(
    ("found", "known", "sentence"),
    [
        (came("a", "fail"), [], "a (required): fail; expected to pass"),
        (came("a", "pass"), [Reason("so", {"a": "fail"})], "a (required): pass; expected fail"),
        (came("a", "fail"), [Reason("", {"a": "fail"})], "a (required): fail; expected.toml does not say why"),
        (came("a", "dependency failed"), [], "a (required): dependency failed; expected to pass"),
        (came("a", "no", "check"), [Reason("so", {"a": "yes"})], "a (check): no; expected yes"),
    ],
)
def test_an_outcome_that_is_not_the_expected_one_is_a_difference(
    found: Outcome, known: list[Reason], sentence: str
) -> None:
    assert outcomes.differences([found], known) == [sentence]


def test_a_name_the_suite_does_not_know_is_a_difference() -> None:
    assert outcomes.differences([], [Reason("so", {"gone": "fail"})]) == [
        "gone: named in expected.toml, but the suite has no such test"
    ]


def test_what_is_expected_with_a_reason_is_no_difference() -> None:
    found = [came("a", "fail"), came("b", "pass"), came("c", "yes", "check")]
    assert outcomes.differences(found, [Reason("so", {"a": "fail"})]) == []


def test_an_update_keeps_reasons_and_leaves_new_ones_empty(tmp_path: Path) -> None:
    known = [Reason('"quoted" § and \\', {"a=1": "fail", "b": "missed"}), Reason("passes now", {"c": "fail"})]
    found = [came("a=1", "setup failed"), came("b", "missed", "optimal"), came("c", "pass"), came("d", "fail")]
    revised = outcomes.revised(known, found)
    assert revised == [Reason(known[0].why, {"a=1": "setup failed", "b": "missed"}), Reason("", {"d": "fail"})]
    path = tmp_path / "expected.toml"
    path.write_text(outcomes.render(revised), encoding="utf-8")
    assert outcomes.read_expected(path) == revised


def test_the_tables_replace_those_of_the_page() -> None:
    found = [came("a", "fail"), came("b", "pass"), came("c", "dependency failed", "optimal")]
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    renewed = report.insert(page, report.markdown(found, [Reason("a | b", {"a": "fail", "c": "dependency failed"})]))
    assert renewed.startswith("before\n")
    assert renewed.endswith("\nafter\n")
    assert "old" not in renewed
    assert "| Parsing | 1 of 2 | 0 of 1 |  | 1 |" in renewed
    assert "| fail: `a` | a \\| b |" in renewed


ANSWERS = {
    "fields in their order, repeated ones apart": (
        b"HTTP/1.1 200 OK\r\nB: 1\r\nA:2\r\nB: \r\nContent-Length: 2\r\n\r\nhi",
        Answer(200, [(b"B", b"1"), (b"A", b"2"), (b"B", b""), (b"Content-Length", b"2")], b"hi"),
    ),
    "a status out of range": (
        b"HTTP/1.1 999 304 Not Generated\r\nContent-Length: 0\r\n\r\n",
        Answer(999, [(b"Content-Length", b"0")], b""),
    ),
    "an interim response before the final one": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        Answer(204, [], b""),
    ),
    "a body longer than its Content-Length": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi there",
        Answer(200, [(b"Content-Length", b"2")], b"hi"),
    ),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n",
        Answer(200, [(b"Transfer-Encoding", b"chunked")], b"hi!"),
    ),
    "an unknown transfer coding": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: odd\r\n\r\nhi",
        Answer(200, [(b"Transfer-Encoding", b"odd")], b"hi"),
    ),
}


async def asked(answer: bytes) -> Answer:
    """What the client makes of an origin that sends these bytes and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as origin:
        return await request(origin.sockets[0].getsockname(), b"GET", b"/", [(b"host", b"origin")], b"")


@pytest.mark.asyncio
@pytest.mark.parametrize("case", ANSWERS)
async def test_an_answer_is_read_as_it_was_sent(case: str) -> None:
    sent, read = ANSWERS[case]
    assert await asked(sent) == read


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", b"no HTTP\r\n\r\n"]
)
async def test_an_answer_that_is_cut_short_is_none(sent: bytes) -> None:
    with pytest.raises(DroppedError):
        await asked(sent)
