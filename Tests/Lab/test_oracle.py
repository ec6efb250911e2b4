"""The judge judged: captures that were made up, each with one thing wrong, and one with nothing wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import frames
from frames import ACK, SYN
from oracle import Leg, read
from sluicelab.network import CLIENT1, FILES_ADDRESS
from sluicelab.wire import Event

CLIENT, SERVICE = (CLIENT1, 30000), (FILES_ADDRESS, 80)
Timed = tuple[float, bytes]
DATA = bytes(range(256)) * 4


def frame(
    source: tuple[str, int], destination: tuple[str, int], flags: int, sequence: int, acknowledged: int, payload: bytes = b""
) -> bytes:
    segment = frames.tcp(source[0], destination[0], source[1], destination[1], flags, sequence, acknowledged, payload)
    return frames.ethernet(destination[0], source[0], frames.ipv4(source[0], destination[0], segment))


def conversation() -> list[Timed]:
    """A request, and an answer in two segments."""
    return [
        (0.000, frame(CLIENT, SERVICE, SYN, 1000, 0)),
        (0.001, frame(SERVICE, CLIENT, SYN | ACK, 5000, 1001)),
        (0.002, frame(CLIENT, SERVICE, ACK, 1001, 5001)),
        (0.003, frame(CLIENT, SERVICE, ACK, 1001, 5001, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
        (0.004, frame(SERVICE, CLIENT, ACK, 5001, 1028, DATA)),
        (0.005, frame(SERVICE, CLIENT, ACK, 5001 + 1024, 1028, DATA)),
        (0.006, frame(CLIENT, SERVICE, ACK, 1028, 5001 + 2048)),
    ]


def judge(path: Path, seen: list[Timed], events: list[Event]) -> list[str]:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for at, data in seen:
            file.write(struct.pack("<IIII", 1000 + int(at), int(at % 1 * 1e6), len(data), len(data)) + data)
    return list(Leg(CLIENT1, read(path), events).faults([]))


def again(at: float) -> Timed:
    return (at, frame(SERVICE, CLIENT, ACK, 5001 + 1024, 1028, DATA))


def wire(at: float, what: str, sequence: int, acknowledged: int, length: int, toward: bool) -> Event:
    ends = (*SERVICE, *CLIENT) if toward else (*CLIENT, *SERVICE)
    return Event(1000 + at, what, *ends, sequence, acknowledged, ACK, length)


def other_zero(segment: bytes) -> bytes:
    """The frame with a payload whose checksum is 0, written as 0xffff."""
    checksum = int.from_bytes(segment[50:52], "big")
    word = int.from_bytes(segment[-2:], "big") + checksum
    word = (word & 0xFFFF) + (word >> 16)
    return segment[:50] + b"\xff\xff" + segment[52:-2] + word.to_bytes(2, "big")


# What is added to the conversation, what the wire did, and what the judge must say (nothing: all is well).
CASES: dict[str, tuple[Callable[[list[Timed]], list[Timed]], list[Event], str]] = {
    "nothing wrong": (lambda seen: seen, [], ""),
    "acknowledged what was never sent": (
        lambda seen: seen + [(0.1, frame(SERVICE, CLIENT, ACK, 5001 + 2048, 9028))],
        [],
        "an acknowledgement of what it never sent",
    ),
    "bad checksum": (lambda seen: [*seen[:4], (0.004, seen[4][1][:-1] + b"?"), *seen[4:]], [], "a bad checksum"),
    "the other zero": (lambda seen: [*seen[:4], (0.004, other_zero(seen[4][1])), *seen[5:]], [], ""),
    "bad checksum of the wire's making": (
        lambda seen: [*seen[:4], (0.004, seen[4][1][:-1] + b"?"), *seen[4:]],
        [wire(0.004, "corrupt", 5001, 1028, 1024, toward=True)],
        "",
    ),
    "sent again long after its acknowledgement": (lambda seen: seen + [again(1.0)], [], "a retransmission that nothing explains"),
    "sent again because the acknowledgement was lost": (
        lambda seen: seen + [again(1.0)],
        [wire(0.006, "lose", 1028, 5001 + 2048, 0, toward=False)],
        "",
    ),
    "sent again because it was lost": (
        lambda seen: [*seen[:5], again(0.3), (0.301, seen[6][1])],
        [wire(0.005, "lose", 5001 + 1024, 1028, 1024, toward=True)],
        "",
    ),
    "twice by the wire": (lambda seen: seen + [again(0.4)], [wire(0.005, "repeat", 5001 + 1024, 1028, 1024, toward=True)], ""),
}


@pytest.mark.parametrize("name", CASES)
def test_the_judge(tmp_path: Path, name: str) -> None:
    change, events, expected = CASES[name]
    faults = judge(tmp_path / "made-up.pcap", change(conversation()), events)
    if expected:
        assert len(faults) == 1 and expected in faults[0]
    else:
        assert not faults
