"""The report of `scripts/bench load`: JSON, an HTML page with the curves, a table for the terminal."""

from __future__ import annotations

import html
import json
import time
from pathlib import Path
from typing import Any

from load_contenders import CONTENDERS
from sluicelab.bench import report, report_html
from sluicelab.bench.lines import COLOURS, Line, chart, legend

Colours = dict[str, str]


def machine(backend: str) -> dict[str, Any]:
    found = report.machine()
    found["compiler"] = report.first_line("cc", "--version")
    if backend == "apache":
        found["apache"] = report.first_line("apache2", "-v")
    return found


def colours() -> Colours:
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(CONTENDERS)}


def by_contender(entries: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        found.setdefault(entry["contender"], []).append(entry)
    return found


def table(run: dict[str, Any]) -> str:
    """Goodput of each contender at each load."""
    cells = {(entry["contender"], entry["load"]): entry["goodput"] for entry in run["curve"]}
    loads = sorted({load for _, load in cells})
    if not loads:
        return "no curve was asked for"
    lines = ["goodput, requests a second answered within 1 s", "  " + f"{'load, in peaks':<18}" + "".join(f"{load:>10g}" for load in loads)]
    for name in CONTENDERS:
        if any((name, load) in cells for load in loads):
            row = "".join(f"{cells[name, load]:>10.1f}" if (name, load) in cells else f"{'-':>10}" for load in loads)
            lines.append(f"  {name:<18}{row}")
    return "\n".join(lines)


def _sweep(sweep: dict[str, Any]) -> str:
    points = sweep["points"]
    rates = [(float(point["limit"]), point["rate"]) for point in points]
    times = [(float(point["limit"]), 1000 * point["response"]) for point in points]
    best = f"best limit {sweep['best_limit']}, {sweep['best_rate']:.1f} a second"
    low, high = sweep["band_ms"]
    charts = chart("X(L): requests a second", "limit", [Line("X", rates, COLOURS[5])], True, levels=[(sweep["best_rate"], best)])
    charts += chart("R(L): ms from dispatch to response", "limit", [Line("R", times, COLOURS[2])], True)
    law = ""
    if sweep["law"]:
        gain, sigma, kappa = (sweep["law"][name] for name in ("gain", "sigma", "kappa"))
        law = f" The law that fits: gain {gain:.2f}, sigma {sigma:.4f}, kappa {kappa:.5f}."
    return f"<h2>Sweep of fixed limits</h2>\n<p>{best}, by {html.escape(sweep['method'])}. Band to hold: {low} to {high} ms.{law}</p>\n{charts}"


def _curve(run: dict[str, Any], colour: Colours) -> str:
    groups = by_contender(run["curve"])
    if not groups:
        return ""

    def lines(field: str) -> list[Line]:
        return [Line(name, [(entry["load"], entry[field]) for entry in entries], colour[name]) for name, entries in groups.items()]

    best = [(run["sweep"]["best_rate"], "the sweep's best rate")]
    charts = chart("goodput: answered within 1 s, a second", "offered load, in peaks", lines("goodput"), True, levels=best)
    charts += chart("what the server did, requests a second", "offered load, in peaks", lines("server_rate"), True, levels=best)
    rows = []
    for entry in run["curve"]:
        n = entry["numbers"]
        limit = "" if entry["limit_mean"] is None else f"{entry['limit_mean']:.1f}"
        refused = n["unavailable"] + n["other_status"] + n["refused"] + n["reset"] + n["closed"]
        rows.append(
            [
                f"{entry['load']:g}",
                f'<span style="color:{colour[entry["contender"]]}">{html.escape(entry["contender"])}</span>',
                *(f"{entry[name]:,.1f}" for name in ("offered", "goodput", "server_rate")),
                *(f"{n[name]:,}" for name in ("due", "good", "late")),
                f"{refused:,}",
                f"{n['timed_out']:,}",
                *(f"{n[name]:,.0f}" for name in ("p50_ms", "p99_ms", "p999_ms")),
                limit,
                f"{entry['busy']:.0%}",
            ]
        )
    names = "load,contender,offered/s,good/s,server/s,due,good,late,refused,timed out,p50 ms,p99 ms,p99.9 ms,mean limit,machine busy"
    shown = legend([(f"{name}: {CONTENDERS[name].title}", colour[name]) for name in groups])
    return f"<h2>Open-loop load up to four peaks</h2>\n{shown}\n{charts}\n{report_html.table(names.split(','), rows)}"


def _limits(entry: dict[str, Any]) -> list[tuple[float, float]]:
    return [(sample["time"], sum(sample["limits"].values()) / max(len(sample["limits"]), 1)) for sample in entry["trace"]]


def _convergence(run: dict[str, Any], colour: Colours) -> str:
    if not run["convergence"]:
        return ""
    charts, best = "", [(float(run["sweep"]["best_limit"]), "the sweep's best limit")]
    for start, title in (("one", "from a limit of one"), ("maximum", "from the maximum")):
        lines = [
            Line(entry["contender"], _limits(entry), colour[entry["contender"]]) for entry in run["convergence"] if entry["from"] == start
        ]
        charts += chart(f"the limit {title}", "seconds", lines, levels=best)
    shown = legend([(name, colour[name]) for name in by_contender(run["convergence"])])
    return f"<h2>Convergence, at twice the peak</h2>\n{shown}\n{charts}"


def _disturbances(run: dict[str, Any], colour: Colours) -> str:
    parts = []
    for name in dict.fromkeys(entry["name"] for entry in run["disturbances"]):
        entries = [entry for entry in run["disturbances"] if entry["name"] == name]
        marks = [(event["at"], event["what"]) for event in entries[0]["events"]]
        good = [
            Line(
                entry["contender"],
                [(second + 0.5, rate) for second, rate in enumerate(entry["good_by_second"])],
                colour[entry["contender"]],
            )
            for entry in entries
        ]
        limits = [Line(entry["contender"], _limits(entry), colour[entry["contender"]]) for entry in entries]
        shown = legend([(entry["contender"], colour[entry["contender"]]) for entry in entries])
        parts.append(
            f"<h3>{html.escape(entries[0]['title'])}</h3>\n{shown}\n"
            + chart("goodput, a second", "seconds", good, marks=marks)
            + chart("the limit, mean of the servers", "seconds", limits, marks=marks)
        )
    return "<h2>Disturbances</h2>\n" + "\n".join(parts) if parts else ""


def page(run: dict[str, Any]) -> str:
    colour = colours()
    facts = {**run["machine"], **run["settings"], "backend": run["backend"], "time": run["time"], "seconds": run["seconds"]}
    listed = "".join(f"<li>{html.escape(key)}: {html.escape(str(value))}</li>" for key, value in facts.items())
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice: controlled loading</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em; max-width: 76em }} table {{ border-collapse: collapse }}
td, th {{ padding: .2em .7em; text-align: right; border-bottom: 1px solid #ccc }} td:first-child, th:first-child {{ text-align: left }}
.axis {{ font-size: 11px }} .title {{ font-size: 13px }} .grid {{ stroke: #ddd }} .mark {{ stroke: #999; stroke-dasharray: 4 3 }}
.legend span {{ margin-right: 1.2em }} svg {{ margin: 1em 2em 0 0 }}</style>
<h1>Controlled loading</h1>
<p>A server that does less the more it has at work, on one small machine that servers, clients and contenders share. Requests come as a
Poisson process, whatever becomes of those before them; their time counts from when they were due.</p>
{report_html.figures(run)}
{_sweep(run["sweep"])}
{_curve(run, colour)}
{_convergence(run, colour)}
{_disturbances(run, colour)}
<h2>The run</h2>
<ul>{listed}</ul>
</html>
"""


def write(folder: Path, run: dict[str, Any]) -> Path:
    """Both files; the path of the JSON one."""
    folder.mkdir(exist_ok=True)
    path = folder / f"load-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.write_text(json.dumps(run, indent=1) + "\n")
    path.with_suffix(".html").write_text(page(run))
    return path
