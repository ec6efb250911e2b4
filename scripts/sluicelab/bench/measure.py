"""A turn of one contender, and the rounds of a case."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from .. import traffic
from ..impairment import LossyCable
from ..processes import Process, machine_busy_seconds, processor_seconds
from ..push import profile as perf
from . import loads, memory
from .cases import FLOOD_SYNS_PER_SECOND, PROCESSOR, PROCESSOR_MB, Case
from .contenders import CONTENDERS, Contender, Running, roomy
from .judge import Round, Turn, summarise
from .loads import Load

WARM_UP_SECONDS = 0.5
PEAK_SECONDS = 1.5
LEAST_SHARE = 0.005  # of a profile's samples that a function must have to be named
OPEN_LOOPS = ("half", "flood")


class Started(Protocol):
    """What `until_serving` waits for: a Process, or the kernel's own path."""

    def until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        ...


@dataclass
class Progress:
    """Counts turns, and says how long those that are left will take if they are like those before."""

    turns: int
    done: int = 0
    begun: float = field(default_factory=time.monotonic)

    def next(self) -> str:
        left = (time.monotonic() - self.begun) / self.done * (self.turns - self.done) if self.done else 0.0
        self.done += 1
        return f"[{self.done}/{self.turns}" + (f", {int(left) // 60}:{int(left) % 60:02} left]" if self.done > 1 else "]")


@dataclass(frozen=True)
class Bench:
    """Where and how long."""

    folder: Path
    servers: list[str]
    rounds: int
    seconds: int
    digest: str  # of the big file
    tell: Callable[[str], None]
    progress: Progress
    profiled: bool = False  # whether the dispatcher has one more turn in which perf looks on

    def rounds_of(self, case: Case) -> int:
        return min(self.rounds, case.rounds or self.rounds)

    @property
    def traffic(self) -> Path:
        """Where the load's programs and logs are."""
        return self.folder / "traffic"


def until_serving(process: Started, url: str) -> None:
    def answers() -> bool:
        words = loads.in_client("curl", "--silent", "--fail", "--max-time", "2", "--output", "/dev/null", url)
        return subprocess.run(words).returncode == 0

    process.until(answers, f"{url} to answer", 10)


@contextlib.contextmanager
def serving(contender: Contender, folder: Path, servers: list[str]) -> Iterator[Running]:
    """The contender, started and answering, until the block ends."""
    log = contender.access_log(folder)
    if log is not None:
        log.unlink(missing_ok=True)
    process = contender.start(folder, servers)
    try:
        for address in contender.addresses:
            until_serving(process, f"http://{address}/")
        yield process
    finally:
        process.stop()


def put(contender: Contender, case: Case, bench: Bench, rate: float) -> Load:
    """The load of that case, once."""
    if case.load == "download":
        load, wrong = loads.download(f"http://{contender.addresses[0]}{case.path}", bench.digest)
        if wrong:
            bench.tell(f"  FAILED download through {contender.name}: {wrong}")
        return load
    if case.load == "wrk":
        return loads.wrk(contender.addresses, case, bench.traffic, bench.seconds)
    return loads.own(contender.addresses, case, bench.traffic, bench.seconds, rate, fresh=case.load == "fresh")


def warm_up(contender: Contender, case: Case, bench: Bench) -> None:
    if case.load != "download":
        loads.own(contender.addresses, case, bench.traffic, WARM_UP_SECONDS, fresh=case.load == "fresh")


def take_turn(contender: Contender, case: Case, bench: Bench, rate: float = 0) -> Turn:
    """With a load of requests; what it cost beside."""
    folder = bench.folder / case.name / contender.name
    with serving(contender, folder, bench.servers) as process:
        warm_up(contender, case, bench)
        pid = process.pid
        used, (busy, machine) = processor_seconds(pid) if pid else 0.0, machine_busy_seconds()
        load = put(contender, case, bench, rate)
        used, (busy_after, machine_after) = (processor_seconds(pid) if pid else 0.0) - used, machine_busy_seconds()
    seconds, machine_seconds = max(load.seconds, 1e-9), busy_after - busy
    turn: Turn = {
        "requests": load.requests,
        "failures": load.failures,
        "megabytes_per_second": load.megabytes / seconds,
        "machine_busy": machine_seconds / max(machine_after - machine, 1e-9),  # share of all processors
    }
    # Its own user and system time, its children's included. What the kernel does for no process is nobody's.
    own = used if pid else None
    if case.load == "download":
        turn[PROCESSOR_MB] = _each(own, load.megabytes)
    else:
        turn |= {
            "requests_per_second": load.requests / seconds,
            "latency_ms_p50": load.latency_ms_p50,
            "latency_ms_p99": load.latency_ms_p99,
            PROCESSOR: _each(own, load.requests),
            "machine_us_per_request": _each(machine_seconds, load.requests),  # of all processors, clients and servers included
        }
    log = contender.access_log(folder)
    if log is not None:
        turn["log_lines_missing"] = max(0, load.requests - lines(log))
    return turn


def _each(seconds: float | None, count: float) -> float | None:
    """In us."""
    return None if seconds is None else 1e6 * seconds / max(count, 1)


def lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def flood_turn(contender: Contender, case: Case, bench: Bench, rate: float) -> Turn:
    """An open loop alone, then under spoofed SYNs."""
    with serving(contender, bench.folder / case.name / contender.name, bench.servers) as process:
        warm_up(contender, case, bench)
        alone = put(contender, case, bench, rate)
        used = processor_seconds(process.pid) if process.pid else 0.0
        flood = traffic.syn_flood(bench.traffic, contender.addresses[0], FLOOD_SYNS_PER_SECOND, bench.seconds + 1)
        attacked = put(contender, case, bench, rate)
        used = (processor_seconds(process.pid) if process.pid else 0.0) - used
        sent = flood.numbers(30)
    return {
        "rate": rate,
        "syns_per_second": sent["per_second"],
        "within_alone": alone.within,
        "within_attack": attacked.within,
        "alone_ms_p99": alone.latency_ms_p99,
        "attack_ms_p99": attacked.latency_ms_p99,
        "processor_share_attack": used / max(attacked.seconds, 1e-9),
        # Under attack a late or missing answer is what `within_attack` says, not a fault of the run.
        "failures": alone.failures,
        "failures_attack": attacked.failures,
    }


def memory_turn(contender: Contender, case: Case, bench: Bench) -> Turn:
    """What the process has grown by while connections were opened on which then nothing happened."""
    tunnels = case.load == "tunnels"
    servers = [f"{server.rsplit(':', 1)[0]}:{memory.TUNNEL_PORT}" for server in bench.servers] if tunnels else bench.servers
    with serving(roomy(contender), bench.folder / case.name / contender.name, servers) as process:
        assert isinstance(process, Process), f"{contender.name} is no process"
        # What requests need, whoever makes them, is not what connections cost: it is there before.
        loads.own(contender.addresses, replace(case, connections=64), bench.traffic, WARM_UP_SECONDS)
        return memory.grow(process, contender.addresses[0], case.connections, tunnels, bench.traffic)


def half_of_peak(case: Case, names: Sequence[str], bench: Bench) -> int:
    """Half of what the slowest can do in a closed loop, a second."""
    peaks: dict[str, float] = {}
    for name in names:
        with serving(CONTENDERS[name], bench.folder / case.name / name, bench.servers):
            load = loads.own(CONTENDERS[name].addresses, case, bench.traffic, PEAK_SECONDS)
            peaks[name] = load.requests / load.seconds
    bench.tell("  peaks: " + ", ".join(f"{name} {peak:,.0f}" for name, peak in peaks.items()) + " requests/s")
    return max(1, int(min(peaks.values()) / 2))


def one_line(turn: Turn) -> str:
    shown = []
    for name, form in LINE:
        if (value := turn.get(name)) is not None:
            shown.append(form.format(value))
    return "  ".join(shown)


LINE = (
    ("requests_per_second", "{:>10,.1f} requests/s"),
    ("megabytes_per_second", "{:>8,.1f} MB/s"),
    (PROCESSOR, "{:>6.1f} us each"),
    (PROCESSOR_MB, "{:>7.1f} us/MB"),
    ("bytes_each", "{:>10,.0f} bytes each"),
    ("within_alone", "{:>7.2f} % within 100 ms alone"),
    ("within_attack", "{:>7.2f} % under attack"),
)


def run_case(case: Case, names: Sequence[str], bench: Bench) -> dict[str, Any]:
    """All rounds; the order within a round is reversed from one to the next (A B, B A, A B, ...)."""
    history: list[Round] = []
    settings: dict[str, Any] = {"rounds": bench.rounds_of(case), "seconds": bench.seconds}
    with contextlib.ExitStack() as around:
        if case.loss:
            around.enter_context(LossyCable("client1", case.loss))
        if case.load == "tunnels":
            around.enter_context(memory.tunnel_servers(bench.traffic))
        rate = 0
        if case.load in OPEN_LOOPS:
            rate = settings["rate"] = half_of_peak(case, names, bench)
        for number in range(bench.rounds_of(case)):
            turns: Round = {}
            for name in names if number % 2 == 0 else reversed(names):
                turns[name] = turn_of(CONTENDERS[name], case, bench, rate)
                bench.tell(f"  {bench.progress.next()} round {number + 1}  {name:<16} {one_line(turns[name])}")
            history.append({name: turns[name] for name in names})
        profile = profile_turn(case, bench) if bench.profiled and "sluice" in names and case.load in ("wrk", "fresh") else []
    return {**summarise(case, names, history, settings), "profile": profile}


def profile_turn(case: Case, bench: Bench) -> list[dict[str, Any]]:
    """What the dispatcher spends its time with, by function; perf costs time itself, so this turn is in no figure."""
    if not perf.is_available():
        bench.tell("  no profile: perf is not installed (Debian: linux-perf)")
        return []
    contender, folder = CONTENDERS["sluice"], bench.folder / case.name / "profile"
    with serving(contender, folder, bench.servers) as process:
        assert process.pid is not None
        warm_up(contender, case, bench)
        recording = perf.Profile(process.pid, bench.seconds, folder / "perf.data")
        put(contender, case, bench, 0)
        parts = recording.parts()
    return [asdict(part) for part in parts if part.share >= LEAST_SHARE]


def turn_of(contender: Contender, case: Case, bench: Bench, rate: float) -> Turn:
    if case.load in ("idle", "tunnels"):
        return memory_turn(contender, case, bench)
    if case.load == "flood":
        return flood_turn(contender, replace(case, load="half"), bench, rate)
    return take_turn(contender, case, bench, rate)


def tell(line: str) -> None:
    print(line, flush=True, file=sys.stdout)


def now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
