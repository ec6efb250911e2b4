"""What a process spends its time with, by function: `perf`, if it is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SAMPLES_A_SECOND = 499
FUNCTIONS = 40
LINE = re.compile(r"^\s*([\d.]+)%\s*;\s*(.*?)\s*;\s*(.*?)\s*;\s*\[(.)\]\s*(.*?)\s*(?:;.*)?$")


@dataclass(frozen=True)
class Part:
    """One function, or one thread."""

    share: float  # of the samples, 0 to 1
    thread: str
    binary: str
    function: str


def is_available() -> bool:
    """perf has a wrapper that may be there without the program that fits the kernel."""
    if shutil.which("perf") is None:
        return False
    return subprocess.run(["perf", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class Profile:
    """Begins when it is made, and lasts for `seconds`."""

    def __init__(self, pid: int, seconds: float, file: Path) -> None:
        self._file = file
        command = ["perf", "record", "--freq", str(SAMPLES_A_SECOND), "--pid", str(pid), "--output", str(file), "--", "sleep", str(seconds)]
        self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._seconds = seconds

    def parts(self) -> list[Part]:
        """The functions by their share, greatest first; empty when perf could not record."""
        _, complaint = self._child.communicate(timeout=self._seconds + 30)
        if self._child.returncode != 0:
            raise RuntimeError(f"perf record failed: {complaint.strip().splitlines()[-1] if complaint.strip() else 'no word'}")
        command = ["perf", "report", "--stdio", "--input", str(self._file), "--sort", "comm,dso,symbol", "--field-separator", ";"]
        report = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return fold(demangled(report.stdout))


def demangled(text: str) -> str:
    """Swift's names as a person writes them, if there is a Swift to ask."""
    if shutil.which("swift") is None:
        return text
    done = subprocess.run(["swift", "demangle", "--simplified"], input=text, capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else text


def fold(report: str) -> list[Part]:
    """The lines of `perf report` as parts; the system's functions are one by thread, and so are those of a binary that have no name."""
    parts: dict[tuple[str, str, str], float] = {}
    for line in report.splitlines():
        found = LINE.match(line)
        if not found:
            continue
        share, thread, binary, kind, function = found.groups()
        thread = re.sub(r"-#\d+$", "", thread)
        key = (thread, binary, "(no name)" if function.startswith("0x") else function)
        if kind == "k":
            key = (thread, "kernel", "(all of the system)")
        parts[key] = parts.get(key, 0) + float(share) / 100
    return sorted((Part(share, *key) for key, share in parts.items()), key=lambda part: -part.share)


def by_binary(parts: list[Part]) -> list[Part]:
    """The program, its shared objects, and the system, by their share."""
    shares: dict[str, float] = {}
    for part in parts:
        shares[part.binary] = shares.get(part.binary, 0) + part.share
    return sorted((Part(share, "", binary, "") for binary, share in shares.items()), key=lambda part: -part.share)


def by_thread(parts: list[Part]) -> list[Part]:
    """The threads by their share."""
    shares: dict[str, float] = {}
    for part in parts:
        shares[part.thread] = shares.get(part.thread, 0) + part.share
    return sorted((Part(share, thread, "", "") for thread, share in shares.items()), key=lambda part: -part.share)
