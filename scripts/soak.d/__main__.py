"""The soak's command line; `scripts/soak` builds, installs and holds the lab before it comes here."""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from cases import CASES, Place
from clients import BEHAVIOURS, Visit
from sluicelab import network
from sluicelab.dispatcher import Dispatcher, configuration, pool, service
from sluicelab.namespaces import HostThread
from sluicelab.nginx import make_files, start_nginx
from sluicelab.paths import PROJECT
from sluicelab.robustness.figures import Figures

SHOWN_FAILURES = 20
SAMPLE_SECONDS = 2.0
GROWTH_ALLOWED = 0.03  # of the memory after the first fifth of the time, beside 4 MiB
GROWTH_ALLOWED_BYTES = 4 << 20


class Tally:
    """What the clients have done. Written by one thread each, read at the end."""

    def __init__(self) -> None:
        self.done: collections.Counter[str] = collections.Counter()
        self.failed: collections.Counter[str] = collections.Counter()
        self.examples: list[str] = []


async def visitor(files: dict[str, bytes], chance: random.Random, until: float, tally: Tally) -> None:
    while time.monotonic() < until:
        behaviour = chance.choices(list(BEHAVIOURS), weights=list(BEHAVIOURS.values()))[0]
        try:
            await behaviour(Visit(files, chance))
            tally.done[behaviour.__name__] += 1
        except (Exception, asyncio.TimeoutError) as error:
            tally.failed[behaviour.__name__] += 1
            if len(tally.examples) < SHOWN_FAILURES:
                tally.examples.append(f"{behaviour.__name__}: {type(error).__name__}: {error}")
        await asyncio.sleep(chance.random() * 0.02)


def traffic(host: str, files: dict[str, bytes], clients: int, seed: int, until: float, tally: Tally) -> HostThread[None]:
    async def main() -> None:
        await asyncio.gather(*(visitor(files, random.Random(seed * 1000 + number), until, tally) for number in range(clients)))
        await asyncio.sleep(0.5)  # what is closing closes

    return HostThread(host, lambda: asyncio.run(main()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Mixed traffic through the dispatcher, and what it leaves behind.")
    parser.add_argument("--minutes", type=float, default=10, help="length of the traffic (default 10)")
    parser.add_argument("--clients", type=int, default=40, help="clients at any time, half of them behind the router (default 40)")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(1 << 30), help="of what each client does (default: drawn, and printed)"
    )
    parser.add_argument("--case", action="append", choices=CASES, help="instead of the mixed traffic, this scenario; may be repeated")
    parser.add_argument("--size", type=float, default=1, help="of a scenario's times and counts, as a part of the full ones (default 1)")
    parser.add_argument("--list", action="store_true", help="name the scenarios, and end")
    chosen = parser.parse_args()
    if not 0 < chosen.size <= 10:
        parser.error("--size is above 0, and at most 10")
    return chosen


def memory_is_flat(samples: list[int]) -> bool:
    """The last fifth beside the second: the first is start-up."""
    fifth = max(len(samples) // 5, 1)
    early, late = median(samples[fifth : 2 * fifth] or samples), median(samples[-fifth:])
    print(
        f"memory of the dispatcher (VmRSS): {early / 2**20:.1f} MiB early, {late / 2**20:.1f} MiB late,"
        f" {max(samples) / 2**20:.1f} MiB at most"
    )
    return late - early <= early * GROWTH_ALLOWED + GROWTH_ALLOWED_BYTES


def soak(chosen: argparse.Namespace, folder: Path, files: dict[str, bytes], servers: list[str]) -> bool:
    config = configuration([service("files", f"{network.FILES_ADDRESS}:80", "files")], [pool("files", servers, connections=16)])
    dispatcher = Dispatcher(folder / "dispatcher", config)

    baseline = dispatcher.gauges()
    print(f"{chosen.clients} clients for {chosen.minutes:g} minutes, seed {chosen.seed}", flush=True)
    until, tally = time.monotonic() + chosen.minutes * 60, Tally()
    halves = [("client1", chosen.clients - chosen.clients // 2), ("client2", chosen.clients // 2)]
    threads = [traffic(host, files, count, chosen.seed + place, until, tally) for place, (host, count) in enumerate(halves) if count]
    memory: list[int] = []
    while time.monotonic() < until and dispatcher.running:
        memory.append(dispatcher.resident_bytes)
        time.sleep(SAMPLE_SECONDS)
    if not dispatcher.running:
        print(f"the dispatcher ended with {dispatcher.exit_code}:\n{dispatcher.log_end()}")
        return False
    for thread in threads:
        thread.result(120)

    print(f"{'visits':>10} {'failed':>8}")
    for behaviour in BEHAVIOURS:
        name = behaviour.__name__
        print(f"{tally.done[name]:>10,} {tally.failed[name]:>8,}  {name.replace('_', ' ')}")
    for example in tally.examples:
        print(f"  {example}")
    well = not tally.failed
    try:
        dispatcher.until_gauges(baseline, timeout=30)
        print("every gauge is back at its baseline:", {name: int(value) for name, value in baseline.items()})
    except AssertionError as error:
        print(f"NOT back at the baseline: {error}")
        well = False
    metrics = dispatcher.metrics
    drops = {" ".join(key): int(count) for key, count in metrics.by("dropped_frames_total", "side", "reason").items() if count}
    print(
        f"{metrics.total('requests_total'):,.0f} requests, {metrics.total('server_connects_total'):,.0f} back-end connections opened,"
        f" frames dropped: {drops or 'none'}"
    )
    if not memory_is_flat(memory):
        print("memory is NOT flat")
        well = False
    if (code := dispatcher.stop()) != 0:
        print(f"the dispatcher ended with {code} after SIGTERM")
        well = False
    return well


def scenarios(chosen: argparse.Namespace, folder: Path, servers: list[str]) -> bool:
    """The chosen cases one after the other; a JSON file for all of them."""
    documents, well = [], True
    for name in chosen.case:
        print(f"{name}: {CASES[name].title}{f', {chosen.size:g} of the full size' if chosen.size != 1 else ''}", flush=True)
        figures = Figures(lambda line: print(line, flush=True))
        place = Place(folder / name, servers, chosen.size, chosen.seed)
        place.folder.mkdir()
        place.folder.chmod(0o755)
        try:
            CASES[name].run(place, figures)
        except (AssertionError, RuntimeError, OSError) as error:
            figures.true("the scenario went to its end", False, f"{type(error).__name__}: {error}")
        well = well and not figures.missed
        documents.append({"case": name, "size": chosen.size, "seed": chosen.seed, "figures": figures.document()})
    results = PROJECT / "bench-results"
    results.mkdir(exist_ok=True)
    path = results / f"soak-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.write_text(json.dumps({"time": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()), "cases": documents}, indent=2) + "\n")
    print(f"report: {path}")
    return well


def main() -> int:
    chosen = arguments()
    if chosen.list:
        for name, case in CASES.items():
            print(f"{name:<14} {case.title}")
        return 0
    network.hold("scripts/soak")
    network.down()
    network.up(servers=3)
    folder = Path(tempfile.mkdtemp(prefix="sluice-soak-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        files = make_files(folder / "files", {"1KiB": 1 << 10, "64KiB": 1 << 16, "256KiB": 1 << 18, "1MiB": 1 << 20})
        for number in (1, 2):
            start_nginx(f"server{number}", folder / f"nginx{number}", folder / "files")
        servers = [f"{network.server_address(number)}:80" for number in (1, 2)]
        well = scenarios(chosen, folder, servers) if chosen.case else soak(chosen, folder, files, servers)
    finally:
        network.down()
        shutil.rmtree(folder, ignore_errors=True)
    print("The soak passed." if well else "THE SOAK FAILED.")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
