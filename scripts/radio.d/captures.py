"""Capture files of Ethernet frames with IPv4 packets, as tcpdump writes them (pcap, little-endian, microseconds)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MAGIC, ETHERNET, LINK_HEADER = 0xA1B2C3D4, 1, 14


@dataclass(frozen=True)
class Packet:
    """A frame; `at` is in microseconds, since 1970 or since any other instant."""

    at: int
    frame: bytes

    @property
    def source(self) -> str:
        return str(ipaddress.IPv4Address(self.frame[LINK_HEADER + 12 : LINK_HEADER + 16]))

    @property
    def length(self) -> int:
        """Bytes of the IP packet."""
        return int(struct.unpack_from("!H", self.frame, LINK_HEADER + 2)[0])


def read(path: Path) -> list[Packet]:
    content = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", content)
    if (magic, link) != (MAGIC, ETHERNET):
        raise ValueError(f"{path} is no capture of Ethernet frames in pcap's usual form")
    packets, offset = [], 24
    while offset < len(content):
        seconds, micro, kept, _ = struct.unpack_from("<IIII", content, offset)
        offset += 16
        packets.append(Packet(seconds * 1_000_000 + micro, content[offset : offset + kept]))
        offset += kept
    return packets


def write(path: Path, packets: Iterable[Packet]) -> None:
    parts = [struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, 65535, ETHERNET)]
    for packet in packets:
        seconds, micro = divmod(packet.at, 1_000_000)
        parts.append(struct.pack("<IIII", seconds, micro, len(packet.frame), len(packet.frame)) + packet.frame)
    path.write_bytes(b"".join(parts))
