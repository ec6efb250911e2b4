"""Who is measured. A new contender is a class with a name, a URL, and a start, added to CONTENDERS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sluicelab.dispatcher import Dispatcher, configuration, pool, service
from sluicelab.network import FILES_ADDRESS
from sluicelab.processes import Process

OWN_ADDRESS = "10.77.1.1"  # of the dispatcher's host: where a contender that uses the kernel's sockets listens
CONNECTIONS = 32  # to each of two servers: as many in all as there are clients


class Contender(Protocol):
    """Started for each of its turns and stopped after it, so that nothing of it runs, or captures, in another's turn."""

    @property
    def name(self) -> str:
        ...

    @property
    def url(self) -> str:
        ...

    def start(self, folder: Path, servers: list[str]) -> Process:
        ...


@dataclass(frozen=True)
class Sluice:
    name: str = "sluice"
    url: str = f"http://{FILES_ADDRESS}"

    def start(self, folder: Path, servers: list[str]) -> Process:
        services = [service("files", f"{FILES_ADDRESS}:80", "files")]
        return Dispatcher(folder, configuration(services, [pool("files", servers, connections=CONNECTIONS)]))


@dataclass(frozen=True)
class HAProxy:
    """One thread, connections to servers shared among all clients, big buffers, splicing in the kernel where it helps."""

    name: str = "haproxy"
    url: str = f"http://{OWN_ADDRESS}"

    def start(self, folder: Path, servers: list[str]) -> Process:
        folder.mkdir(parents=True, exist_ok=True)
        lines = "\n".join(f"    server s{number} {address}" for number, address in enumerate(servers))
        config = folder / "haproxy.cfg"
        config.write_text(
            f"""global
    nbthread 1
    maxconn 4000
    tune.bufsize 65536

defaults
    mode http
    option splice-auto
    http-reuse always
    timeout connect 2s
    timeout client 60s
    timeout server 60s

frontend public
    bind {OWN_ADDRESS}:80 backlog 4096
    default_backend files

backend files
    balance roundrobin
{lines}
"""
        )
        return Process("dispatcher", ["haproxy", "-db", "-f", config], folder / "haproxy.log")


EVERYONE: tuple[Contender, ...] = (Sluice(), HAProxy())
CONTENDERS: dict[str, Contender] = {contender.name: contender for contender in EVERYONE}
