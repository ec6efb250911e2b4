"""The benchmarks' command line; `scripts/bench` builds, installs and holds the lab before it comes here."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import engine
import load
import measure
import push
import report
from cases import CASES
from contenders import CONTENDERS
from sluicelab import network
from sluicelab.nginx import make_big_file, make_files, start_nginx
from sluicelab.paths import PROJECT


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Benchmarks of the dispatcher beside its peers, in the lab.",
        epilog="scripts/bench load --help: the benchmark of controlled loading; scripts/bench push --help: that of the push workers; "
        "scripts/bench engine --help: that of the engine by itself",
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each case (default 7)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a turn (default 5)")
    parser.add_argument("--size", type=int, default=1024, help="MiB of the file of the downloads (default 1024)")
    parser.add_argument("--case", action="append", choices=CASES, help="only this case; may be repeated")
    parser.add_argument(
        "--contender", action="append", choices=CONTENDERS, help="only this contender, if the case knows it; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="name the cases and contenders, and end")
    chosen = parser.parse_args()
    if chosen.rounds < 1 or chosen.seconds < 1 or chosen.size < 1:
        parser.error("--rounds, --seconds and --size are at least 1")
    return chosen


def main() -> int:
    if sys.argv[1:2] == ["load"]:
        return load.main(sys.argv[2:])
    if sys.argv[1:2] == ["push"]:
        return push.main(sys.argv[2:])
    if sys.argv[1:2] == ["engine"]:
        return engine.main(sys.argv[2:])
    chosen = arguments()
    if chosen.list:
        for case in CASES.values():
            more = f"; if named: {', '.join(case.optional)}" if case.optional else ""
            print(f"{case.name:<14} {case.title} ({', '.join(case.contenders)}{more})")
        return 0
    network.hold("scripts/bench")
    network.down()
    network.up(servers=2)
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        make_files(folder / "files", {"1KiB": 1 << 10, "64KiB": 1 << 16, "1MiB": 1 << 20})
        for number in (1, 2):
            start_nginx(f"server{number}", folder / f"nginx{number}", folder / "files")
        servers = [f"{network.server_address(number)}:80" for number in (1, 2)]
        cases = [CASES[name] for name in chosen.case or CASES]
        digest = make_big_file(folder / "files" / "big", chosen.size) if any(case.load == "download" for case in cases) else ""
        results = []
        for case in cases:
            names = [name for name in (*case.contenders, *case.optional) if name in (chosen.contender or case.contenders)]
            length = f"of {chosen.seconds} s" if case.load != "download" else f"of {chosen.size} MiB"
            print(f"{case.title}: {chosen.rounds} rounds {length}", flush=True)
            results.append(measure.run_case(case, names, folder, servers, chosen.rounds, chosen.seconds, measure.tell, digest))
    finally:
        network.down()
        shutil.rmtree(folder, ignore_errors=True)
    settings = {"rounds": chosen.rounds, "seconds": chosen.seconds, "size_mib": chosen.size}
    run = {"time": measure.now() + " UTC", "machine": report.machine(), "settings": settings, "cases": results}
    path = report.write(PROJECT / "bench-results", run)
    for case_result in results:
        print(f"\n{report.table(case_result)}")
    print(f"\nreport: {path.with_suffix('.html')}\n        {path}")
    well = all(not result["failures"] and all(want["reached"] for want in result["wanted"]) for result in results)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
