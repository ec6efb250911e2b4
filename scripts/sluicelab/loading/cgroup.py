"""A control group with a memory limit and no swap, of version 1 or 2, whichever the machine has."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class MemoryGroup:
    """Made by the constructor, taken away by `remove` together with all that runs in it."""

    def __init__(self, name: str, limit: int, root: Path = ROOT) -> None:
        version1 = root / "memory"
        if (version1 / "memory.limit_in_bytes").exists():
            self.path = version1 / name
            self._new()
            self._write("memory.limit_in_bytes", str(limit))
            # No swap: memory and swap together are no more than memory. Not every kernel counts swap.
            with contextlib.suppress(OSError):
                self._write("memory.memsw.limit_in_bytes", str(limit))
        elif (root / "cgroup.controllers").exists():
            if "memory" not in (root / "cgroup.controllers").read_text().split():
                raise RuntimeError(f"{root} has no memory controller: --backend apache needs one (cgroup v1 or v2)")
            if "memory" not in (root / "cgroup.subtree_control").read_text().split():
                (root / "cgroup.subtree_control").write_text("+memory")
            self.path = root / name
            self._new()
            self._write("memory.max", str(limit))
            with contextlib.suppress(OSError):
                self._write("memory.swap.max", "0")
        else:
            raise RuntimeError(f"no cgroup with a memory controller below {root}: --backend apache needs one (v1 or v2)")

    def _new(self) -> None:
        if self.path.exists():
            self.remove()  # what a run that was killed left
        self.path.mkdir()

    def _write(self, file: str, text: str) -> None:
        (self.path / file).write_text(text)

    @property
    def members(self) -> Path:
        """The file into which a process's number is written to bring it in."""
        return self.path / "cgroup.procs"

    @property
    def limit(self) -> int:
        version1 = self.path / "memory.limit_in_bytes"
        return int((version1 if version1.exists() else self.path / "memory.max").read_text())

    def processes(self) -> list[int]:
        with contextlib.suppress(OSError):
            return [int(word) for word in self.members.read_text().split()]
        return []

    def remove(self) -> None:
        """Ends what still runs in it, and takes it away."""
        deadline = time.monotonic() + 20
        while self.path.exists():
            for process in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            try:
                self.path.rmdir()
            except OSError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.path} cannot be removed: {error}; still in it: {self.processes()}") from None
                time.sleep(0.05)
