"""Frames that no kernel would send."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable
from typing import Any

from sluicelab.namespaces import inside

PACKET_IPV4, PACKET_ARP = 0x0800, 0x0806
SYN, ACK, FIN, RST, PUSH, URGENT = 0x02, 0x10, 0x01, 0x04, 0x08, 0x20


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def hardware_address(address: str) -> bytes:
    """The lab's hosts have hardware addresses that follow from their IPv4 addresses."""
    return b"\x02\x00" + socket.inet_aton(address)


def ethernet(to: str, sender: str, payload: bytes, kind: int = PACKET_IPV4) -> bytes:
    return hardware_address(to) + hardware_address(sender) + struct.pack("!H", kind) + payload


def ipv4(
    source: str, destination: str, payload: bytes, protocol: int = 6, fragment: int = 0, length: int | None = None, words: int = 5
) -> bytes:
    total = 20 + len(payload) if length is None else length
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x40 | words, 0, total, 1, fragment, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(destination)
    )
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp(
    source: str,
    destination: str,
    source_port: int,
    port: int,
    flags: int,
    sequence: int = 1,
    acknowledged: int = 0,
    payload: bytes = b"",
    words: int = 5,
    wrong_checksum: bool = False,
    options: bytes = b"",
) -> bytes:
    words += len(options) // 4
    head = struct.pack("!HHIIBBHHH", source_port, port, sequence, acknowledged, words << 4, flags, 65535, 0, 0) + options
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, 6, len(head) + len(payload))
    value = checksum(pseudo + head + payload) ^ (0x5555 if wrong_checksum else 0)
    return head[:16] + struct.pack("!H", value) + head[18:] + payload


def send(frames: list[bytes], host: str = "client1", interface: str = "eth0") -> None:
    with inside(host):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with sender:
            sender.bind((interface, 0))
            for frame in frames:
                sender.send(frame)


def garbage(client: str, gateway: str, service: str, port: int, seed: int, count: int) -> list[bytes]:
    """Frames to the service's address, most of them wrong in one way or another; none belongs to a real connection."""
    chance = random.Random(seed)

    def segment(flags: int = ACK, **how: Any) -> bytes:
        numbers: dict[str, Any] = {"sequence": chance.getrandbits(32), "acknowledged": chance.getrandbits(32)}
        return tcp(client, service, chance.randrange(1024, 32000), port, flags, **numbers, **how)

    def frame(payload: bytes, **how: Any) -> bytes:
        return ethernet(gateway, client, ipv4(client, service, payload, **how))

    def noise() -> bytes:
        return chance.randbytes(chance.randrange(0, 200))

    kinds: list[Callable[[], bytes]] = [
        lambda: ethernet(gateway, client, noise()),  # not IPv4 at all
        lambda: ethernet(gateway, client, noise(), kind=PACKET_ARP),
        lambda: ethernet(gateway, client, b"\x45"),
        lambda: frame(noise()),  # not TCP
        lambda: frame(noise(), protocol=17),
        lambda: frame(segment(wrong_checksum=True, payload=noise())),
        lambda: frame(segment(chance.randrange(0, 64), payload=noise())),
        lambda: frame(segment(SYN | FIN)),
        lambda: frame(segment(FIN | PUSH | URGENT)),
        lambda: frame(segment(0)),
        lambda: frame(segment(words=chance.randrange(0, 5))),  # a header shorter than a header
        lambda: frame(segment()[: chance.randrange(0, 20)]),  # cut short
        lambda: frame(segment(words=15)),  # options beyond the end
        lambda: frame(segment(SYN, options=b"\x02\x00" + chance.randbytes(2))),  # an option of length 0
        lambda: frame(segment(payload=noise()), fragment=0x2000),
        lambda: frame(segment(payload=noise()), fragment=100),
        lambda: frame(segment(payload=noise()), length=chance.randrange(0, 65536)),
        lambda: frame(segment(payload=noise()), words=chance.randrange(0, 16)),
        lambda: frame(segment(SYN), length=20),
    ]
    return [chance.choice(kinds)() for _ in range(count)]
