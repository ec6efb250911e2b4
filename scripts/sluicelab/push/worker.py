"""A push worker on loopback, on processors of its own."""

from __future__ import annotations

import contextlib
import re
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL

from ..paths import binary
from ..processes import Process, processor_seconds

PUBLIC_URL = "http://push.test"
SESSION_NICE = -15
START_SECONDS = 60.0  # a worker that does not serve then has failed
SERVING = re.compile(r"serving devices on port (\d+), application servers on port (\d+)")
COUNT = re.compile(r"(\w+)=(\d+)")


def on_processor(processor: int | None) -> list[str]:
    """What a command begins with to run on that processor only; None: on all."""
    return [] if processor is None else ["taskset", "--cpu-list", str(processor)]


def prefer(pid: int) -> None:
    """What else runs on the machine gets little time beside that process, which leads a session of its own. As far as the system lets us:
    root, and a kernel that schedules by session (sched_autogroup)."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(f"{SESSION_NICE}\n")


class Worker:
    """Started when it is made; `seconds_to_start` is what passed until `/status` said OK."""

    def __init__(self, data: Path, log: Path, processor: int | None = None, more: Sequence[str] = ()) -> None:
        options = ["--listen", "127.0.0.1", "--ua-port", "0", "--as-port", "0", "--public-url", PUBLIC_URL, "--token-rate", "0", *more]
        begin = time.monotonic()
        self.process = Process(None, [*on_processor(processor), binary("sluice-worker"), "--data", data, *options], log)
        prefer(self.process.pid)
        ports = None
        while ports is None or not self._is_ready():
            if not self.process.running or time.monotonic() - begin > START_SECONDS:
                self.process.stop(timeout=5)
                raise RuntimeError(f"the worker does not serve {data}; the end of its log:\n{self.process.log_end()}")
            time.sleep(0.002)
            ports = ports or SERVING.search(log.read_text(errors="replace"))
            if ports:
                self.devices_url, self.posts_url = (f"http://127.0.0.1:{port}" for port in ports.groups())
        self.seconds_to_start: float = time.monotonic() - begin

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.devices_url}/status", timeout=5) as answer:
                return bool(answer.read() == b"OK")
        except (urllib.error.URLError, OSError):
            return False

    @property
    def resident_bytes(self) -> int:
        return self.process.resident_bytes

    @property
    def processor_seconds(self) -> float:
        return processor_seconds(self.process.pid)

    def stop(self) -> dict[str, int]:
        """Ends it in order; what it has counted."""
        self.process.stop(timeout=30)
        ends = [line for line in self.process.log.read_text(errors="replace").splitlines() if " stopped" in line]
        return {name: int(value) for name, value in COUNT.findall(ends[-1])} if ends else {}

    def kill(self) -> None:
        """Ends it as a crash would."""
        if self.process.running:
            self.process.signal(SIGKILL)
            self.process.wait(10)
