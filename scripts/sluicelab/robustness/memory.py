"""Clients and tunnels that come and go for half an hour: the dispatcher's memory does not grow, and its tables are empty again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ..bench.memory import TUNNEL_PORT, tunnel_servers
from ..dispatcher import Configuration, Dispatcher, configuration, pool, service
from ..network import FILES_ADDRESS, server_address
from ..processes import anonymous_bytes
from ..traffic import Running, churn
from .figures import Figures

HOSTS = ("client1", "client2")
SAMPLE_SECONDS = 3.0
TELL_SECONDS = 60.0
# Clients' ports, and what is only counted while something is under way. Beside these the gauges of `Dispatcher.gauges`.
FURTHER = ("server_tunnels", "server_streamed", "body_bytes", "staging_bytes")
# Of the growth from the first third of the time to its end. At full size 300,000 connections come in that time: four bytes that each left
# behind would be more. Below it is what is no leak: a page that is touched because more clients than ever happen to be there at once.
GROWTH_BYTES = 1 << 20


@dataclass(frozen=True)
class Sample:
    seconds: float
    anonymous: int  # bytes that the process has allocated and touched
    connections: float
    tunnels: float


@dataclass(frozen=True)
class Slope:
    """The line through the samples after the first third, by least squares."""

    bytes_an_hour: float
    growth: float  # bytes, over the time of these samples
    seconds: float


def slope(samples: Sequence[Sample]) -> Slope:
    last = samples[-1].seconds
    kept = [sample for sample in samples if sample.seconds >= last / 3]
    middle, level = fmean(sample.seconds for sample in kept), fmean(sample.anonymous for sample in kept)
    spread = sum((sample.seconds - middle) ** 2 for sample in kept)
    rise = sum((sample.seconds - middle) * (sample.anonymous - level) for sample in kept) / spread if spread else 0.0
    seconds = kept[-1].seconds - kept[0].seconds
    return Slope(rise * 3600, rise * seconds, seconds)


def configure(port: int = 80) -> Configuration:
    """nginx behind every path but /tunnel, where a server that becomes a tunnel is."""
    files, tunnels = ([f"{server_address(number)}:{to}" for number in (1, 2)] for to in (80, TUNNEL_PORT))
    # A reset that is lost is not sent again: of a tunnel only its limit finds that out.
    front = service("files", f"{FILES_ADDRESS}:{port}", "files", limits={"tunnel-idle": "60s"})
    front["routes"] = [{"path-prefix": "/tunnel", "pool": "tunnels"}, {"pool": "files"}]
    return configuration([front], [pool("files", files, connections=32), pool("tunnels", tunnels, connections=16)])


def gauges(dispatcher: Dispatcher) -> dict[str, float]:
    metrics = dispatcher.metrics
    return {**dispatcher.gauges(), **{name: metrics.total(name) for name in FURTHER}}


def _sample(dispatcher: Dispatcher, begin: float) -> Sample:
    metrics = dispatcher.metrics
    anonymous = anonymous_bytes(dispatcher.pid)
    return Sample(time.monotonic() - begin, anonymous, metrics.total("front_connections"), metrics.total("tunnels"))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _watch(dispatcher: Dispatcher, running: Sequence[Running], seconds: float, tell: Callable[[str], None]) -> list[Sample]:
    """A sample every few seconds, and now and then a line, until the clients end."""
    begin, samples, told = time.monotonic(), list[Sample](), 0.0
    while (passed := time.monotonic() - begin) < seconds:
        assert dispatcher.running, f"the dispatcher ended with {dispatcher.exit_code}:\n{dispatcher.log_end()}"
        for one in running:
            assert one.running, f"clients ended with {one.exit_code}:\n{one.log_end()}"
        samples.append(_sample(dispatcher, begin))
        if passed - told >= TELL_SECONDS:
            told, now = passed, samples[-1]
            standing = f"{now.connections:.0f} connections, {now.tunnels:.0f} tunnels"
            tell(f"  {_clock(passed)}, {_clock(seconds - passed)} left: {now.anonymous / 2**20:.2f} MiB, {standing}")
        time.sleep(min(SAMPLE_SECONDS, seconds / 20))
    return samples


def run(
    dispatcher: Dispatcher,
    address: str,
    folder: Path,
    figures: Figures,
    seconds: float = 1800,
    rate: float = 250,
    port: int = 80,
    seed: int = 1,
    growth: int = GROWTH_BYTES,
) -> None:
    """The dispatcher must run `configure()`, with nginx in server1 and server2. `rate`: visits a second, half of them from client2."""
    before, baseline = dispatcher.metrics, gauges(dispatcher)
    running: list[Running] = []
    with tunnel_servers(folder):
        try:
            running += [churn(folder, address, seconds, rate / 2, seed + place, host, port) for place, host in enumerate(HOSTS)]
            samples = _watch(dispatcher, running, seconds, figures.tell)
            ends = [one.numbers(90) for one in running]
        finally:
            for one in running:
                one.stop()
        visits, failed = (sum(int(end[name]) for end in ends) for name in ("visits", "failed"))
        kinds = {kind: sum(int(end["kinds"][kind]) for end in ends) for kind in ends[0]["kinds"]}
        figures.note("visits", ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in kinds.items()))
        figures.note("answers, and words that went there and back through tunnels", f"{_sum(ends, 'answers'):,} / {_sum(ends, 'words'):,}")
        figures.note(
            "most connections and tunnels at a time", f"{max(s.connections for s in samples):.0f} / {max(s.tunnels for s in samples):.0f}"
        )
        after = dispatcher.metrics
        lost = after.total("capture_drops_total") - before.total("capture_drops_total")
        figures.note("frames lost before capture", lost)
        figures.at_most(f"visits that failed, of {visits:,}", failed, visits / 1000)
        _judge_memory(samples, visits, figures, growth)
        # An end that was lost is found out by the limits of idle connections.
        dispatcher.until_true(lambda: gauges(dispatcher) == baseline, lambda: f"{baseline}, they are {gauges(dispatcher)}", 100)
    figures.true("every gauge is back at its baseline", not any(baseline.values()), ", ".join(sorted(baseline)))


def _judge_memory(samples: Sequence[Sample], visits: int, figures: Figures, growth: int) -> None:
    line = slope(samples)
    minute = [sample for place, sample in enumerate(samples) if place == 0 or sample.seconds // 60 > samples[place - 1].seconds // 60]
    figures.note("RssAnon at the start of each minute, MiB", ", ".join(f"{sample.anonymous / 2**20:.2f}" for sample in minute))
    figures.note("samples of RssAnon", len(samples))
    figures.note(
        "RssAnon at the end, and at most, MiB", f"{samples[-1].anonymous / 2**20:.2f} / {max(s.anonymous for s in samples) / 2**20:.2f}"
    )
    figures.note("the line through it after the first third, KiB an hour", round(line.bytes_an_hour / 1024, 1))
    come = visits * line.seconds / max(samples[-1].seconds, 1e-9)
    figures.note(f"bytes for each of the {come:,.0f} visits in that time", round(line.growth / max(come, 1), 3))
    figures.at_most(f"growth along that line in {line.seconds:,.0f} s, KiB", line.growth / 1024, growth / 1024, "KiB")


def _sum(ends: Sequence[dict[str, int]], name: str) -> int:
    return sum(int(end[name]) for end in ends)
