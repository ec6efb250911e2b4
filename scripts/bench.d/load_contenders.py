"""Who takes part in `scripts/bench load`. A new contender is an entry in EVERYONE, or in OPTIONAL."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from sluicelab.bench.contenders import OWN_ADDRESS
from sluicelab.dispatcher import Dispatcher, configuration, service
from sluicelab.loading.law import Curve
from sluicelab.network import FILES_ADDRESS
from sluicelab.processes import Process

PORT = 80
MOST = 256  # connections to a server: the most that a limit may be


@dataclass(frozen=True)
class Tuning:
    """What is known of the server when a contender is started. Everyone may wait equally long."""

    limit: int  # the best by the sweep
    band_ms: tuple[int, int]  # response times at which the rate is near its best
    initial: int  # of a limit that is controlled
    wait_ms: int = 500

    @classmethod
    def of(cls, curve: Curve, initial: int = 8) -> Tuning:
        low, high = curve.band()
        low_ms = max(1, math.floor(1000 * low))
        return cls(curve.best_limit, (low_ms, max(low_ms + 1, math.ceil(1000 * high))), initial)

    def among(self, servers: int) -> Tuning:
        """For each of several servers that share the work of one: with as many requests at work each takes so many times as long."""
        return replace(self, band_ms=(servers * self.band_ms[0], servers * self.band_ms[1]))


class Contender(Protocol):
    @property
    def name(self) -> str:
        ...

    @property
    def title(self) -> str:
        ...

    @property
    def controlled(self) -> bool:
        """Whether its limit moves: it then gets time to find its place before it is measured."""
        ...

    def target(self, servers: list[str]) -> tuple[str, str, int]:
        """The host that clients are in, and where they go."""
        ...

    def start(self, folder: Path, servers: list[str], tuning: Tuning) -> Process | None:
        ...


@dataclass(frozen=True)
class Direct:
    """No control: clients and server, and nothing between them but cables."""

    name: str = "direct"
    title: str = "no control: straight to the server"
    controlled: bool = False

    def target(self, servers: list[str]) -> tuple[str, str, int]:
        address, port = servers[0].rsplit(":", 1)
        return "dispatcher", address, int(port)  # nobody forwards from the clients' network to the servers'

    def start(self, folder: Path, servers: list[str], tuning: Tuning) -> Process | None:
        return None


@dataclass(frozen=True)
class HAProxy:
    """As in the other benchmarks; what waits too long, or whose client left, is not sent to a server."""

    name: str
    title: str
    limits: Callable[[Tuning], tuple[str, str]]  # what the backend and what each of its servers says
    controlled: bool = False

    def target(self, servers: list[str]) -> tuple[str, str, int]:
        return "client1", OWN_ADDRESS, PORT

    def start(self, folder: Path, servers: list[str], tuning: Tuning) -> Process | None:
        folder.mkdir(parents=True, exist_ok=True)
        backend, server = self.limits(tuning)
        lines = "\n".join(f"    server s{number} {address} {server}" for number, address in enumerate(servers))
        config = folder / "haproxy.cfg"
        config.write_text(
            f"""global
    nbthread 1
    maxconn 9000

defaults
    mode http
    http-reuse always
    option abortonclose
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout queue {tuning.wait_ms}ms

frontend public
    bind {OWN_ADDRESS}:{PORT} backlog 4096
    default_backend thrashers

backend thrashers
    balance roundrobin
    {backend}
{lines}
"""
        )
        return Process("dispatcher", ["haproxy", "-db", "-f", config], folder / "haproxy.log")


@dataclass(frozen=True)
class Sluice:
    name: str
    title: str
    control: Callable[[Tuning], Any]
    controlled: bool = True
    mode: str = "l7/3"
    limit: int | None = None  # a fixed one other than the best
    initial: int | None = None  # where a controlled one begins, other than usual
    others: dict[str, Any] = field(default_factory=dict)  # of the pool

    def target(self, servers: list[str]) -> tuple[str, str, int]:
        return "client1", FILES_ADDRESS, PORT

    def limits(self, tuning: Tuning) -> dict[str, Any]:
        if not self.controlled:
            fixed = self.limit or tuning.limit
            return {"initial": fixed, "minimum": fixed, "maximum": fixed, "control": "fixed"}
        return {"initial": self.initial or tuning.initial, "minimum": 1, "maximum": MOST, "control": self.control(tuning)}

    def start(self, folder: Path, servers: list[str], tuning: Tuning) -> Process | None:
        pool = {
            "name": "thrashers",
            "servers": [{"address": address} for address in servers],
            "limit": self.limits(tuning),
            "queue": {"wait": f"{tuning.wait_ms}ms"},
            **self.others,
        }
        side = {"interface": "be0", "source-addresses": ["10.77.2.200"], "connections-per-server": MOST, "servers": 4}
        services = [service("thrashers", f"{FILES_ADDRESS}:{PORT}", "thrashers", mode=self.mode)]
        return Dispatcher(folder, configuration(services, [pool], server_side=side))


def _hold(tuning: Tuning) -> Any:
    return {"hold": "average-response-time", "from": f"{tuning.band_ms[0]}ms", "to": f"{tuning.band_ms[1]}ms"}


FIXED = Sluice("sluice-fixed", "Sluice, limit fixed at the best of the sweep", lambda _: "fixed", controlled=False)
HOLD = Sluice("sluice-hold", "Sluice, response time held in a band", _hold)
OPTIMISE = Sluice("sluice-optimise", "Sluice, throughput optimised", lambda _: {"optimise": "throughput"})
EVERYONE: tuple[Contender, ...] = (
    Direct(),
    HAProxy("haproxy", "HAProxy without maxconn", lambda _: ("", "")),
    HAProxy("haproxy-maxconn", "HAProxy, maxconn at the best of the sweep", lambda tuning: ("", f"maxconn {tuning.limit}")),
    HAProxy(
        "haproxy-dynamic",
        "HAProxy, minconn half of it, maxconn twice, fullconn four times",
        lambda tuning: (f"fullconn {4 * tuning.limit}", f"minconn {max(1, tuning.limit // 2)} maxconn {2 * tuning.limit}"),
    ),
    FIXED,
    HOLD,
    OPTIMISE,
)
# These take part only when they are named: the connections are the clients' own, and the limit is one of connections.
OPTIONAL: tuple[Contender, ...] = (
    replace(FIXED, name="sluice-l43-fixed", title="Sluice in mode l4/3, limit fixed at the best of the sweep", mode="l4/3"),
    replace(HOLD, name="sluice-l43-hold", title="Sluice in mode l4/3, response time held in a band", mode="l4/3"),
)
CONTENDERS: dict[str, Contender] = {contender.name: contender for contender in (*EVERYONE, *OPTIONAL)}


def with_limit(limit: int, wait_ms: int) -> Sluice:
    """For the sweep: nobody is turned away."""
    return replace(FIXED, name=f"limit-{limit}", limit=limit, others={"queue": {"wait": f"{wait_ms}ms"}})


def from_limit(contender: Sluice, initial: int) -> Sluice:
    return replace(contender, initial=initial)
