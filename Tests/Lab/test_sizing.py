"""The model of `scripts/sizing` beside every measured point of the reports in docs/, and docs/performance.md as it makes it."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from sluicelab.paths import SCRIPTS
from sluicelab.sizing.measured import BATCH_SECONDS, BUSY_BATCHES, BUSY_SECONDS, DOCS, Point, batches, read
from sluicelab.sizing.model import Law, Model, Wanted, fit
from sluicelab.sizing.tables import MARKED, marked, written

# What docs/performance.md says of the model's errors.
PROCESSOR_ERROR, MEMORY_ERROR = 0.20, 0.10
MODEL = Model(read())


@pytest.mark.parametrize("point", MODEL.measured.points, ids=lambda point: f"{point.report}-{point.rate:g}")
def test_the_model_is_near_every_rate_that_held(point: Point) -> None:
    assert abs(MODEL.law(point.workers).error(point)) <= PROCESSOR_ERROR
    if point.dispatcher_us is not None:
        assert MODEL.dispatcher_us(point.workers, point.rate) == pytest.approx(point.dispatcher_us, rel=PROCESSOR_ERROR)


def test_memory_of_one_worker_foretells_that_of_many() -> None:
    """The constants are of one worker and of the engine alone; the points are of the whole system."""
    assert {one.devices for one in MODEL.measured.registered} >= {150_000}
    for one in MODEL.measured.registered:
        assert MODEL.worker_memory(one.devices, one.workers) == pytest.approx(one.worker_bytes, rel=MEMORY_ERROR)
        assert MODEL.measured.tunnel_bytes == pytest.approx(one.tunnel_bytes, rel=MEMORY_ERROR)


def test_the_fit_finds_the_law_that_made_the_points() -> None:
    law = Law(70, 1300)
    points = [Point("", n, rate, law.processors(n, rate), None) for n in (1, 4, 8) for rate in (500.0, 1500.0, 6000.0)]
    found = fit(points)
    assert found.message_us == pytest.approx(70) and found.batch_us == pytest.approx(1300)


def test_batches_are_as_many_as_messages_when_few_and_bounded_when_many() -> None:
    assert batches(1, 1) == pytest.approx(1, rel=0.01) and batches(1, 1e9) == pytest.approx(1 / BATCH_SECONDS, rel=0.01)
    assert batches(8, 80) == pytest.approx(8 * batches(1, 10))
    assert batches(8, 400) == BUSY_BATCHES and batches(8, 1e9) == pytest.approx(8 / BUSY_SECONDS, rel=0.01)


def test_needs_grow_as_they_should() -> None:
    base = Wanted(devices=150_000, messages=1000, reconnects=0, ping=0)
    needs = MODEL.needs(base)
    assert (needs.stores, needs.workers, needs.dispatchers) == (1, 8, 1)  # the machine that was measured
    assert needs.worker_us == pytest.approx(MODEL.law(8).processors(8, 1000) / 1000 * 1e6)
    assert MODEL.needs(replace(base, messages=2 * MODEL.measured.held(8))).stores == 2
    assert MODEL.needs(replace(base, devices=300_001)).stores == 3
    ten = MODEL.needs(replace(base, devices=1_500_000, messages=10_000))
    assert ten.worker_processors == pytest.approx(10 * needs.worker_processors) and ten.workers == 80
    lossy = MODEL.needs(replace(base, loss=50 - 1e-9))
    assert lossy.packets == pytest.approx(2 * needs.packets) and lossy.down_mbit == pytest.approx(2 * needs.down_mbit)
    assert MODEL.needs(replace(base, size=1100)).down_mbit - needs.down_mbit == pytest.approx(1000 * 1000 * 8e-6)
    assert MODEL.needs(replace(base, ping=60)).ping_mbit == pytest.approx(4 * MODEL.needs(replace(base, ping=240)).ping_mbit)


def test_the_document_has_the_tables_that_the_model_makes() -> None:
    text = (DOCS / "performance.md").read_text()
    assert {found[2] for found in MARKED.finditer(text)} == set(marked(MODEL))
    assert written(text, MODEL) == text, "a report has changed: scripts/sizing --write"


def test_the_script_prints_what_a_deployment_takes() -> None:
    words = [str(SCRIPTS / "sizing"), "--devices", "150000", "--messages", "1200", "--growth", "--checks"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert (
        done.returncode == 0 and "| 150,000 devices, 1,200 messages a second |" in done.stdout and "performance-whole.json" in done.stdout
    )
    assert subprocess.run([SCRIPTS / "sizing", "--loss", "80"], capture_output=True, timeout=30).returncode == 2
