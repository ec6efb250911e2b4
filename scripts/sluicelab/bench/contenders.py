"""Who is measured. A new contender is a class with a name, its addresses, and a start, added to CONTENDERS."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..dispatcher import Dispatcher, configuration, pool, service
from ..network import FILES_ADDRESS, SOURCE_ADDRESS
from ..processes import Process
from ..programs import compiled

OWN_ADDRESS = "10.77.1.1"  # of the dispatcher's host: where a contender that uses the kernel's sockets listens
CONNECTIONS = 32  # to each of two servers: as many in all as there are clients
# A process has 20,000 descriptors here; HAProxy wants two and a half for each connection that it may have.
HAPROXY_MOST, NGINX_MOST = 7_900, 19_000
NFT_TABLE = "sluice-bench"


class Running(Protocol):
    """A contender that has been started: a Process, or what the kernel does by itself."""

    @property
    def pid(self) -> int | None:
        """None: there is no process whose time could be counted."""
        ...

    def until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        ...

    def stop(self) -> int:
        ...


class Contender(Protocol):
    """Started for each of its turns and stopped after it, so that nothing of it runs, or captures, in another's turn."""

    @property
    def name(self) -> str:
        ...

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where clients go, on port 80; with several, each client to one of them."""
        ...

    def start(self, folder: Path, servers: list[str]) -> Running:
        ...

    def access_log(self, folder: Path) -> Path | None:
        """The file with a line for each request, if it writes one."""
        ...


class Unlogged:
    """What most contenders have in common."""

    def access_log(self, folder: Path) -> Path | None:
        return None


@dataclass(frozen=True)
class Sluice:
    """The default way that packets leave is `packet` in this lab; `transmit` names another."""

    name: str = "sluice"
    addresses: tuple[str, ...] = (FILES_ADDRESS,)
    mode: str = "l7/3"
    transmit: str = "auto"
    logs: bool = False
    connections: int = CONNECTIONS  # to each server
    wait: str = ""  # how long a request may wait for one of them; empty: the default

    def start(self, folder: Path, servers: list[str]) -> Process:
        services = [{**service("files", f"{FILES_ADDRESS}:80", "files"), "mode": self.mode}]
        more = {"queue": {"wait": self.wait}} if self.wait else {}
        config = configuration(services, [pool("files", servers, connections=self.connections, **more)], transmit=self.transmit)
        if self.logs:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # it writes as `nobody`
            config["log"]["access"] = str(self.access_log(folder))
        return Dispatcher(folder, config)

    def access_log(self, folder: Path) -> Path | None:
        return folder / "access.log" if self.logs else None


@dataclass(frozen=True)
class HAProxy:
    """One thread, connections to servers shared among all clients, big buffers, splicing in the kernel where it helps."""

    name: str = "haproxy"
    addresses: tuple[str, ...] = (OWN_ADDRESS,)
    logs: bool = False
    most: int = 4000  # connections

    def access_log(self, folder: Path) -> Path | None:
        return folder / "haproxy.log" if self.logs else None

    def start(self, folder: Path, servers: list[str]) -> Process:
        folder.mkdir(parents=True, exist_ok=True)
        lines = "\n".join(f"    server s{number} {address}" for number, address in enumerate(servers))
        log = ("log stdout len 1024 format raw local0", "log global\n    option httplog") if self.logs else ("", "")
        config = folder / "haproxy.cfg"
        config.write_text(
            f"""global
    nbthread 1
    maxconn {self.most}
    tune.bufsize 65536
    {log[0]}

defaults
    mode http
    {log[1]}
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


@dataclass(frozen=True)
class Nginx(Unlogged):
    """One worker, connections to servers kept and shared among all clients; what clients say of an upgrade is passed on."""

    name: str = "nginx"
    addresses: tuple[str, ...] = (OWN_ADDRESS,)
    most: int = 4096  # connections

    def start(self, folder: Path, servers: list[str]) -> Process:
        folder.mkdir(parents=True, exist_ok=True)
        lines = "\n".join(f"        server {address};" for address in servers)
        config = folder / "nginx.conf"
        config.write_text(
            f"""user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
daemon off;
events {{ worker_connections {self.most}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    tcp_nodelay on;
    map $http_upgrade $connection_to_server {{ default upgrade; "" ""; }}
    upstream files {{
{lines}
        keepalive {2 * CONNECTIONS};
        keepalive_requests 100000000;
    }}
    server {{
        listen {OWN_ADDRESS}:80 reuseport backlog=4096;
        location / {{
            proxy_pass http://files;
            proxy_http_version 1.1;
            proxy_set_header Connection $connection_to_server;
            proxy_set_header Upgrade $http_upgrade;
            proxy_buffers 8 64k;
            proxy_buffer_size 64k;
            proxy_busy_buffers_size 128k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""
        )
        command: list[str | Path] = ["nginx", "-e", folder / "error.log", "-p", folder, "-c", config]
        return Process("dispatcher", command, folder / "nginx.log")


@dataclass(frozen=True)
class Forwarder(Unlogged):
    """The floor: frames in, addresses rewritten, frames out through a packet socket (forwarder.c).

    `-r`: out through a raw socket, which takes no more than the MTU. `-c`: it answers by itself, and there is no server: the ceiling of new
    connections.
    """

    name: str = "forwarder"
    addresses: tuple[str, ...] = (FILES_ADDRESS,)
    option: str = ""

    def start(self, folder: Path, servers: list[str]) -> Process:
        folder.mkdir(parents=True, exist_ok=True)
        program = compiled("forwarder", folder, "-lpcap")
        hosts, ports = zip(*(server.rsplit(":", 1) for server in servers))
        words = ["fe0", "be0", FILES_ADDRESS, SOURCE_ADDRESS, ports[0], *hosts]
        return Process("dispatcher", [program, *filter(None, [self.option]), *words], folder / "forwarder.log")


def _in(host: str, *words: str, text: str | None = None) -> None:
    command = ["ip", "netns", "exec", f"sluice-{host}", *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}")


class KernelPath:
    """The dispatcher's host forwards packets by itself, until `stop`; with rules of nftables or, without any, plain routing."""

    pid = None

    def __init__(self, rules: str = "") -> None:
        self._rules = rules
        try:
            _in("dispatcher", "sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")
            _in("client1", "ip", "route", "replace", "10.77.2.0/24", "via", OWN_ADDRESS)
            if rules:
                _in("dispatcher", "nft", "--file", "-", text=rules)
        except BaseException:
            self.stop()
            raise

    def until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"expected {what} within {timeout} s from the kernel's own path")
            time.sleep(0.05)

    def stop(self) -> int:
        """As before: neither table, nor route, nor forwarding."""
        if self._rules:
            _in("dispatcher", "nft", f"add table ip {NFT_TABLE}; delete table ip {NFT_TABLE}")
        _in("client1", "ip", "route", "flush", "10.77.2.0/24")
        _in("dispatcher", "sysctl", "--quiet", "--write", "net.ipv4.ip_forward=0")
        return 0


@dataclass(frozen=True)
class NFTables(Unlogged):
    """The kernel's own way to give connections to servers: the destination is rewritten, to each server in turn, and the source too."""

    name: str = "nft"
    addresses: tuple[str, ...] = (OWN_ADDRESS,)

    def rules(self, servers: list[str]) -> str:
        places = ", ".join(f"{number} : {server.replace(':', ' . ')}" for number, server in enumerate(servers))
        return f"""table ip {NFT_TABLE} {{
    chain to-servers {{
        type nat hook prerouting priority dstnat;
        ip daddr {OWN_ADDRESS} tcp dport 80 dnat to numgen inc mod {len(servers)} map {{ {places} }}
    }}
    chain from-us {{
        type nat hook postrouting priority srcnat;
        oifname be0 masquerade
    }}
}}
"""

    def start(self, folder: Path, servers: list[str]) -> KernelPath:
        return KernelPath(self.rules(servers))


@dataclass(frozen=True)
class Direct(Unlogged):
    """Nobody dispatches: half of the clients talk to each server, and the dispatcher's host routes. The ceiling."""

    name: str = "direct"
    addresses: tuple[str, ...] = ("10.77.2.11", "10.77.2.12")

    def start(self, folder: Path, servers: list[str]) -> KernelPath:
        return KernelPath()


EVERYONE: tuple[Contender, ...] = (
    Sluice(),
    Sluice("sluice-raw", transmit="raw"),
    Sluice("sluice-l43", mode="l4/3", connections=2 * CONNECTIONS),
    Sluice("sluice-logs", logs=True),
    HAProxy(),
    HAProxy("haproxy-logs", logs=True),
    Nginx(),
    NFTables(),
    Direct(),
    Forwarder(),
    Forwarder("forwarder-raw", option="-r"),
    Forwarder("forwarder-canned", option="-c"),
)
CONTENDERS: dict[str, Contender] = {contender.name: contender for contender in EVERYONE}
# What each is, for the report.
TITLES: dict[str, str] = {
    "sluice": "Sluice, mode l7/3, transmit packet (the default here)",
    "sluice-raw": "Sluice, mode l7/3, transmit raw",
    "sluice-l43": "Sluice, mode l4/3",
    "sluice-logs": "Sluice with an access log",
    "haproxy": "HAProxy, nbthread 1, http-reuse always, tune.bufsize 65536, splice-auto",
    "haproxy-logs": "the same with an access log",
    "nginx": "nginx, one worker, connections to servers kept",
    "nft": "nftables: destination and source rewritten by the kernel",
    "direct": "no dispatching: clients to both servers, the host only routes",
    "forwarder": "forwarder.c: the least that user space can do, frames through a packet socket",
    "forwarder-raw": "forwarder.c -r: through a raw socket",
    "forwarder-canned": "forwarder.c -c: answers by itself, there is no server",
}


def roomy(contender: Contender) -> Contender:
    """The same with room for as many clients as a process can have descriptors for, where that is not so anyway."""
    if isinstance(contender, HAProxy):
        return replace(contender, most=HAPROXY_MOST)
    if isinstance(contender, Nginx):
        return replace(contender, most=NGINX_MOST)
    return contender
