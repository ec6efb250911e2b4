"""What `scripts/bench load` runs, in order, and what it keeps of each run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import load_contenders
import load_runs
from load_contenders import FIXED, HOLD, OPTIMISE, Contender, Sluice, Tuning
from load_runs import Event, Load, Observation
from sluicelab.loading.farm import Farm, Server, Thrashers
from sluicelab.loading.law import Curve, Point
from sluicelab.loading.thrasher import Thrasher
from sluicelab.loading.traces import Trace, convergence, rate_between, variation

SWEEP_USERS = 640  # of the closed loop: more than twice the greatest limit
SWEEP_PATIENCE_MS = 60_000
LITTLE_TIMES = 10  # Little's law is checked where at least so many response times fit into the measurement
MOST = load_contenders.MOST


@dataclass(frozen=True)
class Lengths:
    """Seconds of each part."""

    limits: tuple[int, ...]
    sweep: float
    sweep_warm_up: float
    loads: tuple[float, ...]  # of the curve, in peaks
    controlled_loads: tuple[float, ...]  # of contenders whose limit moves: they need longer
    curve: float
    warm_up: float
    settle: float  # for a limit that moves to find its place
    from_one: float  # at most: a run ends when the limit has been right for `rest`
    from_maximum: float
    rest: float
    capacity: tuple[float, ...]  # as it is, halved, as it was, doubled, as it was; may end earlier
    stalls: float
    mixed: float
    bad_server: float
    low_demand: float


FULL = Lengths(
    limits=(1, 2, 4, 8, 12, 16, 24, 32, 64, 128, 256),
    sweep=8,
    sweep_warm_up=1,
    loads=(0.25, 0.5, 1, 2, 4),
    controlled_loads=(0.25, 0.5, 1, 2, 4),
    curve=10,
    warm_up=3,
    settle=14,
    from_one=45,
    from_maximum=80,
    rest=15,
    capacity=(10, 12, 12, 12, 14),
    stalls=32,
    mixed=24,
    bad_server=24,
    low_demand=20,
)
SHORT = Lengths(
    limits=(1, 8, 16, 32, 256),
    sweep=2,
    sweep_warm_up=0.5,
    loads=(4,),
    controlled_loads=(4,),
    curve=3,
    warm_up=1,
    settle=6,
    from_one=10,
    from_maximum=20,
    rest=5,
    capacity=(4, 4, 5),
    stalls=0,
    mixed=0,
    bad_server=0,
    low_demand=5,
)


@dataclass
class Progress:
    """Says what is under way, and how long the rest will take."""

    tell: Callable[[str], None]
    seconds: list[float] = field(default_factory=list)  # of each run that is planned
    done: int = 0
    begun: float = field(default_factory=time.monotonic)

    def now(self, what: str) -> None:
        left = sum(self.seconds[self.done :])
        planned = sum(self.seconds[: self.done])
        if planned > 20:  # the machine may be slower than thought
            left *= (time.monotonic() - self.begun) / planned
        self.done += 1
        self.tell(f"[{self.done}/{len(self.seconds)}, {int(left) // 60}:{int(left) % 60:02} left] {what}")


@dataclass(frozen=True)
class Bench:
    farm: Farm
    lengths: Lengths
    contenders: Sequence[Contender]
    folder: Path
    reuse: bool
    seed: int
    wait_ms: int
    only: frozenset[str]  # parts: sweep is always run
    progress: Progress

    # MARK: The plan

    def plan(self) -> None:
        """The length of each run, in the order in which they come."""
        add, each = self.progress.seconds.append, load_runs.OVERHEAD_SECONDS
        for _ in self.lengths.limits:
            add(self.lengths.sweep_warm_up + self.lengths.sweep + each)
        for load, contender in self._cells():
            warm_up = self.lengths.settle if contender.controlled else self.lengths.warm_up
            add(warm_up + self.lengths.curve + each + (2 if load >= 2 and not isinstance(contender, Sluice) else 0.5))
        for _, start in self._starts():
            add((self.lengths.from_one if start == "one" else self.lengths.from_maximum) + each + 0.5)
        for _, seconds, *_ in self._disturbances(None):
            add(seconds + each + 0.5)

    def _cells(self) -> list[tuple[float, Contender]]:
        if "curve" not in self.only:
            return []
        return [
            (load, contender)
            for load in self.lengths.loads
            for contender in self.contenders
            if not contender.controlled or load in self.lengths.controlled_loads
        ]

    def _starts(self) -> list[tuple[Sluice, str]]:
        if "convergence" not in self.only:
            return []
        return [(one, start) for one in self.contenders if isinstance(one, Sluice) and one.controlled for start in ("one", "maximum")]

    def try_all(self) -> None:
        """Starts each contender once: one that its program refuses ends the run now, and not after twenty minutes."""
        servers = self.farm.start(self.folder / "servers")
        try:
            for contender in self.contenders:
                process = contender.start(self.folder / "try" / contender.name, [servers[0].address], Tuning(8, (10, 20), 8, self.wait_ms))
                if process is not None:
                    time.sleep(0.3)
                    if not process.running:
                        raise RuntimeError(f"{contender.name} does not start:\n{process.log_end()}")
                    process.stop(timeout=3)
        finally:
            for server in servers:
                server.stop()

    # MARK: The sweep

    def sweep(self) -> tuple[Curve, dict[str, Any]]:
        points, documents = [], []
        for limit in self.lengths.limits:
            contender = load_contenders.with_limit(limit, SWEEP_PATIENCE_MS)
            self.progress.now(f"sweep: limit {limit}")
            load = Load(0, self.lengths.sweep, self.lengths.sweep_warm_up, True, SWEEP_USERS, SWEEP_PATIENCE_MS, self.farm.path, self.seed)
            seen = load_runs.run(contender, self.farm, Tuning(limit, (1, 2), limit), load, self.folder / f"sweep-{limit}")
            rate = seen.rate
            # Where a response takes longer than what was measured, only the quick ones have come: Little's law tells the time then.
            active = fmean(sample.active for sample in seen.trace.between(self.lengths.sweep_warm_up))
            exact = active / max(rate, 1e-9) * LITTLE_TIMES <= self.lengths.sweep
            response = seen.response if exact else active / max(rate, 1e-9)
            little = abs(active - rate * seen.response) / active if exact else None
            points.append(Point(limit, rate * seen.mean_cost, response))
            documents.append(
                {
                    "limit": limit,
                    # In requests of average cost: what costs happened to be drawn in these seconds is not the limit's doing.
                    "rate": rate * seen.mean_cost,
                    "answered": rate,
                    "response": response,
                    "active": active,
                    "at_work": seen.at_work,
                    "little": little,
                    "busy": seen.busy,
                }
            )
            self.progress.tell(f"    {rate:8.1f} a second, {1000 * response:8.1f} ms each")
        curve = Curve(points)
        tuning = Tuning.of(curve)
        document: dict[str, Any] = {
            "points": documents,
            "method": curve.method,
            "best_limit": curve.best_limit,
            "best_rate": curve.best_rate,
            "band_ms": tuning.band_ms,
            "law": None if curve.law is None else {"gain": curve.law.gain, "sigma": curve.law.sigma, "kappa": curve.law.kappa},
        }
        band = f"{tuning.band_ms[0]} to {tuning.band_ms[1]} ms"
        self.progress.tell(f"    best: limit {curve.best_limit}, {curve.best_rate:.1f} a second, by {curve.method}; band to hold: {band}")
        return curve, document

    # MARK: The overload curve

    def curve(self, curve: Curve) -> list[dict[str, Any]]:
        found = []
        for load, contender in self._cells():
            self.progress.now(f"{load:g} x the peak: {contender.name}")
            warm_up = self.lengths.settle if contender.controlled else self.lengths.warm_up
            asked = self._load(load * curve.best_rate, self.lengths.curve, warm_up)
            seen = load_runs.run(contender, self.farm, self._tuning(curve), asked, self.folder / f"curve-{load:g}")
            found.append({"contender": contender.name, "load": load, "offered": asked.rate, **self._cell(seen, warm_up)})
            self._say(seen)
        return found

    def _load(self, rate: float, seconds: float, warm_up: float, paths: str = "") -> Load:
        return Load(rate, seconds, warm_up, self.reuse, paths=paths or self.farm.path, seed=self.seed)

    def _tuning(self, curve: Curve, initial: int = 8) -> Tuning:
        tuning = Tuning.of(curve, initial)
        return Tuning(tuning.limit, tuning.band_ms, tuning.initial, self.wait_ms)

    def _cell(self, seen: Observation, begin: float) -> dict[str, Any]:
        limits = [sample.limit for sample in seen.trace.between(begin)]
        return {
            "goodput": seen.goodput,
            "server_rate": seen.rate,
            "mean_cost": seen.mean_cost,
            "at_work": seen.at_work,
            "response": seen.response,
            "busy": seen.busy,
            "limit_mean": fmean(limits) if limits else None,
            "variation": variation(limits) if limits else None,
            "numbers": {key: value for key, value in seen.numbers.items() if key != "slices"},
        }

    def _say(self, seen: Observation) -> None:
        n = seen.numbers
        limits = [sample.limit for sample in seen.trace.between(n["warm_up"])]
        refused = n["unavailable"] + n["other_status"] + n["refused"] + n["reset"] + n["closed"]
        limit = f", limit {fmean(limits):.1f}" if limits else ""
        self.progress.tell(
            f"    good {seen.goodput:7.1f} a second of {n['due'] / max(n['seconds'], 1e-9):7.1f}; server {seen.rate:7.1f};"
            f" late {n['late']}, refused {refused}, timed out {n['timed_out']}; p50 {n['p50_ms']:.0f}, p99 {n['p99_ms']:.0f} ms{limit}"
        )

    # MARK: Convergence

    def convergence(self, curve: Curve) -> list[dict[str, Any]]:
        found = []
        for contender, start in self._starts():
            self.progress.now(f"convergence: {contender.name} from {'a limit of one' if start == 'one' else 'the maximum'}")
            seconds = self.lengths.from_one if start == "one" else self.lengths.from_maximum
            asked = self._load(2 * curve.best_rate, seconds, 0)
            begun = load_contenders.from_limit(contender, 1 if start == "one" else MOST)
            tuning = self._tuning(curve)
            is_right, goal = self._goal(contender, curve, tuning)
            rest = min(self.lengths.rest, seconds / 2)

            def enough(trace: Trace) -> bool:
                found = convergence(trace, is_right)
                return found.reached and trace.samples[-1].time - trace.samples[0].time >= found.seconds + rest

            seen = load_runs.run(begun, self.farm, tuning, asked, self.folder / f"convergence-{start}", enough=enough)
            result = convergence(seen.trace, is_right)
            steady = [sample.limit for sample in seen.trace.between(seen.trace.samples[0].time + result.seconds)]
            entry = {
                **self._cell(seen, 0),
                "contender": contender.name,
                "from": start,
                "goal": goal,
                "reached": result.reached,
                "windows": result.windows,
                "seconds": result.seconds,
                "variation": variation(steady) if result.reached and len(steady) >= 5 else None,
                "limit_end": seen.trace.samples[-1].limit,
                "trace": seen.trace.document(),
            }
            found.append(entry)
            there = f"in {result.windows:.0f} windows, {result.seconds:.1f} s" if result.reached else "NOT there"
            self.progress.tell(f"    {there}; limit at the end {entry['limit_end']:.0f}")
        return found

    def _goal(self, contender: Contender, curve: Curve, tuning: Tuning) -> tuple[Callable[[float], bool], str]:
        if contender.name == HOLD.name:
            low, high = tuning.band_ms
            # A limit is whole: one connection past the end of the band is in it.
            return lambda limit: low <= 1000 * curve.response(limit + 1) and 1000 * curve.response(max(1, limit - 1)) <= high, "its band"
        return lambda limit: curve.rate(limit) >= 0.95 * curve.best_rate, "95 % of the best rate"

    # MARK: Disturbances

    def _disturbances(self, curve: Curve | None) -> list[tuple[str, float, Contender, str, float, list[Event], int, str]]:
        """Name, seconds, contender, title, load in peaks, events, servers, paths."""
        if "disturbances" not in self.only or not isinstance(self.farm, Thrashers):
            return []
        lengths = self.lengths
        three: list[Contender] = [one for one in (FIXED, HOLD, OPTIMISE) if one in self.contenders]
        controlled = [one for one in three if one.controlled]
        plan: list[tuple[str, float, Contender, str, float, list[Event], int, str]] = []
        capacity = [
            Event(sum(lengths.capacity[:n]), f"capacity {factor:g}", _set(capacity=factor))
            for n, factor in enumerate((1, 0.5, 1, 2, 1))
            if 0 < n < len(lengths.capacity)
        ]
        for one in three:
            plan.append(("capacity", sum(lengths.capacity), one, "capacity halved, and doubled", 2.5, capacity, 1, ""))
        if lengths.stalls:
            stalls = [Event(at, "stall of 500 ms", _set(stall=500)) for at in range(5, int(lengths.stalls) - 5, 10)]
            plan += [("stalls", lengths.stalls, one, "a stall of 500 ms each 10 s", 2, stalls, 1, "") for one in three]
        if lengths.mixed:
            mixed = "/cost/0.5*9,/cost/5.5*1"
            plan += [("mixed", lengths.mixed, one, "one request of ten costs eleven times as much", 2, [], 1, mixed) for one in three]
        if lengths.bad_server:
            bad = [Event(0, "one of three is slow", _slow_third)]
            plan += [("bad-server", lengths.bad_server, one, "one server of three does a fifth", 2, bad, 3, "") for one in three]
        if lengths.low_demand:
            plan += [("low-demand", lengths.low_demand, one, "demand is a quarter of the peak", 0.25, [], 1, "") for one in controlled]
        return plan

    def disturbances(self, curve: Curve) -> list[dict[str, Any]]:
        found = []
        for name, seconds, contender, title, peaks, events, servers, paths in self._disturbances(curve):
            self.progress.now(f"{title}: {contender.name}")
            asked = self._load(peaks * curve.best_rate, seconds, 0, paths)
            tuning = self._tuning(curve, curve.best_limit).among(servers)
            seen = load_runs.run(contender, self.farm, tuning, asked, self.folder / f"disturbance-{name}", servers, events)
            slices, slice_ms = seen.numbers["slices"], seen.numbers["slice_ms"]
            trace, quarter = seen.trace, max(2.0, seconds / 5)
            first = trace.samples[0].limit if trace.samples else 0.0
            found.append(
                {
                    **self._cell(seen, 0),
                    "name": name,
                    "title": title,
                    "contender": contender.name,
                    "offered": asked.rate,
                    "events": [{"at": event.at, "what": event.what} for event in events],
                    "goodput_end": rate_between(slices, slice_ms, "good", seconds - quarter, seconds),
                    "good_share": seen.numbers["good"] / max(seen.numbers["due"], 1),
                    "drift": max((abs(sample.limit - first) for sample in trace.samples), default=0.0),
                    "good_by_second": [rate_between(slices, slice_ms, "good", second, second + 1) for second in range(math.floor(seconds))],
                    "trace": trace.document(),
                }
            )
            self._say(seen)
        return found


def _set(**values: float) -> Callable[[list[Server]], None]:
    def act(servers: list[Server]) -> None:
        for server in servers:
            if isinstance(server, Thrasher):
                server.control(**values)

    return act


def _slow_third(servers: list[Server]) -> None:
    server = servers[-1]
    if isinstance(server, Thrasher):
        server.control(capacity=0.2)
