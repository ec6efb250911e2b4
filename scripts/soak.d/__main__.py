"""The soak's command line; `scripts/soak` builds, installs and holds the lab before it comes here."""

from __future__ import annotations

import argparse
import asyncio
import collections
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from clients import BEHAVIOURS, Visit
from sluicelab import network
from sluicelab.dispatcher import Dispatcher, configuration, pool, service
from sluicelab.namespaces import HostThread
from sluicelab.nginx import make_files, start_nginx

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
    return parser.parse_args()


def memory_is_flat(samples: list[int]) -> bool:
    """The last fifth beside the second: the first is start-up."""
    fifth = max(len(samples) // 5, 1)
    early, late = median(samples[fifth : 2 * fifth] or samples), median(samples[-fifth:])
    print(
        f"memory of the dispatcher (VmRSS): {early / 2**20:.1f} MiB early, {late / 2**20:.1f} MiB late,"
        f" {max(samples) / 2**20:.1f} MiB at most"
    )
    return late - early <= early * GROWTH_ALLOWED + GROWTH_ALLOWED_BYTES


def soak(chosen: argparse.Namespace, folder: Path) -> bool:
    files = make_files(folder / "files", {"1KiB": 1 << 10, "64KiB": 1 << 16, "1MiB": 1 << 20})
    for number in (1, 2):
        start_nginx(f"server{number}", folder / f"nginx{number}", folder / "files")
    servers = [f"{network.server_address(number)}:80" for number in (1, 2)]
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


def main() -> int:
    chosen = arguments()
    network.hold("scripts/soak")
    network.down()
    network.up(servers=2)
    folder = Path(tempfile.mkdtemp(prefix="sluice-soak-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        well = soak(chosen, folder)
    finally:
        network.down()
        shutil.rmtree(folder, ignore_errors=True)
    print("The soak passed." if well else "THE SOAK FAILED.")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
