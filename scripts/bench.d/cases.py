"""What is measured. A new case is an entry in CASES."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wanted:
    """A ratio between two contenders that the case should reach."""

    figure: str  # requests_per_second, megabytes_per_second or processor_us_per_request
    of: str
    to: str
    at_least: float | None = None
    at_most: float | None = None

    def reached(self, ratio: float) -> bool:
        return (self.at_least is None or ratio >= self.at_least) and (self.at_most is None or ratio <= self.at_most)

    def __str__(self) -> str:
        bound = f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"
        return f"{self.figure.replace('_', ' ')}, {self.of} / {self.to} {bound}"


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    path: str = "/"
    connections: int = 64
    contenders: tuple[str, ...] = ("sluice", "haproxy")
    optional: tuple[str, ...] = ()  # contenders that take part only when `--contender` names them
    wanted: tuple[Wanted, ...] = field(default_factory=tuple)
    # Or "fresh": a connection for each request; wrk takes each for a read error when the answer does not say that the connection closes.
    # Or "download": one file of `--size` MiB, its SHA-256 compared.
    load: str = "wrk"
    loss: str = ""  # of the frames on the client's cable, each way; frames then have the size of those on a real one


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case(
            "small",
            "12-byte answer of nginx, 64 keep-alive connections",
            optional=("nginx", "forwarder", "sluice-l43"),
            wanted=(
                Wanted("requests_per_second", "sluice", "haproxy", at_least=0.6),
                Wanted("requests_per_second", "sluice-l43", "forwarder", at_least=0.9),
            ),
        ),
        Case(
            "64k",
            "64 KiB answer, 64 keep-alive connections",
            path="/64KiB",
            contenders=("sluice", "forwarder", "haproxy"),
            optional=("nginx", "sluice-l43"),
            wanted=(Wanted("requests_per_second", "sluice", "forwarder", at_least=0.8),),
        ),
        Case(
            "1m",
            "1 MiB answer, 64 keep-alive connections",
            path="/1MiB",
            contenders=("sluice", "forwarder", "haproxy"),
            optional=("nginx", "sluice-l43"),
            wanted=(Wanted("requests_per_second", "sluice", "forwarder", at_least=0.8),),
        ),
        Case(
            "new-connection",
            "12-byte answer, a new connection for each request, 64 at a time",
            load="fresh",
            contenders=("sluice", "haproxy", "forwarder"),
            optional=("nginx", "sluice-l43"),
        ),
        Case(
            "loss-keepalive",
            "1 KiB answer, 64 keep-alive connections, 1 % loss each way on the client's cable",
            path="/1KiB",
            optional=("nginx",),
            loss="1%",
            wanted=(Wanted("requests_per_second", "sluice", "haproxy", at_least=0.9),),
        ),
        Case(
            "loss-bulk",
            "one big file over one connection, 1 % loss each way on the client's cable",
            path="/big",
            optional=("nginx",),
            load="download",
            loss="1%",
            wanted=(Wanted("megabytes_per_second", "sluice", "haproxy", at_least=0.9),),
        ),
    )
}
