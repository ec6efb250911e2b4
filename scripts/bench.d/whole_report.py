"""The report of `scripts/bench whole`: JSON, an HTML page with charts, a table for the terminal."""

from __future__ import annotations

import html
import json
import math
import time
from pathlib import Path
from typing import Any

from sluicelab.bench import report_html
from sluicelab.bench.lines import COLOURS, Line, chart, legend

NAMES = [
    "a second",
    "accepted",
    "200 p50",
    "200 p99",
    "ack p50",
    "ack p99",
    "ack p99.9",
    "late p99",
    "dispatcher us",
    "workers us",
    "busy",
    "held",
]


def _steps(run: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What the devices saw of each rate, and what was used meanwhile."""
    return list(zip(run["found"]["devices"]["steps"], run["found"].get("steps", []), strict=False))


def _milliseconds(summary: dict[str, float] | None, name: str) -> str:
    return f"{summary[name]:,.1f}" if summary else "-"


def cells(step: dict[str, Any], use: dict[str, Any]) -> list[str]:
    return [
        f"{step['rate']:,.0f}",
        f"{step['answers'].get('200', 0):,} of {step['due']:,}",
        *(_milliseconds(step.get("answer"), name) for name in ("p50", "p99")),
        *(_milliseconds(step.get("delivery"), name) for name in ("p50", "p99", "p999")),
        _milliseconds(step.get("lateness"), "p99"),
        f"{use['dispatcher_us']:,.0f}",
        f"{use['workers_us']:,.0f}",
        f"{(use['dispatcher'] + use['workers']) / max(use['time'], 1e-9):.2f}",
        "yes" if step["is_held"] else "no",
    ]


def table(run: dict[str, Any]) -> str:
    """The rates, in the order in which they were tried."""
    rows = [NAMES, *(cells(step, use) for step, use in _steps(run))]
    widths = [max(len(row[place]) for row in rows) for place in range(len(NAMES))]
    lines = ["latencies in ms from when a message was due; busy: processors that dispatcher and workers kept busy"]
    return "\n".join(lines + ["  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows])


def _curve(step: dict[str, Any]) -> list[tuple[float, float]]:
    """Nines across: 1 is 90 %, 2 is 99 %."""
    return [(-math.log10(max(1 - point["percent"] / 100, 1e-5)), point["milliseconds"]) for point in step["curve"]]


def _charts(run: dict[str, Any]) -> str:
    devices = run["found"]["devices"]
    stood = [(point["seconds"], point["count"]) for point in devices["connecting"]["curve"]]
    steps = sorted(devices["steps"], key=lambda step: float(step["rate"]))
    names = [f"{step['rate']:,.0f} a second{'' if step['is_held'] else ' (not held)'}" for step in steps]
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(steps))]
    over_time = [
        Line(name, list(enumerate(map(float, step["delivered_by_second"]))), colour)
        for name, step, colour in zip(names, steps, colours, strict=True)
    ]
    latencies = [Line(name, _curve(step), colour) for name, step, colour in zip(names, steps, colours, strict=True) if step["curve"]]
    return "\n".join(
        [
            chart("devices that are registered", "seconds", [Line("devices", stood, COLOURS[5])] if len(stood) > 1 else []),
            chart("deliveries a second", "seconds from the start of the rate", over_time),
            chart("from POST to acknowledgement, ms", "nines: 1 is 90 %, 2 is 99 %, 3 is 99.9 %", latencies),
            legend(list(zip(names, colours, strict=True))),
        ]
    )


def _shared(run: dict[str, Any]) -> str:
    step = run["found"]["devices"].get("shared")
    if not step:
        return ""
    rows = [[f"{number + 1}", "not at all" if time < 0 else f"{time / 1000:,.2f}"] for number, time in enumerate(step["completions"])]
    text = f"<h2>Messages for one application</h2>\n<p>{run['settings']['shared']:,} devices have it.</p>\n"
    return text + report_html.table(["message", "seconds from due to the last device"], rows)


def page(run: dict[str, Any]) -> str:
    facts = {**run["machine"], **run["settings"], "time": run["time"], "seconds": run["seconds"]}
    listed = "".join(f"<li>{html.escape(key)}: {html.escape(str(value))}</li>" for key, value in facts.items())
    rows = [[html.escape(cell) for cell in cells(step, use)] for step, use in _steps(run)]
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice: the whole system</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em; max-width: 76em }} table {{ border-collapse: collapse; margin: 1em 0 }}
td, th {{ padding: .2em .7em; text-align: right; border-bottom: 1px solid #ccc }} td:first-child, th:first-child {{ text-align: left }}
.title {{ font-weight: 600 }} .axis {{ font-size: 11px; fill: #444 }} .grid {{ stroke: #ddd }}</style>
<h1>The whole system on one machine</h1>
<p>Dispatcher, workers, devices and application servers share the processors. Messages are signed with RSA keys of 2048 bits and durable
before they are answered; they are due at even distances, and latencies count from when they were due.</p>
{report_html.figures(run)}
<h2>Rates</h2>
{report_html.table(NAMES, rows)}
{_charts(run)}
{_shared(run)}
<h2>The run</h2>
<ul>{listed}</ul>
</html>
"""


def write(folder: Path, run: dict[str, Any]) -> Path:
    """Both files; the path of the JSON one."""
    folder.mkdir(exist_ok=True)
    path = folder / f"whole-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.write_text(json.dumps(run, indent=1) + "\n")
    path.with_suffix(".html").write_text(page(run))
    return path
