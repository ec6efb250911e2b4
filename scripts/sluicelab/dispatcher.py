"""sluice-dispatcher in the lab: its configuration, its start and end, and what it tells about itself."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .namespaces import inside
from .paths import binary
from .processes import Process
from .scrape import Metrics

Configuration = dict[str, Any]
ADMIN = ("127.0.0.1", 9900)
# What must return to where it was when the traffic ends. In /status.json the same figures go without the word `server`.
GAUGES = ("front_connections", "tunnels", "queue_length", "server_active")


def configuration(services: list[Configuration], pools: list[Configuration], **others: Any) -> Configuration:
    """A configuration for the lab's dispatcher; other top-level keys are given with underscores."""
    base: Configuration = {
        "user": "nobody",
        "log": {"level": "info", "access": "none"},
        "admin": {"listen": f"{ADMIN[0]}:{ADMIN[1]}"},
        "client-side": {"interface": "fe0"},
        "server-side": {"interface": "be0", "source-addresses": ["10.77.2.200"], "connections-per-server": 64, "servers": 8},
        "services": services,
        "pools": pools,
    }
    # So that any scenario can be run on several packet threads: SLUICE_SHARDS=2 scripts/test.
    shards = os.environ.get("SLUICE_SHARDS")
    if shards:
        base["shards"] = int(shards)
    base.update({key.replace("_", "-"): value for key, value in others.items()})
    return base


def service(name: str, listen: str, pool: str, **others: Any) -> Configuration:
    """A service of one pool; a pool in `routes` given by the caller wins."""
    return {"name": name, "listen": listen, "mode": "l7/3", "routes": [{"pool": pool}], **others}


def pool(name: str, servers: list[str], connections: int = 8, **others: Any) -> Configuration:
    """A pool with a fixed limit of that many connections to each server."""
    limit = {"initial": connections, "maximum": connections, "control": "fixed"}
    return {"name": name, "servers": [{"address": address} for address in servers], "limit": limit, **others}


def yaml(value: Any) -> str:
    """The configuration as a file: JSON, indented, is YAML too."""
    return json.dumps(value, indent=2) + "\n"


def command(config: Path, *more: str) -> list[str | Path]:
    return [binary("sluice-dispatcher"), "--config", config, *more]


def check(config: Path) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command(config, "--check")]
    return subprocess.run(["ip", "netns", "exec", "sluice-dispatcher", *words], capture_output=True, text=True, timeout=20)


class Dispatcher(Process):
    """A running dispatcher. Ready when the constructor returns."""

    def __init__(self, folder: Path, config: Configuration) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config_file = folder / "dispatcher.yaml"
        self.config_file.write_text(yaml(config))
        super().__init__("dispatcher", command(self.config_file), folder / "dispatcher.log")
        try:
            self.until(lambda: self._answers("/healthz"), "GET /healthz answered 200", 10)
        except BaseException:
            self.stop(timeout=1)
            raise

    def get(self, path: str) -> tuple[int, str]:
        """What the admin address answers."""
        with inside("dispatcher"):
            connection = http.client.HTTPConnection(*ADMIN, timeout=5)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            finally:
                connection.close()

    def _answers(self, path: str) -> bool:
        try:
            return self.get(path)[0] == 200
        except OSError:
            return False

    @property
    def metrics(self) -> Metrics:
        status, text = self.get("/metrics")
        assert status == 200, f"GET /metrics: {status} {text}"
        return Metrics.parse(text)

    @property
    def status(self) -> Any:
        status, text = self.get("/status.json")
        assert status == 200, f"GET /status.json: {status} {text}"
        return json.loads(text)

    def gauges(self) -> dict[str, float]:
        """The gauges that traffic moves and quiet brings back, from /metrics and (marked so) from /status.json."""
        metrics, found = self.metrics, {}
        for name in GAUGES:
            found[name] = metrics.total(name)
        for name, value in _numbers(self.status):
            found[f"status.json {name}"] = found.get(f"status.json {name}", 0) + value
        return found

    def gauges_at_rest(self) -> dict[str, float]:
        """The gauges when nothing is under way: waits for what an earlier test leaves behind, whose connections close a little later."""
        self.until_true(lambda: not any(self.gauges().values()), lambda: f"all gauges at zero, they are {self.gauges()}", 8)
        return self.gauges()

    def until_gauges(self, expected: dict[str, float], timeout: float = 8) -> None:
        """Waits until the gauges are back at what they were."""
        self.until_true(lambda: self.gauges() == expected, lambda: f"gauges back at {expected}, they are {self.gauges()}", timeout)

    def until_true(self, condition: Callable[[], bool], what: Callable[[], str], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert self.running, f"the dispatcher ended with {self.exit_code}:\n{self.log_end()}"
            assert time.monotonic() < deadline, f"expected within {timeout} s: {what()}"
            time.sleep(0.1)


def _numbers(status: Any) -> Iterator[tuple[str, float]]:
    """The gauges anywhere in a status, by name, however the name is spelled (front_connections, frontConnections, front-connections)."""
    wanted = {re.sub(r"[-_]", "", name).removeprefix("server"): name for name in GAUGES}
    if isinstance(status, dict):
        for key, value in status.items():
            name = wanted.get(re.sub(r"[-_]", "", key).lower().removeprefix("server"))
            if name is not None and isinstance(value, (int, float)) and not isinstance(value, bool):
                yield name, value
            else:
                yield from _numbers(value)
    elif isinstance(status, list):
        for value in status:
            yield from _numbers(value)
