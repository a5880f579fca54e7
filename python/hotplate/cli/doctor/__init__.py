"""``hotplate doctor``: whether a Redis or Valkey serves a cache well, and what to change where it does not.

``address`` takes the URL apart, ``reaching`` connects, ``server`` asks each server about itself, ``rights`` tries what
the cache's user may do, ``names`` looks at what the cache has there.
"""

import argparse
import os
from collections.abc import Generator

from hotplate.cli.display import Display
from hotplate.cli.doctor.address import Address, address_of
from hotplate.cli.doctor.names import about_names
from hotplate.cli.doctor.reaching import Reached, Unreached, reach
from hotplate.cli.doctor.resp import Garbled, Refused
from hotplate.cli.doctor.rights import about_rights
from hotplate.cli.doctor.server import about_servers
from hotplate.cli.findings import Finding, as_json, show, status_of

__all__ = ["doctor", "examination"]


def doctor(arguments: argparse.Namespace, display: Display) -> int:
    """Examines the server; status 1 where something fails, with ``--strict`` also where there is a warning."""
    address = address_of(arguments.redis_url, arguments.cache_prefix or os.environ.get("HOTPLATE_PREFIX"))
    if arguments.json:
        findings = list(examination(address))
        display.json(as_json(findings))
    else:
        findings = show(examination(address), display)
    return status_of(findings, strict=arguments.strict)


def examination(address: Address) -> Generator[Finding, None, None]:
    """Everything that can be found out, as it is found out. What cannot be asked any more is left out."""
    servers: list[Reached] = []
    try:
        yield from reach(address, servers)
        for about in (about_servers, about_rights, about_names):
            yield from about(address, servers)
    except Unreached as end:
        yield end.finding
    except (OSError, Garbled) as error:
        words = f"{address} does not answer as Redis does" if isinstance(error, Garbled) else f"{address}: {error}"
        yield Finding("fail", "connection", f"lost: {words}", "look at the server's log")
    except Refused as refused:
        yield Finding("fail", "connection", f"{address} refuses: {refused}")
    finally:
        for server in servers:
            server.connection.close()
