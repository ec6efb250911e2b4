"""The model: what devices and messages take, from constants that are fitted to the measured points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .measured import Measured, Point, batches

POST_PACKETS = 4  # that the dispatcher sees of a POST on a kept connection: request and answer, and an acknowledgement of each
DAY = 86_400


@dataclass(frozen=True)
class Wanted:
    """A deployment that is asked for."""

    devices: int = 1_000_000
    messages: float = 12_600  # a second, each to one device
    size: int = 100  # bytes of a message
    ping: float = 240  # seconds; 0: no pings
    loss: float = 0  # of packets, in percent
    reconnects: float = 4  # of each device, a day
    load: float = 0.7  # share of a processor that may be used in the mean
    workers: int = 8  # of a store, that is of one data directory
    devices_per_worker: int = 0  # 0: as measured, what 20,000 descriptors allow


@dataclass(frozen=True)
class Law:
    """What a store's workers use: so much for each message, and so much for each batch of them that is made durable together."""

    message_us: float
    batch_us: float

    def processors(self, workers: int, rate: float) -> float:
        return (self.message_us * rate + self.batch_us * batches(workers, rate)) / 1e6

    def error(self, point: Point) -> float:
        """How far above (below 0: below) what was measured, as a part of it."""
        return self.processors(point.workers, point.rate) / point.processors - 1


def fit(points: Sequence[Point]) -> Law:
    """Least squares of the relative errors."""
    rows = [(point.rate / point.processors, point.batches / point.processors) for point in points]
    xx, xy, yy = (sum(a * b for a, b in pairs) for pairs in _products(rows))
    x, y = (sum(row[place] for row in rows) for place in (0, 1))
    determinant = xx * yy - xy * xy
    return Law(1e6 * (x * yy - y * xy) / determinant, 1e6 * (xx * y - xy * x) / determinant)


def _products(rows: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    return [[(row[first], row[second]) for row in rows] for first, second in ((0, 0), (0, 1), (1, 1))]


@dataclass(frozen=True)
class Needs:
    """What a deployment takes."""

    stores: int
    workers: int
    store_rate: float
    durable_writes: float  # a second, of all stores, at most
    worker_processors: float  # used in the mean
    worker_us: float  # of that, for each message
    worker_memory: float  # bytes, of the processes
    dispatchers: int
    dispatcher_processors: float
    dispatcher_us: float
    dispatcher_memory: float
    packets: float  # a second, that all dispatchers see
    up_mbit: float  # from the devices
    down_mbit: float
    ping_mbit: float  # of both
    processors: int  # to provide


class Model:
    def __init__(self, measured: Measured) -> None:
        self.measured = measured
        # Several workers share processors and hand messages to each other, and each batch has all of them awake: both cost more.
        self.alone = fit([point for point in measured.points if point.workers == 1])
        self.together = fit([point for point in measured.points if point.workers > 1])
        # What a batch has written the dispatcher has at once, and wakes up for it once.
        through = [
            replace(point, processors=point.rate * point.dispatcher_us / 1e6)
            for point in measured.points
            if point.dispatcher_us is not None
        ]
        self.dispatcher = fit(through)
        self.connect_us = max(one.worker_us for one in measured.registered)
        self.dispatcher_connect_us = max(one.dispatcher_us for one in measured.registered)

    # MARK: Pieces, each of which is held to measured points

    def law(self, workers: int) -> Law:
        return self.alone if workers == 1 else self.together

    def dispatcher_us(self, workers: int, rate: float) -> float:
        """For a message of a store with so many workers and so many messages a second."""
        return 1e6 * self.dispatcher.processors(workers, rate) / max(rate, 1e-9)

    def worker_memory(self, devices: int, workers: int) -> float:
        return workers * self.measured.worker_bytes + devices * self.measured.device_bytes

    def packets_of(self, exchange: str) -> int:
        one = self.measured.exchanges[exchange]
        return one.up_packets + one.down_packets

    def packet_us(self, workers: int, rate: float) -> float:
        """Of the dispatcher, for a packet that it sees: what a message takes there, divided by its packets."""
        return self.dispatcher_us(workers, rate) / (POST_PACKETS + self.packets_of("message"))

    # MARK: The whole

    def needs(self, wanted: Wanted) -> Needs:
        measured = self.measured
        per_worker = wanted.devices_per_worker or measured.devices_per_process
        by_devices = math.ceil(wanted.devices / (wanted.workers * per_worker))
        by_messages = math.ceil(wanted.messages / measured.held(wanted.workers))
        stores = max(by_devices, by_messages, 1)
        rate, connects = wanted.messages / stores, wanted.devices * wanted.reconnects / DAY
        pings = wanted.devices / wanted.ping if wanted.ping else 0.0
        again = 1 / (1 - wanted.loss / 100)  # what is lost is sent once more, and may be lost again
        messages_only = stores * self.law(wanted.workers).processors(wanted.workers, rate)
        worker = messages_only + connects * self.connect_us / 1e6
        # Beyond the hundred bytes of the messages that were measured each byte passes twice: on its way in, and out.
        longer = max(wanted.size - 100, 0)
        message_us = again * (self.dispatcher_us(wanted.workers, rate) + 2 * longer * measured.bulk_ns_per_byte / 1000)
        packets = again * (
            wanted.messages * (POST_PACKETS + self.packets_of("message"))
            + pings * self.packets_of("ping")
            + connects * self.packets_of("connect")
        )
        ping_us = again * pings * self.packets_of("ping") * self.packet_us(wanted.workers, rate)
        dispatcher = (wanted.messages * message_us + ping_us + connects * self.dispatcher_connect_us) / 1e6
        dispatchers = max(math.ceil(wanted.devices / measured.most_tunnels), math.ceil(dispatcher / wanted.load))
        up, down = (again * 8e-6 * self._bytes(wanted, pings, connects, side) for side in ("up_bytes", "down_bytes"))
        return Needs(
            stores=stores,
            workers=stores * wanted.workers,
            store_rate=rate,
            durable_writes=stores * batches(wanted.workers, rate),
            worker_processors=worker,
            worker_us=1e6 * messages_only / max(wanted.messages, 1e-9),
            worker_memory=self.worker_memory(wanted.devices, stores * wanted.workers),
            dispatchers=dispatchers,
            dispatcher_processors=dispatcher,
            dispatcher_us=message_us,
            dispatcher_memory=wanted.devices * measured.tunnel_bytes,
            packets=packets,
            up_mbit=up,
            down_mbit=down,
            ping_mbit=again * 8e-6 * pings * (measured.exchanges["ping"].up_bytes + measured.exchanges["ping"].down_bytes),
            processors=math.ceil(worker / wanted.load) + math.ceil(dispatcher / wanted.load),
        )

    def _bytes(self, wanted: Wanted, pings: float, connects: float, side: str) -> float:
        """A second, to or from the devices."""
        of: Callable[[str], float] = lambda name: float(getattr(self.measured.exchanges[name], side))
        longer = max(wanted.size - 100, 0) if side == "down_bytes" else 0
        return pings * of("ping") + wanted.messages * (of("message") + longer) + connects * of("connect")
