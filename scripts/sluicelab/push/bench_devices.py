"""`sluice bench devices`: devices of several processes and addresses, and what it tells while it runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..paths import binary

Event = dict[str, Any]
END_SECONDS = 60.0  # to write the report once it is told to end


@dataclass(frozen=True)
class Plan:
    """What is asked of it; rates are messages a second."""

    devices: int
    processes: int | None = None
    rates: tuple[float, ...] = ()
    search: tuple[float, float] | None = None
    steps: int = 8
    seconds: float = 10
    warm_up: float = 2
    stay: float = 0
    connect_rate: float = 0
    connect_within: float = 600
    connections: int = 512
    p99_ms: float = 250
    patience: int = 60
    shared: int = 0
    shared_messages: int = 5
    shared_every: float = 5

    def options(self) -> list[str]:
        words = ["--devices", f"{self.devices}", "--seconds", f"{self.seconds}", "--warm-up", f"{self.warm_up}"]
        words += ["--stay", f"{self.stay}", "--connect-rate", f"{self.connect_rate}", "--connect-within", f"{self.connect_within}"]
        words += ["--connections", f"{self.connections}", "--p99", f"{self.p99_ms}", "--patience", f"{self.patience}"]
        words += ["--shared", f"{self.shared}", "--shared-messages", f"{self.shared_messages}", "--shared-every", f"{self.shared_every}"]
        if self.processes is not None:
            words += ["--processes", f"{self.processes}"]
        if self.rates:
            words += ["--rates", ",".join(f"{rate:g}" for rate in self.rates)]
        if self.search is not None:
            words += ["--search", f"{self.search[0]:g}:{self.search[1]:g}", "--steps", f"{self.steps}"]
        return words


@dataclass(frozen=True)
class Target:
    """Where it connects to, from which host of the lab (None: outside of it) and addresses."""

    server: str
    posts: str
    host: str | None = None
    sources: Sequence[str] = ()

    def options(self) -> list[str]:
        words = ["--server", self.server, "--posts", self.posts]
        for source in self.sources:
            words += ["--source", source]
        return words


def run(
    plan: Plan, target: Target, folder: Path, name: str, happened: Callable[[Event], None] = lambda _: None, progress: bool = False
) -> dict[str, Any]:
    """Its report. `happened` gets each event at once; `error` says what it complained of. `progress`: how far it is goes to our standard error."""
    inside = [] if target.host is None else ["ip", "netns", "exec", f"sluice-{target.host}"]
    command = [*inside, str(binary("sluice")), "bench", "devices", "--json", "--report", str(folder / name)]
    log = folder / f"{name}.log"
    with log.open("wb") as errors:
        child = subprocess.Popen(
            [*command, *target.options(), *plan.options()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if progress else errors,
            text=True,
            start_new_session=True,
        )
    assert child.stdout is not None
    report: dict[str, Any] = {}
    with child.stdout as output:
        try:
            for line in output:
                found = json.loads(line)
                if "event" in found:
                    happened(found)
                else:
                    report = found
        except BaseException:
            _end(child)
            raise
        finally:
            code = child.wait()
    if not report:
        raise RuntimeError(f"sluice bench devices ended with {code}: {log.read_text(errors='replace').strip() or 'no word'}")
    report["error"] = "; ".join(report["problems"]) if code else ""
    return report


def _end(child: subprocess.Popen[str]) -> None:
    """In order: it ends its processes."""
    child.terminate()
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
