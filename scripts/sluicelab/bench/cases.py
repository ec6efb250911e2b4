"""What is measured. A new case is an entry in CASES."""

from __future__ import annotations

from dataclasses import dataclass

RATE, GOODPUT, PROCESSOR = "requests_per_second", "megabytes_per_second", "processor_us_per_request"
PROCESSOR_MB, PROCESSOR_GB = "processor_us_per_megabyte", "processor_seconds_per_gigabyte"
NAMES = {
    RATE: "requests/s",
    GOODPUT: "MB/s",
    PROCESSOR: "CPU per request",
    PROCESSOR_MB: "CPU per MB",
    PROCESSOR_GB: "CPU per GB",
    "bytes_each": "bytes for each",
    "within_alone": "answered within 100 ms, alone, %",
    "within_attack": "answered within 100 ms, under attack, %",
    "latency_ms_p50": "p50",
    "latency_ms_p99": "p99",
}


@dataclass(frozen=True)
class Wanted:
    """A ratio between two contenders, or (`to` is empty) a figure of one, that the case should reach."""

    figure: str
    of: str
    to: str = ""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    hoped: bool = False  # shown beside, and not judged

    def reached(self, got: float) -> bool:
        return (
            (self.at_least is None or got >= self.at_least)
            and (self.at_most is None or got <= self.at_most)
            and (self.above is None or got > self.above)
        )

    @property
    def kind(self) -> str:
        """`processor` decides where `throughput` disagrees; of the others each must be reached."""
        return {RATE: "throughput", GOODPUT: "throughput", PROCESSOR: "processor"}.get(self.figure, "other")

    @property
    def bound(self) -> str:
        if self.above is not None:
            return f"> {self.above:g}"
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"

    def __str__(self) -> str:
        return f"{NAMES.get(self.figure, self.figure)}, {self.of}{f' / {self.to}' if self.to else ''} {self.bound}"


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    path: str = "/"
    connections: int = 64
    contenders: tuple[str, ...] = ("sluice", "haproxy")
    optional: tuple[str, ...] = ()  # contenders that take part only when `--contender` names them
    quick: tuple[str, ...] = ()  # those that take part with `--quick`; without any the case does not
    wanted: tuple[Wanted, ...] = ()
    # `wrk`: a closed loop. `fresh`: a connection for each request; wrk takes each for a read error when the answer does not say that the
    # connection closes. `download`: one file of `--size` MiB, its SHA-256 compared. `half`: an open loop of half of what the slowest
    # contender can do. `flood`: the same, alone and under spoofed SYNs. `idle`, `tunnels`: connections on which nothing happens.
    load: str = "wrk"
    loss: str = ""  # of the frames on the client's cable, each way; frames then have the size of those on a real one
    rounds: int | None = None  # at most, whatever `--rounds` says

    @property
    def compared(self) -> tuple[str, ...]:
        """The figures of which ratios are taken."""
        if self.load in ("idle", "tunnels"):
            return ("bytes_each",)
        if self.load == "flood":
            return ()
        if self.load == "players":
            return (PROCESSOR_GB,)
        if self.load == "half":
            return ("latency_ms_p50", "latency_ms_p99", PROCESSOR)
        return (GOODPUT, PROCESSOR_MB) if self.load == "download" else (RATE, PROCESSOR)


IDLE = 7000  # a process may have 20,000 descriptors here, and HAProxy wants 2.5 for each connection
KERNEL = ("nft", "direct")
QUICK = ("sluice", "haproxy", "forwarder")
SMALL = (
    Wanted(RATE, "sluice", "forwarder", at_least=0.95),
    Wanted(RATE, "sluice", "haproxy", at_least=1.35, hoped=True),
    Wanted(PROCESSOR, "sluice", "forwarder", at_most=1.3),
    Wanted(PROCESSOR, "sluice", "haproxy", at_most=0.75),
)
BULK = Wanted(RATE, "sluice", "forwarder", at_least=0.9)
EVERY_CASE = (
    Case(
        "small",
        "12-byte answer, 64 keep-alive connections",
        contenders=("sluice", "sluice-raw", "sluice-l43", "haproxy", "nginx", *KERNEL, "forwarder", "forwarder-raw"),
        optional=("forwarder-canned",),
        quick=QUICK,
        wanted=(*SMALL, Wanted(RATE, "sluice-l43", "forwarder", at_least=0.9, hoped=True)),
    ),
    Case(
        "1k",
        "1 KiB answer, 64 keep-alive connections",
        path="/1KiB",
        contenders=("sluice", "haproxy", "nginx", *KERNEL, "forwarder", "forwarder-raw"),
        optional=("sluice-raw", "sluice-l43"),
        quick=QUICK,
        wanted=SMALL,
    ),
    Case(
        "64k",
        "64 KiB answer, 64 keep-alive connections",
        path="/64KiB",
        contenders=("sluice", "sluice-l43", "haproxy", "nginx", *KERNEL, "forwarder"),
        optional=("sluice-raw",),
        quick=QUICK,
        wanted=(BULK, Wanted(PROCESSOR, "sluice", "haproxy", at_most=0.7)),
    ),
    Case(
        "1m",
        "1 MiB answer, 64 keep-alive connections",
        path="/1MiB",
        contenders=("sluice", "sluice-l43", "haproxy", "nginx", *KERNEL, "forwarder"),
        optional=("sluice-raw",),
        quick=QUICK,
        wanted=(BULK, Wanted(PROCESSOR, "sluice", "haproxy", at_most=1.0)),
    ),
    Case(
        "new-connection",
        "12-byte answer, a new connection for each request, 64 at a time",
        load="fresh",
        contenders=("sluice", "sluice-l43", "haproxy", "nginx", *KERNEL, "forwarder", "forwarder-canned"),
        optional=("sluice-raw",),
        quick=(*QUICK, "forwarder-canned"),
        wanted=(
            Wanted(RATE, "sluice", "haproxy", at_least=1.25),
            Wanted(RATE, "sluice", "forwarder", above=1.0),
            Wanted(PROCESSOR, "sluice", "haproxy", at_most=0.9),
        ),
    ),
    Case(
        "logs",
        "12-byte answer, 64 keep-alive connections, with and without access logs",
        contenders=("sluice", "sluice-logs", "haproxy", "haproxy-logs"),
        wanted=(
            Wanted(RATE, "sluice-logs", "haproxy-logs", at_least=1.0, hoped=True),
            Wanted(PROCESSOR, "sluice-logs", "haproxy-logs", at_most=1.0, hoped=True),
        ),
    ),
    Case(
        "latency",
        "12-byte answer, an open loop of half of what the slowest can do, 64 keep-alive connections",
        load="half",
        contenders=("sluice", "haproxy", "forwarder", "direct"),
        optional=("nginx", "nft", "sluice-l43", "sluice-raw"),
        wanted=(
            Wanted("latency_ms_p50", "sluice", "haproxy", at_most=1.0, hoped=True),
            Wanted("latency_ms_p99", "sluice", "haproxy", at_most=1.0, hoped=True),
        ),
    ),
    Case(
        "loss-keepalive",
        "1 KiB answer, 64 keep-alive connections, 1 % loss each way on the client's cable",
        path="/1KiB",
        optional=("nginx",),
        loss="1%",
        wanted=(Wanted(RATE, "sluice", "haproxy", at_least=0.9),),
    ),
    Case(
        "loss-bulk",
        "one big file over one connection, 1 % loss each way on the client's cable",
        path="/big",
        optional=("nginx",),
        load="download",
        loss="1%",
        wanted=(Wanted(GOODPUT, "sluice", "haproxy", at_least=0.9),),
    ),
    Case(
        "idle",
        "memory of the process for each idle keep-alive client, of 7,000",
        load="idle",
        contenders=("sluice", "haproxy", "nginx"),
        wanted=(Wanted("bytes_each", "sluice", at_most=512),),
        connections=IDLE,
        rounds=1,
    ),
    Case(
        "tunnels",
        "memory of the process for each idle WebSocket tunnel, of 7,000",
        load="tunnels",
        contenders=("sluice", "haproxy", "nginx"),
        wanted=(Wanted("bytes_each", "sluice", at_most=768),),
        connections=IDLE,
        rounds=1,
    ),
    Case(
        "flood",
        "12-byte answer, an open loop of half of what the slowest can do, alone and under 50,000 spoofed SYNs a second",
        load="flood",
        wanted=(Wanted("within_alone", "sluice", at_least=99.5), Wanted("within_attack", "sluice", at_least=99.5)),
        rounds=3,
    ),
)
CASES: dict[str, Case] = {case.name: case for case in EVERY_CASE}
FLOOD_SYNS_PER_SECOND = 50_000
