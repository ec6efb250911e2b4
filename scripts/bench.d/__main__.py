"""The benchmarks' command line; `scripts/bench` builds, installs and holds the lab before it comes here."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bulk
import engine
import load
import push
import whole
from load_runs import machine_busy
from sluicelab import network
from sluicelab.bench import measure, report, tables
from sluicelab.bench.cases import CASES, Case
from sluicelab.bench.contenders import CONTENDERS
from sluicelab.nginx import make_big_file, make_files, start_nginx
from sluicelab.paths import PROJECT

# The benchmarks of other things, by the word that names them.
OTHERS: dict[str, tuple[str, Callable[[list[str]], int]]] = {
    "load": ("the benchmark of controlled loading", load.main),
    "engine": ("that of the engine by itself", engine.main),
    "push": ("that of the push workers", push.main),
    "bulk": ("that of videos that are played", bulk.main),
    "whole": ("that of the whole system with its devices", whole.main),
}
BUSY = 0.2  # share of the processors that others use before the run, from which on it is said


@dataclass(frozen=True)
class Lengths:
    rounds: int
    seconds: int  # of a turn
    size: int  # MiB of the file of the downloads


FULL, QUICK = Lengths(7, 2, 256), Lengths(5, 1, 64)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="The dispatcher beside its peers, in the lab: every case in interleaved rounds, under 25 minutes in all.",
        epilog="; ".join(f"scripts/bench {name} --help: {what}" for name, (what, _) in OTHERS.items()),
    )
    parser.add_argument("--quick", action="store_true", help="under 4 minutes: the main cases, fewer contenders, 5 rounds of 1 s")
    parser.add_argument("--rounds", type=int, help=f"rounds of each case (default {FULL.rounds})")
    parser.add_argument("--seconds", type=int, help=f"length of a turn (default {FULL.seconds})")
    parser.add_argument("--size", type=int, help=f"MiB of the file of the downloads (default {FULL.size})")
    parser.add_argument("--case", action="append", choices=CASES, help="only this case; may be repeated")
    parser.add_argument(
        "--contender", action="append", choices=CONTENDERS, help="only this contender, if the case knows it; may be repeated"
    )
    parser.add_argument("--profile", action="store_true", help="after each main case a turn of the dispatcher under perf, for the report")
    parser.add_argument("--list", action="store_true", help="name the cases and contenders, and end")
    parser.add_argument("--table", nargs="+", type=Path, metavar="FILE", help="print the Markdown tables of these reports (JSON), and end")
    parser.add_argument("--part", choices=tables.PARTS, help="of --table: only this one")
    parser.add_argument("--merge", nargs="+", type=Path, metavar="FILE", help="make one report of several, and end")
    chosen = parser.parse_args(words)
    default = QUICK if chosen.quick else FULL
    for name in ("rounds", "seconds", "size"):
        if getattr(chosen, name) is None:
            setattr(chosen, name, getattr(default, name))
    if chosen.rounds < 1 or chosen.seconds < 1 or chosen.size < 1:
        parser.error("--rounds, --seconds and --size are at least 1")
    if chosen.part and not chosen.table:
        parser.error("--part goes with --table")
    return chosen


def participants(case: Case, quick: bool, named: Sequence[str] | None) -> list[str]:
    """Who takes part: as the case says, or those of it that were named."""
    if named:
        return [name for name in (*case.contenders, *case.optional) if name in named]
    return list(case.quick if quick else case.contenders)


def plan(chosen: argparse.Namespace) -> list[tuple[Case, list[str]]]:
    every = [CASES[name] for name in chosen.case or CASES if chosen.case or not chosen.quick or CASES[name].quick]
    quick = chosen.quick
    planned = [(case, participants(case, quick and bool(case.quick), chosen.contender)) for case in every]
    return [(case, names) for case, names in planned if names]


def show_list() -> None:
    for case in CASES.values():
        more = f"; if named: {', '.join(case.optional)}" if case.optional else ""
        print(f"{case.name:<14} {case.title} ({', '.join(case.contenders)}{more}){' [quick]' if case.quick else ''}")


def run(chosen: argparse.Namespace) -> dict[str, Any]:
    """Raises the lab, measures, and takes it away."""
    planned, begun = plan(chosen), time.monotonic()
    network.hold("scripts/bench")
    busy = machine_busy(1)
    if busy > BUSY:
        measure.tell(f"the processors are {busy:.0%} busy with something else: what is measured will be the worse for it")
    network.down()
    network.up(servers=2)
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        make_files(folder / "files", {"1KiB": 1 << 10, "64KiB": 1 << 16, "1MiB": 1 << 20})
        for number in (1, 2):
            start_nginx(f"server{number}", folder / f"nginx{number}", folder / "files")
        servers = [f"{network.server_address(number)}:80" for number in (1, 2)]
        downloads = any(case.load == "download" for case, _ in planned)
        digest = make_big_file(folder / "files" / "big", chosen.size) if downloads else ""
        progress = measure.Progress(sum(len(names) * min(chosen.rounds, case.rounds or chosen.rounds) for case, names in planned))
        bench = measure.Bench(folder, servers, chosen.rounds, chosen.seconds, digest, measure.tell, progress, chosen.profile)
        results = []
        for case, names in planned:
            length = f"of {chosen.seconds} s" if case.load != "download" else f"of {chosen.size} MiB"
            measure.tell(f"{case.name}: {case.title}: {bench.rounds_of(case)} rounds {length}")
            results.append(measure.run_case(case, names, bench))
    finally:
        network.down()
        shutil.rmtree(folder, ignore_errors=True)
    settings = {"quick": chosen.quick, "rounds": chosen.rounds, "seconds": chosen.seconds, "size_mib": chosen.size}
    machine = {**report.machine(), "busy_before": round(busy, 2)}
    return {
        "time": measure.now() + " UTC",
        "duration": round(time.monotonic() - begun),
        "machine": machine,
        "settings": settings,
        "cases": results,
    }


def finish(whole: dict[str, Any]) -> int:
    """Writes the report, prints it, and gives the exit code."""
    path = report.write(PROJECT / "bench-results", whole)
    for case in whole["cases"]:
        print(f"\n{report.table(case)}")
    print(f"\nreport: {path.with_suffix('.html')}\n        {path}")
    well = all(not case["failures"] and case["verdict"]["reached"] is not False for case in whole["cases"])
    return 0 if well else 1


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def main() -> int:
    if sys.argv[1:] and sys.argv[1] in OTHERS:
        return OTHERS[sys.argv[1]][1](sys.argv[2:])
    chosen = arguments(sys.argv[1:])
    if chosen.list:
        show_list()
        return 0
    try:
        if chosen.table:
            print(tables.markdown(report.merged([json.loads(path.read_text()) for path in chosen.table]), chosen.part))
            return 0
        if chosen.merge:
            return finish(report.merged([json.loads(path.read_text()) for path in chosen.merge]))
    except (OSError, ValueError, KeyError) as error:
        print(f"scripts/bench: cannot read these reports: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # in order: contenders are ended, the kernel's path is taken away
    try:
        whole = run(chosen)
    except (AssertionError, RuntimeError, OSError) as error:
        measure.tell(f"scripts/bench: cannot go on: {error}")
        return 1
    return finish(whole)


if __name__ == "__main__":
    sys.exit(main())
