"""A real server that thrashes: Apache, a process for each connection, with a CGI program that wants 40 MiB of page cache each time
(programs/pages.c), under a memory limit of 256 MiB."""

from __future__ import annotations

import time
from pathlib import Path

from ..network import server_address
from ..processes import Process
from ..programs import compiled
from .cgroup import MemoryGroup
from .thrasher import ServerState

PORT = 8300
PATH = "/pages"
GROUP = "sluice-bench-load"
MEMORY = 256 << 20
FILE = 40 << 20
WORKERS = 256
MODULES = Path("/usr/lib/apache2/modules")


def make_pages(folder: Path) -> None:
    """A file for each worker. They are sparse: reading them fills the page cache, and that is what is short here, not the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(WORKERS):
        with (folder / str(number)).open("wb") as file:
            file.truncate(FILE)


def settings(folder: Path, address: str) -> str:
    modules = "\n".join(
        f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in ("mpm_prefork", "authz_core", "cgi", "alias", "env")
    )
    return f"""ServerRoot {folder}
ServerName load
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
Listen {address}:{PORT}
ListenBacklog 4096
{modules}
User nobody
Group nogroup
Mutex flock:{folder}
ErrorLog {folder}/error.log
LogFormat "%>s" status
CustomLog {folder}/access.log status
StartServers 32
MinSpareServers 32
MaxSpareServers {WORKERS}
ServerLimit {WORKERS}
MaxRequestWorkers {WORKERS}
MaxConnectionsPerChild 0
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
Timeout 60
ScriptAlias {PATH} {folder}/pages
SetEnv PAGES_FOLDER {folder}/files
SetEnv ap_trust_cgilike_cl yes
<Directory {folder}>
    Require all granted
    Options +ExecCGI
</Directory>
"""


class Apache(Process):
    """A running one, with its control group. It answers when the constructor returns; `stop` ends all of its processes."""

    def __init__(self, folder: Path, number: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        self.number, self.folder = number, folder
        program = compiled("pages", folder)
        program.chmod(0o755)
        if not (folder / "files" / str(WORKERS - 1)).exists():
            make_pages(folder / "files")
        self._access_log = folder / "access.log"
        self._access_log.write_bytes(b"")
        self._read, self._completed = 0, 0
        config = folder / "apache.conf"
        config.write_text(settings(folder, server_address(number)))
        self.group = MemoryGroup(GROUP, MEMORY)
        try:
            # A shell waits until it is in the group (which it does not see from its namespaces), and becomes the server.
            entered = folder / "entered"
            entered.unlink(missing_ok=True)
            wait = 'until [ -e "$1" ]; do sleep 0.02; done; shift; exec "$@"'
            words: list[str | Path] = ["sh", "-c", wait, "sh", entered, "apache2", "-f", config, "-DFOREGROUND"]
            super().__init__(f"server{number}", words, folder / "apache.log")
            self.group.members.write_text(str(self.pid))
            entered.touch()
            self.until(self._listens, f"Apache in server{number} to listen", 10)
        except BaseException:
            self.stop(timeout=2)
            raise

    @property
    def address(self) -> str:
        return f"{server_address(self.number)}:{PORT}"

    def _listens(self) -> bool:
        text = Path(f"/proc/{self.pid}/net/tcp").read_text()
        return any(line.split()[1].endswith(f":{PORT:04X}") and line.split()[3] == "0A" for line in text.splitlines()[1:])

    def state(self) -> ServerState:
        """Requests that it has answered with 200, by its log. How many are at work it does not say; each costs one."""
        with self._access_log.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        self._completed += whole.split().count(b"200")
        return ServerState(time.monotonic(), self._completed, 0, 0, self._completed)

    def stop(self, timeout: float = 5) -> int:
        """At once, by killing all: what is at work is thrown away, and ending in order would take a server that thrashes long."""
        self.group.remove()
        (self.folder / "apache.pid").unlink(missing_ok=True)
        return super().stop(timeout) if hasattr(self, "_child") else 0
