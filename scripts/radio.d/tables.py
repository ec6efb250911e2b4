"""The tables of docs/radio.md. Each stands between `<!-- radio: NAME -->` and `<!-- /radio -->`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from days import KINDS, MESSAGES
from exchanges import NAMES, Exchange
from measure import IDLE_DAY, NETWORKS, STATES, Days, Measured


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def exchanges_table(exchanges: Mapping[str, Exchange]) -> str:
    rows = []
    for name, what in NAMES.items():
        up, down = exchanges[name].sizes(True), exchanges[name].sizes(False)
        rows.append([f"`{name}`", what, *(f"{len(sizes)} ({sum(sizes)})" for sizes in (up, down)), f"{max(up + down)}"])
    lines = ["| exchange | what | up: packets (bytes) | down: packets (bytes) | largest packet |", "|---|---|---:|---:|---:|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def day_table(measured: Sequence[Measured]) -> str:
    head = [
        "",
        "units a day",
        "times IDLE",
        *(f"{state.upper()} s" for state in STATES),
        "promotions",
        "of them from IDLE",
        "packets",
        "bytes",
    ]
    rows = [
        [
            kind.name,
            f"{one.units:,.0f}",
            f"{one.units / IDLE_DAY:.2f}",
            *(f"{one.seconds(state):,.0f}" for state in STATES),
            f"{one.promotions:,}",
            f"{one.from_idle:,}",
            f"{one.packets:,}",
            f"{one.bytes:,}",
        ]
        for kind, one in zip(KINDS, measured)
    ]
    return table(head, rows)


def networks_table(days: Days) -> str:
    rows = []
    for name, options in NETWORKS:
        cells = []
        for kind in KINDS:
            idle, busy = (days.measure(kind, has_messages, *options).units / IDLE_DAY for has_messages in (False, True))
            cells.append(f"{idle:.2f} / {busy:.2f}")
        rows.append([name, *cells])
    return table(["", *(f"`{kind.key}`" for kind in KINDS)], rows)


def blocks(days: Days, exchanges: Mapping[str, Exchange], idle: Sequence[Measured], busy: Sequence[Measured]) -> dict[str, str]:
    """The tables by name."""
    return {
        "exchanges": exchanges_table(exchanges),
        "idle-day": day_table(idle),
        f"{len(MESSAGES)}-messages": day_table(busy),
        "networks": networks_table(days),
    }


def fill(text: str, tables: Mapping[str, str]) -> str:
    """The text with its tables replaced.

    Raises ValueError when one has no place, or a place no table.
    """
    places = set(re.findall(r"<!-- radio: (\S+) -->\n", text))
    if places != set(tables):
        raise ValueError(f"docs/radio.md has places for {sorted(places)}, and the tables are {sorted(tables)}")
    for name, content in tables.items():
        begin, end = f"<!-- radio: {name} -->\n", "<!-- /radio -->"
        if text.count(begin) != 1 or end not in text[text.index(begin) :]:
            raise ValueError(f"docs/radio.md must have one place for the table {name}, from {begin.strip()} to {end}")
        before, after = text.split(begin)
        text = before + begin + content + "\n" + after[after.index(end) :]
    return text
