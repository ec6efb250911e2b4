"""The cases of `scripts/bench push`: what is measured, and what is wanted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..processes import machine_busy_seconds
from ..robustness.figures import Figures
from . import profile, store
from .swarm import Load
from .swarm import run as run_swarm
from .worker import Worker

WANTED_DEVICES = 19_000
WANTED_BYTES = 6 * 1024
WANTED_RATE = 6000
WANTED_P99_MS = 250
WANTED_BETWEEN_P50_MS = 50
WANTED_FAN_OUT_SECONDS = 2
WANTED_START_SECONDS = 2


@dataclass(frozen=True)
class Size:
    """How much each case does."""

    idle_devices: int
    idle_seconds: float
    message_devices: int
    rates: tuple[int, ...]
    message_seconds: float
    warm_up: float
    profile_seconds: float
    between_rates: tuple[int, ...]  # the first leaves the machine idle
    fan_out_devices: int
    fan_outs: int
    fan_out_every: float  # seconds
    registrations: int
    starts: int


FULL = Size(19_000, 5, 1000, (2000, 4000, 6000, 8000), 10, 2, 6, (20, 1000, 2000, 3000), 10_000, 6, 3, 1_000_000, 5)
SHORT = Size(19_000, 3, 1000, (WANTED_RATE,), 6, 1, 4, (20, 2000), 10_000, 3, 3, 1_000_000, 3)


@dataclass
class Bench:
    """One run: its folder, its processors, and what it has found."""

    folder: Path
    size: Size
    figures: Figures
    worker_processor: int | None
    swarm_processor: int | None
    tell: Callable[[str], None] = print
    profile_wanted: bool = True
    found: dict[str, Any] = field(default_factory=dict)

    def worker(self, name: str, data: str = "") -> Worker:
        data_folder = self.folder / (data or f"{name}-data")
        data_folder.mkdir(mode=0o700, exist_ok=True)
        return Worker(data_folder, self.folder / f"{name}.log", self.worker_processor)

    def swarm(self, name: str, load: Load, worker: Worker, connected: Callable[[], None] = lambda: None) -> dict[str, Any]:
        figures = run_swarm(load, worker, self.folder / f"{name}.log", self.swarm_processor, connected)
        if figures["error"]:
            self.tell(f"  {figures['error']}")
        return figures

    # MARK: Idle devices

    def idle(self) -> None:
        """Memory of the worker before and after many devices have registered, and what they cost it while nothing happens."""
        self.tell(f"idle: {self.size.idle_devices:,} devices connect, register, and wait")
        worker = self.worker("idle")
        try:
            # What the first devices make the worker load and allocate is not theirs alone.
            self.swarm("idle-first", Load(devices=100), worker)
            time.sleep(0.5)
            before = worker.resident_bytes
            seen: dict[str, float] = {}
            settle = min(1.0, self.size.idle_seconds)

            def connected() -> None:
                time.sleep(settle)
                busy, begin = worker.processor_seconds, time.monotonic()
                time.sleep(self.size.idle_seconds)
                seen["busy"] = (worker.processor_seconds - busy) / (time.monotonic() - begin)
                seen["resident"] = worker.resident_bytes

            stay = self.size.idle_seconds + settle + 1
            result = self.swarm("idle-swarm", Load(devices=self.size.idle_devices, stay=stay), worker, connected)
        finally:
            counts = worker.stop()
        each = (seen["resident"] - before) / self.size.idle_devices
        self.found["idle"] = {**result, "resident_before": before, "resident_after": seen["resident"], "bytes_each": each, **seen}
        registered = counts.get("devicesRegistered", 0) - 100
        if self.size.idle_devices >= WANTED_DEVICES:
            self.figures.at_least("idle: devices registered at one worker", registered, WANTED_DEVICES)
        else:
            self.figures.true("idle: all devices registered", registered == self.size.idle_devices, f"{registered}")
        self.figures.at_most("idle: memory for each device, bytes", each, WANTED_BYTES, "bytes")
        self.figures.true("idle: no connection broke", not result["connections_lost"], f"{result['connections_lost']} broke")
        self.figures.note("idle: devices registered a second", round(self.size.idle_devices / result["connect_seconds"]))
        self.figures.note("idle: share of a processor while nothing happens", round(seen["busy"], 4))

    # MARK: Messages

    def messages(self) -> None:
        """Open-loop load at fixed rates, one message for one device each."""
        steps = []
        worker = self.worker("messages")
        delivered = 0
        try:
            for rate in self.size.rates:
                self.tell(f"messages: {rate:,} a second for {self.size.message_seconds:g} s, to {self.size.message_devices:,} devices")
                step = self._step(worker, rate, self.size.message_seconds)
                delivered += step["delivered"]
                steps.append(step)
            parts = self._profile(worker, min(WANTED_RATE, max(self.size.rates)))
        finally:
            counts = worker.stop()
        self.found["messages"] = {"steps": steps, "counts": counts, "profile": parts}
        for step in steps:
            self._judge_step(step)
        good = [step["rate"] for step in steps if step["held"]]
        self.figures.note("messages: greatest rate that was held, a second", max(good, default=0))
        if not parts:  # else the profile's messages are among them
            acknowledged = counts.get("acknowledged", 0)
            self.figures.true("messages: every delivery was acknowledged", acknowledged == delivered, f"{acknowledged} of {delivered}")

    def _step(self, worker: Worker, rate: int, seconds: float) -> dict[str, Any]:
        before, begin = worker.processor_seconds, time.monotonic()
        machine = machine_busy_seconds()
        load = Load(
            devices=self.size.message_devices, rate=rate, seconds=seconds + self.size.warm_up, warm_up=self.size.warm_up, connections=512
        )
        marks: dict[str, float] = {}

        def connected() -> None:
            marks["processor"], marks["time"] = worker.processor_seconds, time.monotonic()

        step = self.swarm(f"messages-{rate}", load, worker, connected)
        busy, total = (after - early for after, early in zip(machine_busy_seconds(), machine, strict=True))
        used = worker.processor_seconds - marks.get("processor", before)
        step["worker_us_each"] = 1e6 * used / max(step["messages"], 1)
        step["worker_busy"] = used / max(time.monotonic() - marks.get("time", begin), 1e-9)
        step["machine_busy"] = busy / max(total, 1e-9)
        step["swarm_busy"] = step["processor_seconds"] / max(step["load_seconds"], 1e-9)
        complete = step["answers"].get("200", 0) == step["messages"] and not (
            step["missing"] or step["surplus"] or step["connections_lost"]
        )
        step["held"] = bool(complete and step["delivery"] and step["delivery"]["p99"] < WANTED_P99_MS)
        return step

    def _judge_step(self, step: dict[str, Any]) -> None:
        name = f"messages: at {step['rate']:,.0f} a second"
        accepted, due = step["answers"].get("200", 0), step["messages"]
        detail = f"{accepted:,} of {due:,} accepted, {step['missing']:,} missing, {step['surplus']:,} twice"
        latency = step["delivery"]["p99"] if step["delivery"] else float("inf")
        if step["rate"] > WANTED_RATE:
            self.figures.note(f"{name}: from POST to ack, p99 ms", f"{latency:,.1f} ({detail})")
            return
        well = accepted == due and not step["missing"] and not step["surplus"]
        self.figures.true(f"{name}: all accepted, and delivered once", well, detail)
        self.figures.at_most(f"{name}: from POST to ack, p99 ms", latency, WANTED_P99_MS, "ms")

    def _profile(self, worker: Worker, rate: int) -> list[dict[str, Any]]:
        """By itself: what perf costs is in no other figure."""
        if not self.profile_wanted:
            return []
        if not profile.is_available():
            self.tell("  no profile: perf is not installed (Debian: linux-perf)")
            return []
        self.tell(f"messages: a profile of the worker at {rate:,} a second")
        running: list[profile.Profile] = []
        begin = self.size.profile_seconds

        def connected() -> None:
            running.append(profile.Profile(worker.process.pid, begin, self.folder / "perf.data"))

        load = Load(devices=self.size.message_devices, rate=rate, seconds=begin + 1, connections=512)
        self.swarm("messages-profile", load, worker, connected)
        with contextlib.suppress(IndexError):
            try:
                return [vars(part) for part in running[0].parts()]
            except RuntimeError as error:
                self.tell(f"  no profile: {error}")
        return []

    # MARK: Two workers

    def between(self) -> None:
        """Application servers at one worker, devices at another of the same directory."""
        holder = self.worker("between-devices", "between-data")
        taker = self.worker("between-posts", "between-data")
        steps = []
        try:
            for rate in self.size.between_rates:
                self.tell(f"between: {rate:,} a second for {self.size.message_seconds:g} s, posted at one worker, devices at another")
                steps.append(self._between_step(holder, taker, rate))
        finally:
            counts = [holder.stop(), taker.stop()]
        self.found["between"] = {"steps": steps, "counts": counts}
        for number, step in enumerate(steps):
            name = f"between workers: at {step['rate']:,.0f} a second"
            detail = f"{step['answers'].get('200', 0):,} of {step['messages']:,} accepted, {step['missing']:,} missing"
            complete = step["answers"].get("200", 0) == step["messages"] and not step["missing"] and not step["surplus"]
            latency = step["delivery"] or {"p50": float("inf"), "p99": float("inf")}
            if number == 0:
                self.figures.true(f"{name}: all accepted, and delivered once", complete, detail)
                self.figures.at_most(f"{name}: from POST to ack, p50 ms", latency["p50"], WANTED_BETWEEN_P50_MS, "ms")
            else:
                self.figures.note(f"{name}: from POST to ack, p50 ms", f"{latency['p50']:,.1f} ({detail})")
            self.figures.note(f"{name}: from POST to ack, p99 ms", f"{latency['p99']:,.1f}")

    def _between_step(self, holder: Worker, taker: Worker, rate: int) -> dict[str, Any]:
        load = Load(
            devices=min(200, self.size.message_devices),
            rate=rate,
            seconds=self.size.message_seconds + self.size.warm_up,
            warm_up=self.size.warm_up,
            connections=512,
            posts_to=taker,
        )
        marks: dict[str, float] = {}

        def used() -> float:
            return holder.processor_seconds + taker.processor_seconds

        def connected() -> None:
            marks["processor"] = used()

        step = self.swarm(f"between-{rate}", load, holder, connected)
        step["workers_us_each"] = 1e6 * (used() - marks.get("processor", 0)) / max(step["messages"], 1)
        return step

    # MARK: One message for many devices

    def fan_out(self) -> None:
        """Now and then a message for all devices, which have one application."""
        devices, count = self.size.fan_out_devices, self.size.fan_outs
        self.tell(f"fan-out: {count} messages, each to {devices:,} devices with one application")
        worker = self.worker("fan-out")
        try:
            load = Load(
                devices=devices,
                applications=1,
                rate=1 / self.size.fan_out_every,
                seconds=self.size.fan_out_every * count,
                stay=min(1, self.size.fan_out_every),
                connections=4,
            )
            result = self.swarm("fan-out-swarm", load, worker)
        finally:
            counts = worker.stop()
        self.found["fan_out"] = {**result, "counts": counts}
        wanted = devices * result["messages"]
        well = result["delivered"] == wanted and not result["surplus"]
        self.figures.true("fan-out: every device got every message once", well, f"{result['delivered']:,} of {wanted:,}")
        slowest = result["completion"]["max"] / 1000 if result["completion"] else float("inf")
        self.figures.at_most("fan-out: slowest message at the last device, seconds", slowest, WANTED_FAN_OUT_SECONDS, "s")
        if result["completion"]:
            self.figures.note("fan-out: the median message at the last device, seconds", round(result["completion"]["p50"] / 1000, 3))
        acknowledged = counts.get("acknowledged", 0)
        self.figures.true("fan-out: every delivery was acknowledged", acknowledged == wanted, f"{acknowledged:,} of {wanted:,}")

    # MARK: Start

    def start(self) -> None:
        """How soon a worker serves on a store that has much in it, read from the disk."""
        registrations = self.size.registrations
        self.tell(f"start: a store with {registrations:,} registrations is made")
        self.worker("start-empty", "start-data").kill()
        data = self.folder / "start-data"
        begin = time.monotonic()
        store.fill(data, registrations)
        filled = time.monotonic() - begin
        seconds, resident = [], 0
        for number in range(self.size.starts):
            store.forget_pages(data)
            worker = self.worker(f"start-{number}", "start-data")
            seconds.append(round(worker.seconds_to_start, 4))
            resident = max(resident, worker.resident_bytes)
            if number % 2:
                worker.kill()
            else:
                worker.stop()
        kept = store.count(data)
        self.found["start"] = {
            "seconds": seconds,
            "fill_seconds": filled,
            "bytes": store.size(data),
            "registrations": kept,
            "resident": resident,
        }
        self.figures.true("start: all registrations are there", kept == registrations, f"{kept:,}")
        self.figures.at_most("start: slowest, until /status said OK, seconds", max(seconds), WANTED_START_SECONDS, "s")
        self.figures.note("start: median, seconds", sorted(seconds)[len(seconds) // 2])
        self.figures.note("start: memory of the worker, MiB", round(resident / 2**20))


CASES: dict[str, Callable[[Bench], None]] = {
    "idle": Bench.idle,
    "messages": Bench.messages,
    "between": Bench.between,
    "fan-out": Bench.fan_out,
    "start": Bench.start,
}
