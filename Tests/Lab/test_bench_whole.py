"""`sluice bench` and `scripts/bench whole` at a small size: several processes, and numbers that add up."""

from __future__ import annotations

import http.server
import importlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sluicelab.dispatcher import yaml
from sluicelab.paths import SCRIPTS, binary
from sluicelab.push import profile, whole
from sluicelab.push.bench_devices import Event, Plan, Target, run
from sluicelab.push.syscalls import Counting, parsed
from sluicelab.push.worker import Worker
from sluicelab.robustness.figures import Figures

SOURCES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    (tmp_path / "data").mkdir()
    one = Worker(tmp_path / "data", tmp_path / "worker.log")
    yield one
    one.kill()


def target(worker: Worker) -> Target:
    return Target(worker.devices_url, worker.posts_url, None, SOURCES)


def parts_of(pid: int) -> list[int]:
    """The processes that a coordinator has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def until(condition: Any, what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"expected within {seconds} s: {what}"
        time.sleep(0.05)


def devices(worker: Worker, folder: Path, *more: str) -> subprocess.Popen[str]:
    """A run that takes long."""
    command = [str(binary("sluice")), "bench", "devices", "--server", worker.devices_url, "--posts", worker.posts_url, "--devices", "30"]
    command += ["--processes", "3", "--report", str(folder / "cut"), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# MARK: Devices


def test_the_messages_of_several_processes_add_up(worker: Worker, tmp_path: Path) -> None:
    events: list[Event] = []
    plan = Plan(50, 2, rates=(60, 120), seconds=1, warm_up=0.5, connections=8, shared=31, shared_messages=2, shared_every=0.5)
    report = run(plan, target(worker), tmp_path, "two", events.append)
    assert not report["error"] and report["processes"] == 2 and report["connecting"]["connected"] == 50
    for step in report["steps"]:
        assert step["due"] == step["rate"] * 1.5 and step["answers"] == {"200": step["due"]} and step["delivered"] == step["due"]
        # What is due in the warm-up is in the counts, and not in the latencies.
        assert step["delivery"]["count"] == step["answer"]["count"] == step["rate"]
        assert sum(step["delivered_by_second"]) == sum(step["answered_by_second"]) == step["due"]
        assert 0 < step["delivery"]["p50"] <= step["delivery"]["p99"] <= step["delivery"]["max"]
    shared = report["shared"]
    assert shared["due"] == 2 and shared["delivered"] == 62 and len(shared["completions"]) == 2 and min(shared["completions"]) > 0
    assert [event["event"] for event in events] == [
        "connecting",
        "connected",
        *["begins", "ended"] * 2,
        "sharing",
        "shared",
        "begins",
        "ended",
    ]
    counts = worker.stop()
    accepted = sum(step["due"] for step in report["steps"]) + 2
    assert counts["devicesRegistered"] == 50 and counts["notifiesAccepted"] == accepted
    assert counts["acknowledged"] == sum(step["due"] for step in report["steps"]) + 62
    assert "<svg" in (tmp_path / "two.html").read_text() and json.loads((tmp_path / "two.json").read_text())["steps"] == report["steps"]


def test_a_search_ends_with_a_rate_that_holds(worker: Worker, tmp_path: Path) -> None:
    report = run(Plan(10, 2, search=(50, 75), steps=4, seconds=0.5, warm_up=0.1, p99_ms=5000), target(worker), tmp_path, "search")
    assert not report["error"]
    assert [step["rate"] for step in report["steps"]] == [50, 75] and all(step["is_held"] for step in report["steps"])


def test_a_run_that_is_interrupted_ends_its_processes_and_reports(worker: Worker, tmp_path: Path) -> None:
    child = devices(worker, tmp_path, "--rates", "50", "--seconds", "600")
    until(lambda: len(parts_of(child.pid)) == 3, "three processes")
    parts = parts_of(child.pid)
    assert child.stdout is not None and "30 connected" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    output, complaint = child.communicate(timeout=40)
    assert child.returncode == 1 and "interrupted" in complaint and "report:" in output
    report = json.loads((tmp_path / "cut.json").read_text())
    assert report["is_interrupted"] and report["connecting"]["connected"] == 30
    assert not any(Path(f"/proc/{pid}").exists() for pid in parts)


def test_processes_end_when_their_coordinator_is_killed(worker: Worker, tmp_path: Path) -> None:
    child = devices(worker, tmp_path, "--stay", "600")
    assert child.stdout is not None and "30 connected" in child.stdout.readline()
    parts = parts_of(child.pid)
    child.kill()
    child.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in parts), "no process is left")


def test_a_server_that_is_gone_is_named(tmp_path: Path) -> None:
    report = run(Plan(4, 2), Target("http://127.0.0.1:9", "http://127.0.0.1:9"), tmp_path, "gone")
    assert "cannot connect" in report["error"] and "127.0.0.1" in report["error"]


# MARK: Requests


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers 200, 503 at /busy; the first request waits, and whoever comes meanwhile as well."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    served = 0
    seconds = 0.6

    def do_GET(self) -> None:
        with Slow.lock:
            Slow.served += 1
            if Slow.served == 1:
                time.sleep(Slow.seconds)
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Slow.served = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_address[1]}"
        one.shutdown()


def requests(url: str, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    command = [
        str(binary("sluice")),
        "bench",
        "requests",
        "--url",
        url,
        "--processes",
        "2",
        "--warm-up",
        "0",
        "--report",
        str(folder / "r"),
    ]
    code = subprocess.run([*command, *more], capture_output=True, timeout=50).returncode
    return code, json.loads((folder / "r.json").read_text())


def test_requests_that_wait_count_from_when_they_were_due(server: str, tmp_path: Path) -> None:
    # One connection each: while the first answer waits, others become due that nobody writes.
    code, report = requests(server, tmp_path, "--connections", "2", "--rates", "100,50", "--seconds", "1", "--source", "127.0.0.2")
    assert code == (0 if all(step["is_held"] or step["answers"] == {"200": step["due"]} for step in report["steps"]) else 1)
    stalled, other = report["steps"]
    assert [stalled["due"], other["due"]] == [100, 50] and Slow.served == 150
    assert stalled["answers"] == {"200": 100} and sum(stalled["answered_by_second"]) == 100
    # Those of the first 0.6 s waited 0.3 s on average. Whoever counted from when they were written would see one slow answer a connection.
    slow = Slow.seconds * 1000
    assert stalled["answer"]["max"] >= slow * 0.95 and stalled["answer"]["p50"] > slow / 20 and stalled["lateness"]["max"] > slow / 2


def test_statuses_are_counted(server: str, tmp_path: Path) -> None:
    code, report = requests(f"{server}/busy", tmp_path, "--connections", "4", "--rates", "40", "--seconds", "0.5")
    assert code == 1 and report["steps"][0]["answers"] == {"503": 20} and not report["steps"][0]["is_held"]
    assert "0 of 20 requests were answered with 200" in report["problems"][0]


# MARK: The whole system


def test_what_perf_counts_is_read() -> None:
    text = "# started\n\n2692,,syscalls:sys_enter_fdatasync,3001,100.00,,\n<not counted>,,syscalls:sys_enter_flock,0,0.00,,\n55799,,context-switches:u,1,2,,\n"
    assert parsed(text) == {"fdatasync": 2692, "context-switches": 55799}


def test_calls_of_a_process_are_counted() -> None:
    if not profile.is_available():
        pytest.skip("perf is not installed (Debian: linux-perf)")
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as busy:
        counts = Counting([busy.pid], 0, 0.3).counts()
        busy.kill()
    assert counts.get("fdatasync") == 0 and "context-switches" in counts


SMALL = whole.Size(
    devices=60,
    search=(50, 75),
    steps=2,
    seconds=1.5,
    warm_up=0.5,
    stay=1,
    connect_rate=200,
    shared=40,
    shared_messages=2,
    shared_every=1,
)


@pytest.mark.parametrize("devices", [2, 20_000, 150_000, whole.SERVERS * whole.DEVICES_PER_WORKER])
def test_the_dispatcher_takes_the_configuration(devices: int, tmp_path: Path) -> None:
    workers = whole.workers_for(devices)
    assert 2 <= workers <= whole.SERVERS and workers * whole.DEVICES_PER_WORKER >= devices
    (tmp_path / "dispatcher.yaml").write_text(yaml(whole.configure(workers, devices)))
    done = subprocess.run(
        [binary("sluice-dispatcher"), "--config", tmp_path / "dispatcher.yaml", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "devices", "workers", "connect_rate"),
    [
        ([], 150_000, 8, 1500),
        (["--short"], 20_000, 2, 1500),
        (["--short", "--devices", "40000", "--workers", "5", "--connect-rate", "0"], 40_000, 5, 0),
    ],
)
def test_the_command_line_says_how_much(words: list[str], devices: int, workers: int, connect_rate: float) -> None:
    script = bench_script("whole")
    chosen = script.arguments(words)
    assert (chosen.devices, chosen.workers) == (devices, workers)
    size = script.size(chosen)
    assert size.devices == devices and size.connect_rate == connect_rate and size.shared <= devices


@pytest.mark.parametrize(
    "words", [["--devices", "1"], ["--devices", "400000"], ["--workers", "7"], ["--workers", "17"], ["--connect-rate", "-1"]]
)
def test_what_does_not_fit_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench_script("whole").arguments(words)


@pytest.mark.deadline(150)
@pytest.mark.usefixtures("lab")
def test_the_whole_system_is_measured(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    figures = Figures(lambda _: None)
    one = whole.Whole(tmp_path, SMALL, 2, figures, lambda _: None)
    one.run()
    reached = {figure.what: figure.reached for figure in figures.all}
    assert reached["whole: devices registered, through the dispatcher"]
    assert reached["whole: every accepted message was delivered once, and no connection broke"]
    assert reached["shared: every device got every message once"]
    assert reached["shared: one row stored for a message, however many devices"]
    found = one.found
    assert found["tunnels"] == 60 and found["devices"]["shared"]["delivered"] == 80
    assert [step["rate"] for step in found["steps"]] == [step["rate"] for step in found["devices"]["steps"]]
    assert all(step["accepted"] == 50 * 2 or step["rate"] != 50 for step in found["steps"])
    assert found["memory_after"][0] > 0 and found["capture_drops"] == 0
    accepted = sum(step["accepted"] for step in found["steps"]) + 2
    assert found["counters"]["workers"]["messages_accepted_total"] >= accepted and found["counters"]["dispatcher"]
    page_of(one, figures)


def bench_script(name: str) -> Any:
    """A module of scripts/bench.d."""
    sys.path.insert(0, str(SCRIPTS / "bench.d"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def page_of(one: whole.Whole, figures: Figures) -> None:
    """The report takes what was found."""
    report = bench_script("whole_report")
    run_found = {"time": "now", "seconds": 1, "machine": {}, "settings": {"shared": 40}, "found": one.found, "figures": figures.document()}
    page, table = report.page(run_found), report.table(run_found)
    assert page.count("<svg") == 3 and len(table.splitlines()) == 2 + len(one.found["steps"])
    assert "100 of 100" in table
