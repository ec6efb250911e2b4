"""How often some processes call the system, and are switched away from: `perf stat`, if it is there."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

CALLS = ("fdatasync", "pread64", "pwrite64", "fcntl", "flock", "futex", "epoll_wait", "read", "write")
SWITCHES = "context-switches"


class Counting:
    """Begins `delay` seconds after it is made, and lasts for `seconds`."""

    def __init__(self, pids: Sequence[int], delay: float, seconds: float) -> None:
        events = ",".join([*(f"syscalls:sys_enter_{call}" for call in CALLS), SWITCHES])
        command = ["perf", "stat", "--field-separator", ",", "--event", events, "--delay", str(round(1000 * delay))]
        command += ["--pid", ",".join(map(str, pids)), "--", "sleep", str(delay + seconds)]
        self._seconds = delay + seconds
        try:
            self._child: subprocess.Popen[str] | None = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        except OSError:
            self._child = None

    def counts(self) -> dict[str, int]:
        """Of all the processes together; empty when perf could not count."""
        if self._child is None:
            return {}
        _, text = self._child.communicate(timeout=self._seconds + 30)
        return parsed(text) if self._child.returncode == 0 else {}


def parsed(text: str) -> dict[str, int]:
    """The lines of `perf stat`, by the name of the call."""
    found = {}
    for line in text.splitlines():
        cells = line.split(",")
        if len(cells) > 2 and cells[0].isdigit():
            found[cells[2].removeprefix("syscalls:sys_enter_").partition(":")[0]] = int(cells[0])
    return found
