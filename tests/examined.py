"""What ``hotplate doctor`` finds of a server."""

from collections.abc import Mapping

from hotplate.cli.doctor import examination
from hotplate.cli.doctor.address import address_of
from hotplate.cli.findings import Finding

WELL = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")


PATIENT = {"command_timeout": "10s", "connect_timeout": "5s"}
"""Settings with which a machine that is busy is not taken for a slow server."""


def examined(url: str, prefix: str | None = "shop", **settings: str) -> dict[str, Finding]:
    """What is found, by subject; the worst where there are several. Patient, unless ``settings`` are not."""
    found: dict[str, Finding] = {}
    for one in examination(address_of(url, prefix, **{**PATIENT, **settings})):
        if one.subject not in found or found[one.subject].level == "ok":
            found[one.subject] = one
    return found


def levels(found: Mapping[str, Finding]) -> dict[str, str]:
    """What is not well."""
    return {subject: one.level for subject, one in found.items() if one.level != "ok"}
