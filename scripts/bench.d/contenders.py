"""Who is measured. A new contender is a class with a name, a URL, and a start, added to CONTENDERS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sluicelab.dispatcher import Dispatcher, configuration, pool, service
from sluicelab.network import FILES_ADDRESS, SOURCE_ADDRESS
from sluicelab.processes import Process
from sluicelab.programs import compiled

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
class SluiceForwarding:
    """The same program in mode l4/3: connections are forwarded, nobody looks into them."""

    name: str = "sluice-l43"
    url: str = f"http://{FILES_ADDRESS}"

    def start(self, folder: Path, servers: list[str]) -> Process:
        services = [{**service("files", f"{FILES_ADDRESS}:80", "files"), "mode": "l4/3"}]
        return Dispatcher(folder, configuration(services, [pool("files", servers, connections=2 * CONNECTIONS)]))


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


@dataclass(frozen=True)
class Nginx:
    """One worker, connections to servers kept and shared among all clients."""

    name: str = "nginx"
    url: str = f"http://{OWN_ADDRESS}"

    def start(self, folder: Path, servers: list[str]) -> Process:
        folder.mkdir(parents=True, exist_ok=True)
        lines = "\n".join(f"        server {address};" for address in servers)
        config = folder / "nginx.conf"
        config.write_text(
            f"""user root;
worker_processes 1;
pid nginx.pid;
daemon off;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    tcp_nodelay on;
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
            proxy_set_header Connection "";
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
class Forwarder:
    """The floor: frames in, addresses rewritten, frames out through a packet socket (forwarder.c)."""

    name: str = "forwarder"
    url: str = f"http://{FILES_ADDRESS}"

    def start(self, folder: Path, servers: list[str]) -> Process:
        folder.mkdir(parents=True, exist_ok=True)
        program = compiled(Path(__file__).with_name("forwarder.c"), folder, "-lpcap")
        hosts, ports = zip(*(server.rsplit(":", 1) for server in servers))
        return Process("dispatcher", [program, "fe0", "be0", FILES_ADDRESS, SOURCE_ADDRESS, ports[0], *hosts], folder / "forwarder.log")


EVERYONE: tuple[Contender, ...] = (Sluice(), SluiceForwarding(), HAProxy(), Nginx(), Forwarder())
CONTENDERS: dict[str, Contender] = {contender.name: contender for contender in EVERYONE}
