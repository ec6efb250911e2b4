"""A peer of which a script writes every segment, and what the other end answers, in words that two implementations can be compared by."""

from __future__ import annotations

import random
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import frames
from frames import ACK, FIN, PUSH, RST, SYN
from sluicelab.namespaces import inside
from sluicelab.network import CLIENT1

# Nobody's: no kernel answers what comes for it. The frames carry client1's hardware address.
STRANGER = "10.77.1.77"
GATEWAY = "10.77.1.1"  # whose hardware address the dispatcher's host has
NAMES = {SYN: "SYN", FIN: "FIN", RST: "RST", ACK: "ACK", 0x40: "ECE"}
MASK = 0xFFFFFFFF
_ports = iter(random.sample(range(20000, 60000), 4000))


@dataclass(frozen=True)
class Reply:
    flags: int
    sequence: int
    acknowledged: int
    options: bytes
    payload: bytes


@dataclass
class Step:
    """What came in answer to one step: segments without data in words, and of the data how much."""

    control: list[str] = field(default_factory=list)
    data: int = 0

    def __str__(self) -> str:
        words = self.control + ([f"{self.data} bytes"] if self.data else [])
        return " ".join(words) or "nothing"


class Peer:
    def __init__(self, target: str, port: int) -> None:
        self.target, self.port, self.own = target, port, next(_ports)
        self.initial = random.getrandbits(32)
        self.next, self.expected, self.theirs = self.initial, 0, 0
        self.steps: list[Step] = []
        with inside("client1"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(frames.PACKET_IPV4))
        self._socket.bind(("eth0", frames.PACKET_IPV4))
        self._socket.setblocking(False)

    def close(self) -> None:
        if self.theirs:
            self._write(RST, self.next, 0, b"", b"")
        self._socket.close()

    # What a script says

    def send(
        self,
        flags: int,
        payload: bytes = b"",
        ahead: int = 0,
        ack: int = 0,
        options: bytes = b"",
        moves: bool = True,
        wait: float = 0.15,
        wrong_checksum: bool = False,
    ) -> Step:
        """A segment, and what comes of it.

        `ahead`: how far its number is from the next one; `ack`: how far its acknowledgement is from what has come;
        `moves`: whether the next number moves over it.
        """
        sequence = (self.next + ahead) & MASK
        self._write(flags, sequence, (self.expected + ack) & MASK if flags & ACK else 0, payload, options, wrong_checksum)
        if moves and not ahead:
            self.next = (self.next + len(payload) + bool(flags & SYN) + bool(flags & FIN)) & MASK
        step = self._digest(self._collect(wait))
        self.steps.append(step)
        return step

    def open(self, options: bytes = b"\x02\x04\x05\xb4") -> None:
        self.send(SYN, options=options)
        self.send(ACK)

    def ask(self, path: str = "/a", ahead: int = 0, moves: bool = True, wrong_checksum: bool = False) -> Step:
        return self.send(
            ACK | PUSH, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), ahead=ahead, moves=moves, wrong_checksum=wrong_checksum
        )

    # What is behind it

    def _write(self, flags: int, sequence: int, acknowledged: int, payload: bytes, options: bytes, wrong: bool = False) -> None:
        segment = frames.tcp(
            STRANGER, self.target, self.own, self.port, flags, sequence, acknowledged, payload, options=options, wrong_checksum=wrong
        )
        self._socket.send(frames.ethernet(GATEWAY, CLIENT1, frames.ipv4(STRANGER, self.target, segment)))

    def _collect(self, wait: float) -> list[Reply]:
        found: list[Reply] = []
        deadline = time.monotonic() + wait
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                break
            reply = self._parse(self._socket.recv(70000))
            if reply is not None:
                found.append(reply)
        return found

    def _parse(self, frame: bytes) -> Reply | None:
        packet = frame[14:]
        if (
            len(packet) < 40
            or packet[9] != 6
            or socket.inet_ntoa(packet[12:16]) != self.target
            or socket.inet_ntoa(packet[16:20]) != STRANGER
        ):
            return None
        packet = packet[: struct.unpack("!H", packet[2:4])[0]]
        segment = packet[(packet[0] & 15) * 4 :]
        source, destination, sequence, acknowledged, words, flags = struct.unpack("!HHIIBB", segment[:14])
        if (source, destination) != (self.port, self.own):
            return None
        head = (words >> 4) * 4
        return Reply(flags & ~PUSH, sequence, acknowledged, segment[20:head], segment[head:])

    def _digest(self, replies: list[Reply]) -> Step:
        step = Step()
        for reply in replies:
            if reply.flags & SYN:
                self.theirs, self.expected = reply.sequence, (reply.sequence + 1) & MASK
            new = (reply.sequence + len(reply.payload) - self.expected) & MASK
            if reply.payload and 0 < new <= len(reply.payload):
                self.expected = (self.expected + new) & MASK
                step.data += new
            if reply.flags & FIN and reply.sequence + len(reply.payload) & MASK == self.expected:
                self.expected = (self.expected + 1) & MASK
            if not reply.payload or reply.flags & (FIN | RST):
                self._note(step, reply)
        return step

    def _note(self, step: Step, reply: Reply) -> None:
        names = "|".join(name for bit, name in NAMES.items() if reply.flags & bit) or "no flag"
        if reply.flags & SYN:
            kinds = option_kinds(reply.options)
            names += f" options {kinds}"
        if reply.flags & ACK:
            names += f" of {(reply.acknowledged - self.initial) & MASK}"
        elif reply.flags & RST:
            names += (
                " at what it acknowledged"
                if reply.sequence == self.expected
                else f" at {(reply.sequence - self.theirs) & MASK if self.theirs else reply.sequence}"
            )
        if not step.control or step.control[-1] != names:
            step.control.append(names)


def option_kinds(options: bytes) -> list[int]:
    kinds: list[int] = []
    while options and options[0] != 0:
        if options[0] == 1:
            options = options[1:]
            continue
        kinds.append(options[0])
        options = options[max(options[1], 2) if len(options) > 1 else 1 :]
    return sorted(kinds)


Script = Callable[[Peer], None]


def played(script: Script, target: str, port: int) -> list[str]:
    """What the target answers, step by step."""
    peer = Peer(target, port)
    try:
        script(peer)
        return [str(step) for step in peer.steps]
    finally:
        peer.close()
