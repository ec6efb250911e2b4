"""What clients do to a contender, and what they saw."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path

from .. import traffic
from .cases import Case

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
DOWNLOAD_SECONDS = 300  # a download that is not done then has failed
PIPE_BYTES = 1 << 20  # between curl and the one who hashes
WITHIN_MS = 100
THREADS = 2  # of wrk


@dataclass(frozen=True)
class Load:
    """What the client saw."""

    requests: int
    failures: int  # socket errors, answers other than 2xx and 3xx, and requests that were not answered
    seconds: float
    megabytes: float
    latency_ms_p50: float
    latency_ms_p99: float
    within: float | None = None  # percentage that was answered within 100 ms of when it was due, in an open loop


def in_client(*command: str) -> list[str]:
    return ["ip", "netns", "exec", "sluice-client1", *command]


def script(folder: Path, addresses: tuple[str, ...]) -> Path:
    """Tells each of wrk's threads another address to go to."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = ", ".join(f'"{address}"' for address in addresses)
    path = folder / "addresses.lua"
    path.write_text(
        f"""local addresses, next = {{ {listed} }}, 0
function setup(thread)
   thread.addr = wrk.lookup(addresses[next % #addresses + 1], "80")[1]
   next = next + 1
end
"""
    )
    return path


def wrk(addresses: tuple[str, ...], case: Case, folder: Path, seconds: int) -> Load:
    command = ["wrk", "--threads", str(THREADS), "--connections", str(case.connections), "--duration", f"{seconds}s", "--latency"]
    if len(addresses) > 1:
        command += ["--script", str(script(folder, addresses))]
    words = in_client(*command, f"http://{addresses[0]}{case.path}")
    return of_wrk(subprocess.run(words, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout)


def of_wrk(text: str) -> Load:
    """What wrk printed."""
    bytes_read = re.search(r"requests in [^,]+, ([\d.]+)([KMGT]?B) read", text)
    scale = {"B": 1e-6, "KB": 1.024e-3, "MB": 1.024**2, "GB": 1.024**3 * 1e3, "TB": 1.024**4 * 1e6}
    return Load(
        requests=int(_number(r"^\s+(\d+) requests in", text)),
        failures=failures(text),
        seconds=_number(r"requests in ([\d.]+)(us|ms|s|m)", text),
        megabytes=float(bytes_read[1]) * scale[bytes_read[2]] if bytes_read else 0.0,
        latency_ms_p50=1e3 * _number(r"^\s+50%\s+([\d.]+)(us|ms|s|m)", text),
        latency_ms_p99=1e3 * _number(r"^\s+99%\s+([\d.]+)(us|ms|s|m)", text),
    )


def own(addresses: tuple[str, ...], case: Case, folder: Path, seconds: float, rate: float = 0, fresh: bool = False) -> Load:
    """Connections of sluicelab/programs/load.c: a closed loop, or with a rate an open one."""
    process = traffic.load(folder, ",".join(addresses), case.path, case.connections, seconds, rate, fresh, WITHIN_MS)
    return of_load(process.numbers(seconds + 30))


def of_load(numbers: traffic.Numbers) -> Load:
    failed = numbers["errors"] + numbers["other_status"] + numbers["unanswered"]
    within = 100 * numbers["within"] / max(numbers["due"], 1)
    return Load(numbers["answered"], failed, numbers["seconds"], numbers["bytes"] / 1e6, numbers["p50_ms"], numbers["p99_ms"], within)


def download(url: str, digest: str) -> tuple[Load, str]:
    """One file, once, and what was wrong with it; it has failed unless every byte is right.

    The bytes are hashed here, by OpenSSL: sha256sum would be the slowest of all.
    """
    told_by_curl = "%{stderr}%{http_code} %{size_download} %{time_total}"
    options = ["--silent", "--show-error", "--max-time", str(DOWNLOAD_SECONDS), "--write-out", told_by_curl]
    found, room = hashlib.sha256(), bytearray(PIPE_BYTES)
    with subprocess.Popen(in_client("curl", *options, url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as curl:
        assert curl.stdout is not None and curl.stderr is not None
        fcntl(curl.stdout, F_SETPIPE_SZ, PIPE_BYTES)
        while count := os.readv(curl.stdout.fileno(), [room]):
            found.update(memoryview(room)[:count])
        told = curl.stderr.read().decode()
    got = found.hexdigest()
    status, size, seconds = told.split()[-3:]
    wrong = "" if status == "200" and got == digest else f"{told.strip()}; SHA-256 {got}, wanted {digest}"
    milliseconds = 1e3 * float(seconds)
    return Load(1, 1 if wrong else 0, float(seconds), float(size) / 1e6, milliseconds, milliseconds), wrong


def _number(pattern: str, text: str) -> float:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise ValueError(f"wrk's output has no {pattern}:\n{text}")
    value, unit = match[1], match[2] if match.lastindex == 2 else ""
    return float(value) * UNITS.get(unit, 1.0)


def failures(text: str) -> int:
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    answers = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return (sum(int(count) for count in sockets.groups()) if sockets else 0) + (int(answers[1]) if answers else 0)
