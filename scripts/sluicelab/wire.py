"""A cable that loses, repeats, delays, overtakes and corrupts: frames go from one interface to another and back, through this program.

`scripts/lab impair` puts it between a host and its bridge (this kernel has no netem). It wants frames as they are on a real cable:
`scripts/lab` switches segmentation and checksum offload off at both ends.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING = 263, 6, 23
ETH_P_ALL = 3
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
LARGEST = 65600  # a frame never is larger
BATCH = 64  # frames that one side may have in a row
BUFFER = 8 << 20
DISCOVERY = (b"\x87", b"\x88")  # ICMPv6: neighbour solicitation, neighbour advertisement


@dataclass(frozen=True)
class Impairments:
    """Chances from 0 to 1, times in seconds; the same in both directions."""

    loss: float = 0
    duplicate: float = 0
    reorder: float = 0
    corrupt: float = 0
    delay: float = 0
    jitter: float = 0
    reorder_delay: float = 0.003


@dataclass(frozen=True)
class Event:
    """What the wire did to a TCP segment: `lose`, `repeat`, `hold` (others overtake it), `corrupt`."""

    time: float
    what: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    sequence: int
    acknowledged: int
    flags: int
    length: int

    def line(self) -> str:
        ends = f"{self.source} {self.source_port} {self.destination} {self.destination_port}"
        return f"{self.time:.6f} {self.what} {ends} {self.sequence} {self.acknowledged} {self.flags} {self.length}\n"

    @classmethod
    def parse(cls, line: str) -> Event:
        at, what, source, source_port, destination, destination_port, *numbers = line.split()
        return cls(float(at), what, source, int(source_port), destination, int(destination_port), *map(int, numbers))

    @classmethod
    def of(cls, what: str, frame: bytes) -> Event | None:
        """None for what is no TCP segment; an IPv6 extension header is one no more than a fragment is."""
        if frame[12:14] == b"\x08\x00" and len(frame) >= 54 and frame[23] == 6:
            start = 14 + (frame[14] & 15) * 4
            end = 14 + int.from_bytes(frame[16:18], "big")
            source, destination = socket.inet_ntop(socket.AF_INET, frame[26:30]), socket.inet_ntop(socket.AF_INET, frame[30:34])
        elif frame[12:14] == b"\x86\xdd" and len(frame) >= 74 and frame[20] == 6:
            start = 54
            end = 54 + int.from_bytes(frame[18:20], "big")
            source, destination = socket.inet_ntop(socket.AF_INET6, frame[22:38]), socket.inet_ntop(socket.AF_INET6, frame[38:54])
        else:
            return None
        if len(frame) < start + 20:
            return None
        source_port, destination_port, sequence, acknowledged, offset, flags = struct.unpack_from("!HHIIBB", frame, start)
        length = end - start - (offset >> 4) * 4
        return cls(time.time(), what, source, source_port, destination, destination_port, sequence, acknowledged, flags, length)


@dataclass
class Totals:
    passed: int = 0
    lost: int = 0
    repeated: int = 0
    held: int = 0
    corrupted: int = 0
    overflowed: int = 0  # lost for want of room: nobody wanted that


@dataclass(order=True)
class Waiting:
    """A frame on its way."""

    due: float
    number: int
    direction: Direction = field(compare=False)
    frame: bytes = field(compare=False)


class Direction:
    """Frames that come in at one interface and leave by the other."""

    def __init__(self, wire: Wire, name: str, source: socket.socket, destination: socket.socket, seed: int) -> None:
        self.wire, self.name, self.source, self.destination = wire, name, source, destination
        self.random = random.Random(f"{seed} {name}").random
        self.totals = Totals()

    def pump(self) -> None:
        """Takes what has come, at most a batch."""
        for _ in range(BATCH):
            try:
                frame = self.source.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                return  # the interface is down for the moment
            self.pass_on(frame)

    def pass_on(self, frame: bytes) -> None:
        kind = frame[12:14]
        is_discovery = kind == b"\x86\xdd" and frame[20:21] == b"\x3a" and frame[54:55] in DISCOVERY
        if (kind != b"\x08\x00" and kind != b"\x86\xdd") or is_discovery:
            self.transmit(frame)  # ARP and its like: their loss would try the patience of kernels, which is not the point
            return
        to, chance, totals = self.wire.impairments, self.random, self.totals
        if to.loss and chance() < to.loss:
            totals.lost += 1
            self.wire.note("lose", frame)
            return
        if to.corrupt and chance() < to.corrupt:
            totals.corrupted += 1
            self.wire.note("corrupt", frame)
            at = 14 + int(chance() * (len(frame) - 14))
            frame = frame[:at] + bytes([frame[at] ^ 1 << int(chance() * 8)]) + frame[at + 1 :]
        copies = 1
        if to.duplicate and chance() < to.duplicate:
            totals.repeated += 1
            self.wire.note("repeat", frame)
            copies = 2
        for _ in range(copies):
            delay = to.delay + (to.jitter * chance() if to.jitter else 0)
            if to.reorder and chance() < to.reorder:
                totals.held += 1
                self.wire.note("hold", frame)
                delay += to.reorder_delay * (0.1 + 0.9 * chance())
            if delay:
                self.wire.hold(self, frame, delay)
            else:
                self.transmit(frame)

    def transmit(self, frame: bytes) -> None:
        try:
            self.destination.send(frame)
            self.totals.passed += 1
        except OSError:
            self.totals.overflowed += 1
            self.wire.note("lose", frame)


class Wire:
    def __init__(self, ends: tuple[str, str], impairments: Impairments, seed: int, log: TextIO | None) -> None:
        self.impairments, self.log = impairments, log
        self.waiting: list[Waiting] = []
        self.number = 0
        self.stopped = False
        sockets = [open_end(end) for end in ends]
        self.directions = {
            sockets[0]: Direction(self, "away from", sockets[0], sockets[1], seed),
            sockets[1]: Direction(self, "toward", sockets[1], sockets[0], seed),
        }

    def note(self, what: str, frame: bytes) -> None:
        if self.log is not None and (event := Event.of(what, frame)) is not None:
            self.log.write(event.line())

    def hold(self, direction: Direction, frame: bytes, delay: float) -> None:
        self.number += 1
        heapq.heappush(self.waiting, Waiting(time.monotonic() + delay, self.number, direction, frame))

    def run(self) -> None:
        sockets = list(self.directions)
        while not self.stopped:
            patience = max(0.0, self.waiting[0].due - time.monotonic()) if self.waiting else 0.1
            ready, _, _ = select.select(sockets, [], [], patience)
            for end in ready:
                self.directions[end].pump()
            now = time.monotonic()
            while self.waiting and self.waiting[0].due <= now:
                one = heapq.heappop(self.waiting)
                one.direction.transmit(one.frame)

    def finish(self) -> None:
        for end, direction in self.directions.items():
            _, dropped = struct.unpack("II", end.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
            direction.totals.overflowed += dropped
            print(f"{direction.name} the host: {direction.totals}")


def open_end(interface: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    for option in (SO_SNDBUFFORCE, SO_RCVBUFFORCE):
        end.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    end.bind((interface, ETH_P_ALL))
    end.setblocking(False)
    return end


def percent(text: str) -> float:
    number = float(text.removesuffix("%")) / 100
    if not 0 <= number <= 1:
        raise ValueError(text)
    return number


def milliseconds(text: str) -> float:
    number = float(text.removesuffix("ms")) / 1000
    if not 0 <= number <= 60:
        raise ValueError(text)
    return number


def main() -> int:
    parser = argparse.ArgumentParser(description="a cable with faults between two interfaces")
    parser.add_argument("host_end")
    parser.add_argument("bridge_end")
    for name in ("loss", "duplicate", "reorder", "corrupt"):
        parser.add_argument(f"--{name}", type=percent, default=0.0)
    for name in ("delay", "jitter"):
        parser.add_argument(f"--{name}", type=milliseconds, default=0.0)
    parser.add_argument("--reorder-delay", type=milliseconds, default=Impairments.reorder_delay)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--ready", type=Path, required=True, help="the file that gets this process's number once frames pass")
    given = parser.parse_args()
    names = ("loss", "duplicate", "reorder", "corrupt", "delay", "jitter", "reorder_delay")
    impairments = Impairments(**{name: getattr(given, name) for name in names})
    log = given.log.open("a", buffering=1) if given.log else None
    wire = Wire((given.host_end, given.bridge_end), impairments, given.seed, log)

    def stop(*_: object) -> None:
        wire.stopped = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    ready: Path = given.ready
    ready.write_text(f"{os.getpid()} {' '.join(sys.argv[3:])}\n")
    wire.run()
    wire.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
