"""Start and end of the dispatcher: configuration check, privileges, draining. These tests start dispatchers of their own."""

from __future__ import annotations

import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import Backend, Exchange
from conftest import started
from sluicelab import dispatcher as lab_dispatcher
from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service, yaml
from sluicelab.network import FILES_ADDRESS, SOURCE_ADDRESS, server_address
from sluicelab.paths import binary

PORT = 81


def good() -> Configuration:
    return configuration([service("one", f"{FILES_ADDRESS}:{PORT}", "one")], [pool("one", [f"{server_address(1)}:8000"])])


@pytest.fixture
def running(lab: None, workspace: Path) -> Iterator[Dispatcher]:
    process = Dispatcher(workspace / "lifecycle", good())
    started.append(process)
    yield process
    process.stop()
    started.remove(process)


def test_privileges_are_given_up(running: Dispatcher, backend: Backend) -> None:
    nobody = pwd.getpwnam("nobody")
    assert running.user_ids == [nobody.pw_uid] * 4
    assert running.group_ids == [nobody.pw_gid] * 4
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.request("/")
        assert client.answer().status == 200


def test_sigterm_lets_the_request_in_flight_finish(running: Dispatcher, backend: Backend) -> None:
    async def slowly(exchange: Exchange) -> None:
        await exchange.pause(2)
        await exchange.ok(b"done")

    backend.on("/slow", slowly)
    with Conversation(FILES_ADDRESS, PORT) as client:
        client.request("/slow")
        running.until(lambda: bool(backend.requests), "the request to reach the server", 3)
        begin = time.monotonic()
        running.signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(OSError):
            Conversation(FILES_ADDRESS, PORT, timeout=1).close()
        assert client.answer().body == b"done"
        assert running.wait(10) == 0
        assert time.monotonic() - begin < 10


def test_sigterm_ends_an_idle_dispatcher_soon(running: Dispatcher, backend: Backend) -> None:
    client = Conversation(FILES_ADDRESS, PORT)
    client.request("/")
    assert client.answer().status == 200
    begin = time.monotonic()
    running.signal(signal.SIGTERM)
    assert running.wait(10) == 0
    assert time.monotonic() - begin < 10
    assert client.is_closed(), "an idle connection is closed, not forgotten"


def test_it_starts_again_at_once(lab: None, workspace: Path, backend: Backend) -> None:
    """The second life meets the servers' memories of the first."""
    for _ in range(3):
        process = Dispatcher(workspace / "restart", good())
        started.append(process)
        try:
            for _ in range(20):
                with Conversation(FILES_ADDRESS, PORT) as client:
                    client.request("/")
                    assert client.answer().status == 200
            process.signal(signal.SIGKILL)
            process.wait(5)
        finally:
            process.stop()
            started.remove(process)


def test_c08_the_first_answer_after_kill_9(lab: None, workspace: Path, backend: Backend) -> None:
    """The same ports, and the servers still have the old connections on them."""
    few = good()
    few["server-side"].update({"servers": 1, "connections-per-server": 4, "layers": 1})
    few["pools"][0]["limit"].update({"initial": 4, "maximum": 4})

    async def slowly(exchange: Exchange) -> None:
        await exchange.pause(0.3)
        await exchange.ok(b"done")

    backend.on("/slow", slowly)

    def ask_four(clients: list[Conversation]) -> None:
        for client in clients:
            client.request("/slow")
        for client in clients:
            assert client.answer().body == b"done"

    first = Dispatcher(workspace / "killed", few)
    started.append(first)
    try:
        old = [Conversation(FILES_ADDRESS, PORT) for _ in range(4)]
        ask_four(old)
        before = established()
        assert len(before) == 4
        # Bytes that a server sent and has no acknowledgement of would be sent again, and the answer ends the old connection at once.
        first.until(lambda: not any("unacked:" in line for line in connections()), "the servers' bytes to be acknowledged", 5)
        first.signal(signal.SIGKILL)
        first.wait(5)
    finally:
        # One that is left would keep the address from every later one.
        first.stop()
        started.remove(first)
    begin = time.monotonic()
    second = Dispatcher(workspace / "killed", few)
    started.append(second)
    try:
        with Conversation(FILES_ADDRESS, PORT) as client:
            client.request("/")
            assert client.answer().status == 200
            took = time.monotonic() - begin
            assert took < 2, f"the first answer came after {took:.2f} s"
        begin = time.monotonic()
        new = [Conversation(FILES_ADDRESS, PORT) for _ in range(4)]
        ask_four(new)
        took = time.monotonic() - begin
        assert took < 1.2, f"all four ports served after {took:.2f} s"
        assert established() == before, "on the same ports"
        for client in old:
            with pytest.raises(ConnectionResetError):
                client.request("/")
                client.answer()
        assert second.metrics.total("dropped_frames_total", reason="acknowledges-unsent") > 0, "a server still had the old connection"
    finally:
        second.stop()
        started.remove(second)


def connections() -> list[str]:
    """The servers' connections with the dispatcher on the port that these tests use, a line of `ss` each with all that it tells."""
    words = ["ip", "netns", "exec", "sluice-server1", "ss", "-HtniO", "state", "established"]
    words += ["dst", SOURCE_ADDRESS, "and", "sport", "=", ":8000"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


def established() -> set[str]:
    """The dispatcher's ports that a server has connections with, on the port that these tests use."""
    return {line.split()[3] for line in connections()}


def test_check_accepts_a_good_configuration_and_shows_the_filters(lab: None, workspace: Path) -> None:
    config = workspace / "good.yaml"
    config.write_text(yaml(good()))
    done = lab_dispatcher.check(config)
    assert done.returncode == 0, done.stderr
    assert FILES_ADDRESS in done.stdout and "$" not in done.stdout


def unknown_key(config: Configuration) -> None:
    config["colour"] = "blue"


def unknown_nested_key(config: Configuration) -> None:
    config["pools"][0]["limit"]["colour"] = "blue"


def missing_pool(config: Configuration) -> None:
    config["services"][0]["routes"] = [{"pool": "nowhere"}]


def wrong_unit(config: Configuration) -> None:
    config["services"][0]["limits"] = {"head-time": "10 parsecs"}


def overlapping(config: Configuration) -> None:
    config["services"].append(service("two", f"{FILES_ADDRESS}:{PORT}", "one"))


def ports_do_not_fit(config: Configuration) -> None:
    config["server-side"].update({"first-port": 10000, "last-port": 10100})


def no_address(config: Configuration) -> None:
    config["services"][0]["listen"] = "somewhere:80"


def not_built_yet(config: Configuration) -> None:
    config["services"][0]["mode"] = "l9/3"


BAD: dict[str, tuple[Callable[[Configuration], Any], str]] = {
    "an unknown key": (unknown_key, "colour"),
    "an unknown key further down": (unknown_nested_key, "colour"),
    "a route to a pool that is not there": (missing_pool, "nowhere"),
    "a unit that is none": (wrong_unit, "parsecs"),
    "two services at one address": (overlapping, f"{FILES_ADDRESS}:{PORT}"),
    "more connections than ports": (ports_do_not_fit, "port"),
    "an address that is none": (no_address, "somewhere"),
    "a mode that is none": (not_built_yet, "l9/3"),
}


@pytest.mark.parametrize("name", BAD)
def test_check_refuses_a_bad_configuration(lab: None, workspace: Path, name: str) -> None:
    change, named = BAD[name]
    config = good()
    change(config)
    path = workspace / "bad.yaml"
    path.write_text(yaml(config))
    done = lab_dispatcher.check(path)
    assert done.returncode == 1
    assert named in done.stderr + done.stdout


def test_check_refuses_what_is_no_configuration(lab: None, workspace: Path) -> None:
    path = workspace / "bad.yaml"
    path.write_text("services: [\n")
    assert lab_dispatcher.check(path).returncode == 1
    assert lab_dispatcher.check(workspace / "absent.yaml").returncode == 1


def run_without_rights(workspace: Path, *prefix: str, program: Path) -> subprocess.CompletedProcess[str]:
    config = workspace / "rights.yaml"
    config.write_text(yaml(good()))
    config.chmod(0o644)
    command = ["ip", "netns", "exec", "sluice-dispatcher", "setpriv", *prefix, str(program), "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=15)


def test_root_without_the_capabilities_is_told_so(lab: None, workspace: Path) -> None:
    rights = "-net_raw,-net_admin"
    done = run_without_rights(workspace, f"--bounding-set={rights}", f"--inh-caps={rights}", program=binary("sluice-dispatcher"))
    assert done.returncode == 3, done.stderr
    assert "CAP_NET_RAW" in done.stderr


def test_an_ordinary_user_is_told_so(lab: None, workspace: Path) -> None:
    program = workspace / "sluice-dispatcher"  # a copy where an ordinary user may read
    shutil.copy(binary("sluice-dispatcher"), program)
    program.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    done = run_without_rights(workspace, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", program=program)
    assert done.returncode == 3, done.stderr
    assert "CAP_NET_RAW" in done.stderr
