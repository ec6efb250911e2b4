"""What is measured. A new case is an entry in CASES."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wanted:
    """A ratio between two contenders that the case should reach."""

    figure: str  # requests_per_second or processor_us_per_request
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
    wanted: tuple[Wanted, ...] = field(default_factory=tuple)


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case(
            "small",
            "12-byte answer of nginx, 64 keep-alive connections",
            wanted=(Wanted("requests_per_second", "sluice", "haproxy", at_least=0.6),),
        ),
    )
}
