"""The recorded exchanges between a device and a worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import captures

RECORDED = Path(__file__).resolve().parent / "recorded"
DEVICE, SERVER = "127.0.0.2", "127.0.0.1"

NAMES = {
    "connect": "TCP and WebSocket opened, registerUA and its answer",
    "ping": "the server's ping and the device's pong",
    "message": "a notification and its ack on an open WebSocket",
    "register": "as connect, of a device that can be woken: registerUA says where",
    "close": "the server closes the WebSocket after ten idle seconds (code 4774)",
    "wake": "the datagram that wakes the device",
    "fetch": "as register, and the notification that waited, and its ack",
}


@dataclass(frozen=True)
class Exchange:
    name: str
    packets: list[captures.Packet]  # in microseconds since the first of them

    def sizes(self, up: bool) -> list[int]:
        """Bytes of the IP packets of one direction."""
        return [packet.length for packet in self.packets if (packet.source == DEVICE) == up]


def recorded() -> dict[str, Exchange]:
    return {name: Exchange(name, captures.read(RECORDED / f"{name}.pcap")) for name in NAMES}
