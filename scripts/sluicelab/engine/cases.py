"""The parts of `scripts/bench engine`. Each adds what it has found, and judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sluicelab.engine import budget, runs
from sluicelab.robustness.figures import Figures

TOP = 25
MOST_BYTES = {"idle": 512, "tunnels": 768}
NAMES = {"idle": "idle front-end connection", "tunnels": "idle tunnel"}
MOST_GROWTH = 1.5
SHARDED = ("small", "connection", "64k-merged")
MOST_STEP_MS = 1.0


@dataclass(frozen=True)
class Size:
    """How much is done."""

    packets: int  # played in each case
    held: tuple[int, ...]  # connections that are held
    messages: int  # in tunnels, of which a few talk at a time
    few: int  # tunnels that the cost among many is compared with
    rounds: int  # of few and many in turn
    shard_rounds: int  # of one engine and two in turn


FULL = Size(packets=1_000_000, held=(100_000, 1_000_000), messages=200_000, few=1_000, rounds=3, shard_rounds=41)
SHORT = Size(packets=100_000, held=(100_000,), messages=50_000, few=1_000, rounds=1, shard_rounds=7)


@dataclass
class Bench:
    size: Size
    figures: Figures
    tell: Callable[[str], None]
    sets_budget: bool = False
    found: dict[str, Any] = field(default_factory=dict)

    def instructions(self) -> None:
        """Instructions of each exchange, beside their budgets; and where those of the small case go."""
        if not runs.is_countable():
            raise RuntimeError("valgrind is not there: it counts the instructions (Debian's package valgrind)")
        budgets = budget.load()
        counts: dict[str, int] = {}
        rows = self.found["instructions"] = {}
        for case in runs.CASES.values():
            profile, found = runs.count(case.name)
            counts[case.name] = profile.total // found["exchanges"]
            rows[case.name] = {
                "per_exchange": counts[case.name],
                "per_frame": round(profile.total / found["frames"]),
                "frames_per_exchange": round(found["frames"] / found["exchanges"], 2),
                "top": [(name, round(cost / found["exchanges"], 1)) for name, cost in profile.top(TOP)],
            }
            most = budget.most(budgets[case.name]) if case.name in budgets else 0
            if not self.sets_budget:
                self.figures.at_most(f"instructions, {case.title}, each {case.what}", counts[case.name], most)
        if self.sets_budget:
            budget.save(counts)
            self.tell(f"new budgets: {budget.FILE}")

    def packets(self) -> None:
        """A million packets of each case: allocations, references counted, and frames a second of one processor."""
        rows = self.found["packets"] = {}
        for case in runs.CASES.values():
            found = rows[case.name] = runs.replay_packets(case, self.size.packets)
            self.figures.at_most(f"allocations, {case.title}, in {found['frames']:,} frames", found["allocations"], 0)
            references = found["retains"] + found["releases"]
            self.figures.at_most(f"references counted, {case.title}, in {found['frames']:,} frames", references, 0)
            found["frames_per_second"] = round(1e9 * found["frames"] / found["nanoseconds"])
            self.figures.note(f"frames a second, {case.title}", found["frames_per_second"])

    def tunnels(self) -> None:
        """What a packet costs among few tunnels and among many."""
        few, many = self.size.few, self.size.held[-1]
        ratios, found = [], []
        for _ in range(self.size.rounds):
            pair = [runs.run("pace", str(held), str(self.size.messages)) for held in (few, many)]
            found.append({str(held): one["median_ns_per_frame"] for held, one in zip((few, many), pair, strict=True)})
            ratios.append(pair[1]["median_ns_per_frame"] / pair[0]["median_ns_per_frame"])
        ratio = sorted(ratios)[len(ratios) // 2]
        self.found["tunnels"] = {"few": few, "many": many, "rounds": found, "ratio": round(ratio, 2)}
        self.figures.at_most(f"cost of a packet among {many:,} tunnels beside {few:,}", round(ratio, 2), MOST_GROWTH, "times")

    def shards(self) -> None:
        """Frames a second of two engines that share their load, in two threads, beside those of one."""
        rows = self.found["shards"] = {}
        for name in SHARDED:
            found = rows[name] = runs.run("shards", name, "2", str(self.size.shard_rounds))
            self.figures.note(f"frames a second of two threads beside one, {runs.CASES[name].title}, %", found["ratio_percent"])

    def memory(self) -> None:
        """Bytes of each connection that says nothing."""
        rows = self.found["memory"] = []
        for kind, name in NAMES.items():
            for count in self.size.held:
                found = runs.run("hold", kind, str(count))
                rows.append({"kind": kind, **found})
                self.figures.at_most(f"bytes of an {name}, of {count:,}", found["bytes_each"], MOST_BYTES[kind])

    def steps(self) -> None:
        """The longest that one frame, or the timers of one turn, held everything up while connections came, in three engines alike."""
        rows = self.found["steps"] = []
        for kind, name in NAMES.items():
            found = runs.run("grow", kind, str(self.size.held[-1]))
            rows.append({"kind": kind, **found})
            longest = found["longest_step_ns"] / 1e6
            self.figures.at_most(f"longest step up to {self.size.held[-1]:,} times an {name}, ms", longest, MOST_STEP_MS)


PARTS: dict[str, Callable[[Bench], None]] = {
    "instructions": Bench.instructions,
    "packets": Bench.packets,
    "tunnels": Bench.tunnels,
    "shards": Bench.shards,
    "memory": Bench.memory,
    "steps": Bench.steps,
}
