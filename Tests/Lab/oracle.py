"""A judge that is not ours: what the peers' network cards saw goes through tshark, and what tshark finds odd must have an explanation.

The captures are taken in the client's and in the servers' namespaces; both hosts hang on wires (sluicelab/wire.py), which tell what they
lost, repeated and held. From us must come: no acknowledgement of what the peer never sent, no bad checksum, and no retransmission
without a reason. The peers' own checksums are not judged.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT

from sluicelab.impairment import BadCable
from sluicelab.processes import Process
from sluicelab.wire import Event

# An acknowledgement that left the peer this short a time before we sent again may have crossed it, or waited for a busy processor.
CROSSING = 0.25
FIN, SYN, RST = 1, 2, 4
FIELDS = [
    "frame.time_epoch",
    "ip.src",
    "tcp.srcport",
    "ip.dst",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.len",
    "tcp.flags",
    "ip.checksum.status",
    "tcp.checksum.status",
    "tcp.checksum",
    "tcp.checksum_calculated",
    "tcp.analysis.ack_lost_segment",
    "tcp.analysis.retransmission",
    "tcp.analysis.keep_alive",
    "tcp.analysis.zero_window_probe",
    "tcp.payload",
    "ipv6.src",
    "ipv6.dst",
]
GOOD = ("1", "2")  # a checksum that was verified, or not looked at; 0 is bad
Flow = tuple[str, int, str, int]


@dataclass(frozen=True)
class Segment:
    """A line of tshark's."""

    time: float
    flow: Flow
    sequence: int
    acknowledged: int
    flags: int
    payload: bytes
    checksums_good: bool
    acknowledges_unseen: bool
    is_retransmission: bool
    is_probe: bool

    @property
    def length(self) -> int:
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)

    @property
    def back(self) -> Flow:
        return self.flow[2:] + self.flow[:2]

    def __str__(self) -> str:
        source, source_port, destination, destination_port = self.flow
        text = (
            f"{source}:{source_port} > {destination}:{destination_port} flags {self.flags:#x} seq {self.sequence} ack {self.acknowledged}"
        )
        return f"{time.strftime('%H:%M:%S', time.localtime(self.time))}.{int(self.time % 1 * 1e6):06d} {text} len {len(self.payload)}"


@dataclass(frozen=True)
class Copy:
    """Bytes on their way to the peer, once."""

    time: float
    sequence: int
    length: int
    arrived: bool


def is_before(one: int, other: int) -> bool:
    return (other - one) & 0xFFFFFFFF < 0x80000000 and one != other


def overlap(sequence: int, length: int, copy: Copy) -> bool:
    return is_before(sequence, (copy.sequence + copy.length) & 0xFFFFFFFF) and is_before(copy.sequence, (sequence + length) & 0xFFFFFFFF)


def read(capture: Path) -> list[Segment]:
    options = ["tcp.check_checksum:TRUE", "ip.check_checksum:TRUE", "tcp.desegment_tcp_streams:FALSE"]
    command = [
        "tshark",
        "-n",
        "-r",
        str(capture),
        "-Y",
        "tcp && tcp.flags && !icmp && !icmpv6",  # of a damaged segment tshark may know the ports alone
        "--disable-protocol",
        "http",
        "--disable-protocol",
        "websocket",
    ]
    command += [word for option in options for word in ("-o", option)]
    command += ["-T", "fields", "-E", "separator=;", *(word for field in FIELDS for word in ("-e", field))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [_segment(line.split(";")) for line in done.stdout.splitlines()]


def _segment(values: list[str]) -> Segment:
    at, source, source_port, destination, destination_port, sequence, acknowledged, _, flags, ip_sum, tcp_sum = values[:11]
    written, calculated, unseen, again, keep_alive, probe, payload, source6, destination6 = values[11:]
    # Zero has two forms in this arithmetic, and Linux's own software writes the other one (1 segment of 65,536).
    is_zero = (written, calculated) == ("0xffff", "0x0000")
    return Segment(
        float(at),
        (source or source6, int(source_port), destination or destination6, int(destination_port)),
        int(sequence),
        int(acknowledged or 0),
        int(flags, 16),
        bytes.fromhex(payload),
        (ip_sum in GOOD or bool(source6)) and (tcp_sum in GOOD or is_zero),  # the header of IPv6 has no checksum
        bool(unseen),
        bool(again),
        bool(keep_alive or probe),
    )


class Leg:
    """What one peer saw, and what its cable did."""

    def __init__(self, peer: str, segments: list[Segment], events: Iterable[Event]) -> None:
        self.peer = peer
        self.ours = [segment for segment in segments if segment.flow[0] != peer]
        self.peers = [segment for segment in segments if segment.flow[0] == peer]
        self.events: dict[Flow, list[Event]] = defaultdict(list)
        for event in events:
            self.events[(event.source, event.source_port, event.destination, event.destination_port)].append(event)
        self.corrupted = [event.time for some in self.events.values() for event in some if event.what == "corrupt" and event.source != peer]
        self.copies: dict[Flow, list[Copy]] = defaultdict(list)
        for segment in self.ours:
            if segment.length:
                self.copies[segment.flow].append(Copy(segment.time, segment.sequence, segment.length, segment.checksums_good))
        for flow, some in self.events.items():
            if flow[0] != peer:
                for event in some:
                    length = event.length + bool(event.flags & SYN) + bool(event.flags & FIN)
                    if event.what == "lose" and length:
                        self.copies[flow].append(Copy(event.time, event.sequence, length, False))
        for copies in self.copies.values():
            copies.sort(key=lambda copy: copy.time)

    def happened(self, what: str, flow: Flow, sequence: int, acknowledged: int, length: int) -> int:
        """How often the wire did that to such a segment."""
        return sum(
            event.what == what and (event.sequence, event.acknowledged, event.length) == (sequence, acknowledged, length)
            for event in self.events.get(flow, [])
        )

    def was_corrupted(self, segment: Segment) -> bool:
        """Whether the wire changed a frame toward the peer just then: its own fields may be what was changed."""
        return any(abs(at - segment.time) < 0.05 for at in self.corrupted)

    def faults(self, others: list[Leg]) -> Iterator[str]:
        repeated: dict[tuple[Flow, int, int, int], int] = defaultdict(int)
        for segment in self.ours:
            if not segment.checksums_good:
                if not self.was_corrupted(segment):
                    yield f"seen by {self.peer}: a bad checksum: {segment}"
                continue
            if segment.acknowledges_unseen:
                yield f"seen by {self.peer}: an acknowledgement of what it never sent: {segment}"
            key = (segment.flow, segment.sequence, segment.acknowledged, len(segment.payload))
            repeated[key] += 1
            if not segment.is_retransmission or segment.is_probe or not segment.length:
                continue
            if repeated[key] > 1 and repeated[key] - 1 <= self.happened("repeat", *key):
                continue  # the wire's copy
            if (why := self.unexplained(segment, others)) is not None:
                yield f"seen by {self.peer}: a retransmission that nothing explains ({why}): {segment}"

    def unexplained(self, segment: Segment, others: list[Leg]) -> str | None:
        """Why there was no reason to send it again; None if there was."""
        before = [
            copy
            for copy in self.copies[segment.flow]
            if copy.time < segment.time - 1e-5 and overlap(segment.sequence, segment.length, copy)
        ]
        if not before or not before[-1].arrived:
            return None
        end = (segment.sequence + segment.length) & 0xFFFFFFFF
        heard = [
            answer
            for answer in self.peers
            if answer.flow == segment.back
            and before[-1].time <= answer.time < segment.time - CROSSING
            and not is_before(answer.acknowledged, end)
            and not self.happened("lose", answer.flow, answer.sequence, answer.acknowledged, len(answer.payload))
            and not self.happened("corrupt", answer.flow, answer.sequence, answer.acknowledged, len(answer.payload))
        ]
        if not heard:
            return None
        # What goes end to end is sent again when the other end sends it again.
        sent = sum(leg.sent_by_peer(segment) for leg in others)
        if sent > sum(copy.sequence == segment.sequence for copy in before):
            return None
        return f"acknowledged {segment.time - heard[0].time:.3f} s before"

    def sent_by_peer(self, segment: Segment) -> int:
        """How often this peer had sent these bytes by then."""
        start = segment.payload[:64]
        if not start:
            return (
                sum(bool(one.flags & FIN) and segment.time - 2 < one.time <= segment.time for one in self.peers)
                if segment.flags & FIN
                else 0
            )
        return sum(start in one.payload for one in self.peers if one.time <= segment.time)

    def retransmissions(self, of: list[Segment]) -> int:
        return sum(one.is_retransmission and not one.is_probe for one in of)

    def summary(self) -> str:
        done: dict[str, int] = defaultdict(int)
        for events in self.events.values():
            for event in events:
                done[event.what] += 1
        wire = ", ".join(f"{what} {count}" for what, count in sorted(done.items())) or "nothing"
        ours, peers = self.retransmissions(self.ours), self.retransmissions(self.peers)
        return f"{self.peer}: {len(self.ours)} from us ({ours} again), {len(self.peers)} from it ({peers} again); its wire: {wire}"


class Captures:
    """A tcpdump on each peer."""

    def __init__(self, folder: Path, cables: dict[str, BadCable]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.cables = cables
        self.files = {address: folder / f"{cable.cable}.pcap" for address, cable in cables.items()}
        self._dumps: list[Process] = []
        for address, cable in cables.items():
            log = folder / f"{cable.cable}-tcpdump.log"
            log.unlink(missing_ok=True)
            command: list[str | Path] = [
                "tcpdump",
                "-i",
                "eth0",
                "-n",
                "-s",
                "0",
                "-B",
                "32768",
                "-Z",
                "root",
                "-w",
                self.files[address],
                "tcp",
            ]
            dump = Process(cable.cable, command, log)
            self._dumps.append(dump)
            dump.until(lambda log=log: "listening on" in log.read_text(), "tcpdump to listen", 5)  # type: ignore[misc]

    def stop(self) -> None:
        for dump in self._dumps:
            if dump.running:
                dump.signal(SIGINT)
                dump.wait(5)
            assert "\n0 packets dropped by kernel" in dump.log.read_text(), f"tcpdump missed frames:\n{dump.log_end()}"

    def judge(self) -> list[str]:
        """What is wrong with what we sent."""
        legs = [Leg(address, read(file), self.cables[address].events) for address, file in self.files.items()]
        for leg in legs:
            print(leg.summary())
            assert leg.ours and leg.peers, f"nothing was seen by {leg.peer}"
        return [fault for leg in legs for fault in leg.faults([other for other in legs if other is not leg])]


@contextmanager
def watched(folder: Path, cables: dict[str, BadCable]) -> Iterator[None]:
    """Wires and captures for the block; afterwards tshark's verdict must be clean."""
    with ExitStack() as stack:
        stack.enter_context(kept(folder))
        for cable in cables.values():
            stack.enter_context(cable)
        captures = Captures(folder, cables)
        try:
            yield
            time.sleep(0.3)  # what is on its way
        finally:
            captures.stop()
        faults = captures.judge()
        assert not faults, "\n".join([f"{len(faults)} faults (SLUICE_CAPTURES=DIR keeps the captures):", *faults[:20]])


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Where SLUICE_CAPTURES says so, what a failing test leaves is kept."""
    try:
        yield
    except BaseException:
        if keep := os.environ.get("SLUICE_CAPTURES"):
            shutil.copytree(folder, Path(keep) / folder.name, dirs_exist_ok=True)
        raise
