"""`scripts/bench bulk`: 200 videos of 4 Mbit/s through the dispatcher and its peers, and how many more there may be."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bulk_report
from load_runs import machine_busy
from sluicelab import network
from sluicelab.bench import report
from sluicelab.bench.bulk import NAMES, Bulk, Plan, most_held
from sluicelab.bench.measure import now, tell
from sluicelab.nginx import make_big_file, start_nginx
from sluicelab.paths import PROJECT
from sluicelab.robustness.figures import Figures

FULL = Plan(rounds=5, seconds=20, streams=200, more=(300, 400, 500, 600, 800, 1200, 1600), mebibytes=256)
SHORT = Plan(rounds=2, seconds=12, streams=200, more=(400, 800), mebibytes=64, more_seconds=14, more_ramp=6)
MEMORY = Path("/dev/shm")  # the file is read from there, so that no disk is in the figures


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench bulk",
        description="Players in client1 take a video of 4 Mbit/s each through the contender, in ranges of 1 MiB over connections that are "
        "kept, and play it in real time from a buffer of some seconds. Every byte is compared. Counted are the stalls, and the contender's "
        "processor time for a gigabyte; then more and more streams are tried, until each contender's stall.",
    )
    parser.add_argument("--short", action="store_true", help="4 minutes: fewer and shorter turns, and fewer numbers of streams")
    parser.add_argument("--streams", type=int, help=f"of the rounds (default {FULL.streams})")
    parser.add_argument("--rounds", type=int, help=f"default {FULL.rounds}; with --short {SHORT.rounds}")
    parser.add_argument("--contender", action="append", choices=NAMES, help="only this one; may be repeated")
    parser.add_argument("--no-more", action="store_true", help="only the rounds: no rising numbers of streams")
    chosen = parser.parse_args(words)
    for name, most in (("streams", 10_000), ("rounds", 100)):
        given = getattr(chosen, name)
        if given is not None and not 1 <= given <= most:
            parser.error(f"--{name} {given}: must be in 1...{most}")
    return chosen


def plan_of(chosen: argparse.Namespace) -> Plan:
    plan = SHORT if chosen.short else FULL
    streams = chosen.streams or plan.streams
    more = [] if chosen.no_more else [count for count in plan.more if count > streams]
    return replace(plan, streams=streams, rounds=chosen.rounds or plan.rounds, more=more)


def measure(plan: Plan, names: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The rounds as a case, and the rising numbers; raises the lab, and takes it away."""
    network.down()
    network.up(servers=2)
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-", dir="/var/tmp"))
    files = Path(tempfile.mkdtemp(prefix="sluice-bench-", dir=MEMORY if MEMORY.is_dir() else "/var/tmp"))
    folder.chmod(0o755)
    try:
        make_big_file(files / "video", plan.mebibytes)
        for number in (1, 2):
            start_nginx(f"server{number}", folder / f"nginx{number}", files)
        servers = [f"{network.server_address(number)}:80" for number in (1, 2)]
        bulk = Bulk(folder, servers, files / "video", plan, tell, names)
        return bulk.rounds(), bulk.rising()
    finally:
        network.down()
        for one in (folder, files):
            shutil.rmtree(one, ignore_errors=True)


def judge(case: dict[str, Any], rising: list[dict[str, Any]], figures: Figures) -> None:
    for name in case["contenders"]:
        turns = [turns[name] for turns in case["rounds"]]
        stalls, failures = (int(sum(turn[what] for turn in turns)) for what in ("stalls", "failures"))
        title = f"bulk: {name}: stalls of {case['settings']['streams']:,} streams in all rounds"
        if name.startswith("sluice"):
            figures.at_most(title, stalls, 0)
            figures.at_most(f"bulk: {name}: answers that were wrong or broke off", failures, 0)
        else:
            figures.note(title, stalls)
            figures.note(f"bulk: {name}: answers that were wrong or broke off", failures)
    for name, streams in most_held(rising, case).items():
        figures.note(f"bulk: {name}: the most streams that were played without a stall", streams)


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def main(words: list[str]) -> int:
    chosen = arguments(words)
    plan, names = plan_of(chosen), [name for name in NAMES if not chosen.contender or name in chosen.contender]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # in order: what was started is ended
    network.hold("scripts/bench bulk")
    busy = machine_busy(2)
    if busy > 0.2:
        tell(f"the processors are {busy:.0%} busy with something else: what is measured will be the worse for it")
    begun = time.monotonic()
    try:
        case, rising = measure(plan, names)
    except (AssertionError, RuntimeError, OSError) as error:
        tell(f"scripts/bench bulk: cannot go on: {error}")
        return 1
    figures = Figures(lambda _: None)
    judge(case, rising, figures)
    run = {
        "time": now() + " UTC",
        "duration": round(time.monotonic() - begun),
        "machine": {**report.machine(), "busy_before": round(busy, 2)},
        "settings": {
            "short": chosen.short,
            "file_mib": plan.mebibytes,
            "turn_seconds": plan.seconds,
            "tried": list(plan.more),
            "of_more": plan.of_more,
        },
        "cases": [case],
        "rising": rising,
        "figures": figures.document(),
    }
    path = bulk_report.write(PROJECT / "bench-results", run)
    print(f"\n{report.table(case)}")
    for figure in figures.all:
        print(f"  {figure}")
    print(f"\nreport: {path.with_suffix('.html')}\n        {path}")
    return 1 if figures.missed else 0
