"""`scripts/bench engine`: what the dispatcher's engine does for each frame, without input and output."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict

import engine_report
from load_runs import machine_busy
from sluicelab.bench.measure import now, tell
from sluicelab.engine.cases import FULL, PARTS, SHORT, Bench
from sluicelab.paths import PROJECT
from sluicelab.robustness.figures import Figures


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench engine",
        description="The engine by itself: exchanges are recorded between it and simple peers, and played to another engine, which alone is "
        "measured. instructions: counted by callgrind, beside their budgets. packets: allocations, references counted and frames a second "
        "over a million frames. tunnels: cost of a packet among few and many. shards: two engines in two threads beside "
        "one. memory: bytes of idle connections. steps: the longest that one step takes while connections come.",
    )
    parser.add_argument("--short", action="store_true", help="a tenth of the frames and connections: 40 s instead of three minutes")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--set-budget", action="store_true", help="what is counted becomes the budget of each case")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    chosen = arguments(words)
    busy = machine_busy(2)
    if busy > 0.2:
        tell(f"the processors are {busy:.0%} busy with something else: times will be the worse for it, counts will not")
    begun, size = time.monotonic(), SHORT if chosen.short else FULL
    figures = Figures(tell)
    bench = Bench(size, figures, tell, chosen.set_budget)
    try:
        for name in ["instructions"] if chosen.set_budget else chosen.part or PARTS:
            PARTS[name](bench)
    except (RuntimeError, ValueError, OSError) as error:
        print(f"scripts/bench engine: cannot go on: {error}", file=sys.stderr)
        return 1
    run = {
        "time": now() + " UTC",
        "seconds": round(time.monotonic() - begun),
        "machine": {**engine_report.machine(), "busy_before": round(busy, 2)},
        "settings": {"short": chosen.short, **asdict(size)},
        "parts": bench.found,
        "figures": figures.document(),
    }
    path = engine_report.write(PROJECT / "bench-results", run)
    print(f"\n{engine_report.table(run)}")
    for figure in figures.all:
        print(f"  {figure}")
    print(f"\nreport: {path.with_suffix('.html')}\n        {path}")
    return 1 if figures.missed else 0
