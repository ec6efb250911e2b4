"""`scripts/bench whole`: the whole system on one machine, with as many devices as its workers hold."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import push_report
import whole_report
from load_runs import machine_busy
from sluicelab import network
from sluicelab.bench.measure import now, tell
from sluicelab.paths import PROJECT
from sluicelab.push import whole
from sluicelab.robustness.figures import Figures

FULL_DEVICES, SHORT_DEVICES = 150_000, 20_000
MOST_DEVICES = whole.SERVERS * whole.DEVICES_PER_WORKER


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench whole",
        description="The whole system in the lab: devices of several processes and addresses connect and register through the dispatcher "
        "at as many workers as their descriptors demand. Then the highest rate from POST to acknowledgement that holds with the generators on "
        "the same processors, what dispatcher and workers use for a message, what a device costs in memory, and messages for an "
        "application that many devices share.",
    )
    parser.add_argument("--devices", type=int, help=f"default {FULL_DEVICES:,}; with --short {SHORT_DEVICES:,}; at most {MOST_DEVICES:,}")
    parser.add_argument("--short", action="store_true", help="under 4 minutes: fewer devices and rates, each for less long")
    parser.add_argument("--workers", type=int, help="more of them than the devices need, up to 16: what it costs to have several")
    parser.add_argument(
        "--connect-rate", type=float, help="devices that begin to connect each second (default 1500); 0: as fast as it goes"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs, and name it")
    chosen = parser.parse_args(words)
    chosen.devices = chosen.devices or (SHORT_DEVICES if chosen.short else FULL_DEVICES)
    if not 2 <= chosen.devices <= MOST_DEVICES:
        parser.error(f"--devices {chosen.devices}: must be in 2...{MOST_DEVICES}")
    needed = whole.workers_for(chosen.devices)
    chosen.workers = needed if chosen.workers is None else chosen.workers
    if not needed <= chosen.workers <= whole.SERVERS:
        parser.error(f"--workers {chosen.workers}: must be in {needed}...{whole.SERVERS} for {chosen.devices:,} devices")
    if chosen.connect_rate is not None and chosen.connect_rate < 0:
        parser.error(f"--connect-rate {chosen.connect_rate:g}: must be at least 0")
    return chosen


def size(chosen: argparse.Namespace) -> whole.Size:
    found = whole.short(chosen.devices) if chosen.short else whole.full(chosen.devices)
    if chosen.connect_rate is None:
        return found
    return whole.Size(**{**asdict(found), "connect_rate": chosen.connect_rate})


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def main(words: list[str]) -> int:
    chosen = arguments(words)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # in order: what was started is ended
    busy = machine_busy(2)
    if busy > 0.2:
        tell(f"the processors are {busy:.0%} busy with something else: what is measured will be the worse for it")
    network.hold("scripts/bench whole")
    network.down()
    network.up(servers=chosen.workers)
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    begun, figures = time.monotonic(), Figures(tell)
    one = whole.Whole(folder, size(chosen), chosen.workers, figures, tell)
    machine = push_report.machine(folder)
    failure = ""
    try:
        one.run()
    except (AssertionError, RuntimeError, ValueError, OSError, KeyError) as error:
        failure = f"{error}"
        tell(f"scripts/bench whole: cannot go on: {error}")
    finally:
        network.down()
        if chosen.keep:
            tell(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if "devices" not in one.found:
        return 1
    run = {
        "time": now() + " UTC",
        "seconds": round(time.monotonic() - begun),
        "machine": {**machine, "busy_before": round(busy, 2)},
        "settings": {"short": chosen.short, "workers": chosen.workers, **asdict(one.size)},
        "found": one.found,
        "figures": figures.document(),
        "failure": failure,
    }
    path = whole_report.write(PROJECT / "bench-results", run)
    print(f"\n{whole_report.table(run)}")
    for figure in figures.all:
        print(f"  {figure}")
    print(f"\nreport: {path.with_suffix('.html')}\n        {path}")
    return 1 if figures.missed or failure else 0
