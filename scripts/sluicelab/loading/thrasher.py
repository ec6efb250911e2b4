"""Servers with a known peak (programs/thrasher.c)."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from pathlib import Path

from ..namespaces import inside
from ..network import server_address
from ..processes import Process
from ..programs import compiled
from .law import Law

PORT = 8200
WORKERS = 256  # at work at once: what a server with a process for each connection is usually limited to


@dataclass(frozen=True)
class ServerState:
    """What a server did since its start."""

    time: float  # seconds, of the same clock
    completed: int
    integral: float  # of the requests at work over time, seconds
    at_work: int
    work: float  # that was done, in units: one for a request, on average

    def rate_since(self, before: ServerState) -> float:
        return (self.completed - before.completed) / (self.time - before.time)

    def at_work_since(self, before: ServerState) -> float:
        return (self.integral - before.integral) / (self.time - before.time)


class Thrasher(Process):
    """A running one. It listens when the constructor returns."""

    def __init__(self, folder: Path, number: int, law: Law, cost: str = "exponential", seed: int = 1, workers: int = WORKERS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.number, self.law = number, law
        options = [
            f"gain={law.gain}",
            f"sigma={law.sigma}",
            f"kappa={law.kappa}",
            f"workers={workers}",
            f"cost={cost}",
            f"seed={seed + number}",
        ]
        log = folder / f"thrasher{number}.log"
        super().__init__(f"server{number}", [compiled("thrasher", folder, "-lm"), server_address(number), str(PORT), *options], log)
        self.until(self._listens, f"the thrasher in server{number} to listen", 5)

    @property
    def address(self) -> str:
        return f"{server_address(self.number)}:{PORT}"

    def ask(self, method: str, path: str) -> tuple[int, dict[str, str], str]:
        """Status, fields and body, from the dispatcher's host."""
        with inside("dispatcher"):
            connection = http.client.HTTPConnection(server_address(self.number), PORT, timeout=10)
            try:
                connection.request(method, path)
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read().decode()
            finally:
                connection.close()

    def _listens(self) -> bool:
        try:
            return self.ask("GET", "/status")[0] == 200
        except OSError:
            return False

    def state(self) -> ServerState:
        _, _, text = self.ask("GET", "/state")
        found = json.loads(text)
        return ServerState(found["time"], found["completed"], found["integral"], found["at_work"], found["work"])

    def control(self, **values: float) -> None:
        """capacity=F, stall=MS, fail=P."""
        status, _, text = self.ask("POST", "/control?" + "&".join(f"{name}={value}" for name, value in values.items()))
        if status != 200:
            raise ValueError(f"the thrasher refused {values}: {status} {text}")
