"""The tables of README.md and docs/performance.md, in Markdown, from a report's JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .cases import PROCESSOR, RATE
from .page import columns, ratio, wish

Case = dict[str, Any]
MAIN = ("small", "1k", "64k", "1m", "new-connection")


def rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(line) + " |" for line in (head, *body)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def _ratio(case: Case, to: str, figure: str) -> str:
    one = case["ratios"].get(f"sluice/{to}", {}).get(figure)
    return ratio(one) if one else "-"


def ratios(run: dict[str, Any]) -> str:
    """sluice beside HAProxy and the forwarder, by both figures: the table of README.md."""
    head = ["case", "requests/s, HAProxy = 1", "forwarder = 1", "CPU per request, HAProxy = 1", "forwarder = 1", "what is wanted"]
    body = [
        [
            case["title"],
            *(_ratio(case, to, figure) for figure in (RATE, PROCESSOR) for to in ("haproxy", "forwarder")),
            case["verdict"]["text"],
        ]
        for case in run["cases"]
        if case["name"] in MAIN and "sluice" in case["contenders"]
    ]
    return rows(head, body)


def contenders(run: dict[str, Any]) -> str:
    """Medians of everybody: requests a second, and CPU us per request."""
    cases = [case for case in run["cases"] if case["name"] in MAIN]
    names = list(dict.fromkeys(name for case in cases for name in case["contenders"]))
    body = []
    for name in names:
        cells = []
        for case in cases:
            turn = case["medians"].get(name)
            own = "-" if turn is None else "kernel" if turn[PROCESSOR] is None else f"{turn[PROCESSOR]:,.1f} us"
            cells.append("-" if turn is None else f"{turn[RATE]:,.0f} / {own}")
        body.append([name, *cells])
    return rows(["requests/s / CPU of each", *(case["name"] for case in cases)], body)


def wanted(run: dict[str, Any]) -> str:
    """Everything that was wanted or hoped for."""
    body = []
    for case in run["cases"]:
        for want in case["wanted"]:
            figure, _, result = wish(want).rpartition(": ")
            body.append([case["name"], figure, result, ratio(want["got"]) if want["to"] else "-"])
    return rows(["case", "what", "got", "median, and half of the rounds"], body)


def further(run: dict[str, Any]) -> str:
    """Medians of the other cases, a table each."""
    parts = []
    for case in run["cases"]:
        if case["name"] in MAIN:
            continue
        shown = columns(case)
        body = [[name, *(column.cell(case["medians"][name]) for column in shown)] for name in case["contenders"]]
        parts.append(f"`{case['name']}`: {case['title']}\n\n{rows(['median', *(column.title for column in shown)], body)}")
    return "\n\n".join(parts)


PARTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "ratios": ratios,
    "contenders": contenders,
    "wanted": wanted,
    "further": further,
}


def markdown(run: dict[str, Any], part: str | None = None) -> str:
    """One of the tables, or all with their names."""
    if part:
        return PARTS[part](run)
    return "\n\n".join(f"### {name}\n\n{make(run)}" for name, make in PARTS.items())
