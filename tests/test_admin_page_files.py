"""The files of the admin page, as they are served: to everybody, with their headers, and without any data."""

import pytest

from hotplate import Cache
from hotplate.admin.page import HEADERS, files
from tests.admin_site import DRESSES, MOUNT, Administered, administered

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=sorted(DRESSES))
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Administered:
    """A page of our own, so that what is served does not depend on what the page is made of."""
    kept = {"index.html": (b"<!doctype html>", "text/html; charset=utf-8"), "page.js": (b"1", "text/javascript")}
    monkeypatch.setattr("hotplate.admin.serving.files", kept)
    monkeypatch.setattr("hotplate.admin.serving.PAGE_HEADERS", {"content-security-policy": "default-src 'none'"})
    made = administered(request.param, Cache())
    made.token = None
    return made


@pytest.mark.parametrize(
    ("path", "body", "media_type"),
    [("/", b"<!doctype html>", "text/html; charset=utf-8"), ("/page.js", b"1", "text/javascript")],
)
async def test_a_file_is_served_to_everybody_with_its_headers(
    site: Administered, path: str, body: bytes, media_type: str
) -> None:
    for _ in range(2):
        response = await site.ask("GET", path)
        assert (response.status, response.body, response["content-type"]) == (200, body, media_type)
        assert response.lines("content-security-policy") == ["default-src 'none'"]
        assert response.lines("cache-control") == ["no-store"]
        assert not response.hit


async def test_the_mount_without_a_slash_leads_to_the_page(site: Administered) -> None:
    response = await site.request("GET", MOUNT)
    assert (response.status, response["location"]) == (307, f"http://example.test{MOUNT}/")


@pytest.mark.parametrize("path", ["/index.html", "/page.css", "/../operations.py", "/page/__init__.py", "/%2e%2e/x"])
async def test_nothing_else_is_a_file(site: Administered, path: str) -> None:
    assert (await site.ask("GET", path)).status == 404


@pytest.mark.parametrize("dress", sorted(DRESSES))
@pytest.mark.parametrize("name", sorted(files))
async def test_each_file_of_the_page_is_served(dress: str, name: str) -> None:
    made = administered(dress, Cache())
    made.token = None
    response = await made.ask("GET", "/" if name == "index.html" else f"/{name}")
    assert (response.body, response["content-type"]) == files[name]
    assert all(response.lines(header) == [value] for header, value in HEADERS.items())
