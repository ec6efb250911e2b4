"""The measured points that the model rests on, read from the reports in docs/, so that it cannot say what they do not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..paths import PROJECT

DOCS = PROJECT / "docs"
WHOLE = ("performance-whole.json",)
BATCH_SECONDS = 0.002  # in which a worker's writes wait for each other (docs/store.md)
BUSY_SECONDS, BUSY_BATCHES = 0.04, 150  # the same when several workers make more batches a second than this


@dataclass(frozen=True)
class Point:
    """A rate of messages that one store with so many workers held."""

    report: str
    workers: int
    rate: float  # a second
    processors: float  # that the workers kept busy
    dispatcher_us: float | None  # for each message; None: there was no dispatcher

    @property
    def batches(self) -> float:
        return batches(self.workers, self.rate)


def batches(workers: int, rate: float) -> float:
    """Durable writes a second of one store, at most: after each there is another as soon as a message comes and the collecting is over.
    Several busy workers collect longer."""
    each = rate / workers
    quick, slow = (workers * each / (1 + each * seconds) for seconds in (BATCH_SECONDS, BUSY_SECONDS))
    return quick if workers == 1 else min(quick, max(slow, BUSY_BATCHES))


@dataclass(frozen=True)
class Registered:
    """Devices that connected and registered, and what that took and left."""

    report: str
    devices: int
    workers: int
    worker_bytes: int  # of all workers, when they were there
    tunnel_bytes: float  # of the dispatcher, for each
    worker_us: float  # for each
    dispatcher_us: float


@dataclass(frozen=True)
class Exchange:
    """What an exchange of a device takes on the wire."""

    up_packets: int
    up_bytes: int
    down_packets: int
    down_bytes: int


@dataclass(frozen=True)
class Measured:
    points: Sequence[Point]
    registered: Sequence[Registered]
    device_bytes: float  # of a worker's memory, for each idle device
    worker_bytes: float  # of a worker with a hundred
    devices_per_process: int
    tunnel_bytes: float  # of the engine's memory, for each of a million tunnels
    most_tunnels: int
    frame_ns: tuple[float, float]  # of the engine, among few tunnels and among many
    bulk_ns_per_byte: float  # of the dispatcher, mode l7/3; 0 without the report
    exchanges: dict[str, Exchange]

    def held(self, workers: int) -> float:
        """The highest rate that a store with so many workers held."""
        return max(point.rate for point in self.points if point.workers == workers)

    @property
    def worker_counts(self) -> list[int]:
        return sorted({point.workers for point in self.points})


def _report(docs: Path, name: str) -> Any:
    return json.loads((docs / name).read_text())


def _alone(report: Any) -> list[Point]:
    """One worker without a dispatcher."""
    steps = report["cases"]["messages"]["steps"]
    return [
        Point("performance-workers.json", 1, step["rate"], step["rate"] * step["worker_us_each"] / 1e6, None)
        for step in steps
        if step["held"]
    ]


def _whole(name: str, report: Any) -> list[Point]:
    workers = report["settings"]["workers"]
    return [
        Point(name, workers, step["rate"], step["rate"] * step["workers_us"] / 1e6, step["dispatcher_us"])
        for step in report["found"]["steps"]
        if step["held"]
    ]


def _registered(name: str, report: Any) -> Registered:
    found, settings = report["found"], report["settings"]
    devices = settings["devices"]
    used = {what: 1e6 * found["connecting"][what] / devices for what in ("workers", "dispatcher")}
    return Registered(
        name,
        devices,
        settings["workers"],
        found["memory_after"][0],
        found["bytes_each"]["dispatcher"],
        used["workers"],
        used["dispatcher"],
    )


def _bulk(docs: Path) -> float:
    if not (docs / "performance-bulk.json").exists():
        return 0.0
    return float(_report(docs, "performance-bulk.json")["cases"][0]["medians"]["sluice"]["processor_seconds_per_gigabyte"])


def _exchanges(text: str) -> dict[str, Exchange]:
    """The table of docs/radio.md, which its test holds to the recorded packets."""
    row = re.compile(r"^\| `([a-z]+)` \|[^|]*\| (\d+) \((\d+)\) \| (\d+) \((\d+)\) \|", re.MULTILINE)
    return {name: Exchange(*(int(number) for number in numbers)) for name, *numbers in row.findall(text)}


def read(docs: Path = DOCS) -> Measured:
    alone, engine = _report(docs, "performance-workers.json"), _report(docs, "performance-engine.json")
    wholes = [(name, _report(docs, name)) for name in WHOLE]
    tunnels = max((one for one in engine["parts"]["memory"] if one["kind"] == "tunnels"), key=lambda one: int(one["connections"]))
    round_ = engine["parts"]["tunnels"]["rounds"][0]
    few, many = (round_[str(engine["parts"]["tunnels"][name])] for name in ("few", "many"))
    idle, registered = alone["cases"]["idle"], [_registered(name, report) for name, report in wholes]
    return Measured(
        points=[*_alone(alone), *(point for name, report in wholes for point in _whole(name, report))],
        registered=registered,
        device_bytes=idle["bytes_each"],
        worker_bytes=idle["resident_before"],
        devices_per_process=max(one.devices // one.workers for one in registered),
        tunnel_bytes=tunnels["bytes_each"],
        most_tunnels=tunnels["connections"],
        frame_ns=(few, many),
        bulk_ns_per_byte=_bulk(docs),
        exchanges=_exchanges((docs / "radio.md").read_text()),
    )
