"""What `sluice radio` says about the days."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import captures
from days import KINDS, MESSAGES, Kind, day
from exchanges import DEVICE, Exchange
from sluicelab.paths import binary

STATES = ("idle", "pch", "fach", "dch")
MIDNIGHT = "2026-01-01T00:00:00Z"
IDLE_DAY = 86_400  # units of a radio that is IDLE for a day

# Other networks than the standard one: a name, and options of `sluice radio`.
NETWORKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the standard rules", ()),
    ("T1 20 s (the source's longest)", ("--t1", "20")),
    ("T3 2 min", ("--t3", "2m")),
    ("no PCH", ("--no-pch",)),
    ("fast dormancy after 3 s", ("--fast-dormancy", "3")),
    ("always DCH, never FACH first", ("--idle-to", "dch", "--dch-threshold", "0")),
)


@dataclass(frozen=True)
class Measured:
    """The JSON of `sluice radio` about a stretch of time."""

    whole: Mapping[str, Any]
    timeline: Sequence[Mapping[str, Any]]

    @property
    def units(self) -> float:
        return float(self.whole["units"])

    def seconds(self, state: str) -> float:
        return float(self.whole["states"][state]["seconds"])

    def state_units(self, state: str) -> float:
        return float(self.whole["states"][state]["units"])

    @property
    def promotions(self) -> int:
        return sum(self.whole["promotions"].values())

    @property
    def from_idle(self) -> int:
        return sum(count for name, count in self.whole["promotions"].items() if name.startswith("idle-"))

    @property
    def packets(self) -> int:
        return int(self.whole["up"]["packets"]) + int(self.whole["down"]["packets"])

    @property
    def bytes(self) -> int:
        return int(self.whole["up"]["bytes"]) + int(self.whole["down"]["bytes"])


def radio(capture: Path, *options: str) -> Measured:
    """Runs `sluice radio`; raises with its message when that fails."""
    command: list[str | Path] = [binary("sluice"), "radio", capture, "--json", "--device", DEVICE, *options]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"sluice radio failed on {capture} (exit code {result.returncode}):\n{result.stderr}")
    report = json.loads(result.stdout)
    return Measured(report["whole"], report["timeline"])


class Days:
    """The captures of all days, in a folder."""

    def __init__(self, folder: Path, exchanges: Mapping[str, Exchange]) -> None:
        self.folder = folder
        for kind in KINDS:
            captures.write(self.path(kind, False), day(kind, (), exchanges))
            captures.write(self.path(kind, True), day(kind, MESSAGES, exchanges))

    def path(self, kind: Kind, has_messages: bool) -> Path:
        return self.folder / f"{kind.key}-{'messages' if has_messages else 'idle'}.pcap"

    def measure(self, kind: Kind, has_messages: bool, *options: str) -> Measured:
        return radio(self.path(kind, has_messages), "--from", MIDNIGHT, "--duration", "24h", *options)

    def hour(self, kind: Kind) -> Measured:
        """From 9 until 10 o'clock of the day with messages, in steps of 5 s."""
        return radio(self.path(kind, True), "--from", "2026-01-01T09:00:00Z", "--duration", "1h", "--timeline", "5s")
