"""Frames of all sizes through the captures: a slot of the ring takes a packet of the link, and what is longer comes beside the ring."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from frames import ACK, hardware_address, ipv4, tcp
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.namespaces import inside
from sluicelab.network import CLIENT1, FILES_ADDRESS, server_address
from test_transmit import dispatching

NEEDS = ["file_servers"]
GATEWAY = "10.77.1.1"
MODES = ["l7/3", "l4/3"]
SOL_PACKET, PACKET_VNET_HDR = 263, 15
JUMBO = 9000


def configure(mode: str = "l7/3", memory: str = "256MiB") -> Configuration:
    servers = [f"{server_address(number)}:80" for number in (1, 2)]
    there = {**service("files", f"{FILES_ADDRESS}:80", "files"), "mode": mode}
    made = configuration([there], [pool("files", servers, connections=16)])
    for side in ("client-side", "server-side"):
        made[side]["capture-memory"] = memory
    return made


def run(host: str, *words: str) -> bytes:
    done = subprocess.run(["ip", "netns", "exec", f"sluice-{host}", *words], capture_output=True, timeout=60)
    assert done.returncode == 0, f"{words} in {host}: {done.stderr.decode()}"
    return done.stdout


def fetch(name: str) -> bytes:
    return run("client1", "curl", "--silent", "--show-error", "--fail", "--max-time", "50", f"http://{FILES_ADDRESS}/{name}")


def side(dispatcher: Dispatcher, name: str) -> Any:
    return dispatcher.status["sides"][name]


def large(tag: bytes, payload: bytes, port: int) -> bytes:
    """A segment that a device has yet to cut, behind the header in which its sender says so."""
    packet = ipv4(CLIENT1, FILES_ADDRESS, tcp(CLIENT1, FILES_ADDRESS, 4000, port, ACK, payload=payload))
    link = hardware_address(GATEWAY) + hardware_address(CLIENT1) + tag + struct.pack("!H", 0x0800)
    start = len(link) + 20
    # The checksum is that of the pseudo-header: flags 1 says where the rest of the sum is to be put.
    head = struct.pack("<BBHHHH", 1, 1, start + 20, 1400, start, 16)
    return head + link + packet


def send_large(frames: list[bytes]) -> None:
    with inside("client1"):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with sender:
            sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
            sender.bind(("eth0", 0))
            for frame in frames:
                sender.send(frame)


@pytest.mark.parametrize("mode", MODES)
def test_segments_that_a_device_has_merged_come_whole(
    lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path, mode: str
) -> None:
    with dispatching(workspace / f"captures-{mode[:2]}", configure(mode)) as dispatcher:
        for name in ("8MiB", "small", "1MiB", "empty"):
            assert fetch(name) == files[name], name
        server = side(dispatcher, "server")
        assert server["truncated"] == 0 and server["captureDrops"] == 0
        # 9 MiB are 6,500 segments of the link: they did not come one by one.
        assert server["captured"] < 3000, server


def test_large_frames_with_a_tag_leave_the_others_alone(
    lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path
) -> None:
    """The kernel takes the tag off the copy that it queues, libpcap puts it back into the slot: the two must not get out of step."""
    with dispatching(workspace / "captures-tag", configure()) as dispatcher:
        assert fetch("1MiB") == files["1MiB"]
        tag = struct.pack("!HH", 0x8100, 7)
        tagged = [large(tag, bytes([number]) * 8000, 80) for number in range(20)]
        plain = [large(b"", bytes([number]) * 8000, 80) for number in range(20)]
        before = side(dispatcher, "client")
        send_large([frame for pair in zip(tagged, plain, strict=True) for frame in pair])
        dispatcher.until_true(
            lambda: bool(side(dispatcher, "client")["captured"] >= before["captured"] + 40),
            lambda: f"40 frames: {side(dispatcher, 'client')}",
            5,
        )
        after = side(dispatcher, "client")
        assert after["captureDrops"] == 0
        assert after["truncated"] - before["truncated"] == 20, "those with a tag, which nothing here reads"
        for name in ("1MiB", "small", "8MiB"):
            assert fetch(name) == files[name], name
        after = side(dispatcher, "client")
        assert after["captureDrops"] == 0 and after["truncated"] - before["truncated"] == 20


def test_what_has_no_room_beside_the_ring_is_lost_and_counted(
    lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path
) -> None:
    """128 slots and 768 KiB: 120 frames of 8 KB find slots, but not all of them room, while the dispatcher is held up."""
    with dispatching(workspace / "captures-queue", configure(memory="1MiB")) as dispatcher:
        before = side(dispatcher, "client")
        dispatcher.signal(signal.SIGSTOP)
        send_large([large(b"", bytes([number]) * 8000, 80) for number in range(120)])
        dispatcher.signal(signal.SIGCONT)
        dispatcher.until_true(
            lambda: bool(side(dispatcher, "client")["captured"] >= before["captured"] + 120), lambda: "120 frames captured", 5
        )
        assert 0 < side(dispatcher, "client")["captureDrops"] < 120 and side(dispatcher, "client")["truncated"] == 0
        for name in ("1MiB", "8MiB"):
            assert fetch(name) == files[name], name


@pytest.mark.deadline(120)
@pytest.mark.parametrize("mode", MODES)
def test_little_memory_loses_frames_and_no_byte(
    lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path, mode: str
) -> None:
    """128 slots and room for a dozen large frames: what has no room is sent again."""
    with dispatching(workspace / f"captures-little-{mode[:2]}", configure(mode, "1MiB")) as dispatcher:
        wrong: list[str] = []

        def load() -> None:
            for _ in range(3):
                if fetch("8MiB") != files["8MiB"]:
                    wrong.append("8MiB")

        threads = [threading.Thread(target=load) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert side(dispatcher, "server")["truncated"] == 0
        assert fetch("1MiB") == files["1MiB"]
        print("lost:", {name: side(dispatcher, name)["captureDrops"] for name in ("client", "server")})


@pytest.mark.parametrize("mode", MODES)
def test_a_link_with_larger_packets(lab: None, file_servers: list[str], files: dict[str, bytes], workspace: Path, mode: str) -> None:
    """Slots are larger then; the ring takes every packet of the link by itself."""
    try:
        for device in ("fe0", "be0"):
            run("dispatcher", "ip", "link", "set", device, "mtu", str(JUMBO))
        with dispatching(workspace / f"captures-jumbo-{mode[:2]}", configure(mode)) as dispatcher:
            assert fetch("8MiB") == files["8MiB"]
            for name in ("client", "server"):
                assert side(dispatcher, name)["captureDrops"] == 0 and side(dispatcher, name)["truncated"] == 0
    finally:
        for device in ("fe0", "be0"):
            run("dispatcher", "ip", "link", "set", device, "mtu", "1500")
