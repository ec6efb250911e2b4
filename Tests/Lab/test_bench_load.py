"""The instruments of `scripts/bench load`: the arithmetic, the server that thrashes, and the load that does not wait for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sluicelab.loading import arrivals, verdicts
from sluicelab.loading.cgroup import MemoryGroup
from sluicelab.loading.law import Curve, Law, Point, solve
from sluicelab.loading.thrasher import PORT, Thrasher
from sluicelab.loading.traces import Sample, Trace, convergence, rate_between, variation, window_seconds, windows_passed
from sluicelab.network import server_address
from sluicelab.robustness.figures import Figures

LAW = Law(gain=62.5, sigma=0.02, kappa=0.003)
LIMITS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# MARK: The law and the curve


def test_the_law_has_its_peak_where_calculus_says() -> None:
    assert LAW.rate(1) == 62.5
    best = max(range(1, 257), key=LAW.rate)
    assert best == round(((1 - LAW.sigma) / LAW.kappa) ** 0.5) == 18
    assert LAW.rate(256) < LAW.rate(18) / 6


def test_a_fit_finds_the_law_that_made_the_points() -> None:
    found = Law.fit([(n, LAW.rate(n)) for n in LIMITS])
    assert found is not None
    assert found.gain == pytest.approx(62.5) and found.sigma == pytest.approx(0.02) and found.kappa == pytest.approx(0.003)


def test_a_fit_bears_noise() -> None:
    noisy = [(n, LAW.rate(n) * (1.03 if place % 2 else 0.97)) for place, n in enumerate(LIMITS)]
    found = Law.fit(noisy)
    assert found is not None and found.error(noisy) < 0.06
    assert max(range(1, 257), key=found.rate) in range(15, 23)


def test_too_few_points_and_singular_equations_have_no_law() -> None:
    assert Law.fit([(1, 10.0), (2, 15.0)]) is None
    assert Law.fit([(4, 10.0), (4, 10.0), (4, 10.0)]) is None
    assert solve([[1, 2], [2, 4]], [1, 2]) is None
    assert solve([[0, 2], [4, 0]], [2, 8]) == [2, 1]


def curve_of(law: Law) -> Curve:
    return Curve([Point(n, law.rate(n), n / law.rate(n)) for n in LIMITS])


def test_a_curve_by_its_law() -> None:
    curve = curve_of(LAW)
    assert curve.law is not None and curve.best_limit == 18
    assert curve.best_rate == pytest.approx(LAW.rate(18))
    assert curve.response(18) == pytest.approx(18 / LAW.rate(18))
    low, high = curve.limits(0.95)
    assert low == next(n for n in range(1, 19) if LAW.rate(n) >= 0.95 * LAW.rate(18))
    assert high == next(n for n in range(256, 18, -1) if LAW.rate(n) >= 0.95 * LAW.rate(18))


def test_a_curve_that_follows_no_law_is_what_was_measured() -> None:
    rates = {1: 40.0, 2: 80.0, 4: 130.0, 6: 160.0, 8: 200.0, 16: 84.0, 32: 33.0, 64: 6.5}
    curve = Curve([Point(n, rate, n / rate) for n, rate in rates.items()])
    assert curve.law is None and curve.best_limit == 8 and curve.best_rate == pytest.approx(200)
    for n, rate in rates.items():
        assert curve.rate(n) == pytest.approx(rate)
    assert curve.rate(3) == pytest.approx(80 * (130 / 80) ** 0.58496, rel=1e-4), "a straight line in logarithms"
    assert curve.rate(1000) == 6.5 and curve.response(0.5) == 1 / 40


def test_the_band_is_around_the_best_and_wide_enough_for_whole_connections() -> None:
    curve = curve_of(LAW)
    low, high = curve.band()
    assert low < curve.response(18) < high
    for limit in range(1, 257):
        if low <= curve.response(limit) <= high:
            assert curve.rate(limit) >= 0.97 * curve.best_rate
    steep = Curve([Point(1, 100, 0.01), Point(2, 190, 0.0105), Point(3, 20, 0.15)])
    low, high = steep.band()
    assert high / low >= 2 - 1e-9, "a limit of two needs high/low >= 1 + 2/2"


def test_a_sweep_without_answers_has_no_curve() -> None:
    with pytest.raises(ValueError, match="points with answers"):
        Curve([Point(1, 0, 0)])
    with pytest.raises(ValueError, match="points with answers"):
        Curve([])


# MARK: Traces


def trace(limits: Sequence[float], rate: float = 400, every: float = 0.2) -> Trace:
    return Trace([Sample(n * every, {"a": limit}, limit, 5, rate * n * every) for n, limit in enumerate(limits)])


def test_a_window_is_as_long_as_its_answers_take() -> None:
    assert window_seconds(1, 1000) == 0.25
    assert window_seconds(20, 280) == pytest.approx(0.5)
    assert window_seconds(256, 80) == 2
    assert window_seconds(4, 0) == 2


def test_windows_are_counted_by_their_length() -> None:
    assert windows_passed(trace([20] * 11, rate=280).samples) == pytest.approx(2 / 0.5)
    assert windows_passed([]) == 0


def test_convergence_is_the_first_time_that_lasts() -> None:
    rising = trace([1, 2, 4, 8, 18, 4, 5, 6, 7, 8, 8, 8, *[18] * 30])
    found = convergence(rising, lambda limit: limit >= 15)
    assert found.reached and found.seconds == pytest.approx(12 * 0.2), "the first 18 was chance"
    never = convergence(trace([3] * 40), lambda limit: limit >= 15)
    assert not never.reached and never.seconds == pytest.approx(39 * 0.2)
    late = convergence(trace([3] * 39 + [18]), lambda limit: limit >= 15)
    assert not late.reached, "too late to say whether it lasts"
    assert not convergence(Trace(), lambda limit: True).reached


def test_variation_and_slices() -> None:
    assert variation([10, 10, 10]) == 0 and variation([]) == 0
    assert variation([9, 11]) == pytest.approx(0.1)
    slices = {"good": [10, 20, 30, 40]}
    assert rate_between(slices, 250, "good", 0.25, 0.75) == pytest.approx(100)
    assert rate_between(slices, 250, "good", 5, 6) == 0


# MARK: Verdicts


def measured() -> dict[str, Any]:
    def cell(contender: str, load: float, goodput: float, server: float) -> dict[str, Any]:
        return {"contender": contender, "load": load, "goodput": goodput, "server_rate": server, "mean_cost": 1.0}

    def started(contender: str, start: str, windows: float, goes: float) -> dict[str, Any]:
        return {
            "contender": contender,
            "from": start,
            "goal": "its band",
            "reached": True,
            "windows": windows,
            "seconds": 5.0,
            "variation": goes,
            "limit_end": 18,
        }

    def disturbed(name: str, contender: str, end: float, drift: float = 0) -> dict[str, Any]:
        return {
            "name": name,
            "contender": contender,
            "goodput": 400.0,
            "goodput_end": end,
            "mean_cost": 1.0,
            "drift": drift,
            "good_share": 1.0,
        }

    return {
        "sweep": {"best_limit": 18, "best_rate": 500.0, "method": "the law", "points": [{"little": 0.01}, {"little": None}]},
        "curve": [
            cell("direct", 4, 0, 80),
            cell("sluice-fixed", 4, 495, 495),
            cell("sluice-hold", 4, 485, 485),
            cell("sluice-optimise", 4, 476, 476),
        ],
        "convergence": [
            started("sluice-hold", "one", 19, 0.05),
            started("sluice-hold", "maximum", 12, 0.05),
            started("sluice-optimise", "one", 28, 0.15),
            started("sluice-optimise", "maximum", 39, 0.15),
        ],
        "disturbances": [
            disturbed("capacity", "sluice-fixed", 490),
            disturbed("capacity", "sluice-hold", 480),
            disturbed("low-demand", "sluice-optimise", 120),
        ],
    }


def missed(run: dict[str, Any]) -> list[str]:
    figures = Figures(lambda _: None)
    verdicts.judge(run, figures)
    return figures.missed


def test_a_run_that_reaches_all_misses_nothing() -> None:
    assert missed(measured()) == []


def spoilt(part: str, place: int, **values: object) -> list[str]:
    run = measured()
    run[part][place].update(values)
    return missed(run)


def test_each_thing_that_is_wanted_can_be_missed() -> None:
    assert any("regret" in text for text in spoilt("curve", 2, goodput=465))
    assert any("as a share of the sweep's best" in text for text in spoilt("curve", 3, goodput=470))
    assert any("uncontrolled" in text for text in spoilt("curve", 0, server_rate=170))
    assert any("windows from a limit of one" in text for text in spoilt("convergence", 0, windows=21))
    assert any("not there after" in text for text in spoilt("convergence", 3, reached=False, windows=41, variation=None))
    assert not spoilt("convergence", 3, reached=False, windows=12, variation=None), "too short a run says nothing"
    assert any("variation" in text for text in spoilt("convergence", 2, variation=0.21))
    assert any("at the end" in text for text in spoilt("disturbances", 1, goodput_end=430))
    assert any("drift" in text for text in spoilt("disturbances", 2, drift=2))
    assert any("good requests" in text for text in spoilt("disturbances", 2, good_share=0.9))
    run = measured()
    run["sweep"]["points"].append({"little": 0.06})
    assert any("Little" in text for text in missed(run))


def test_costs_that_happened_to_be_drawn_are_nobodys_merit() -> None:
    assert not spoilt("curve", 2, goodput=465, mean_cost=1.05)


def test_figures_of_a_load_in_which_requests_vanish_are_refused() -> None:
    numbers = {name: 0 for name in arrivals.OUTCOMES} | {"due": 10, "good": 9, "late": 1, "seconds": 2.0}
    assert arrivals.goodput(arrivals.check(numbers)) == 4.5 and arrivals.answered(numbers) == 5
    with pytest.raises(ValueError, match="10 requests were due, and 9 have ended"):
        arrivals.check(numbers | {"late": 0})
    with pytest.raises(ValueError, match="found no connection in the load generator"):
        arrivals.check(numbers | {"late": 0, "unsent": 1})


# MARK: Control groups


def test_a_group_of_version_2_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    group = MemoryGroup("sluice-test", 64 << 20, tmp_path)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    assert group.limit == 64 << 20 and (group.path / "memory.swap.max").read_text() == "0"


def test_a_machine_without_a_memory_controller_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no cgroup with a memory controller"):
        MemoryGroup("sluice-test", 64 << 20, tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu\n")
    with pytest.raises(RuntimeError, match="has no memory controller"):
        MemoryGroup("sluice-test", 64 << 20, tmp_path)


def test_removing_a_group_ends_what_runs_in_it() -> None:
    group = MemoryGroup("sluice-test-loading", 64 << 20)
    try:
        assert group.limit == 64 << 20
        child = subprocess.Popen(["sleep", "60"])
        group.members.write_text(str(child.pid))
        assert group.processes() == [child.pid]
    finally:
        group.remove()
    assert child.wait(5) == -9 and not group.path.exists()


# MARK: The server that thrashes, and the load


@pytest.fixture
def thrasher(lab: None, folder: Path) -> Iterator[Thrasher]:
    server = Thrasher(folder, 1, LAW, cost="constant")
    yield server
    assert server.running and server.stop() == 0


def closed_loop(folder: Path, users: int, seconds: float) -> dict[str, Any]:
    """From the dispatcher's host: the servers' network is its own."""
    process = arrivals.start(
        folder, server_address(1), PORT, "dispatcher", rate=0, seconds=seconds, warm_up=0.3, connections=users, reuse="yes", patience=20000
    )
    return arrivals.check(process.numbers(seconds + 30))


def test_the_thrasher_keeps_its_law(thrasher: Thrasher, folder: Path) -> None:
    """The rate at the number that was really at work, which on a busy machine is a little less than the number of users."""
    for users in (1, 4, 16):
        before = thrasher.state()
        numbers = closed_loop(folder, users, 1.5)
        after = thrasher.state()
        # While fewer were at work less was done: between the law at the mean and at the number of users.
        at_work = after.at_work_since(before) * (after.time - before.time) / 1.8
        rate = numbers["good"] / numbers["seconds"]
        assert LAW.rate(users * 0.8) * 0.9 < rate < LAW.rate(users) * 1.1, f"{users} users, {at_work:.2f} at work"
        assert numbers["good"] == numbers["due"] and 0.7 * users < at_work < 1.1 * users


def test_past_its_peak_it_does_less_and_workers_bound_it(thrasher: Thrasher, folder: Path) -> None:
    begin = thrasher.state()
    closed_loop(folder, 300, 1)
    end = thrasher.state()
    most = int(thrasher.ask("GET", "/state")[2].split('"most_at_work": ')[1].split(",")[0])
    assert most == 256
    assert (end.work - begin.work) / 1.3 < LAW.rate(18) / 2


def test_the_thrasher_is_controlled(thrasher: Thrasher, folder: Path) -> None:
    assert thrasher.ask("GET", "/status")[1]["X-Load"] == "0"
    with pytest.raises(ValueError, match="capacity=F"):
        thrasher.control(speed=2)
    thrasher.control(capacity=2)
    fast = closed_loop(folder, 1, 1)["good"]
    assert LAW.rate(1) * 1.5 < fast < LAW.rate(1) * 2.2
    thrasher.control(capacity=1, stall=800)
    stalled = closed_loop(folder, 1, 1)
    assert 5 < stalled["good"] < LAW.rate(1) * 0.75, "half of the second that was measured was the stall's"
    thrasher.control(fail=1)
    numbers = closed_loop(folder, 1, 0.3)
    assert numbers["unavailable"] == numbers["due"] > 10 and numbers["good"] == 0
    assert thrasher.ask("GET", "/cost/none")[0] == 400


def test_the_load_does_not_wait_for_the_server(thrasher: Thrasher, folder: Path) -> None:
    """Three times what it can do: as many are due as were asked for, and their times count from then."""
    rate = 3 * LAW.rate(18)
    process = arrivals.start(folder, server_address(1), PORT, "dispatcher", rate=rate, seconds=1, within=200, patience=500, seed=7)
    numbers = arrivals.check(process.numbers(20))
    assert abs(numbers["due"] - rate) < 5 * rate**0.5
    assert numbers["timed_out"] > 0.5 * numbers["due"]
    assert numbers["most_ms"] < 1000 and sum(numbers["slices"]["due"]) == numbers["due"]
    again = arrivals.start(folder, server_address(1), PORT, "dispatcher", rate=rate, seconds=1, within=200, patience=500, seed=7)
    assert arrivals.check(again.numbers(20))["due"] == numbers["due"], "the same seed, the same requests"


def test_who_refuses_is_told_from_who_is_silent(lab: None, folder: Path) -> None:
    refused = arrivals.start(folder, server_address(1), 9, "dispatcher", rate=100, seconds=0.5)
    numbers = arrivals.check(refused.numbers(20))
    assert numbers["refused"] == numbers["due"] > 20
    silent = arrivals.start(folder, "10.77.2.250", 9, "dispatcher", rate=100, seconds=0.5, patience=300)
    numbers = arrivals.check(silent.numbers(20))
    assert numbers["timed_out"] == numbers["due"] > 20


def test_wrong_options_are_told(lab: None, folder: Path) -> None:
    program = arrivals.start(folder, server_address(1), 9, "dispatcher", rate=-1)
    assert program.wait(5) == 2 and "rate=-1 is no option, or not in its range" in program.log_end()
    with pytest.raises(AssertionError, match="not in its range"):
        Thrasher(folder, 1, Law(1, 2, 0))
