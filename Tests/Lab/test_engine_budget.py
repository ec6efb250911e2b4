"""What the engine may spend on each packet: instructions within their budgets, no allocation, no reference counted."""

from __future__ import annotations

import pytest
from sluicelab.engine import budget, callgrind, runs
from sluicelab.engine.cases import Bench, Size
from sluicelab.robustness.figures import Figures

PACKETS = 1_000_000
SMALL = Size(packets=10_000, held=(2_000,), messages=2_000, few=1_000, rounds=1, shard_rounds=1)


@pytest.mark.deadline(240)  # callgrind is slow, and nothing else may be said of a machine that is busy
@pytest.mark.parametrize("case", runs.CASES)
def test_instructions_are_within_the_budget(case: str) -> None:
    assert runs.is_countable(), "valgrind is not there: scripts/test installs it"
    profile, found = runs.count(case)
    count, most = profile.total / found["exchanges"], budget.most(budget.load()[case])
    top = "\n".join(f"{cost / found['exchanges']:10.1f}  {name}" for name, cost in profile.top(25))
    assert count <= most, f"expected at most {most:,} instructions for each exchange; got {count:,.0f}, most of them in\n{top}"
    least = budget.least(budget.load()[case])
    assert count >= least, f"{count:,.0f} instructions, fewer than {least:,}: lower the budget with scripts/bench engine --set-budget"


@pytest.mark.deadline(240)
@pytest.mark.parametrize("case", runs.CASES)
def test_a_million_packets_allocate_nothing_and_count_no_reference(case: str) -> None:
    found = runs.replay_packets(runs.CASES[case], PACKETS)
    assert found["frames"] >= PACKETS / runs.CASES[case].merged - runs.EXCHANGES
    counted = {name: found[name] for name in ("allocations", "frees", "objects", "retains", "releases", "accesses")}
    assert counted == dict.fromkeys(counted, 0)


def test_what_is_counted_is_counted() -> None:
    """The counters see an engine that is made and given back: else none of the tests above could fail."""
    found = runs.run("self-test")
    assert found["allocations"] > 10 and found["frees"] > 10 and found["objects"] > 0
    assert found["retains"] > 0 and found["releases"] > 0


@pytest.mark.deadline(240)
def test_the_same_run_takes_the_same_instructions() -> None:
    first, second = (runs.count("small")[0].total for _ in range(2))
    assert first == second


def test_every_case_has_a_budget_and_is_known_to_the_program() -> None:
    assert set(budget.load()) == set(runs.CASES)
    assert budget.most(100) == 103 and budget.least(100) == 97


@pytest.mark.deadline(240)
def test_the_parts_of_the_benchmark_find_something() -> None:
    bench = Bench(SMALL, Figures(lambda _: None), lambda _: None)
    bench.tunnels()
    bench.shards()
    bench.memory()
    bench.steps()
    assert bench.found["tunnels"]["ratio"] > 0
    for row in bench.found["shards"].values():
        # Each engine does what it did when it was recorded, or the program fails. Faster than two processors is a mistake.
        assert row["shards"] == 2 and 0 < row["ratio_percent"] < 400, row
    assert all(row["bytes_each"] > 100 for row in bench.found["memory"])
    assert all(row["longest_step_ns"] > 0 and row["frames"] > 5 * 2_000 - 100 for row in bench.found["steps"])


def test_a_profile_is_read_as_callgrind_writes_it() -> None:
    text = """events: Ir
fn=(1) first
10 100
+1 20
cfn=(2) second
calls=3 7
* 60
fn=(2)
7 60
fn=(1)
12 5
"""
    profile = callgrind.parse(text)
    assert profile.own == {"first": 125, "second": 60}
    assert profile.total == 185
    assert profile.top(1) == [("first", 125)]
