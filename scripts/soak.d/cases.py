"""The scenarios of `scripts/soak --case`, at full size or, with `--size`, at a part of it. A new one is an entry in CASES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.network import FILES_ADDRESS
from sluicelab.robustness import kill_server, kill_workers, memory, restart, slowloris, syn_flood
from sluicelab.robustness.figures import Figures


@dataclass(frozen=True)
class Place:
    """What a case works with."""

    folder: Path
    servers: list[str]  # nginx, in server1 and server2
    size: float  # of the times and counts; 1 is full
    seed: int


@dataclass(frozen=True)
class Case:
    title: str
    run: Callable[[Place, Figures], None]


def _files(place: Place, connections: int = 32) -> Configuration:
    """Room for every slow reader of 1 MiB: an answer longer than the staging buffer keeps its connection as long as its reader takes."""
    side = {"interface": "be0", "source-addresses": ["10.77.2.200"], "connections-per-server": 1024, "servers": 4}
    pools = [pool("files", place.servers, connections=connections)]
    return configuration([service("files", f"{FILES_ADDRESS}:80", "files")], pools, server_side=side)


def _dispatcher(place: Place, config: Configuration) -> Dispatcher:
    return Dispatcher(place.folder / "dispatcher", config)


def _end(dispatcher: Dispatcher, figures: Figures) -> None:
    alive, code = dispatcher.running, dispatcher.stop()
    figures.true(
        "the dispatcher lived to the end, and ended well", alive and code == 0, f"{'alive' if alive else 'dead'}, exit code {code}"
    )


def _syn_flood(place: Place, figures: Figures) -> None:
    dispatcher = _dispatcher(place, _files(place))
    seconds = max(60 * place.size, 4)
    syn_flood.run(dispatcher, FILES_ADDRESS, place.folder, figures, seconds=seconds, first=seconds / 6)
    _end(dispatcher, figures)


def _slowloris(place: Place, figures: Figures) -> None:
    dispatcher = _dispatcher(place, _files(place, connections=1024))
    counts = (max(int(10_000 * place.size), 20), max(int(1_000 * place.size), 10))
    slowloris.run(dispatcher, FILES_ADDRESS, place.folder, figures, *counts, seconds=max(20 * place.size, 3))
    _end(dispatcher, figures)


def _kill_server(place: Place, figures: Figures) -> None:
    dispatcher = _dispatcher(place, kill_server.configure())
    kill_server.run(dispatcher, place.folder, figures, seconds=max(60 * place.size, 6), seed=place.seed)
    _end(dispatcher, figures)


def _kill_workers(place: Place, figures: Figures) -> None:
    dispatcher = _dispatcher(place, kill_workers.configure())
    counts = (max(int(10_000 * place.size), 100), max(int(200 * place.size), 4))
    kill_workers.run(dispatcher, place.folder, figures, *counts, seed=place.seed)
    _end(dispatcher, figures)


def _restart(place: Place, figures: Figures) -> None:
    restart.run(_files(place), FILES_ADDRESS, place.folder, figures, times=max(int(10 * place.size), 1))


def _memory(place: Place, figures: Figures) -> None:
    dispatcher = _dispatcher(place, memory.configure())
    memory.run(dispatcher, FILES_ADDRESS, place.folder, figures, seconds=max(1800 * place.size, 10), seed=place.seed)
    _end(dispatcher, figures)


CASES: dict[str, Case] = {
    "syn-flood": Case("100,000 spoofed SYNs a second beside 100 new connections a second", _syn_flood),
    "slowloris": Case("10,000 heads that never end and 1,000 slow readers beside an open loop of half the peak", _slowloris),
    "kill-server": Case("a back-end server is killed, resets, stops and vanishes at random moments", _kill_server),
    "kill-workers": Case("10,000 messages to 200 devices that come and go, while push workers are killed", _kill_workers),
    "memory": Case(
        "30 minutes of clients and tunnels that come and go, 250 a second: memory does not grow, tables are empty again", _memory
    ),
    "restart": Case("kill -9 of the dispatcher, and the next one's first answer", _restart),
}
