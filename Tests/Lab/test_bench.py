"""`scripts/bench`: its arithmetic with known numbers, its report, and every contender for a moment in the lab."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sluicelab.bench import contenders, judge, loads, measure, report, tables
from sluicelab.bench.cases import CASES, GOODPUT, PROCESSOR, PROCESSOR_MB, RATE, Case, Wanted
from sluicelab.bench.contenders import CONTENDERS, NFT_TABLE
from sluicelab.network import server_address
from sluicelab.paths import SCRIPTS

# MARK: What programs print

WRK = """Running 2s test @ http://10.77.1.101
  2 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.31ms    0.94ms  21.11ms   87.83%
    Req/Sec    26.02k     2.30k   31.24k    70.00%
  Latency Distribution
     50%  962.00us
     75%    1.55ms
     90%    2.40ms
     99%    1.20s
  103561 requests in 2.00s, 15.11MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  51711.12
Transfer/sec:      7.54MB
"""


def test_what_wrk_says_in_any_unit() -> None:
    load = loads.of_wrk(WRK)
    assert (load.requests, load.failures, load.seconds) == (103561, 15, 2.0)
    assert load.megabytes == pytest.approx(15.11 * 1.048576)
    assert load.latency_ms_p50 == pytest.approx(0.962) and load.latency_ms_p99 == pytest.approx(1200)
    with pytest.raises(ValueError, match="wrk's output has no"):
        loads.of_wrk("unable to connect")


def test_what_our_own_load_says() -> None:
    numbers = {"due": 200, "answered": 190, "errors": 3, "other_status": 2, "unanswered": 5, "within": 150}
    load = loads.of_load(numbers | {"seconds": 2.0, "bytes": 3_000_000, "p50_ms": 1.5, "p99_ms": 9.0})
    assert (load.requests, load.failures, load.megabytes, load.within) == (190, 10, 3.0, 75.0)


# MARK: Ratios, spread and verdicts


def rounds(**series: list[dict[str, float | None]]) -> list[judge.Round]:
    """By contender, a turn for each round."""
    return [dict(zip(series, turns)) for turns in zip(*series.values())]


def turn(rate: float, processor: float | None) -> judge.Turn:
    return {RATE: rate, PROCESSOR: processor, "failures": 0}


HISTORY = rounds(
    sluice=[turn(200, 5), turn(90, 5), turn(300, 5)],
    haproxy=[turn(100, 10), turn(100, 20), turn(100, 25)],
    nft=[turn(400, None), turn(400, None), turn(400, None)],
)
NAMES = ["sluice", "haproxy", "nft"]


def test_a_spread_has_its_quartiles_and_ends() -> None:
    assert judge.spread([5, 1, 2, 4, 3]) == {"median": 3, "low": 2, "high": 4, "least": 1, "most": 5}
    assert judge.spread([7]) == {"median": 7, "low": 7, "high": 7, "least": 7, "most": 7}


def test_ratios_are_taken_within_a_round() -> None:
    """The ratio of medians would be 2: the noise of a round is in both of its turns."""
    found = judge.ratio("sluice", "haproxy", RATE, HISTORY)
    assert found is not None and found["median"] == 2.0 and (found["least"], found["most"]) == (0.9, 3.0)
    noisy = rounds(a=[turn(100, 1), turn(10, 1), turn(1000, 1)], b=[turn(50, 1), turn(5, 1), turn(800, 1)])
    assert judge.ratio("a", "b", RATE, noisy) == {"median": 2.0, "low": 1.625, "high": 2.0, "least": 1.25, "most": 2.0}


def test_what_the_kernel_uses_is_nobodys() -> None:
    assert judge.medians(NAMES, HISTORY)["nft"] == {RATE: 400, PROCESSOR: None, "failures": 0}
    assert judge.ratio("nft", "haproxy", PROCESSOR, HISTORY) is None
    assert PROCESSOR not in judge.ratios(CASES["small"], NAMES, HISTORY)["nft/haproxy"]


def test_bounds() -> None:
    assert Wanted(RATE, "a", "b", at_least=1).reached(1) and not Wanted(RATE, "a", "b", at_least=1).reached(0.99)
    assert Wanted(RATE, "a", "b", at_most=1).reached(1) and not Wanted(RATE, "a", "b", at_most=1).reached(1.01)
    assert not Wanted(RATE, "a", "b", above=1).reached(1) and Wanted(RATE, "a", "b", above=1).reached(1.01)
    assert str(Wanted(RATE, "a", "b", above=1)) == "requests/s, a / b > 1"
    assert str(Wanted("bytes_each", "a", at_most=512)) == "bytes for each, a <= 512"


def verdict(rate: float, processor: float, hoped: float = 0) -> dict[str, Any]:
    """Of a case that wants at least twice the requests for at most half of the processor time."""
    wanted = (
        Wanted(RATE, "sluice", "haproxy", at_least=2),
        Wanted(PROCESSOR, "sluice", "haproxy", at_most=0.5),
        Wanted(RATE, "sluice", "haproxy", at_least=hoped, hoped=True),
    )
    case = Case("known", "known", wanted=wanted)
    history = rounds(sluice=[turn(rate, processor)] * 3, haproxy=[turn(1, 1)] * 3)
    found: dict[str, Any] = judge.summarise(case, ["sluice", "haproxy"], history, {})["verdict"]
    return found


def test_processor_time_decides_where_both_disagree() -> None:
    assert verdict(2, 0.5) == {"reached": True, "throughput": True, "processor": True, "text": "reached"}
    assert verdict(1, 0.6)["text"] == "missed"
    assert verdict(1, 0.5)["reached"] and verdict(1, 0.5)["text"] == "reached: CPU time decides, throughput is missed"
    assert not verdict(2, 0.6)["reached"] and verdict(2, 0.6)["text"] == "missed: CPU time decides, throughput is reached"
    assert verdict(2, 0.5, hoped=100)["reached"], "what is hoped for is not judged"


def test_other_figures_must_be_reached_each() -> None:
    case = CASES["flood"]
    good: judge.Turn = {"within_alone": 99.9, "within_attack": 99.6}
    for attacked, reached in ((99.6, True), (99.4, False)):
        history = rounds(sluice=[{**good, "within_attack": attacked}], haproxy=[good])
        assert judge.summarise(case, ["sluice", "haproxy"], history, {})["verdict"]["reached"] is reached
    assert judge.summarise(CASES["logs"], ["sluice"], rounds(sluice=[turn(1, 1)]), {})["verdict"]["text"] == "nothing is wanted"


@pytest.mark.parametrize(
    ("case", "figure", "to", "bound"),
    [
        ("small", RATE, "forwarder", ">= 0.95"),
        ("small", PROCESSOR, "forwarder", "<= 1.3"),
        ("1k", PROCESSOR, "haproxy", "<= 0.75"),
        ("64k", RATE, "forwarder", ">= 0.9"),
        ("64k", PROCESSOR, "haproxy", "<= 0.7"),
        ("1m", RATE, "forwarder", ">= 0.9"),
        ("1m", PROCESSOR, "haproxy", "<= 1"),
        ("new-connection", RATE, "haproxy", ">= 1.25"),
        ("new-connection", RATE, "forwarder", "> 1"),
        ("new-connection", PROCESSOR, "haproxy", "<= 0.9"),
        ("loss-bulk", GOODPUT, "haproxy", ">= 0.9"),
        ("idle", "bytes_each", "", "<= 512"),
        ("tunnels", "bytes_each", "", "<= 768"),
    ],
)
def test_what_is_wanted_stands_in_the_cases(case: str, figure: str, to: str, bound: str) -> None:
    found = [want for want in CASES[case].wanted if (want.figure, want.to, want.of) == (figure, to, "sluice") and not want.hoped]
    assert [want.bound for want in found] == [bound]


def test_cases_and_contenders_fit_together() -> None:
    assert set(contenders.TITLES) == set(CONTENDERS)
    for case in CASES.values():
        names = set(case.contenders) | set(case.optional)
        assert names <= set(CONTENDERS) and set(case.quick) <= names
        assert {name for want in case.wanted for name in (want.of, want.to) if name} <= names
        for want in case.wanted:
            assert not want.to or want.figure in case.compared


# MARK: The report


def a_run() -> dict[str, Any]:
    main = judge.summarise(CASES["small"], NAMES, HISTORY, {"rounds": 3})
    main["profile"] = [{"share": 0.25, "thread": "packets", "binary": "sluice-dispatcher", "function": "receive<A>()"}]
    memory: judge.Turn = {"connections": 7000, "bytes_each": 400.4, "resident_before": 1 << 20, "resident_after": 5 << 20, "failures": 0}
    idle = judge.summarise(CASES["idle"], ["sluice"], [{"sluice": memory}], {"rounds": 1})
    half: judge.Turn = {"latency_ms_p50": 0.5, "latency_ms_p99": 2.5, PROCESSOR: 9.0, "failures": 0}
    direct: judge.Turn = {"latency_ms_p50": 0.2, "latency_ms_p99": 1.25, PROCESSOR: None, "failures": 0}
    latency = judge.summarise(CASES["latency"], ["sluice", "direct"], rounds(sluice=[half], direct=[direct]), {"rate": 12345})
    return {
        "time": "2026-01-01 00:00:00 UTC",
        "duration": 60,
        "machine": {"processors": 2, "model": "a <model>", "busy_before": 0.0},
        "settings": {"quick": False, "rounds": 3},
        "cases": [main, idle, latency],
    }


def test_the_page_has_every_figure(tmp_path: Path) -> None:
    path = report.write(tmp_path, a_run())
    assert json.loads(path.read_text()) == a_run()
    page = path.with_suffix(".html").read_text()
    assert "a &lt;model&gt;" in page and "<script" not in page
    assert page.count("<svg") == page.count("</svg>") == 2, "beside HAProxy, which the other cases lack here"
    assert "requests/s, sluice / haproxy &gt;= 1.35: 2.00, reached" in page
    assert "CPU per request, sluice / haproxy &lt;= 0.75: 0.25, reached" in page
    assert "<td>the kernel&#x27;s</td>" in page or "<td>the kernel's</td>" in page
    assert "<td>receive&lt;A&gt;()</td><td>sluice-dispatcher</td><td>packets</td><td>25.0%</td>" in page
    assert "<td>400</td>" in page and "<td>300</td><td>1,250</td>" in page, "memory for each; what sluice adds to direct"


def test_the_tables_in_markdown() -> None:
    run = a_run()
    line = tables.markdown(run, "ratios").splitlines()[-1]
    assert line == "| 12-byte answer, 64 keep-alive connections | 2.00 (1.45 to 2.50) | - | 0.25 (0.23 to 0.38) | - | reached |"
    assert "| sluice | 200 / 5.0 us |" in tables.markdown(run, "contenders")
    assert "| nft | 400 / kernel |" in tables.markdown(run, "contenders")
    assert "`idle`" in tables.markdown(run, "further") and "small" not in tables.markdown(run, "further")
    for part in tables.PARTS:
        assert tables.markdown(run, part) in tables.markdown(run)


def test_reports_of_one_machine_are_merged() -> None:
    first, second = a_run(), a_run()
    second["cases"] = second["cases"][1:]
    second["cases"][0]["failures"] = 7
    whole = report.merged([first, second])
    assert [case["name"] for case in whole["cases"]] == ["small", "idle", "latency"] and whole["cases"][1]["failures"] == 7
    assert whole["duration"] == 120
    second["machine"]["model"] = "another"
    with pytest.raises(ValueError, match=r"different machines or versions \(model\)"):
        report.merged([first, second])


def test_the_command_line_reads_reports(tmp_path: Path) -> None:
    path = report.write(tmp_path, a_run())
    done = subprocess.run([SCRIPTS / "bench", "--table", path, "--part", "wanted"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "| idle | wanted: bytes for each, sluice <= 512 | 400, reached | - |" in done.stdout
    done = subprocess.run([SCRIPTS / "bench", "--table", tmp_path / "none"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "cannot read these reports" in done.stderr


# MARK: In the lab


@pytest.fixture
def bench(lab: None, workspace: Path, file_servers: list[str], files: dict[str, bytes]) -> Iterator[measure.Bench]:
    folder = workspace / "bench"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    if not (workspace / "files" / "1KiB").exists():
        (workspace / "files" / "1KiB").write_bytes(bytes(1 << 10))
    yield measure.Bench(folder, file_servers, 1, 1, "", lambda _: None, measure.Progress(1))


def in_host(host: str, *words: str) -> str:
    return subprocess.run(["ip", "netns", "exec", f"sluice-{host}", *words], capture_output=True, text=True, timeout=10).stdout


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != "forwarder-canned"])
def test_each_contender_answers_rightly(bench: measure.Bench, name: str) -> None:
    """Every answer is 200 and as long as it should be, also through wrk, which two threads take to two addresses for `direct`."""
    turn = measure.take_turn(CONTENDERS[name], Case("short", "short", path="/1KiB", connections=8), bench)
    assert turn["failures"] == 0
    requests, rate, goodput = turn["requests"], turn["requests_per_second"], turn["megabytes_per_second"]
    assert requests and rate and goodput and requests > 20
    assert 1024 + 100 < 1e6 * goodput / rate < 1024 + 500, "a body and a head for each, within wrk's rounding"
    assert (turn["processor_us_per_request"] is None) == (name in ("nft", "direct"))
    assert turn.get("log_lines_missing", 0) == 0


def test_direct_goes_to_both_servers_and_nft_too(bench: measure.Bench, file_servers: list[str]) -> None:
    """Counted where servers accept: connections of one second."""

    def accepted(host: str) -> int:
        words = in_host(host, "cat", "/proc/net/snmp").split("Tcp:")[2].split()
        return int(words[5])  # PassiveOpens

    for name in ("direct", "nft"):
        before = [accepted(f"server{number}") for number in (1, 2)]
        load = measure.take_turn(CONTENDERS[name], Case("both", "both", load="fresh", connections=8), bench)
        opened = [accepted(f"server{number}") - was for number, was in zip((1, 2), before)]
        assert load["failures"] == 0 and min(opened) > 0.4 * sum(opened) > 0, f"{name}: {opened}"


def test_the_kernels_path_is_taken_away_again(bench: measure.Bench) -> None:
    with measure.serving(CONTENDERS["nft"], bench.folder / "nft", bench.servers):
        assert NFT_TABLE in in_host("dispatcher", "nft", "list", "tables")
        assert in_host("dispatcher", "cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"
    assert NFT_TABLE not in in_host("dispatcher", "nft", "list", "tables")
    assert in_host("dispatcher", "cat", "/proc/sys/net/ipv4/ip_forward").strip() == "0"
    assert "10.77.2.0/24" not in in_host("client1", "ip", "route")


def test_the_ceiling_of_new_connections_needs_no_server(bench: measure.Bench) -> None:
    turn = measure.take_turn(CONTENDERS["forwarder-canned"], Case("short", "short", load="fresh", connections=8), bench)
    assert turn["failures"] == 0 and (turn["requests"] or 0) > 20


def test_an_open_loop_counts_what_is_late(bench: measure.Bench) -> None:
    turn = measure.flood_turn(CONTENDERS["sluice"], Case("half", "half", load="half", connections=8), bench, rate=200)
    assert turn["failures"] == 0 and (turn["within_alone"] or 0) > 50 and (turn["syns_per_second"] or 0) > 1000
    assert (turn["processor_share_attack"] or 0) > 0


@pytest.mark.parametrize(("name", "load"), [("sluice", "idle"), ("sluice", "tunnels"), ("haproxy", "tunnels"), ("nginx", "tunnels")])
def test_idle_connections_stand_and_are_counted(bench: measure.Bench, name: str, load: str) -> None:
    result = measure.run_case(Case(load, load, load=load, connections=200), [name], bench)
    turn = result["rounds"][0][name]
    assert result["failures"] == 0 and turn["connections"] == 200
    assert turn["bytes_each"] == (turn["resident_after"] - turn["resident_before"]) / 180


def test_an_unknown_idle_command_is_told() -> None:
    done = subprocess.run(
        ["/usr/bin/python3", SCRIPTS / "sluicelab" / "bench" / "idle.py", "clients"], capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 2 and "idle.py clients ADDRESS PORT COUNT keep|tunnel" in done.stderr


def test_addresses_are_those_of_the_servers() -> None:
    assert CONTENDERS["direct"].addresses == (server_address(1), server_address(2))


def test_a_download_is_compared_byte_by_byte(bench: measure.Bench, files: dict[str, bytes]) -> None:
    case = Case("download", "download", path="/8MiB", load="download")
    digest = hashlib.sha256(files["8MiB"]).hexdigest()
    turn = measure.take_turn(CONTENDERS["sluice"], case, replace(bench, digest=digest))
    assert turn["failures"] == 0 and (turn["megabytes_per_second"] or 0) > 0 and (turn[PROCESSOR_MB] or 0) > 0
    assert measure.take_turn(CONTENDERS["haproxy"], case, replace(bench, digest="0" * 64))["failures"] == 1
