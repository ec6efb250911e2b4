"""The whole system in the lab: a dispatcher, several workers that share a directory, and devices of several processes in client1."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..dispatcher import Configuration, Dispatcher, configuration, pool, service
from ..namespaces import inside
from ..network import PUSH_ADDRESS, SOURCE_ADDRESS, server_address
from ..paths import binary
from ..processes import Process, anonymous_bytes
from ..robustness.figures import Figures
from ..scrape import Metrics
from .bench_devices import Event, Plan, Target
from .bench_devices import run as run_devices
from .syscalls import Counting

DEVICES_PER_WORKER = 18_750  # of 20,000 descriptors
DEVICES_PER_PROCESS = 18_000
ADDRESSES_PER_PROCESS = 2  # ports of closed connections are not free at once
FIRST_ADDRESS = 128  # of 10.77.1.0/24; nobody else's in the lab while this runs
SERVERS = 16  # that the lab has at most
POSTS_AT_WORKER = 64
LEAD_SECONDS = 2  # `sluice bench devices` says that a rate begins, and this long after the first message is due
WORKER_ADMIN = "127.0.0.1:9910"  # each is alone in its host
WARM_UP_DEVICES = 100  # for each worker

WANTED_RATE = 3000
WANTED_CPU_US = 159
WANTED_WORKER_BYTES = 6 * 1024
WANTED_TUNNEL_BYTES = 768
P99_MS = 250


def workers_for(devices: int) -> int:
    """How many workers so many devices need."""
    return max(2, -(-devices // DEVICES_PER_WORKER))


def processes_for(devices: int) -> int:
    """How many client processes so many devices need; two at least, so that there are several."""
    return max(2, -(-devices // DEVICES_PER_PROCESS))


def configure(workers: int, devices: int) -> Configuration:
    """A dispatcher for so many workers, each on a server of the lab, and so many devices."""
    push = service("push", f"{PUSH_ADDRESS}:80", "ua", limits={"connections": devices + 20_000})
    push["routes"] = [{"path-prefix": "/notify/", "pool": "as"}, {"pool": "ua"}]
    fronts, posts = ([f"{server_address(number)}:{port}" for number in range(1, workers + 1)] for port in (8080, 8081))
    health = {"path": "/status", "every": "5s", "timeout": "4s"}
    queue = {"wait": "5s"}
    pools = [
        pool("ua", fronts, POSTS_AT_WORKER, health=health, queue=queue),
        pool("as", posts, POSTS_AT_WORKER, health=health, queue=queue),
    ]
    found = configuration([push], pools)
    # Each worker is a server of both pools; ports that are left are for tunnels, and those are counted for each server.
    found["server-side"].update({"servers": 2 * workers, "connections-per-server": POSTS_AT_WORKER})
    return found


def processor_seconds(pid: int) -> float:
    """User and system time of that process alone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Use:
    """What dispatcher and workers have used until a moment, in seconds of a processor."""

    time: float
    dispatcher: float
    workers: float

    def since(self, before: Use) -> Use:
        return Use(self.time - before.time, self.dispatcher - before.dispatcher, self.workers - before.workers)


@dataclass
class System:
    """A dispatcher and its workers; both run until `stop`."""

    folder: Path
    workers: list[Process]
    dispatcher: Dispatcher

    @classmethod
    def start(cls, folder: Path, workers: int, devices: int) -> System:
        """The lab must have as many servers as there are workers."""
        data = folder / "data"
        data.mkdir(mode=0o700)
        started: list[Process] = []
        try:
            for number in range(1, workers + 1):
                started.append(_worker(folder, data, number))
            return cls(folder, started, Dispatcher(folder / "dispatcher", configure(workers, devices)))
        except BaseException:
            for worker in started:
                worker.stop()
            raise

    def stop(self) -> None:
        """The workers first: they close their sockets as if they were killed, which takes less long than to drain them."""
        for worker in self.workers:
            worker.stop(timeout=3)
        self.dispatcher.stop()

    def use(self) -> Use:
        workers = sum(processor_seconds(worker.pid) for worker in self.workers)
        return Use(time.monotonic(), processor_seconds(self.dispatcher.pid), workers)

    def until_up(self, timeout: float = 30) -> None:
        """Waits until every worker is up in both pools."""
        wanted = 2 * len(self.workers)

        def up() -> int:
            return int(self.dispatcher.metrics.total("server_up"))

        self.dispatcher.until_true(lambda: up() == wanted, lambda: f"{wanted} servers up, {up()} are", timeout)

    def rows(self) -> dict[str, int]:
        """Rows of the store by table, and messages that were ever stored."""
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/data/messages.sqlite?mode=ro", uri=True, timeout=30)) as db:
            found = {name: int(db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]) for name in ("message", "acknowledged", "replay")}
            (found["stored"],) = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'message'").fetchone()
        return found

    def worker_counters(self) -> dict[str, float]:
        """Of all workers together."""
        found: dict[str, float] = {}
        for number in range(1, len(self.workers) + 1):
            with inside(f"server{number}"):
                with urllib.request.urlopen(f"http://{WORKER_ADMIN}/metrics", timeout=30) as answer:
                    counters = _counters(Metrics.parse(answer.read().decode()), "sluice_worker_")
            for name, value in counters.items():
                found[name] = found.get(name, 0) + value
        return found

    def memory(self) -> tuple[int, int]:
        """Of the workers, resident, and of the dispatcher, allocated."""
        return sum(worker.resident_bytes for worker in self.workers), anonymous_bytes(self.dispatcher.pid)


def _worker(folder: Path, data: Path, number: int) -> Process:
    command: list[str | Path] = [binary("sluice-worker"), "--data", data, "--listen", server_address(number), "--ua-port", "8080"]
    command += ["--as-port", "8081", "--public-url", f"http://{PUSH_ADDRESS}", "--trusted-proxy", f"{SOURCE_ADDRESS}/32"]
    command += ["--admin-listen", WORKER_ADMIN]
    worker = Process(f"server{number}", [*command, "--token-rate", "0"], folder / f"worker{number}.log")
    worker.until(lambda: "serving devices on port" in worker.log.read_text(errors="replace"), "a worker that serves", 30)
    return worker


def _counters(metrics: Metrics, prefix: str) -> dict[str, float]:
    """All counters that are not 0, by name and kind, whatever service, pool or server they are of."""
    found: dict[str, float] = {}
    for sample in metrics.samples:
        if sample.name.endswith("_total") and sample.value:
            kinds = [value for name, value in sample.labels.items() if name not in ("service", "pool", "server")]
            name = " ".join([sample.name.removeprefix(prefix), *kinds])
            found[name] = found.get(name, 0) + sample.value
    return found


def addresses(count: int) -> list[str]:
    """Further addresses of client1, until they are removed."""
    found = [f"10.77.1.{FIRST_ADDRESS + number}" for number in range(count)]
    for address in found:
        subprocess.run(["ip", "-n", "sluice-client1", "address", "replace", f"{address}/24", "dev", "eth0"], check=True)
    return found


def remove(added: list[str]) -> None:
    """The lab has the addresses again that it promises."""
    for address in added:
        subprocess.run(["ip", "-n", "sluice-client1", "address", "del", f"{address}/24", "dev", "eth0"], check=False)


@dataclass(frozen=True)
class Size:
    devices: int
    search: tuple[float, float]
    steps: int
    seconds: float
    warm_up: float
    stay: float  # while nothing happens
    connect_rate: float  # devices a second
    shared: int
    shared_messages: int
    shared_every: float


def full(devices: int) -> Size:
    return Size(devices, (1000, 12_000), 9, 8, 2, 6, 1500, min(devices, 100_000), 2, 45)


def short(devices: int) -> Size:
    return Size(devices, (1000, 8000), 7, 5, 1, 3, 1500, devices * 2 // 3, 3, 6)


@dataclass
class Whole:
    """One run: what is measured while `sluice bench devices` says what it does."""

    folder: Path
    size: Size
    workers: int
    figures: Figures
    tell: Callable[[str], None] = print
    found: dict[str, Any] = field(default_factory=dict)
    _marks: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """The lab must be up, with as many servers as there are workers."""
        workers, processes = self.workers, processes_for(self.size.devices)
        sources = addresses(ADDRESSES_PER_PROCESS * processes)
        target = Target(f"http://{PUSH_ADDRESS}", f"http://{PUSH_ADDRESS}", "client1", sources)
        self.tell(
            f"{workers} workers behind a dispatcher; {self.size.devices:,} devices of {processes} processes and {len(sources)} addresses"
        )
        try:
            report = self._measure(System.start(self.folder, workers, self.size.devices), target, workers, processes)
        finally:
            remove(sources)
        self.found["devices"] = report
        self._judge(report)

    def _measure(self, system: System, target: Target, workers: int, processes: int) -> dict[str, Any]:
        try:
            system.until_up()
            warm = run_devices(Plan(WARM_UP_DEVICES * workers, rates=(100,), seconds=1, warm_up=0), target, self.folder, "warm-up")
            if warm["problems"]:
                raise RuntimeError(f"{WARM_UP_DEVICES * workers} devices are too many already: {warm['error']}")
            time.sleep(2)
            self.found["memory_before"] = system.memory()
            report: dict[str, Any] = run_devices(
                self._plan(processes), target, self.folder, "devices", lambda event: self._happened(system, event), True
            )
            self._sample_end(system)
            return report
        finally:
            system.stop()

    def _plan(self, processes: int) -> Plan:
        size = self.size
        return Plan(
            size.devices,
            processes,
            search=size.search,
            steps=size.steps,
            seconds=size.seconds,
            warm_up=size.warm_up,
            stay=size.stay,
            connect_rate=size.connect_rate,
            connect_within=max(120.0, size.devices / 200),
            p99_ms=P99_MS,
            shared=size.shared,
            shared_messages=size.shared_messages,
            shared_every=size.shared_every,
        )

    # MARK: While it runs

    def _happened(self, system: System, event: Event) -> None:
        name = event["event"]
        if name == "connecting":
            self._marks["connecting"] = system.use()
        elif name == "connected":
            self.found["connecting"] = vars(system.use().since(self._marks["connecting"]))
            self.tell(f"  {event['connections']:,} devices in {event['seconds']:,.0f} s")
            # The first moments after the last registration are not rest.
            time.sleep(min(1.0, self.size.stay / 3))
            self._marks["rest"] = system.use()
        elif name == "begins":
            self._begins(system, event)
        elif name == "ended":
            self._ended(system, event)
        elif name == "shared":
            self.tell(f"  {event['connections']:,} devices have one application more, after {event['seconds']:,.0f} s")

    def _begins(self, system: System, event: Event) -> None:
        if "memory_after" not in self.found:
            self.found["rest"] = vars(system.use().since(self._marks["rest"]))
            self.found["memory_after"] = system.memory()
            self.found["tunnels"] = system.dispatcher.metrics.total("tunnels")
        self._mark_drops(system, "while devices connected")
        self._marks["begins"] = system.use()
        if "steps" not in self.found and not event.get("is_shared"):
            # Of the first rate; the messages come after some time, and the warm-up's are not counted.
            pids = [worker.pid for worker in system.workers]
            self._marks["counting"] = Counting(pids, LEAD_SECONDS + self.size.warm_up, self.size.seconds - 1)
        if event.get("is_shared"):
            self.found["rows_before"] = system.rows()

    def _ended(self, system: System, event: Event) -> None:
        use, step = system.use().since(self._marks["begins"]), event["step"]
        accepted = step["answers"].get("200", 0)
        self._mark_drops(system, "shared messages" if event.get("is_shared") else f"{step['rate']:,.0f} a second")
        found = {"rate": step["rate"], "held": step["is_held"], "accepted": accepted, **vars(use)}
        found["dispatcher_us"], found["workers_us"] = (1e6 * part / max(accepted, 1) for part in (use.dispatcher, use.workers))
        if event.get("is_shared"):
            self.found["rows_after"] = system.rows()
            self.found["shared_use"] = found
            return
        if counting := self._marks.pop("counting", None):
            messages = step["rate"] * (self.size.seconds - 1)
            self.found["calls_each"] = {name: count / messages for name, count in counting.counts().items()}
        self.found.setdefault("steps", []).append(found)
        latency = step["delivery"] or {"p50": float("inf"), "p99": float("inf")}
        self.tell(
            f"  {step['rate']:,.0f} a second: {accepted:,} of {step['due']:,} accepted, p50 {latency['p50']:,.1f}, p99 {latency['p99']:,.1f} ms, "
            f"dispatcher {found['dispatcher_us']:,.0f} and workers {found['workers_us']:,.0f} us each, {'held' if found['held'] else 'not held'}"
        )

    def _mark_drops(self, system: System, when: str) -> None:
        """Frames that the captures have lost since the last mark."""
        drops = system.dispatcher.metrics.total("capture_drops_total")
        lost = drops - self._marks.get("drops", 0.0)
        self._marks["drops"] = drops
        if lost:
            self.found.setdefault("drops", []).append({"when": when, "frames": lost})

    def _sample_end(self, system: System) -> None:
        """All counters of the dispatcher: they say why connections ended, if any did."""
        metrics = system.dispatcher.metrics
        self.found["capture_drops"] = metrics.total("capture_drops_total")
        self.found["counters"] = {"dispatcher": _counters(metrics, "sluice_"), "workers": system.worker_counters()}

    # MARK: The judgement

    def _judge(self, report: dict[str, Any]) -> None:
        figures, devices = self.figures, self.size.devices
        connecting, totals = report["connecting"], report.get("totals") or {}
        figures.at_least("whole: devices registered, through the dispatcher", self.found.get("tunnels", 0), devices)
        figures.note("whole: devices registered a second", round(devices / max(connecting["seconds"], 1e-9)))
        figures.note("whole: tries to connect that were repeated", connecting["retries"])
        if not totals:
            figures.true("whole: the run came to its end", False, report["error"])
            return
        well = not (totals["missing"] or totals["surplus"] or totals["connections_lost"])
        detail = f"{totals['missing']:,} missing, {totals['surplus']:,} twice, {totals['connections_lost']:,} connections broke"
        figures.true("whole: every accepted message was delivered once, and no connection broke", well, detail)
        self._judge_rate(report)
        worker_bytes, tunnel_bytes = (
            (after - before) / devices for before, after in zip(self.found["memory_before"], self.found["memory_after"], strict=True)
        )
        self.found["bytes_each"] = {"worker": worker_bytes, "dispatcher": tunnel_bytes}
        figures.at_most("whole: memory of the workers for each device, bytes", worker_bytes, WANTED_WORKER_BYTES, "bytes")
        figures.at_most("whole: memory of the dispatcher for each tunnel, bytes", tunnel_bytes, WANTED_TUNNEL_BYTES, "bytes")
        rest = self.found["rest"]
        for what in ("dispatcher", "workers"):
            figures.note(f"whole: share of a processor at rest, {what}", round(rest[what] / max(rest["time"], 1e-9), 4))
        figures.note("whole: frames that the captures lost", self.found["capture_drops"])
        for drops in self.found.get("drops", []):
            figures.note(f"whole: of these, {drops['when']}", drops["frames"])
        for name, count in self.found.get("calls_each", {}).items():
            figures.note(f"whole: calls of the workers for each message at the first rate, {name}", round(count, 2))
        if report.get("shared"):
            self._judge_shared(report["shared"])

    def _judge_rate(self, report: dict[str, Any]) -> None:
        figures = self.figures
        held = [number for number, step in enumerate(report["steps"]) if step["is_held"]]
        best = max(held, key=lambda number: float(report["steps"][number]["rate"]), default=None)
        if best is None:
            figures.at_least("whole: highest rate from POST to acknowledgement that holds, a second", 0, WANTED_RATE)
            return
        step, use = report["steps"][best], self.found["steps"][best]
        figures.at_least("whole: highest rate from POST to acknowledgement that holds, a second", step["rate"], WANTED_RATE)
        figures.at_most("whole: at that rate, from POST to acknowledgement, p99 ms", step["delivery"]["p99"], P99_MS, "ms")
        figures.at_most(
            "whole: at that rate, dispatcher and workers for each message, us",
            use["dispatcher_us"] + use["workers_us"],
            WANTED_CPU_US,
            "us",
        )
        figures.note("whole: of that the dispatcher, us", round(use["dispatcher_us"], 1))
        figures.note(
            "whole: generators for each message, us", round(1e6 * step["processor_seconds"] / max(step["answers"].get("200", 0), 1), 1)
        )

    def _judge_shared(self, step: dict[str, Any]) -> None:
        figures, wanted = self.figures, self.size.shared * step["due"]
        delivered = step["delivered"] == wanted and not step["surplus"]
        figures.true("shared: every device got every message once", delivered, f"{step['delivered']:,} of {wanted:,}")
        times = [time for time in step["completions"] if time >= 0]
        slowest = max(times) / 1000 if len(times) == step["due"] else float("inf")
        figures.note(f"shared: slowest message at the last of {self.size.shared:,} devices, seconds", round(slowest, 3))
        before, after = self.found["rows_before"], self.found["rows_after"]
        each = (after["stored"] - before["stored"]) / max(step["answers"].get("200", 0), 1)
        figures.true("shared: one row stored for a message, however many devices", each == 1, f"{each:g}")
