"""Runs of EngineBench: recorded exchanges played to an engine, by themselves or under callgrind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicelab.engine import callgrind
from sluicelab.paths import binary

# The copies of one machine are those of another: no variant that only some processors have, and none that copies bytes by a single
# instruction, which callgrind would count once for each byte.
_TUNABLES = "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM"
EXCHANGES = 1024


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    what: str  # one exchange
    merged: int = 1  # packets of the wire in a frame


CASES = {
    case.name: case
    for case in (
        Case("small", "l7/3, 12 bytes, keep-alive", "request"),
        Case("connection", "l7/3, 12 bytes, a connection for each request", "request"),
        Case("64k", "l7/3, 64 KiB in segments of 1,460 bytes", "request"),
        Case("64k-merged", "l7/3, 64 KiB in segments that a card has merged", "request", merged=16),
        Case("routes", "l7/3, 12 bytes, the last of eight routes with conditions", "request"),
        Case("tunnel", "l7/3, WebSocket tunnels, 48 bytes there and back", "message"),
        Case("forward", "l4/3, 12 bytes, keep-alive", "request"),
        Case("forward-connection", "l4/3, 12 bytes, a connection for each request", "request"),
    )
}


def run(*words: str, timeout: float = 300) -> dict[str, Any]:
    """One run of the program, and what it has found."""
    return _found(subprocess.run([binary("EngineBench"), *words], capture_output=True, text=True, timeout=timeout))


def _found(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    if done.returncode != 0:
        raise RuntimeError(f"EngineBench failed: {done.stderr.strip()[-2000:]}")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def replay(case: str, exchanges: int) -> dict[str, Any]:
    return run("replay", case, str(exchanges))


def replay_packets(case: Case, packets: int) -> dict[str, Any]:
    """At least so many packets of the wire, as frames."""
    probe = replay(case.name, EXCHANGES)
    return replay(case.name, 1 + packets // case.merged * probe["exchanges"] // probe["frames"])


def is_countable() -> bool:
    return shutil.which("valgrind") is not None


def count(case: str, exchanges: int = EXCHANGES) -> tuple[callgrind.Profile, dict[str, Any]]:
    """The instructions of so many exchanges; only what the engine does is counted."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "callgrind.out"
        command = ["valgrind", "--quiet", "--tool=callgrind", "--toggle-collect=sluice_measured", f"--callgrind-out-file={file}"]
        done = subprocess.run(
            [*command, str(binary("EngineBench")), "replay", case, str(exchanges)],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "GLIBC_TUNABLES": _TUNABLES},
        )
        found = _found(done)
        profile = callgrind.read(file)
    if profile.total == 0:
        raise RuntimeError(f"callgrind has counted nothing: {done.stderr.strip()[-2000:]}")
    return profile, found
