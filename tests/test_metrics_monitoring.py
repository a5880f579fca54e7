"""The dashboard, the alert rules and the page on monitoring speak of metrics that there are, with labels they have.

And the page's programs run.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hotplate.metrics import CONTENT_TYPE
from hotplate.metrics.catalogue import METRICS, Metric, Timing
from tests.driver import call
from tests.redis_servers import RedisServer
from tests.samples import Samples

DOCS = Path(__file__).parents[1] / "docs"
DASHBOARD = DOCS / "monitoring" / "grafana.json"
ALERTS = DOCS / "monitoring" / "alerts.yml"
PAGE = DOCS / "monitoring.md"

NAME = re.compile(r"\bhotplate_\w+")
SELECTED = re.compile(r"\b(hotplate_\w+)\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:by|without|on) ?\(([^)]*)\)")

OF_THE_SCRAPE = {"job", "instance"}
"""Labels that Prometheus gives."""


def labels_of_samples() -> dict[str, set[str]]:
    """By the names of all samples, their labels."""
    known: dict[str, set[str]] = {}
    for metric in METRICS:
        if isinstance(metric, Timing):
            for ending in ("sum", "count"):
                known[f"{metric.name}_{ending}"] = {"process"}
            known[f"{metric.name}_bucket"] = {"process", "le"}
        else:
            known[metric.samples] = {"process", *metric.labels}
    return known


KNOWN = labels_of_samples()


def texts(value: Any, key: str) -> Iterator[str]:
    """Every text under a key, however deep."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name == key and isinstance(part, str):
                yield part
            else:
                yield from texts(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part, key)


def dashboard_expressions() -> list[str]:
    return list(texts(json.loads(DASHBOARD.read_text()), "expr"))


def alert_expressions() -> list[str]:
    found = re.findall(r"^ +expr: (?:>-\n)?(.*?)\n +(?:for|labels):", ALERTS.read_text(), re.DOTALL | re.MULTILINE)
    assert len(found) == ALERTS.read_text().count("- alert:")
    return found


EXPRESSIONS = dashboard_expressions() + alert_expressions()


def test_there_are_expressions() -> None:
    assert len(dashboard_expressions()) > 30
    assert len(alert_expressions()) >= 10


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_uses_metrics_that_there_are(expression: str) -> None:
    names = NAME.findall(expression)
    assert names
    assert [name for name in names if name not in KNOWN] == []


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_uses_labels_that_its_metrics_have(expression: str) -> None:
    has = set.union(OF_THE_SCRAPE, *(KNOWN[name] for name in NAME.findall(expression)))
    for name, matchers in SELECTED.findall(expression):
        used = set(re.findall(r"(\w+) ?(?:=|!=|=~|!~)\"", matchers))
        assert used
        assert used <= KNOWN[name] | OF_THE_SCRAPE
    for group in GROUPED.findall(expression):
        assert {label.strip() for label in group.split(",")} <= has


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_counter_is_asked_for_its_rate(expression: str) -> None:
    for match in NAME.finditer(expression):
        if match.group().endswith(("_total", "_bucket", "_count", "_sum")):
            assert re.search(r"(rate|increase)\($", expression[: match.start()]), match.group()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_dashboard_shows_every_metric_of_requests_and_tiers(metric: Metric | Timing) -> None:
    told_otherwise = {"hotplate_hits", "hotplate_misses"}  # by outcome
    shown = set(NAME.findall(" ".join(dashboard_expressions())))
    name = f"{metric.name}_bucket" if isinstance(metric, Timing) else metric.samples
    assert name in shown or metric.name in told_otherwise


def test_the_dashboard_has_panels_that_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_page_tells_every_metric_and_no_other() -> None:
    told = set(re.findall(r"^\| `(hotplate_\w+)`", PAGE.read_text(), re.MULTILINE))
    assert told == {metric.name if isinstance(metric, Timing) else metric.samples for metric in METRICS}


def test_the_page_tells_every_instrument_and_no_other() -> None:
    told = set(re.findall(r"`(hotplate\.cache\.[a-z_.]+)`", PAGE.read_text()))
    instruments = {metric.instrument for metric in METRICS if isinstance(metric, Metric) and metric.instrument}
    durations = {f"hotplate.cache.duration.{part}" for part in ("sum", "count", "bucket")}
    attributes = {f"hotplate.cache.{name}" for name in ("name", "outcome", "rule", "reason", "kind", "collapsed")}
    assert told == instruments | durations | attributes | {"hotplate.cache.duration.of"}


def test_the_page_tells_every_alert() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    assert [alert for alert in alerts if f"`{alert}`" not in PAGE.read_text()] == []


async def _get(app: Any, target: str) -> tuple[str, str]:
    response = await call("GET", target).run(app)
    return response["content-type"], response.body.decode()


@pytest.mark.asyncio
async def test_the_programs_of_the_page_run(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []
    monkeypatch.setattr(prometheus_client, "start_http_server", ports.append)
    registry = CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block.replace("redis://localhost:6379/0", redis.url), str(PAGE), "exec"), names)
    await _get(names["app"], "/metrics")
    kind, said = await _get(names["app"], "/metrics")  # tells of the first: itself is counted when it is answered
    assert kind == CONTENT_TYPE
    assert Samples.read(said).sum("hotplate_bypass_total", reason="excluded") == 1
    assert Samples.read(generate_latest(registry).decode()).sum("hotplate_processes") == 1
    assert ports == [9000]
    assert names["cache"].observing.observer is not None
