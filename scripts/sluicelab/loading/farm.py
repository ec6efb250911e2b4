"""The servers behind a contender: one or more thrashers, or Apache. Started anew for each run, so that none has another's work left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from . import apache, thrasher
from .law import Law
from .thrasher import ServerState


class Server(Protocol):
    @property
    def address(self) -> str:
        ...

    def state(self) -> ServerState:
        ...

    def stop(self) -> int:
        ...


class Farm(Protocol):
    @property
    def name(self) -> str:
        ...

    @property
    def path(self) -> str:
        """What clients ask for."""
        ...

    @property
    def most_servers(self) -> int:
        ...

    def start(self, folder: Path, count: int = 1, seed: int = 1) -> list[Server]:
        ...

    def document(self) -> dict[str, Any]:
        ...


@dataclass(frozen=True)
class Thrashers:
    law: Law
    cost: str = "exponential"
    name: str = "thrasher"
    path: str = "/"
    most_servers: int = 3

    def start(self, folder: Path, count: int = 1, seed: int = 1) -> list[Server]:
        """Several share the work of one: each has that part of the law's gain."""
        law = Law(self.law.gain / count, self.law.sigma, self.law.kappa)
        return [thrasher.Thrasher(folder, number + 1, law, self.cost, seed) for number in range(count)]

    def document(self) -> dict[str, Any]:
        law = {"gain": self.law.gain, "sigma": self.law.sigma, "kappa": self.law.kappa}
        return {"name": self.name, "law": law, "cost": self.cost, "workers": thrasher.WORKERS}


@dataclass(frozen=True)
class ApacheFarm:
    name: str = "apache"
    path: str = apache.PATH
    most_servers: int = 1

    def start(self, folder: Path, count: int = 1, seed: int = 1) -> list[Server]:
        return [apache.Apache(folder / "apache")]

    def document(self) -> dict[str, Any]:
        return {"name": self.name, "memory_bytes": apache.MEMORY, "file_bytes": apache.FILE, "workers": apache.WORKERS}
