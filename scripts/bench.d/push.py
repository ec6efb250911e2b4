"""`scripts/bench push`: what one push worker on one processor holds, delivers, and how soon it serves."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import push_report
from load_runs import machine_busy
from sluicelab.bench.measure import now, tell
from sluicelab.paths import PROJECT
from sluicelab.push.cases import CASES, FULL, SHORT, Bench
from sluicelab.robustness.figures import Figures


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench push",
        description="One push worker on one processor, its devices and application servers on another, on loopback. "
        "idle: memory for each of 19,000 idle devices. messages: signed and durable, open-loop, from POST to acknowledgement. "
        "between: posted at one worker, devices at another of the same directory. fan-out: a message to 10,000 devices. "
        "start: on a store with 1,000,000 registrations.",
    )
    parser.add_argument("--short", action="store_true", help="a minute instead of three: one rate of messages, fewer fan-outs and starts")
    parser.add_argument("--case", action="append", choices=CASES, help="only this case; may be repeated")
    parser.add_argument("--no-profile", action="store_true", help="leave out the profile of the worker (perf)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs and perf.data, and name it")
    return parser.parse_args(words)


def processors() -> tuple[int | None, int | None]:
    """The worker's and the swarm's; None when there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[-1]) if len(usable) > 1 else (None, None)


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def main(words: list[str]) -> int:
    chosen = arguments(words)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # in order: the worker is ended
    busy = machine_busy(2)
    if busy > 0.2:
        tell(f"the processors are {busy:.0%} busy with something else: what is measured will be the worse for it")
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-", dir="/var/tmp"))
    worker_processor, swarm_processor = processors()
    if worker_processor is None:
        tell("there is one processor: worker and clients share it, and what is measured will be the worse for it")
    begun, size = time.monotonic(), SHORT if chosen.short else FULL
    figures = Figures(tell)
    bench = Bench(folder, size, figures, worker_processor, swarm_processor, tell, not chosen.no_profile)
    machine = push_report.machine(folder)
    try:
        for name in chosen.case or CASES:
            CASES[name](bench)
    except (AssertionError, RuntimeError, ValueError, OSError) as error:
        tell(f"scripts/bench push: cannot go on: {error}")
        return 1
    finally:
        if chosen.keep:
            tell(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    run = {
        "time": now() + " UTC",
        "seconds": round(time.monotonic() - begun),
        "machine": {**machine, "busy_before": round(busy, 2)},
        "settings": {"short": chosen.short, "processors": [worker_processor, swarm_processor], **asdict(size)},
        "cases": bench.found,
        "figures": figures.document(),
    }
    path = push_report.write(PROJECT / "bench-results", run)
    print(f"\n{push_report.table(run)}")
    for figure in figures.all:
        print(f"  {figure}")
    print(f"\nreport: {path.with_suffix('.html')}\n        {path}")
    return 1 if figures.missed else 0
