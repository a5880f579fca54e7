"""Samples of metrics, as Prometheus' own parser reads them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Place = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Samples:
    """The values by name and labels. Two of one name and the same labels are none."""

    values: dict[Place, float]

    @classmethod
    def of(cls, families: Iterable[Any]) -> "Samples":
        values: dict[Place, float] = {}
        for family in families:
            for sample in family.samples:
                place = (sample.name, frozenset(sample.labels.items()))
                assert place not in values, f"{place} is there twice"
                values[place] = sample.value
        return cls(values)

    @classmethod
    def read(cls, text: str) -> "Samples":
        return cls.of(text_string_to_metric_families(text))

    def value(self, name: str, **labels: str) -> float:
        """The one with exactly these labels."""
        return self.values[name, frozenset(labels.items())]

    def sum(self, name: str, **labels: str) -> float:
        """Of all that have these labels."""
        wanted = set(labels.items())
        return sum(number for (sample, has), number in self.values.items() if sample == name and wanted <= has)

    def labels(self, name: str, label: str) -> set[str]:
        """The values of a label."""
        return {dict(has)[label] for sample, has in self.values if sample == name}
