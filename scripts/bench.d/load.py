"""`scripts/bench load`: how well the dispatcher keeps a server at its best, beside no control and beside HAProxy."""

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

import load_report
import load_runs
from load_contenders import CONTENDERS, EVERYONE, OPTIONAL
from load_plan import FULL, SHORT, Bench, Progress
from sluicelab import network
from sluicelab.bench.measure import now, tell
from sluicelab.loading import verdicts
from sluicelab.loading.farm import ApacheFarm, Farm, Thrashers
from sluicelab.loading.law import Law
from sluicelab.paths import PROJECT
from sluicelab.robustness.figures import Figures

PARTS = ("curve", "convergence", "disturbances")
BACKENDS = ("thrasher", "apache")


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench load",
        description="Controlled loading: a sweep of fixed limits finds what the server can do, then open-loop load up to four times as much.",
    )
    parser.add_argument("--short", action="store_true", help="3 minutes instead of 25: fewer points, shorter runs, fewer disturbances")
    parser.add_argument(
        "--backend", choices=BACKENDS, default="thrasher", help="thrasher: a known law; apache: prefork and CGI, short of memory"
    )
    parser.add_argument("--contender", action="append", choices=CONTENDERS, help="only this one; may be repeated")
    parser.add_argument("--part", action="append", choices=PARTS, help="after the sweep only this; may be repeated")
    parser.add_argument("--keep-alive", action="store_true", help="clients keep their connections; else each request has one of its own")
    parser.add_argument("--gain", type=float, default=62.5, help="of the thrasher's law: requests a second with one at work (default 62.5)")
    parser.add_argument("--sigma", type=float, default=0.02, help="of the law: contention (default 0.02)")
    parser.add_argument("--kappa", type=float, default=0.003, help="of the law: what pushes it over its peak (default 0.003)")
    parser.add_argument(
        "--cost", choices=("exponential", "constant"), default="exponential", help="work of a request (default exponential)"
    )
    parser.add_argument("--wait", type=int, default=500, help="ms that a request may wait, here and in HAProxy (default 500)")
    parser.add_argument("--seed", type=int, default=1, help="of arrivals and costs (default 1)")
    parser.add_argument("--list", action="store_true", help="name the contenders, and end")
    chosen = parser.parse_args(words)
    if chosen.gain <= 0 or not 0 <= chosen.sigma <= 1 or not 0 <= chosen.kappa <= 1 or chosen.wait < 1 or chosen.seed < 0:
        parser.error("--gain is above 0, --sigma and --kappa are 0 to 1, --wait is at least 1, --seed at least 0")
    return chosen


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def main(words: list[str]) -> int:
    chosen = arguments(words)
    if chosen.list:
        for contender in CONTENDERS.values():
            print(f"{contender.name:<18} {contender.title}{' (if named)' if contender in OPTIONAL else ''}")
        return 0
    names = chosen.contender or [contender.name for contender in EVERYONE]
    farm: Farm = ApacheFarm()
    if chosen.backend == "thrasher":
        farm = Thrashers(Law(chosen.gain, chosen.sigma, chosen.kappa), chosen.cost)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # in order: servers and control groups are ended
    network.hold("scripts/bench load")
    busy = load_runs.machine_busy(2)
    if busy > 0.2:
        tell(f"the processors are {busy:.0%} busy with something else: what is measured will be the worse for it")
    network.down()
    network.up(servers=3)
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    progress, begun = Progress(tell), time.monotonic()
    lengths = SHORT if chosen.short else FULL
    if chosen.backend == "apache":  # which starts its processes one after the other, as they are needed
        lengths = replace(lengths, sweep_warm_up=lengths.sweep_warm_up + 3, warm_up=lengths.warm_up + 3)
    bench = Bench(
        farm=farm,
        lengths=lengths,
        contenders=[CONTENDERS[name] for name in names],
        folder=folder,
        reuse=chosen.keep_alive,
        seed=chosen.seed,
        wait_ms=chosen.wait,
        only=frozenset(chosen.part or PARTS),
        progress=progress,
    )
    bench.plan()
    try:
        bench.try_all()
        curve, sweep = bench.sweep()
        measured: dict[str, Any] = {
            "sweep": sweep,
            "curve": bench.curve(curve),
            "convergence": bench.convergence(curve),
            "disturbances": bench.disturbances(curve),
        }
    except (AssertionError, RuntimeError, ValueError, OSError) as error:
        tell(f"scripts/bench load: cannot go on: {error}")
        return 1
    finally:
        network.down()
        shutil.rmtree(folder, ignore_errors=True)
    figures = Figures(lambda _: None)
    verdicts.judge(measured, figures)
    settings = {name: value for name, value in vars(chosen).items() if name not in ("list", "contender", "part")}
    run = {
        "time": now() + " UTC",
        "seconds": round(time.monotonic() - begun),
        "machine": {**load_report.machine(chosen.backend), "busy_before": round(busy, 2)},
        "settings": {**settings, "contenders": names, "parts": list(bench.only)},
        "backend": farm.document(),
        **measured,
        "figures": figures.document(),
    }
    path = load_report.write(PROJECT / "bench-results", run)
    print(f"\n{load_report.table(run)}")
    for figure in figures.all:
        print(f"  {figure}")
    print(f"\nreport: {path.with_suffix('.html')}\n        {path}")
    return 1 if figures.missed else 0
