"""`scripts/bench bulk` at a small size: every byte of a range is compared, and a stall is a stall."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import started
from sluicelab import traffic
from sluicelab.bench import bulk
from sluicelab.bench.bulk import WRONG, Bulk, Plan, most_held, suited, turn_of
from sluicelab.bench.cases import PROCESSOR_GB
from sluicelab.bench.contenders import CONTENDERS, Sluice
from sluicelab.dispatcher import Dispatcher, configuration, pool, service
from sluicelab.network import FILES_ADDRESS
from sluicelab.paths import SCRIPTS

PORT = 87
SEGMENT = 1 << 18


@pytest.fixture
def dispatcher(file_servers: list[str], folder: Path) -> Iterator[Dispatcher]:
    """One for each test, because the contenders are dispatchers too."""
    config = configuration([service("files", f"{FILES_ADDRESS}:{PORT}", "files")], [pool("files", file_servers, connections=16)])
    process = Dispatcher(folder / "dispatcher", config)
    started.append(process)
    yield process
    started.remove(process)
    assert process.stop() == 0


def play(folder: Path, path: str, file: Path, **options: float) -> traffic.Running:
    return traffic.players(folder, FILES_ADDRESS, path, file, {"segment": SEGMENT, **options}, port=PORT)


@contextmanager
def servers_stopped() -> Iterator[None]:
    """nginx answers nothing, though its connections stand."""
    groups = [process.pid for process in started if process.command[0] == "nginx"]
    try:
        for group in groups:
            os.killpg(group, signal.SIGSTOP)
        yield
    finally:
        for group in groups:
            os.killpg(group, signal.SIGCONT)


def test_players_get_the_ranges_that_they_ask_for(dispatcher: Dispatcher, workspace: Path, folder: Path) -> None:
    found = play(folder, "/8MiB", workspace / "files" / "8MiB", streams=12, seconds=5, ramp=0.5, start=1, ahead=3, seek=1.5).numbers(20)
    assert not any(found[name] for name in WRONG), found
    assert found["opened"] == found["streams"] == 12  # each has kept its connection
    # Two seconds of video before the buffer is full, and as much as was played; the last piece before the file's end may be short.
    assert found["answered"] >= 12 * 5 and found["bytes"] > found["answered"] * SEGMENT // 2
    assert found["seeks"] > 0


def test_a_stall_is_when_nothing_is_left(dispatcher: Dispatcher, workspace: Path, folder: Path) -> None:
    begin = time.monotonic()
    players = play(folder, "/8MiB", workspace / "files" / "8MiB", streams=6, seconds=10, ramp=0, start=1, ahead=2.5, seek=0)
    time.sleep(2)  # all of them play
    with servers_stopped():
        time.sleep(5)
    found = players.numbers(20)
    assert time.monotonic() - begin < 20
    assert found["started"] == found["stalled_streams"] == 6 and found["stalls"] >= 6, found
    # At least a second of each stall was more than its buffer could bridge, and no stall was longer than the run.
    assert found["stall_seconds"] > 6 and 1 < found["longest_stall_s"] < 8
    # Each player waits, plays or stalls all the time.
    every = found["played_seconds"] + found["stall_seconds"] + found["waiting_seconds"]
    assert every <= 6 * found["seconds"] * 1.001
    assert found["wrong_bytes"] == found["wrong_range"] == 0


def test_what_is_wrong_is_counted(dispatcher: Dispatcher, workspace: Path, folder: Path) -> None:
    other = folder / "other"
    other.write_bytes(os.urandom(8 << 20))
    options = {"streams": 2, "seconds": 1, "ramp": 0}
    assert play(folder, "/8MiB", other, **options).numbers(20)["wrong_bytes"] > 0
    other.write_bytes(bytes(4 << 20))
    assert play(folder, "/8MiB", other, **options).numbers(20)["wrong_range"] > 0  # of a file of another length
    found = play(folder, "/", other, **options).numbers(20)
    assert found["other_status"] > 0 and found["answered"] == 0  # 200, because nothing there has ranges


# MARK: The rounds and the report, with a machine's real numbers at a small size


def test_rounds_and_rising_numbers_make_a_report(file_servers: list[str], workspace: Path, folder: Path, capsys: Any) -> None:
    plan = Plan(rounds=1, seconds=2, streams=40, more=(42,), mebibytes=1, start=1, ahead=3.5, ramp=0.2, seek=0, more_seconds=2, more_ramp=0.2)
    video = workspace / "files" / "video"
    video.write_bytes((workspace / "files" / "1MiB").read_bytes())
    run = Bulk(folder, file_servers, video, plan, print, ("sluice", "sluice-l43"))
    case, rising = run.rounds(), run.rising()
    video.unlink()
    assert case["failures"] == 0 and not any(step["failures"] for step in rising)
    assert all(case["medians"][name]["answered"] >= 40 and case["medians"][name][PROCESSOR_GB] > 0 for name in case["contenders"])
    assert [(step["contender"], step["streams"]) for step in rising if step["held"]] == [("sluice", 42), ("sluice-l43", 42)]
    assert most_held(rising, case) == {"sluice": 42, "sluice-l43": 42}
    document = {"time": "now", "duration": 1, "machine": {}, "settings": {}, "cases": [case], "rising": rising, "figures": []}
    sys.path.insert(0, str(SCRIPTS / "bench.d"))
    try:
        page = importlib.import_module("bulk_report").whole(document)
    finally:
        sys.path.pop(0)
    assert page.count("<svg") == 3 and "40 videos of 4 Mbit/s" in page


# MARK: Arithmetic


def numbers(**others: float) -> dict[str, float]:
    return {
        **dict.fromkeys((*bulk.KEPT, *WRONG), 0.0),
        **{"bytes": 2e9, "seconds": 20, "processor_seconds": 3, "longest_gap_ms": 7},
        **others,
    }


def test_a_turns_figures() -> None:
    turn = turn_of(numbers(stalls=2, broken=1, other_status=3), used=5, busy=0.5)
    assert turn["megabytes_per_second"] == 100 and turn[PROCESSOR_GB] == 2.5 and turn["players_share"] == pytest.approx(0.15)
    assert turn["stalls"] == 2 and turn["failures"] == 4
    assert turn_of(numbers(), used=None, busy=0.5)[PROCESSOR_GB] is None


def test_the_most_that_were_played_without_a_stall() -> None:
    well, stalled = turn_of(numbers(), 1, 0), turn_of(numbers(stalls=1), 1, 0)
    assert bulk.well(well) and not bulk.well(stalled)
    assert not any(bulk.well(turn_of(numbers(**{what: 6000}), 1, 0)) for what in ("broken", "wrong_bytes", "start_ms_p99"))
    case = {"contenders": ["a", "b"], "settings": {"streams": 200}, "rounds": [{"a": well, "b": well}, {"a": well, "b": stalled}]}
    rising = [{"contender": "a", "streams": 400, "held": True}, {"contender": "a", "streams": 800, "held": False}]
    assert most_held(rising, case) == {"a": 400, "b": 0}


def test_the_dispatcher_is_set_for_long_answers() -> None:
    forwarded, spliced = suited(CONTENDERS["sluice-l43"], 900), suited(CONTENDERS["sluice"], 900)
    assert isinstance(forwarded, Sluice) and forwarded.connections == 900
    assert isinstance(spliced, Sluice) and spliced.connections == 32 and spliced.wait == "10s"
    assert suited(CONTENDERS["haproxy"], 900) == CONTENDERS["haproxy"]
