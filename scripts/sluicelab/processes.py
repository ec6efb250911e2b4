"""Processes in hosts of the lab."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from signal import Signals


class Process:
    """A program that runs in a host of the lab (None: outside of it), with its output in a log file."""

    def __init__(self, host: str | None, command: Sequence[str | Path], log: Path) -> None:
        self.command = [str(word) for word in command]
        self.log = log
        # `ip netns exec` becomes the command: the child is the program itself. Its own session: no Ctrl-C of ours.
        inside = [] if host is None else ["ip", "netns", "exec", f"sluice-{host}"]
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [*inside, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._child.poll()

    def signal(self, number: Signals) -> None:
        self._child.send_signal(number)

    def wait(self, timeout: float) -> int:
        return self._child.wait(timeout)

    def stop(self, timeout: float = 12) -> int:
        """SIGTERM, then SIGKILL when that does not end it in time. The exit code, negative for a signal."""
        if self.running:
            self._child.terminate()
            try:
                return self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                self._child.kill()
        return self._child.wait()

    def until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        """Waits; fails with the end of the log when the time is over or the program has ended."""
        deadline = time.monotonic() + timeout
        while not condition():
            if not self.running or time.monotonic() > deadline:
                state = "it is running" if self.running else f"it ended with {self.exit_code}"
                raise AssertionError(f"expected {what} within {timeout} s; {state}; the end of its log:\n{self.log_end()}")
            time.sleep(0.05)

    def log_end(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # What /proc tells

    def _status(self, field: str) -> list[str]:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return line.split()[1:]
        raise KeyError(field)

    @property
    def user_ids(self) -> list[int]:
        """Real, effective, saved and file-system user."""
        return [int(value) for value in self._status("Uid")]

    @property
    def group_ids(self) -> list[int]:
        return [int(value) for value in self._status("Gid")]

    @property
    def resident_bytes(self) -> int:
        return int(self._status("VmRSS")[0]) * 1024


def _family(pid: int) -> dict[int, list[str]]:
    """What /proc says of that process and its living descendants: the fields of `stat` behind the name, by process."""
    parents: dict[int, int] = {}
    stats: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has just ended
        process = int(entry.name)
        parents[process], stats[process] = int(fields[1]), fields

    def belongs(process: int) -> bool:
        while process not in (0, 1):
            if process == pid:
                return True
            process = parents.get(process, 0)
        return False

    return {process: fields for process, fields in stats.items() if belongs(process)}


def processor_seconds(pid: int) -> float:
    """User and system time of that process, its living threads, its ended children, and its living descendants. Of threads the scheduler's
    own account is read (/proc/PID/schedstat), for a turn may be shorter than the ticks of 10 ms that the others are in."""
    seconds = 0.0
    for process, fields in _family(pid).items():
        seconds += sum(int(value) for value in fields[13:15]) / os.sysconf("SC_CLK_TCK")  # cutime, cstime
        seconds += sum(_thread_seconds(thread) for thread in Path(f"/proc/{process}/task").glob("*"))
    return seconds


def _thread_seconds(thread: Path) -> float:
    try:
        return int((thread / "schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return 0.0


def resident_bytes(pid: int) -> int:
    """Resident memory of that process and its living descendants; what they share is counted for each."""
    return sum(int(fields[21]) for fields in _family(pid).values()) * os.sysconf("SC_PAGE_SIZE")


def anonymous_bytes(pid: int) -> int:
    """What a process has allocated and touched: without files, and without the rings that it shares with the kernel."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise KeyError("RssAnon")


def machine_busy_seconds() -> tuple[float, float]:
    """Seconds that the processors were busy, and seconds in all, since the machine started."""
    hertz = os.sysconf("SC_CLK_TCK")
    values = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = values[3] + values[4]
    return (sum(values) - idle) / hertz, sum(values) / hertz
