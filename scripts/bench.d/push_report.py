"""The report of `scripts/bench push`: JSON, an HTML page, a table for the terminal."""

from __future__ import annotations

import html
import json
import os
import time
from pathlib import Path
from typing import Any

from sluicelab.bench import report, report_html
from sluicelab.push.profile import FUNCTIONS, Part, by_binary, by_thread

SYNCS = 50


def sync_ms(folder: Path) -> float:
    """What the disk takes to make 4 KiB durable, median, in ms."""
    times = []
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(SYNCS):
            os.write(descriptor, bytes(4096))
            begin = time.perf_counter()
            os.fdatasync(descriptor)
            times.append(1000 * (time.perf_counter() - begin))
    finally:
        os.close(descriptor)
    return round(sorted(times)[SYNCS // 2], 3)


def machine(folder: Path) -> dict[str, Any]:
    found = report.machine()
    for peer in ("haproxy", "nginx", "nft", "wrk"):
        del found[peer]
    return {**found, "openssl": report.first_line("openssl", "version"), "fdatasync_ms": sync_ms(folder)}


def _milliseconds(summary: dict[str, float] | None, name: str) -> str:
    return f"{summary[name]:,.1f}" if summary else "-"


def _step_cells(step: dict[str, Any]) -> list[str]:
    return [
        f"{step['rate']:,.0f}",
        f"{step['answers'].get('200', 0):,} of {step['messages']:,}",
        *(_milliseconds(step["answer"], name) for name in ("p50", "p99")),
        *(_milliseconds(step["delivery"], name) for name in ("p50", "p99", "p999")),
        _milliseconds(step["lateness"], "p99"),
        f"{step['worker_us_each']:,.0f}",
        f"{step['worker_busy']:.0%}",
        f"{step['swarm_busy']:.0%}",
        "yes" if step["held"] else "no",
    ]


STEP_NAMES = [
    "a second",
    "accepted",
    "200 p50",
    "200 p99",
    "ack p50",
    "ack p99",
    "ack p99.9",
    "late p99",
    "us each",
    "worker",
    "swarm",
    "held",
]


def table(run: dict[str, Any]) -> str:
    """The steps of the messages."""
    steps = run["cases"].get("messages", {}).get("steps", [])
    if not steps:
        return ""
    rows = [STEP_NAMES, *(_step_cells(step) for step in steps)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(STEP_NAMES))]
    lines = ["messages: latencies in ms from when a message was due; worker and swarm: share of their processor"]
    return "\n".join(lines + ["  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows])


def _messages(run: dict[str, Any]) -> str:
    found = run["cases"].get("messages")
    if not found:
        return ""
    text = "<h2>Messages</h2>\n<p>Milliseconds from when a message was due. Late: when the generator wrote it. us each: processor\n"
    text += "time of the worker for each message. Worker, swarm: share of their processor.</p>\n"
    text += report_html.table(STEP_NAMES, [[html.escape(cell) for cell in _step_cells(step)] for step in found["steps"]])
    if not found["profile"]:
        return text
    parts = [Part(**part) for part in found["profile"]]
    threads = [[f"{part.share:.1%}", html.escape(part.thread)] for part in by_thread(parts)]
    binaries = [[f"{part.share:.1%}", html.escape(part.binary)] for part in by_binary(parts)]
    functions = [
        [f"{part.share:.1%}", html.escape(part.thread), html.escape(part.binary), html.escape(part.function)] for part in parts[:FUNCTIONS]
    ]
    text += "\n<h2>What the worker does meanwhile</h2>\n" + report_html.table(["of the samples", "thread"], threads)
    text += "\n" + report_html.table(["of the samples", "binary"], binaries)
    return text + "\n" + report_html.table(["of the samples", "thread", "binary", "function"], functions)


def _between(run: dict[str, Any]) -> str:
    found = run["cases"].get("between")
    if not found:
        return ""
    cells = [
        [
            f"{step['rate']:,.0f}",
            f"{step['answers'].get('200', 0):,} of {step['messages']:,}",
            *(_milliseconds(step["delivery"], name) for name in ("p50", "p99", "p999")),
            f"{step['workers_us_each']:,.0f}",
        ]
        for step in found["steps"]
    ]
    text = "<h2>Between two workers</h2>\n<p>Posted at one worker, devices at another of the same directory; milliseconds from when\n"
    text += "a message was due; us each: processor time of both workers for each message.</p>\n"
    return text + report_html.table(["a second", "accepted", "ack p50", "ack p99", "ack p99.9", "us each"], cells)


def page(run: dict[str, Any]) -> str:
    facts = {**run["machine"], **run["settings"], "time": run["time"], "seconds": run["seconds"]}
    listed = "".join(f"<li>{html.escape(key)}: {html.escape(str(value))}</li>" for key, value in facts.items())
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice: push workers</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em; max-width: 76em }} table {{ border-collapse: collapse; margin: 1em 0 }}
td, th {{ padding: .2em .7em; text-align: right; border-bottom: 1px solid #ccc }} td:first-child, th:first-child {{ text-align: left }}
</style>
<h1>Push workers</h1>
<p>One worker on one processor, all clients on another, on loopback. Messages are signed with RSA keys of 2048 bits and durable before
they are answered.</p>
{report_html.figures(run)}
{_messages(run)}
{_between(run)}
<h2>The run</h2>
<ul>{listed}</ul>
</html>
"""


def write(folder: Path, run: dict[str, Any]) -> Path:
    """Both files; the path of the JSON one."""
    folder.mkdir(exist_ok=True)
    path = folder / f"push-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.write_text(json.dumps(run, indent=1) + "\n")
    path.with_suffix(".html").write_text(page(run))
    return path
