"""Parts of a stored response, and partial responses that must never pass for whole ones."""

import pytest
import pytest_asyncio

from tests.driver import Header, Reply, Site

pytestmark = pytest.mark.asyncio

DIGITS = b"0123456789"
MODIFIED = "Mon, 13 Nov 2023 10:00:00 GMT"
LATER = "Mon, 13 Nov 2023 10:00:01 GMT"


@pytest_asyncio.fixture
async def stored() -> Site:
    """Ten digits, stored."""
    site = Site(Reply(DIGITS, headers=[("etag", '"v1"'), ("last-modified", MODIFIED), ("content-length", "10")]))
    await site.get("/")
    return site


@pytest.mark.parametrize(
    ("asked", "body", "content_range"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-5", b"2345", "bytes 2-5/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=0-99", DIGITS, "bytes 0-9/10"),
        ("bytes=-99", DIGITS, "bytes 0-9/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
        ("bytes=9-99999999999999999999999", b"9", "bytes 9-9/10"),
        ("BYTES=2-5", b"2345", "bytes 2-5/10"),
    ],
)
async def test_a_range_is_cut_from_the_stored_body(stored: Site, asked: str, body: bytes, content_range: str) -> None:
    response = await stored.get("/", headers=[("range", asked)])
    assert (response.status, response.body, response["content-range"]) == (206, body, content_range)


async def test_a_part_tells_its_own_length_once(stored: Site) -> None:
    assert (await stored.get("/", headers=[("range", "bytes=2-5")])).lines("content-length") == ["4"]


async def test_several_ranges_are_parts_of_one_answer(stored: Site) -> None:
    response = await stored.hit("/", headers=[("range", "bytes=0-1,7-8")])
    boundary = response["content-type"].removeprefix("multipart/byteranges; boundary=").encode()
    parts = [part.partition(b"\r\n\r\n")[2] for part in response.body.split(b"--" + boundary)[1:-1]]
    assert (response.status, parts) == (206, [b"01\r\n", b"78\r\n"])


async def test_several_ranges_tell_the_length_of_all_parts_together(stored: Site) -> None:
    response = await stored.hit("/", headers=[("range", "bytes=0-1,7-8")])
    assert response.lines("content-length") == [str(len(response.body))]


TENS = ",".join(f"{place}-{place}" for place in range(10))


@pytest.mark.parametrize("asked", ["0-," * 8, "0-0," * 8, "0-9,0-9", "-10,0-", TENS, f"{TENS},{TENS}"])
async def test_ranges_never_make_an_answer_many_times_the_stored_body(asked: str) -> None:
    site = Site(DIGITS * 1_000)
    await site.get("/")
    assert len((await site.hit("/", headers=[("range", f"bytes={asked}")])).body) <= 11_000


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"])
async def test_a_range_beyond_the_end_is_416(stored: Site, asked: str) -> None:
    response = await stored.get("/", headers=[("range", asked)])
    assert (response.status, response["content-range"]) == (416, "bytes */10")


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=", "bytes=a-b", "bytes=-", "bytes", "bytes=1-2-3", "bytes=+1-2", "bytes=1.5-2",
              "=0-1", ""],
)  # fmt: skip
async def test_a_range_that_cannot_be_meant_gets_the_whole(stored: Site, asked: str) -> None:
    response = await stored.hit("/", headers=[("range", asked)])
    assert (response.status, response.body) == (200, DIGITS)


@pytest.mark.parametrize(
    ("if_range", "status"),
    [('"v1"', 206), ('"v2"', 200), ('W/"v1"', 200), (MODIFIED, 206), (LATER, 200), ("x", 200)],
)
async def test_if_range_decides_between_part_and_whole(stored: Site, if_range: str, status: int) -> None:
    headers: list[Header] = [("range", "bytes=0-1"), ("if-range", if_range)]
    assert (await stored.hit("/", headers=headers)).status == status


async def test_if_none_match_comes_before_the_range(stored: Site) -> None:
    headers: list[Header] = [("range", "bytes=0-1"), ("if-none-match", '"v1"')]
    assert (await stored.get("/", headers=headers)).status == 304


async def test_a_range_on_head_means_nothing(stored: Site) -> None:
    assert (await stored.head("/", headers=[("range", "bytes=0-1")])).status == 200


async def test_a_range_from_the_cache_does_not_run_the_handler(stored: Site) -> None:
    await stored.get("/", headers=[("range", "bytes=0-1")])
    assert stored.runs == 1


async def test_a_range_of_what_is_not_stored_reaches_the_application() -> None:
    site = Site(DIGITS)
    await site.get("/", headers=[("range", "bytes=0-1")])
    assert site.origin.seen("range") == ["bytes=0-1"]


PART = Reply(b"01", 206, [("content-range", "bytes 0-1/10"), ("etag", '"v1"')])


@pytest.mark.parametrize("control", [[], [("cache-control", "max-age=60")], [("cache-control", "public, s-maxage=60")]])
async def test_a_partial_response_is_never_served_to_a_full_get(control: list[Header]) -> None:
    site = Site(Reply(PART.body, PART.status, [*PART.headers, *control]))
    await site.get("/", headers=[("range", "bytes=0-1")])
    site.origin.answer = DIGITS
    assert (await site.get("/")).body == DIGITS


async def test_a_206_nobody_asked_for_is_not_stored() -> None:
    site = Site(Reply(PART.body, PART.status, [*PART.headers, ("cache-control", "max-age=60")]))
    await site.get("/")
    await site.get("/")
    assert site.runs == 2


async def test_a_416_is_not_stored() -> None:
    site = Site(Reply(b"", 416, [("content-range", "bytes */10"), ("cache-control", "max-age=60")]))
    await site.get("/", headers=[("range", "bytes=99-")])
    site.origin.answer = DIGITS
    assert (await site.get("/")).body == DIGITS


async def test_a_whole_answer_to_a_range_request_reaches_its_client() -> None:
    site = Site(DIGITS)
    assert (await site.get("/", headers=[("range", "bytes=0-1")])).body == DIGITS


async def test_a_stored_404_is_not_cut() -> None:
    site = Site(Reply(DIGITS, 404))
    await site.get("/")
    assert (await site.hit("/", headers=[("range", "bytes=0-1")])).status == 404


async def test_a_range_in_another_unit_is_the_applications(stored: Site) -> None:
    response = await stored.get("/", headers=[("range", "items=0-1")])
    assert (response["cache-status"], stored.runs) == ("hotplate; fwd=request; detail=range", 2)
