"""Days of a device, laid out from the recorded exchanges. Only times, sizes and directions mean anything in their captures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import captures
from exchanges import DEVICE, Exchange

SECOND = 1_000_000
DAY = 86_400 * SECOND
BEGIN = int(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()) * SECOND
ROUND_TRIP = SECOND // 5  # of a 3G network: what comes down because of what went up comes so much later
SOCKET_IDLE = 10 * SECOND  # after which the server closes the WebSocket of a device that it will wake

# 20 messages, one every 48 minutes from 7:05 on: none falls on a reconnection of every half hour.
MESSAGES = tuple((7 * 60 + 5 + 48 * number) * 60 * SECOND for number in range(20))


@dataclass(frozen=True)
class Kind:
    """A way to stay reachable."""

    key: str
    name: str
    label: str  # in charts
    ping: int | None = None  # seconds of silence after which the server pings
    reconnect: int | None = None  # seconds after which the device opens its connection anew
    wakes: bool = False  # no connection: the device is woken by a datagram


KINDS = (
    Kind("ping-60", "WebSocket, ping every 60 s", "WebSocket, ping every 60 s", ping=60),
    Kind("ping-240", "WebSocket, ping every 240 s (the worker's default)", "WebSocket, ping every 240 s", ping=240),
    Kind("reconnect-1800", "WebSocket without pings, opened anew every 30 min", "WebSocket, opened every 30 min", reconnect=1800),
    Kind("no-ping", "WebSocket without pings, never cut off", "WebSocket, never cut off"),
    Kind("wake-up", "UDP wake-up", "UDP wake-up", wakes=True),
)


class Day:
    def __init__(self, exchanges: Mapping[str, Exchange]) -> None:
        self.exchanges = exchanges
        self.packets: list[captures.Packet] = []
        self.latest_up = 0  # when the device last sent something

    def put(self, name: str, at: int) -> int:
        """Lays out an exchange from `at` on; returns when its last packet is there."""
        shift, latest_up, end = 0, None, at
        for packet in self.exchanges[name].packets:
            end = at + packet.at + shift
            if packet.source == DEVICE:
                latest_up = end
            elif latest_up is not None and end < latest_up + ROUND_TRIP:
                shift += latest_up + ROUND_TRIP - end
                end = latest_up + ROUND_TRIP
            self.packets.append(captures.Packet(BEGIN + end, packet.frame))
        self.latest_up = self.latest_up if latest_up is None else latest_up
        return end


def day(kind: Kind, messages: Sequence[int], exchanges: Mapping[str, Exchange]) -> list[captures.Packet]:
    """A day's packets in order; the device registers at its beginning."""
    laid = Day(exchanges)
    end = laid.put("register" if kind.wakes else "connect", 0)
    if kind.wakes:
        laid.put("close", end + SOCKET_IDLE)
        for message in messages:
            end = laid.put("fetch", laid.put("wake", message))
            laid.put("close", end + SOCKET_IDLE)
        return laid.packets
    waiting = list(messages)
    opened = 0
    while True:
        # What comes next; a ping comes so long after the device was last heard.
        due = [(message, "message") for message in waiting[:1]]
        if kind.ping is not None:
            due.append((laid.latest_up + kind.ping * SECOND, "ping"))
        if kind.reconnect is not None:
            due.append((opened + kind.reconnect * SECOND, "connect"))
        at, name = min(due, default=(DAY, ""))
        if at >= DAY:
            return laid.packets
        end = laid.put(name, max(at, end))
        if name == "message":
            waiting.pop(0)
        if name == "connect":
            opened = at
