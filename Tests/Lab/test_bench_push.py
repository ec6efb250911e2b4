"""The instruments of `scripts/bench push`, and each of its cases at a small size: the numbers must add up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sluicelab.push import store
from sluicelab.push.cases import WANTED_P99_MS, Bench, Size
from sluicelab.push.profile import by_thread, fold
from sluicelab.push.swarm import Load, run
from sluicelab.push.worker import Worker
from sluicelab.robustness.figures import Figures

SMALL = Size(
    idle_devices=60,
    idle_seconds=0.2,
    message_devices=20,
    rates=(100, 200),
    message_seconds=0.8,
    warm_up=0.2,
    profile_seconds=1,
    between_rates=(20, 100),
    fan_out_devices=50,
    fan_outs=2,
    fan_out_every=0.5,
    registrations=2000,
    starts=2,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, SMALL, Figures(lambda _: None), None, None, lambda _: None, profile_wanted=False)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    (tmp_path / "data").mkdir()
    one = Worker(tmp_path / "data", tmp_path / "worker.log")
    yield one
    one.kill()


def reached(bench: Bench, start: str) -> bool:
    return next(figure.reached for figure in bench.figures.all if figure.what.startswith(start))


def test_idle_devices_are_counted_and_cost_something(bench: Bench) -> None:
    bench.idle()
    assert reached(bench, "idle: all devices registered") and reached(bench, "idle: no connection broke")
    found = bench.found["idle"]
    assert found["devices"] == 60 and found["connect_seconds"] > 0
    assert found["bytes_each"] * 60 == found["resident_after"] - found["resident_before"]


def test_messages_are_accepted_delivered_and_acknowledged(bench: Bench) -> None:
    bench.messages()
    assert not bench.figures.missed
    found = bench.found["messages"]
    assert [step["messages"] for step in found["steps"]] == [100, 200]
    for step in found["steps"]:
        assert step["answers"] == {"200": step["messages"]} and step["delivered"] == step["messages"] == step["posted"]
        # The warm-up's messages have no latency; what is delivered was accepted before, and written before that.
        assert step["delivery"]["count"] == step["answer"]["count"] == step["rate"] * SMALL.message_seconds
        assert 0 < step["delivery"]["p50"] <= step["delivery"]["p99"] <= step["delivery"]["max"]
        assert step["lateness"]["p50"] < step["delivery"]["p50"]
        assert step["held"] and step["delivery"]["p99"] < WANTED_P99_MS
    counts = found["counts"]
    assert counts["notifiesAccepted"] == counts["notificationsSent"] == counts["acknowledged"] == 300


def test_messages_pass_between_two_workers(bench: Bench) -> None:
    bench.between()
    assert not bench.figures.missed
    found = bench.found["between"]
    assert [step["messages"] for step in found["steps"]] == [20, 100]
    for step in found["steps"]:
        assert step["delivered"] == step["answers"]["200"] == step["messages"] and step["workers_us_each"] > 0
    # Each did its own part only.
    holder, taker = found["counts"]
    assert "notifiesAccepted" not in holder and holder["notificationsSent"] == holder["acknowledged"] == 120
    assert taker["notifiesAccepted"] == 120 and "notificationsSent" not in taker and "devicesRegistered" not in taker


def test_a_message_for_all_is_complete_when_the_last_device_has_it(bench: Bench) -> None:
    bench.fan_out()
    assert not bench.figures.missed
    found = bench.found["fan_out"]
    assert found["messages"] == 2 and found["delivered"] == found["counts"]["acknowledged"] == 100
    assert found["completion"]["count"] == 2
    assert found["completion"]["max"] >= found["delivery"]["max"]


def test_a_filled_store_is_one_that_workers_serve(bench: Bench) -> None:
    bench.start()
    assert not bench.figures.missed
    assert len(bench.found["start"]["seconds"]) == 2 and bench.found["start"]["registrations"] == 2000
    assert store.size(bench.folder / "start-data") > 2000 * 40


def test_a_worker_that_dies_is_named(worker: Worker, tmp_path: Path) -> None:
    load = Load(devices=5, rate=50, seconds=1, stay=1)
    with pytest.raises(RuntimeError, match="cannot connect an application server"):
        run(load, worker, tmp_path / "swarm.log", connected=worker.kill)


def test_a_profile_is_folded_by_thread_and_function() -> None:
    text = """# Samples: 3K of event 'cpu-clock'
    30.00%;NIO-ELT-0-#0;libcrypto.so.3;[.] bn_mul
    20.00%;NIO-ELT-0-#1;libcrypto.so.3;[.] bn_mul        ;-      -
     3.00%;NIO-ELT-0-#1;libcrypto.so.3;[.] 0x0000000000130e78
     2.00%;NIO-ELT-0-#1;libcrypto.so.3;[.] 0x0000000000130e13
    25.00%;store-writes;[kernel.kallsyms];[k] fsync
     5.00%;store-writes;[kernel.kallsyms];[k] write
"""
    parts = fold(text)
    assert [(part.thread, part.binary, part.function, round(part.share, 2)) for part in parts] == [
        ("NIO-ELT-0", "libcrypto.so.3", "bn_mul", 0.5),
        ("store-writes", "kernel", "(all of the system)", 0.3),
        ("NIO-ELT-0", "libcrypto.so.3", "(no name)", 0.05),
    ]
    assert [(part.thread, round(part.share, 2)) for part in by_thread(parts)] == [("NIO-ELT-0", 0.55), ("store-writes", 0.3)]
