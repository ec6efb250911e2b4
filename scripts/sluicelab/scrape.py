"""The dispatcher's metrics (Prometheus text) as numbers, and the short table of them that the demo ends with."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+\d+)?$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    """One line of a scrape."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass
class Metrics:
    """A scrape. Names are given without the prefix `sluice_`."""

    samples: list[Sample] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> Metrics:
        found: list[Sample] = []
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            match = SAMPLE.match(line)
            if match is None:
                raise ValueError(f"not a metrics line: {line!r}")
            labels = {key: value for key, value in LABEL.findall(match["labels"] or "")}
            found.append(Sample(match["name"], labels, float(match["value"])))
        return cls(found)

    def select(self, name: str, **labels: str) -> Iterator[Sample]:
        for sample in self.samples:
            if sample.name == f"sluice_{name}" and all(sample.labels.get(key) == value for key, value in labels.items()):
                yield sample

    def has(self, name: str) -> bool:
        return any(True for _ in self.select(name))

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of that name with those labels; 0 when there are none."""
        return sum(sample.value for sample in self.select(name, **labels))

    def highest(self, name: str, **labels: str) -> float:
        return max((sample.value for sample in self.select(name, **labels)), default=0.0)

    def by(self, name: str, *keys: str) -> dict[tuple[str, ...], float]:
        """Sums grouped by the values of those labels."""
        groups: dict[tuple[str, ...], float] = {}
        for sample in self.select(name):
            group = tuple(sample.labels.get(key, "") for key in keys)
            groups[group] = groups.get(group, 0.0) + sample.value
        return groups


def rows(metrics: Metrics) -> list[tuple[str, str]]:
    """The rows of the demo's table."""
    table: list[tuple[str, str]] = []

    def add(name: str, value: float) -> None:
        table.append((name, f"{value:,.0f}"))

    for (service, status), count in sorted(metrics.by("requests_total", "service", "status").items()):
        add(f"requests, service {service}, status {status}", count)
    add("requests in all", metrics.total("requests_total"))
    add("front-end connections now", metrics.total("front_connections"))
    add("tunnels now", metrics.total("tunnels"))
    add("back-end connections opened", metrics.total("server_connects_total"))
    add("request queue, high mark", metrics.highest("queue_high"))
    for (reason,), count in sorted(metrics.by("refused_total", "reason").items()):
        if count:
            add(f"refused: {reason}", count)
    drops = {key: count for key, count in metrics.by("dropped_frames_total", "side", "reason").items() if count}
    for (side, reason), count in sorted(drops.items()):
        add(f"frames dropped, {side} side: {reason}", count)
    if not drops:
        add("frames dropped", 0)
    add("frames lost before capture", metrics.total("capture_drops_total"))
    return table


def main() -> int:
    """Reads a scrape from standard input. Without arguments prints the table, with NAME... the total of each metric, a line each."""
    metrics = Metrics.parse(sys.stdin.read())
    if len(sys.argv) > 1:
        for name in sys.argv[1:]:
            print(f"{metrics.total(name):.0f}")
        return 0
    table = rows(metrics)
    width = max(len(name) for name, _ in table)
    for name, value in table:
        print(f"  {name:<{width}}  {value:>12}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
