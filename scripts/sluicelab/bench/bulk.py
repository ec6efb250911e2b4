"""Many videos that are played through a contender (programs/players.c): the stalls, and what the contender uses for a gigabyte."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import traffic
from ..dispatcher import Dispatcher
from ..processes import machine_busy_seconds, processor_seconds
from .cases import PROCESSOR_GB, Case
from .contenders import CONTENDERS, Contender, Sluice
from .judge import Round, Turn, summarise
from .measure import Progress, serving

NAMES = ("sluice", "sluice-l43", "haproxy", "direct")
MBIT = 4.0
MEBIBYTE = 1 << 20
PATH = "/video"
WAIT = "10s"
START_MS = 5000  # who waits longer for the first picture has not what was wanted, though it is no stall
WRONG = ("other_status", "wrong_range", "wrong_bytes", "broken")
KEPT = (
    "streams",
    "started",
    "answered",
    "stalls",
    "stalled_streams",
    "stall_seconds",
    "longest_stall_s",
    "seeks",
    "start_ms_p99",
    "seek_ms_p99",
)


@dataclass(frozen=True)
class Plan:
    """How long, and how the players play."""

    rounds: int
    seconds: float  # of a turn
    streams: int
    more: Sequence[int]  # streams that are tried after the rounds, until somebody's stall
    mebibytes: int  # of the file
    start: float = 2
    ahead: float = 8
    ramp: float = 4
    seek: float = 30
    more_seconds: float = 24  # of a turn of the rising numbers, which begins slowly: to fill a buffer takes more than to play
    more_ramp: float = 12

    @property
    def options(self) -> dict[str, float]:
        names = ("seconds", "start", "ahead", "ramp", "seek")
        return {"mbit": MBIT, "segment": MEBIBYTE, **{name: getattr(self, name) for name in names}}

    @property
    def of_more(self) -> dict[str, float]:
        return self.options | {"seconds": self.more_seconds, "ramp": self.more_ramp}


def suited(contender: Contender, streams: int) -> Contender:
    """The dispatcher as one would set it for long answers.

    The default of the wait, 1 s, is for short ones. In mode l4/3 a player's connection is one to a server, for as long as it plays: room for
    all of them.
    """
    if not isinstance(contender, Sluice):
        return contender
    return replace(contender, wait=WAIT, connections=streams if contender.mode == "l4/3" else contender.connections)


def failures(numbers: traffic.Numbers) -> int:
    return sum(int(numbers[name]) for name in WRONG)


def turn_of(numbers: traffic.Numbers, used: float | None, busy: float) -> Turn:
    """What a turn's figures are: what the players counted, and the processor's seconds that the contender used (None: the kernel's)."""
    gigabytes = numbers["bytes"] / 1e9
    return {
        **{name: numbers[name] for name in (*KEPT, *WRONG)},
        "megabytes_per_second": numbers["bytes"] / 1e6 / max(numbers["seconds"], 1e-9),
        PROCESSOR_GB: None if used is None else used / max(gigabytes, 1e-9),
        "machine_busy": busy,
        "players_share": numbers["processor_seconds"] / max(numbers["seconds"], 1e-9),
        "players_gap_ms": numbers["longest_gap_ms"],
        "failures": failures(numbers),
    }


def well(turn: Turn) -> bool:
    """No stall, nothing wrong, and players that begin soon."""
    return not turn["stalls"] and not turn["failures"] and (turn["start_ms_p99"] or 0) <= START_MS


@dataclass
class Bulk:
    """A run of it. nginx serves `file` as /video at both servers."""

    folder: Path
    servers: list[str]
    file: Path
    plan: Plan
    tell: Callable[[str], None]
    names: Sequence[str] = NAMES
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress((self.plan.rounds + len(self.plan.more)) * len(self.names))

    def take_turn(self, name: str, streams: int, seed: int, options: dict[str, float]) -> Turn:
        contender = suited(CONTENDERS[name], streams)
        with serving(contender, self.folder / name, self.servers) as process:
            pid = process.pid
            used, (busy, machine) = processor_seconds(pid) if pid else 0.0, machine_busy_seconds()
            options = options | {"streams": streams, "seed": seed}
            players = traffic.players(self.folder / "traffic", ",".join(contender.addresses), PATH, self.file, options)
            try:
                numbers = players.numbers(options["seconds"] + 20)
            finally:
                players.stop()
            used = processor_seconds(pid) - used if pid else 0.0
            busy_after, machine_after = machine_busy_seconds()
            lost = process.metrics.total("capture_drops_total") if isinstance(process, Dispatcher) else None
        turn = turn_of(numbers, used if pid else None, (busy_after - busy) / max(machine_after - machine, 1e-9))
        return turn | {"frames_lost": lost}

    def rounds(self) -> dict[str, Any]:
        """Everybody in turn with the same streams; the order is reversed from one round to the next."""
        plan, history = self.plan, list[Round]()
        for number in range(plan.rounds):
            turns: Round = {}
            for name in self.names if number % 2 == 0 else reversed(self.names):
                turns[name] = self.take_turn(name, plan.streams, number + 1, plan.options)
                self.tell(f"  {self.progress.next()} round {number + 1}  {name:<12} {one_line(turns[name])}")
            history.append({name: turns[name] for name in self.names})
        case = Case("bulk", f"{plan.streams} videos of {MBIT:g} Mbit/s, in ranges of 1 MiB", connections=plan.streams, load="players")
        return summarise(case, self.names, history, {"rounds": plan.rounds, **plan.options, "streams": plan.streams})

    def rising(self) -> list[dict[str, Any]]:
        """More and more streams. With whom it does not go well twice with as many does not go on to the next."""
        found: list[dict[str, Any]] = []
        still = list(self.names)
        for place, streams in enumerate(self.plan.more):
            for name in still if place % 2 == 0 else still[::-1]:
                where = self.progress.next()
                for seed in (1, 2):
                    turn = self.take_turn(name, streams, seed, self.plan.of_more)
                    held = well(turn)
                    self.tell(f"  {where} {streams:>5} streams  {name:<12} {one_line(turn)}")
                    found.append({"contender": name, "streams": streams, "held": held, **turn})
                    if held:
                        break
                else:
                    still = [one for one in still if one != name]
        return found


def most_held(rising: Sequence[dict[str, Any]], case: dict[str, Any]) -> dict[str, int]:
    """By contender, the most streams that were played without a stall; 0: not even those of the rounds."""
    found: dict[str, int] = {}
    for name in case["contenders"]:
        turns = [turns[name] for turns in case["rounds"]]
        found[name] = case["settings"]["streams"] if all(well(turn) for turn in turns) else 0
    for step in rising:
        if step["held"]:
            found[step["contender"]] = max(found[step["contender"]], step["streams"])
    return found


def one_line(turn: Turn) -> str:
    used = turn[PROCESSOR_GB]
    what = ", ".join(f"{turn[name]:,.0f} {name.replace('_', ' ')}" for name in WRONG if turn[name])
    own = "the kernel's CPU" if used is None else f"{used:.2f} s/GB"
    return (
        f"{turn['stalls']:>5,.0f} stalls, {what or 'nothing wrong'}, {turn['megabytes_per_second']:>7,.1f} MB/s, {own}, "
        f"start p99 {turn['start_ms_p99']:,.0f} ms, machine {turn['machine_busy']:.0%} busy"
    )
