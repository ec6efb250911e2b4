"""What `scripts/soak --case memory` does for half an hour, for some seconds; and its arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import started
from sluicelab.dispatcher import Dispatcher
from sluicelab.network import FILES_ADDRESS
from sluicelab.robustness import memory
from sluicelab.robustness.figures import Figures
from sluicelab.robustness.memory import Sample, slope

PORT = 88


def test_who_has_come_and_gone_leaves_nothing(file_servers: list[str], folder: Path, figures: Figures) -> None:
    """Every gauge comes back. Memory has not had its time yet: pages are touched for the first time all the while."""
    process = Dispatcher(folder / "dispatcher", memory.configure(PORT))
    started.append(process)
    try:
        memory.run(process, FILES_ADDRESS, folder, figures, seconds=6, rate=80, port=PORT, growth=64 << 20)
    finally:
        started.remove(process)
        code = process.stop()
    assert code == 0
    every = {figure.what: figure.got for figure in figures.all}
    assert float(every["samples of RssAnon"]) >= 10
    visits = str(every["visits"])
    assert all(kind in visits for kind in ("tunnels", "half heads", "half answers", "gone at once", "keeps", "closes", "posts"))


def samples(grow: float, noise: float = 0) -> list[Sample]:
    """An hour, a sample each second; the first 20 minutes grow by 10 MiB beside."""
    return [
        Sample(float(second), int((min(second, 1200) / 1200) * (10 << 20) + grow * second + noise * (-1) ** second), 0, 0)
        for second in range(3601)
    ]


@pytest.mark.parametrize("noise", [0, 4096, 100_000])
def test_the_line_leaves_the_warm_up_out(noise: float) -> None:
    flat, growing = slope(samples(0, noise)), slope(samples(100, noise))
    assert flat.bytes_an_hour == pytest.approx(0, abs=2000) and flat.seconds == 2400
    assert growing.bytes_an_hour == pytest.approx(360_000, abs=2000) and growing.growth == pytest.approx(240_000, abs=2000)


def test_what_each_visit_leaves_behind_is_seen() -> None:
    """Eight bytes of each of 250 visits a second, in half an hour."""
    leaking = [Sample(3.0 * number, 8 * 250 * 3 * number, 0, 0) for number in range(601)]
    assert slope(leaking).growth > memory.GROWTH_BYTES
