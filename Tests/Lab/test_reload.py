"""Another configuration for a dispatcher that runs: no connection is lost, servers come and go, what is wrong changes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import Backend, Exchange
from conftest import started
from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service, yaml
from sluicelab.network import FILES_ADDRESS, server_address
from test_loading import Crowd, ask, tool

WEB, FORWARDED = 80, 81
# A server serves one mode: those of l4/3 have a port of their own.
PORT, FORWARDED_PORT = 8000, 8020
ONE, TWO = (f"{server_address(number)}:{PORT}" for number in (1, 2))


def configure(servers: list[str], **others: Any) -> Configuration:
    others_of_l43 = [one.replace(str(PORT), str(FORWARDED_PORT)) for one in servers]
    return configuration(
        [
            service("web", f"{FILES_ADDRESS}:{WEB}", "web"),
            {**service("forwarded", f"{FILES_ADDRESS}:{FORWARDED}", "forwarded"), "mode": "l4/3"},
        ],
        [pool("web", servers, connections=8, queue={"wait": "10s"}), pool("forwarded", others_of_l43, connections=50)],
        **{"log": {"level": "info", "access": "none"}, **others},
    )


@pytest.fixture
def dispatcher(lab: None, folder: Path) -> Iterator[Dispatcher]:
    process = Dispatcher(folder, configure([ONE]))
    started.append(process)
    yield process
    process.stop()
    started.remove(process)


class Reload:
    """Writes the dispatcher's file and has it loaded again."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def write(self, config: Configuration) -> None:
        self._dispatcher.config_file.write_text(yaml(config))

    def by_signal(self, config: Configuration) -> None:
        lines = self._dispatcher.log.read_text().count("the configuration was")
        self.write(config)
        self._dispatcher.signal(signal.SIGHUP)
        self._dispatcher.until_true(
            lambda: self._dispatcher.log.read_text().count("the configuration was") > lines, lambda: "no word of a reload", 5
        )

    def by_tool(self, config: Configuration) -> subprocess.CompletedProcess[str]:
        self.write(config)
        return tool("ctl", "reload")


@pytest.fixture
def reload(dispatcher: Dispatcher) -> Reload:
    return Reload(dispatcher)


def shown(dispatcher: Dispatcher, name: str = "web") -> dict[str, Any]:
    for one in dispatcher.status["services"]:
        for found in one["pools"]:
            if found["name"] == name:
                return {row["address"]: row for row in found["servers"]}
    raise AssertionError(f"there is no pool {name}")


@pytest.fixture
def all_backends(backends: list[Backend]) -> Iterator[list[Backend]]:
    """Those of mode l7/3, then those of l4/3; all take their time."""
    more = [Backend(f"server{number}", server_address(number), FORWARDED_PORT) for number in (1, 2)]
    for one in backends + more:
        one.on("/", slow)
    yield backends + more
    for one in more:
        one.stop()


async def slow(exchange: Exchange) -> None:
    await exchange.pause(0.02)
    await exchange.ok(b"x" * 3000)


def test_servers_come_and_go_under_load(dispatcher: Dispatcher, reload: Reload, all_backends: list[Backend]) -> None:
    crowds = [Crowd(WEB, 12), Crowd(FORWARDED, 12)]
    time.sleep(0.5)
    for round_number in range(6):
        servers = [[ONE, TWO], [TWO], [ONE]][round_number % 3]
        done = reload.by_tool(configure(servers))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["loaded"].startswith(f"2 pools with {2 * len(servers)} servers")
        dispatcher.until_true(
            lambda: [address for address, row in shown(dispatcher).items() if row["state"] != "removed"] == servers,
            lambda: f"{shown(dispatcher)}",
            5,
        )
        if servers == [TWO]:
            assert ask(FORWARDED).status == 200
        time.sleep(0.5)
    answers = [crowd.end() for crowd in crowds]
    assert all(len(statuses) > 200 and set(statuses) == {200} for statuses in answers), [set(statuses) for statuses in answers]
    counts = [len(one.requests) for one in all_backends]
    assert counts[0] > 100 and counts[1] > 100, counts
    # Connections in mode l4/3 stay with their server; new ones go where the configuration says.
    assert counts[2] > 200 and counts[3] == 2, counts
    dispatcher.until_true(lambda: list(shown(dispatcher)) == [ONE], lambda: f"{shown(dispatcher)}", 5)
    assert "server 10.77.2.12:8000 of pool web: up -> removed (configuration)" in dispatcher.log.read_text()


def test_what_is_under_way_is_finished_and_kept_connections_stay(
    dispatcher: Dispatcher, reload: Reload, all_backends: list[Backend]
) -> None:
    async def long(exchange: Exchange) -> None:
        await exchange.pause(1)
        await exchange.ok(b"y" * 100_000)

    for one in (all_backends[0], all_backends[2]):
        one.on("/", long)
    with Conversation(FILES_ADDRESS, WEB, timeout=10) as client, Conversation(FILES_ADDRESS, FORWARDED, timeout=10) as other:
        client.request("/")
        other.request("/")
        time.sleep(0.3)
        reload.by_signal(configure([TWO]))
        assert shown(dispatcher)[ONE]["state"] == "removed" and shown(dispatcher)[ONE]["active"] == 1
        assert client.answer().body == b"y" * 100_000
        assert other.answer().body == b"y" * 100_000
        # The client's connection stays, and its next request goes to the other server; a forwarded connection stays with its own.
        for one in (all_backends[0], all_backends[2]):
            one.on("/", slow)
        client.request("/")
        assert client.answer().status == 200
        other.request("/")
        assert other.answer().status == 200
    assert len(all_backends[1].requests) == 1 and len(all_backends[3].requests) == 0
    dispatcher.until_true(lambda: list(shown(dispatcher)) == [TWO], lambda: f"{shown(dispatcher)}", 5)


def test_limits_queue_level_and_log_change(dispatcher: Dispatcher, reload: Reload, backend: Backend, folder: Path) -> None:
    backend.on("/", slow)
    folder.chmod(0o777)
    log = folder / "access.log"
    config = configure([ONE], log={"level": "debug", "access": str(log)})
    config["pools"][0]["servers"] = [{"address": ONE, "weight": 7}]
    config["pools"][0]["limit"] = {"initial": 3, "maximum": 5}
    reload.by_signal(config)
    row = shown(dispatcher)[ONE]
    assert row["limit"] == 3 and row["weight"] == 7
    with Conversation(FILES_ADDRESS, WEB) as client:
        client.request("/seen")
        assert client.answer().status == 200
    dispatcher.until_true(lambda: log.exists() and "GET /seen" in log.read_text(), lambda: "no line in the access log", 5)
    assert f" web/{ONE} " in log.read_text()


def test_what_is_wrong_changes_nothing(dispatcher: Dispatcher, reload: Reload, backend: Backend) -> None:
    backend.on("/", slow)
    crowd = Crowd(WEB, 4)
    dispatcher.config_file.write_text("pools: [")
    refused = tool("ctl", "reload")
    assert refused.returncode == 1 and "409" in refused.stderr and "not YAML" in refused.stderr
    other = configure([TWO])
    other["services"][0]["listen"] = f"{FILES_ADDRESS}:99"
    other["user"] = "daemon"
    refused = reload.by_tool(other)
    assert refused.returncode == 1 and "only a restart changes user (nobody now, daemon in the file)" in refused.stderr
    assert "services[].listen of web" in refused.stderr
    reload.by_signal(other)
    assert "the configuration was not loaded again, and nothing has changed" in dispatcher.log.read_text()
    assert list(shown(dispatcher)) == [ONE]
    dispatcher.config_file.chmod(0)
    refused = tool("ctl", "reload")
    dispatcher.config_file.chmod(0o644)
    assert refused.returncode == 1 and "readable" in refused.stderr
    reload.by_signal(configure([ONE]))
    assert set(crowd.end()) == {200}
