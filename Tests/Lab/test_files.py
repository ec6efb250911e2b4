"""Files from two nginx through the dispatcher, with curl and wrk: clients and servers that are not ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sluicelab.conversation import Conversation
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.network import FILES_ADDRESS, server_address

NEEDS = ["file_servers"]
URL = f"http://{FILES_ADDRESS}"


def configure() -> Configuration:
    servers = [f"{server_address(number)}:80" for number in (1, 2)]
    return configuration([service("files", f"{FILES_ADDRESS}:80", "files")], [pool("files", servers)])


def curl(*words: str | Path, host: str = "client1") -> subprocess.CompletedProcess[bytes]:
    """curl in a host of the lab; it must succeed."""
    command = ["ip", "netns", "exec", f"sluice-{host}", "curl", "--silent", "--show-error", "--fail", "--max-time", "20", *map(str, words)]
    done = subprocess.run(command, capture_output=True, timeout=30)
    assert done.returncode == 0, f"curl {words}: {done.stderr.decode()}"
    return done


def test_twelve_bytes(dispatcher: Dispatcher) -> None:
    assert curl(f"{URL}/").stdout == b"hello world\n"


@pytest.mark.parametrize("host", ["client1", "client2"])
@pytest.mark.parametrize("name", ["empty", "small", "1MiB", "8MiB"])
def test_file_is_byte_equal(dispatcher: Dispatcher, files: dict[str, bytes], name: str, host: str) -> None:
    """client2 is behind a router and a link with a smaller MTU."""
    assert curl(f"{URL}/{name}", host=host).stdout == files[name]


@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
@pytest.mark.parametrize("name", ["small", "1MiB"])
def test_answer_of_unknown_length_is_byte_equal(dispatcher: Dispatcher, files: dict[str, bytes], name: str, version: str) -> None:
    """Chunked to a 1.1 client; to a 1.0 client there is no such thing."""
    done = curl(version, "--include", f"{URL}/chunked/{name}")
    head, body = done.stdout.split(b"\r\n\r\n", 1)
    assert body == files[name]
    assert (b"transfer-encoding: chunked" in head.lower()) == (version == "--http1.1")


def test_head_has_a_length_and_no_body(dispatcher: Dispatcher, files: dict[str, bytes]) -> None:
    done = curl("--head", f"{URL}/1MiB", "--next", "--silent", "--show-error", "--max-time", "20", f"{URL}/")
    assert f"content-length: {len(files['1MiB'])}".encode() in done.stdout.lower()
    assert done.stdout.endswith(b"hello world\n"), "the connection goes on after HEAD"


def test_part_of_a_file(dispatcher: Dispatcher, files: dict[str, bytes]) -> None:
    assert curl("--range", "500000-500099", f"{URL}/1MiB").stdout == files["1MiB"][500000:500100]


def test_post_with_a_body(dispatcher: Dispatcher) -> None:
    assert curl("--data-binary", "x" * 20000, "--header", "Expect:", f"{URL}/").stdout == b"hello world\n"


def test_http_1_0_closes_without_keep_alive(dispatcher: Dispatcher) -> None:
    with Conversation(FILES_ADDRESS, 80) as client:
        client.request("/", version="1.0")
        assert client.answer().body == b"hello world\n"
        assert client.is_closed()


def test_http_1_0_keep_alive(dispatcher: Dispatcher) -> None:
    with Conversation(FILES_ADDRESS, 80) as client:
        for _ in range(3):
            client.request("/", version="1.0", fields={"Connection": "keep-alive"})
            answer = client.answer()
            assert (answer.status, answer.body) == (200, b"hello world\n")


def test_one_connection_serves_many_requests(dispatcher: Dispatcher) -> None:
    done = curl(*["--write-out", "%{num_connects}\n"], *[f"{URL}/"] * 20)
    connects = [int(number) for number in re.findall(rb"^(\d+)$", done.stdout, re.MULTILINE)]
    assert connects == [1] + [0] * 19
    with Conversation(FILES_ADDRESS, 80) as client:
        for _ in range(200):
            client.request("/")
            assert client.answer().body == b"hello world\n"


def test_pipelined_requests_are_answered_in_order(dispatcher: Dispatcher, files: dict[str, bytes]) -> None:
    names = ["small", "1MiB", "empty", "chunked/small", "small", "chunked/1MiB", "small"]
    with Conversation(FILES_ADDRESS, 80) as client:
        client.send("".join(f"GET /{name} HTTP/1.1\r\nHost: lab\r\n\r\n" for name in names))
        for name in names:
            assert client.answer().body == files[name.removeprefix("chunked/")], name


def test_connection_close_is_honoured(dispatcher: Dispatcher) -> None:
    with Conversation(FILES_ADDRESS, 80) as client:
        client.request("/", fields={"Connection": "close"})
        assert client.answer().body == b"hello world\n"
        assert client.is_closed()


def test_slow_reader_gets_every_byte(dispatcher: Dispatcher, files: dict[str, bytes]) -> None:
    with Conversation(FILES_ADDRESS, 80, receive_buffer=8192) as client:
        client.request("/1MiB")
        assert client.answer().body == files["1MiB"]


def test_many_requests_over_few_back_end_connections(dispatcher: Dispatcher) -> None:
    before, gauges = dispatcher.metrics, dispatcher.gauges_at_rest()
    command = ["ip", "netns", "exec", "sluice-client1", "wrk", "--threads", "2", "--connections", "64", "--duration", "3s", f"{URL}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout + done.stderr
    after = dispatcher.metrics
    requests = after.total("requests_total") - before.total("requests_total")
    assert requests >= 1000
    # The limit is 8 connections to each of two servers. When wrk ends, its clients leave in the midst of their requests: those
    # connections are reset, and what still waited opens others, until all 64 are gone.
    connects = after.total("server_connects_total") - before.total("server_connects_total")
    assert connects <= 16 + 64 and connects * 50 <= requests, f"{connects} connections for {requests} requests"
    assert after.highest("queue_high") >= 1, "64 clients on 16 connections: some waited"
    dispatcher.until_gauges(gauges)
