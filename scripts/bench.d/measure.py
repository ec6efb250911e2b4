"""A turn of one contender, and the rounds of a case."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from statistics import median
from typing import Any

from cases import Case
from contenders import CONTENDERS, Contender
from sluicelab import traffic
from sluicelab.impairment import LossyCable
from sluicelab.processes import Process, machine_busy_seconds, processor_seconds

WARM_UP_SECONDS = 1
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
FIGURES = ("requests_per_second", "megabytes_per_second", "processor_us_per_request")
DOWNLOAD_SECONDS = 300  # a download that is not done then has failed
PIPE_BYTES = 1 << 20  # between curl and the one who hashes


@dataclass(frozen=True)
class Turn:
    """What one contender did in one round."""

    contender: str
    requests: int
    failures: int  # socket errors, and answers other than 2xx and 3xx
    requests_per_second: float
    megabytes_per_second: float
    latency_ms_p50: float
    latency_ms_p99: float
    processor_us_per_request: float  # its own user and system time, its children's included
    machine_us_per_request: float  # busy time of all processors, clients and servers included
    machine_busy: float  # share of all processors, 0 to 1


@dataclass(frozen=True)
class Load:
    """What the client saw."""

    requests: int
    failures: int
    seconds: float
    megabytes: float
    latency_ms_p50: float
    latency_ms_p99: float


def in_client(*command: str) -> list[str]:
    return ["ip", "netns", "exec", "sluice-client1", *command]


def wrk(url: str, case: Case, seconds: int) -> Load:
    command = in_client("wrk", "--threads", "2", "--connections", str(case.connections), "--duration", f"{seconds}s", "--latency")
    text = subprocess.run([*command, url], check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
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


def fresh(contender: Contender, case: Case, folder: Path, seconds: int) -> Load:
    """A closed loop of connections that carry a request each (sluicelab/programs/load.c)."""
    address = contender.url.removeprefix("http://")
    process = traffic.load(folder, address, case.path, case.connections, seconds, fresh=True)
    numbers = process.numbers(seconds + 30)
    failed = numbers["errors"] + numbers["other_status"] + numbers["unanswered"]
    megabytes = numbers["bytes"] / 1e6
    return Load(numbers["answered"], failed, numbers["seconds"], megabytes, numbers["p50_ms"], numbers["p99_ms"])


def download(url: str, digest: str) -> Load:
    """One file, once; it has failed unless every byte is right. They are hashed here, by OpenSSL: sha256sum would be the slowest of all."""
    options = [
        "--silent",
        "--show-error",
        "--max-time",
        str(DOWNLOAD_SECONDS),
        "--write-out",
        "%{stderr}%{http_code} %{size_download} %{time_total}",
    ]
    found, room = hashlib.sha256(), bytearray(PIPE_BYTES)
    with subprocess.Popen(in_client("curl", *options, url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as curl:
        assert curl.stdout is not None and curl.stderr is not None
        fcntl(curl.stdout, F_SETPIPE_SZ, PIPE_BYTES)
        while count := os.readv(curl.stdout.fileno(), [room]):
            found.update(memoryview(room)[:count])
        told = curl.stderr.read().decode()
    got = found.hexdigest()
    status, size, seconds = told.split()[-3:]
    right = status == "200" and got == digest
    if not right:
        tell(f"  FAILED download of {url}: {told.strip()}; SHA-256 {got}, wanted {digest}")
    milliseconds = 1e3 * float(seconds)
    return Load(1, 0 if right else 1, float(seconds), float(size) / 1e6, milliseconds, milliseconds)


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


def until_serving(process: Process, url: str) -> None:
    def answers() -> bool:
        command = ["ip", "netns", "exec", "sluice-client1", "curl", "--silent", "--fail", "--max-time", "2", "--output", "/dev/null", url]
        return subprocess.run(command).returncode == 0

    process.until(answers, f"{url} to answer", 10)


def take_turn(contender: Contender, case: Case, folder: Path, servers: list[str], seconds: int, digest: str) -> Turn:
    url = contender.url + case.path
    process = contender.start(folder / contender.name, servers)
    try:
        until_serving(process, contender.url + "/")
        put: dict[str, Callable[[int], Load]] = {
            "wrk": lambda length: wrk(url, case, length),
            "fresh": lambda length: fresh(contender, case, folder / contender.name, length),
            "download": lambda _: download(url, digest),
        }
        if case.load != "download":
            put[case.load](WARM_UP_SECONDS)
        own, (busy, machine) = processor_seconds(process.pid), machine_busy_seconds()
        load = put[case.load](seconds)
        own, (busy_after, machine_after) = processor_seconds(process.pid) - own, machine_busy_seconds()
    finally:
        process.stop()
    each = 1e6 / max(load.requests, 1)
    return Turn(
        contender=contender.name,
        requests=load.requests,
        failures=load.failures,
        requests_per_second=load.requests / max(load.seconds, 1e-9),
        megabytes_per_second=load.megabytes / max(load.seconds, 1e-9),
        latency_ms_p50=load.latency_ms_p50,
        latency_ms_p99=load.latency_ms_p99,
        processor_us_per_request=own * each,
        machine_us_per_request=(busy_after - busy) * each,
        machine_busy=(busy_after - busy) / (machine_after - machine),
    )


def run_case(
    case: Case,
    names: list[str],
    folder: Path,
    servers: list[str],
    rounds: int,
    seconds: int,
    tell: Callable[[str], None],
    digest: str = "",
) -> dict[str, Any]:
    """All rounds; the order within a round is reversed from one to the next (A B, B A, A B, ...)."""
    history: list[dict[str, Turn]] = []
    with contextlib.ExitStack() as cables:
        if case.loss:
            cables.enter_context(LossyCable("client1", case.loss))
        for number in range(rounds):
            turns: dict[str, Turn] = {}
            for name in names if number % 2 == 0 else reversed(names):
                turn = turns[name] = take_turn(CONTENDERS[name], case, folder / f"{case.name}-{number}", servers, seconds, digest)
                tell(
                    f"  round {number + 1} of {rounds}  {name:<10} {turn.requests_per_second:>10,.1f} requests/s"
                    f"  {turn.megabytes_per_second:>8,.1f} MB/s  {turn.processor_us_per_request:>6.1f} us each"
                )
            history.append(turns)
    return summarise(case, names, history)


def summarise(case: Case, names: list[str], history: list[dict[str, Turn]]) -> dict[str, Any]:
    """Medians of each contender, medians of the ratios within a round, and whether what is wanted was reached."""
    numbers = [field for field in Turn.__dataclass_fields__ if field != "contender"]
    medians = {name: {field: median(getattr(turns[name], field) for turns in history) for field in numbers} for name in names}
    ratios: dict[str, dict[str, float]] = {}
    for of in names:
        for to in names:
            if of != to:
                ratios[f"{of}/{to}"] = {
                    figure: median(getattr(turns[of], figure) / max(getattr(turns[to], figure), 1e-9) for turns in history)
                    for figure in FIGURES
                }
    wanted = [
        {"what": str(want), "ratio": (ratio := ratios[f"{want.of}/{want.to}"][want.figure]), "reached": want.reached(ratio)}
        for want in case.wanted
        if want.of in names and want.to in names
    ]
    return {
        "name": case.name,
        "title": case.title,
        "contenders": names,
        "medians": medians,
        "ratios": ratios,
        "wanted": wanted,
        "failures": sum(turn.failures for turns in history for turn in turns.values()),
        "rounds": [{name: asdict(turn) for name, turn in turns.items()} for turns in history],
    }


def tell(line: str) -> None:
    print(line, flush=True, file=sys.stdout)


def now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
