"""SYNs from addresses that nobody has, beside clients that mean it."""

from __future__ import annotations

import time
from pathlib import Path

from ..dispatcher import Dispatcher
from ..scrape import Metrics
from .figures import Figures
from ..traffic import load, syn_flood

CONNECT_MS = 3100  # the first SYN and two repetitions, at 1 and 3 s, may be lost


def run(
    dispatcher: Dispatcher,
    address: str,
    folder: Path,
    figures: Figures,
    rate: float = 100_000,
    seconds: float = 60,
    first: float = 10,
    new_rate: float = 100,
    growth: int = 1 << 20,
    port: int = 80,
) -> None:
    """`first`: seconds after which the memory must not grow by more than `growth` bytes."""
    baseline = dispatcher.gauges()
    before = dispatcher.metrics
    standing = load(folder, address, "/", 50, seconds + 2, rate=200, within_ms=CONNECT_MS, port=port)
    time.sleep(1)
    flood = syn_flood(folder, address, rate, seconds, port=port)
    begin = time.monotonic()
    fresh = load(folder, address, "/", 2000, seconds - 1, rate=new_rate, fresh=True, within_ms=CONNECT_MS, port=port)
    time.sleep(max(0.0, begin + first - time.monotonic()))
    early = dispatcher.resident_bytes
    time.sleep(max(0.0, begin + seconds - 0.3 - time.monotonic()))
    late = dispatcher.resident_bytes
    flooded, new, kept = flood.numbers(20), fresh.numbers(20), standing.numbers(20)
    after = dispatcher.metrics

    figures.note("SYNs sent a second", flooded["per_second"])
    figures.note("SYNs not sent, for want of time", flooded["not_sent"])
    figures.note("frames lost before capture", after.total("capture_drops_total") - before.total("capture_drops_total"))
    figures.note("frames dropped, by reason", _moved(before, after))
    figures.at_most(f"memory at {seconds:g} s beside {first:g} s, KiB", (late - early) / 1024, growth / 1024, "KiB")
    figures.note("memory at the end, MiB", round(late / 2**20, 1))
    figures.at_least("new connections answered within 3.1 s, %", 100 * new["within"] / max(new["due"], 1), 99, "%")
    figures.note("new connections, p50 / p99 ms", f"{new['p50_ms']:.1f} / {new['p99_ms']:.1f}")
    figures.at_most("errors on connections that stood before", kept["errors"] + kept["unanswered"] + kept["other_status"], 0)
    figures.at_most("connections that had to be opened again", kept["opened"] - 50, 0)
    dispatcher.until_gauges(baseline, timeout=15)
    figures.true("everything that was occupied is free again", True)


def _moved(before: Metrics, after: Metrics) -> str:
    was = before.by("dropped_frames_total", "side", "reason")
    moved = {" ".join(key): count - was.get(key, 0) for key, count in after.by("dropped_frames_total", "side", "reason").items()}
    return ", ".join(f"{key} {count:,.0f}" for key, count in moved.items() if count) or "none"
