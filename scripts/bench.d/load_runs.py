"""One run of `scripts/bench load`: servers, a contender, a load, what happens meanwhile, and what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Any

from load_contenders import Contender, Sluice, Tuning
from sluicelab.bench.measure import until_serving
from sluicelab.dispatcher import Dispatcher
from sluicelab.loading import arrivals
from sluicelab.loading.farm import Farm, Server
from sluicelab.loading.thrasher import ServerState
from sluicelab.loading.traces import Sample, Trace
from sluicelab.processes import machine_busy_seconds

SAMPLES_A_SECOND = 5
OVERHEAD_SECONDS = 1.4  # of a run: to start and end its processes


@dataclass(frozen=True)
class Load:
    """Requests a second (0: a closed loop), and how long. What comes in the first `warm_up` seconds is not counted."""

    rate: float
    seconds: float
    warm_up: float = 1
    reuse: bool = False
    connections: int = 8000
    patience_ms: float = 2000
    paths: str = ""  # empty: the farm's
    seed: int = 1

    @property
    def whole(self) -> float:
        return self.warm_up + self.seconds


@dataclass(frozen=True)
class Event:
    at: float  # seconds from the start of the load, its warm-up included
    what: str
    act: Callable[[list[Server]], None]


@dataclass
class Observation:
    numbers: dict[str, Any]
    rate: float  # answers (200) a second that the servers gave, to whomever
    at_work: float  # on average, as the servers say; 0 where they do not
    mean_cost: float  # work that the servers did for each answer, in units: what costs were drawn; 1 where they do not say
    response: float  # seconds from dispatch to the response's head, as the dispatcher measured; 0 where there is none
    busy: float  # share of all processors
    trace: Trace = field(default_factory=Trace)

    @property
    def goodput(self) -> float:
        return arrivals.goodput(self.numbers)


@dataclass(frozen=True)
class _Mark:
    states: list[ServerState]
    response_sum: float
    response_count: float
    busy: tuple[float, float]


def _mark(servers: Sequence[Server], dispatcher: Dispatcher | None) -> _Mark:
    total = count = 0.0
    if dispatcher is not None:
        metrics = dispatcher.metrics
        total = metrics.total("request_duration_seconds_sum", phase="response")
        count = metrics.total("request_duration_seconds_count", phase="response")
    return _Mark([server.state() for server in servers], total, count, machine_busy_seconds())


def machine_busy(seconds: float) -> float:
    """Share of all processors over that time."""
    before = machine_busy_seconds()
    time.sleep(seconds)
    after = machine_busy_seconds()
    return (after[0] - before[0]) / max(after[1] - before[1], 1e-9)


def sample(dispatcher: Dispatcher, mode: str = "l7/3") -> Sample:
    """A scrape; its time is the machine's monotonic clock's. In mode l4/3 a connection that a server has taken counts as an answer: that is
    what its windows count."""
    metrics = dispatcher.metrics
    states = tuple(sorted(one.labels.get("state", "") for one in metrics.select("controller_state") if one.value))
    return Sample(
        time=time.monotonic(),
        limits={server: limit for (server,), limit in metrics.by("server_limit", "server").items()},
        active=metrics.total("server_active"),
        queued=metrics.total("queue_length"),
        answered=metrics.total("requests_total", status="200") if mode == "l7/3" else metrics.total("server_connects_total"),
        states=states,
    )


def run(
    contender: Contender,
    farm: Farm,
    tuning: Tuning,
    load: Load,
    folder: Path,
    servers: int = 1,
    events: Sequence[Event] = (),
    enough: Callable[[Trace], bool] = lambda trace: False,
) -> Observation:
    """Starts all, watches, and ends all; earlier than planned when `enough` was seen. A contender that does not start ends it with what it
    said."""
    folder.mkdir(parents=True, exist_ok=True)
    running = farm.start(folder.parent / "servers", servers, load.seed)
    process = None
    try:
        addresses = [server.address for server in running]
        process = contender.start(folder / contender.name, addresses, tuning)
        host, address, port = contender.target(addresses)
        if process is not None:
            until_serving(process, f"http://{address}:{port}{farm.path}")
        dispatcher = process if isinstance(process, Dispatcher) else None
        generator = arrivals.start(
            folder.parent / "programs",
            address,
            port,
            host,
            rate=f"{load.rate:.3f}",
            seconds=load.seconds,
            warm_up=load.warm_up,
            reuse="yes" if load.reuse else "no",
            connections=load.connections,
            patience=load.patience_ms,
            paths=load.paths or farm.path,
            seed=load.seed,
        )
        marks: list[_Mark] = []
        begin, trace, pending = time.monotonic(), Trace(), sorted(events, key=lambda event: event.at)
        beats = 0
        while True:
            passed = time.monotonic() - begin
            if not marks and passed >= load.warm_up:
                marks.append(_mark(running, dispatcher))
            if passed >= load.whole or (len(trace.samples) % SAMPLES_A_SECOND == 0 and enough(trace)):
                if passed < load.whole:
                    generator.signal(SIGTERM)
                marks.append(_mark(running, dispatcher))
                break
            while pending and passed >= pending[0].at:
                pending.pop(0).act(running)
            if process is not None and not process.running:
                raise RuntimeError(f"{contender.name} ended with {process.exit_code} under load:\n{process.log_end()}")
            if dispatcher is not None and passed >= beats / SAMPLES_A_SECOND:
                trace.samples.append(sample(dispatcher, contender.mode if isinstance(contender, Sluice) else "l7/3"))
                beats = int(passed * SAMPLES_A_SECOND) + 1
            coming = [beats / SAMPLES_A_SECOND if dispatcher else load.whole, load.whole, *(event.at for event in pending[:1])]
            if not marks:
                coming.append(load.warm_up)
            time.sleep(max(0.0, min(coming) - (time.monotonic() - begin)))
        numbers = arrivals.check(generator.numbers(load.patience_ms / 1000 + 20))
    finally:
        if process is not None:
            process.stop(timeout=3)
        for server in running:
            server.stop()
    trace.samples = [_shifted(one, numbers["begin"]) for one in trace.samples]
    first, last = marks[0], marks[-1]
    pairs = list(zip(first.states, last.states))
    count = last.response_count - first.response_count
    return Observation(
        numbers=numbers,
        rate=sum(after.rate_since(before) for before, after in pairs),
        at_work=sum(after.at_work_since(before) for before, after in pairs),
        mean_cost=sum(after.work - before.work for before, after in pairs)
        / max(sum(after.completed - before.completed for before, after in pairs), 1),
        response=(last.response_sum - first.response_sum) / count if count else 0.0,
        busy=(last.busy[0] - first.busy[0]) / max(last.busy[1] - first.busy[1], 1e-9),
        trace=trace,
    )


def _shifted(one: Sample, begin: float) -> Sample:
    return Sample(one.time - begin, one.limits, one.active, one.queued, one.answered, one.states)
