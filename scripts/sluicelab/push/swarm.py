"""`sluice swarm`: devices and application servers on a processor of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..paths import binary
from .worker import Worker, on_processor, prefer

# Devices come from several addresses: ports of closed connections are not free at once.
SOURCES = tuple(f"127.0.0.{last}" for last in range(2, 6))


@dataclass(frozen=True)
class Load:
    devices: int
    applications: int | None = None  # None: one for each device
    rate: float = 0
    seconds: float = 0
    warm_up: float = 0
    stay: float = 0  # between the registrations and the first message
    connections: int = 256
    posts_to: Worker | None = None  # None: the worker that has the devices

    def command(self, worker: Worker, processor: int | None) -> list[str]:
        words = [*on_processor(processor), str(binary("sluice")), "swarm", "--json", "--server", worker.devices_url]
        words += ["--posts", (self.posts_to or worker).posts_url, "--devices", str(self.devices)]
        words += ["--rate", str(self.rate), "--seconds", str(self.seconds)]
        words += ["--warm-up", str(self.warm_up), "--stay", str(self.stay), "--connections", str(self.connections)]
        if self.applications is not None:
            words += ["--applications", str(self.applications)]
        for source in SOURCES:
            words += ["--source", source]
        return words


def run(
    load: Load, worker: Worker, log: Path, processor: int | None = None, connected: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The swarm's figures; `connected` is called when all devices are registered. `error` says what the swarm complained of."""
    with log.open("wb") as errors:
        child = subprocess.Popen(
            load.command(worker, processor),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        prefer(child.pid)
        assert child.stdout is not None
        with child.stdout as output:
            try:
                lines = []
                for line in output:
                    lines.append(line)
                    if len(lines) == 1:
                        connected()
            except BaseException:
                child.kill()
                raise
            finally:
                code = child.wait()
    complaint = log.read_text(errors="replace").strip()
    if len(lines) < 2:
        raise RuntimeError(
            f"the swarm ended with {code}: {complaint or 'no word'}; the end of the worker's log:\n{worker.process.log_end()}"
        )
    figures: dict[str, Any] = json.loads(lines[-1])
    figures["error"] = complaint if code else ""
    return figures
