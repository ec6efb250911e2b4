"""Slow clients beside an open loop of half of what the dispatcher can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..dispatcher import Dispatcher
from .figures import Figures
from ..traffic import Numbers, Running, load, slow_readers, slow_writers, until_open

WITHIN_MS = 100
SEND_IDLE_SECONDS = 60  # the default of limits.send-idle
HALVES = ("client1", "client2")


def _share(numbers: Numbers) -> float:
    return float(100 * numbers["within"] / max(numbers["due"], 1))


def run(
    dispatcher: Dispatcher,
    address: str,
    folder: Path,
    figures: Figures,
    writers: int = 10_000,
    readers: int = 1_000,
    seconds: float = 20,
    rate: float | None = None,
    reader_path: str = "/1MiB",
    wanted: float = 99.5,
    writer_ms: float = 3000,
    port: int = 80,
) -> None:
    """The rate is half of the peak that is measured first, unless given. Half of the attackers are behind the router."""
    baseline = dispatcher.gauges()
    if rate is None:
        peak = load(folder, address, "/", 64, 4, port=port).numbers(30)
        figures.note("peak, requests a second (closed loop, 64 connections)", peak["per_second"])
        rate = peak["per_second"] / 2
    figures.note("open loop, requests a second", rate)

    def measured(name: str) -> None:
        numbers = load(folder, address, "/", 256, seconds, rate=rate or 0, within_ms=WITHIN_MS, port=port).numbers(seconds + 30)
        figures.at_least(f"{name}: answered within {WITHIN_MS} ms, %", _share(numbers), wanted, "%")
        figures.note(
            f"{name}: p50 / p99 / p99.9 / most ms",
            " / ".join(f"{numbers[key]:.2f}" for key in ("p50_ms", "p99_ms", "p999_ms", "most_ms")),
        )
        failed = numbers["errors"] + numbers["other_status"] + numbers["unanswered"]
        figures.note(f"{name}: failed or unanswered, of {numbers['due']}", failed)

    measured("alone")
    long = seconds * 2 + 120  # ended by us
    attackers: list[tuple[str, Running]] = []
    start: list[tuple[str, Callable[[str, int], Running], int]] = [
        ("slow writers", lambda host, count: slow_writers(folder, address, count, long, writer_ms, host, port), writers),
        ("slow readers", lambda host, count: slow_readers(folder, address, reader_path, count, long, 500, 1000, host, port), readers),
    ]
    for name, attack, count in start:
        for place, host in enumerate(HALVES):
            share = count // 2 + (count % 2 if place == 0 else 0)
            if share:
                attackers.append((f"{name} of {host}", attack(host, share)))
    for name, attacker in attackers:
        figures.note(f"{name} connected", until_open(attacker))
    figures.note("front-end connections", dispatcher.metrics.total("front_connections"))
    figures.note("requests of slow readers under way", dispatcher.metrics.total("server_active"))
    measured("under attack")
    for name, attacker in attackers:
        numbers = attacker.ended()
        figures.note(f"{name}: stood at most / ended by the dispatcher", f"{numbers['most_standing']} / {numbers['ended_by_peer']}")
    figures.note("memory, MiB", round(dispatcher.resident_bytes / 2**20, 1))
    # An end of theirs that was lost before capture is found out by `limits.send-idle`.
    dispatcher.until_gauges(baseline, timeout=SEND_IDLE_SECONDS + 10)
    figures.true("everything that was occupied is free again", True)
