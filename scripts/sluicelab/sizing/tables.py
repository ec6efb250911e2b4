"""The tables of a deployment, in Markdown, for the terminal and for docs/performance.md."""

from __future__ import annotations

import re
from dataclasses import replace

from ..bench.tables import rows
from .model import Law, Model, Needs, Wanted

MIB, GIB = 1 << 20, 1 << 30
MARKED = re.compile(r"(<!-- sizing: ([^>]*?) -->\n).*?(<!-- /sizing -->)", re.DOTALL)


def _memory(amount: float) -> str:
    return f"{amount / GIB:,.1f} GiB" if amount >= GIB else f"{amount / MIB:,.0f} MiB"


def needs(model: Model, wanted: Wanted) -> str:
    """What such a deployment takes, beside each other for every number of workers of a store that was measured."""
    counts = model.measured.worker_counts
    found = [model.needs(replace(wanted, workers=count)) for count in counts]

    def row(name: str, cell: str, *fields: str) -> list[str]:
        return [name, *(cell.format(*(getattr(one, field) for field in fields)) for one in found)]

    def memory(name: str, field: str) -> list[str]:
        return [name, *(_memory(getattr(one, field)) for one in found)]

    body = [
        row("stores", "{:,}", "stores"),
        row("workers in all", "{:,}", "workers"),
        row("messages a second in a store", "{:,.0f}", "store_rate"),
        row("workers, us for each message", "{:,.0f}", "worker_us"),
        row("workers, processors used", "{:,.1f}", "worker_processors"),
        memory("workers, memory", "worker_memory"),
        row("durable writes a second, at most", "{:,.0f}", "durable_writes"),
        row("dispatchers' threads", "{:,}", "dispatchers"),
        row("dispatchers, us for each message", "{:,.0f}", "dispatcher_us"),
        row("dispatchers, processors used", "{:,.1f}", "dispatcher_processors"),
        memory("dispatchers, memory of tunnels", "dispatcher_memory"),
        row("packets a second at the dispatchers", "{:,.0f}", "packets"),
        row("devices, Mbit/s up / down", "{:,.0f} / {:,.0f}", "up_mbit", "down_mbit"),
        row("of that pings, Mbit/s", "{:,.1f}", "ping_mbit"),
        row("processors to provide", "{:,}", "processors"),
    ]
    return rows(
        [f"{wanted.devices:,} devices, {wanted.messages:,.0f} messages a second", *(f"{count} to a store" for count in counts)], body
    )


GROWTH: tuple[tuple[str, str, float], ...] = (
    ("as it is", "", 1),
    ("twice the devices", "devices", 2),
    ("twice the messages", "messages", 2),
    ("messages of 4 KiB", "size", 4096 / 100),
    ("messages of 64 KiB", "size", 65536 / 100),
    ("1 % of the packets lost", "loss", 1),
    ("5 % of the packets lost", "loss", 5),
    ("a ping every 60 s", "ping", 0.25),
    ("each device connects anew every hour", "reconnects", 6),
)


def _changed(wanted: Wanted, field: str, factor: float) -> Wanted:
    if field == "loss":
        return replace(wanted, loss=factor)
    if field in ("devices", "size"):
        return replace(wanted, **{field: round(getattr(wanted, field) * factor)})
    return replace(wanted, **{field: getattr(wanted, field) * factor}) if field else wanted


def growth(model: Model, wanted: Wanted) -> str:
    """What a change of each input does to the cost."""
    body = []
    for name, field, factor in GROWTH:
        found: Needs = model.needs(_changed(wanted, field, factor))
        body.append(
            [
                name,
                f"{found.worker_processors:,.1f}",
                f"{found.dispatcher_processors:,.1f}",
                _memory(found.worker_memory),
                _memory(found.dispatcher_memory),
                f"{found.packets:,.0f}",
                f"{found.up_mbit + found.down_mbit:,.0f}",
                f"{found.processors:,}",
            ]
        )
    head = ["", "workers, processors", "dispatchers", "workers, memory", "dispatchers", "packets/s", "devices, Mbit/s", "to provide"]
    return rows(head, body)


def checks(model: Model) -> str:
    """The model beside every point that was measured."""
    body = []
    for point in model.measured.points:
        made = model.law(point.workers).processors(point.workers, point.rate)
        where = f"{point.workers} worker{'s' if point.workers > 1 else ''}, {point.rate:,.0f} a second"
        body.append([f"{where}: workers, us", *_beside(1e6 * point.processors / point.rate, 1e6 * made / point.rate), point.report])
        if point.dispatcher_us is not None:
            body.append(
                [f"{where}: dispatcher, us", *_beside(point.dispatcher_us, model.dispatcher_us(point.workers, point.rate)), point.report]
            )
    for one in model.measured.registered:
        where = f"{one.devices:,} devices, {one.workers} workers"
        measured, made = one.worker_bytes / MIB, model.worker_memory(one.devices, one.workers) / MIB
        body.append([f"{where}: workers, MiB", *_beside(measured, made), one.report])
        body.append([f"{where}: dispatcher, bytes a tunnel", *_beside(one.tunnel_bytes, model.measured.tunnel_bytes), one.report])
    return rows(["point", "measured", "model", "error", "report"], body)


def _beside(measured: float, made: float) -> list[str]:
    return [f"{measured:,.0f}", f"{made:,.0f}", f"{made / measured - 1:+.0%}"]


def _law(law: Law) -> str:
    return f"{law.message_us:,.0f} and {law.batch_us:,.0f} us"


def constants(model: Model) -> str:
    measured = model.measured
    body = [
        ["a worker alone, for each message and each batch", _law(model.alone)],
        ["several workers on 2 processors, for each message and each batch of one", _law(model.together)],
        ["workers, for each device that connects and registers", f"{model.connect_us:,.0f} us"],
        ["dispatcher, for each message and each batch of a store", _law(model.dispatcher)],
        ["dispatcher, for each device that connects and registers", f"{model.dispatcher_connect_us:,.0f} us"],
        ["dispatcher, for each byte of long answers", f"{measured.bulk_ns_per_byte:.2f} ns"],
        ["memory of a worker with a hundred devices", f"{measured.worker_bytes / MIB:,.1f} MiB"],
        ["memory of a worker for each device more", f"{measured.device_bytes:,.0f} bytes"],
        ["memory of the dispatcher for each tunnel", f"{measured.tunnel_bytes:,.0f} bytes"],
        ["devices of a worker", f"{measured.devices_per_process:,}"],
        *([f"messages a second that a store with {count} held", f"{measured.held(count):,.0f}"] for count in measured.worker_counts),
    ]
    return rows(["constant", "from the reports"], body)


MILLION, HUNDRED_MILLION = Wanted(), Wanted(devices=100_000_000, messages=1_260_000)


def marked(model: Model) -> dict[str, str]:
    """The tables of docs/performance.md, by the names of their marks."""
    return {
        "constants": constants(model),
        "checks": checks(model),
        "million": needs(model, MILLION),
        "hundred million": needs(model, HUNDRED_MILLION),
        "growth": growth(model, MILLION),
    }


def written(text: str, model: Model) -> str:
    """The document with its tables as they are to be."""
    tables = marked(model)
    return MARKED.sub(lambda found: f"{found[1]}{tables[found[2]]}\n{found[3]}", text)
