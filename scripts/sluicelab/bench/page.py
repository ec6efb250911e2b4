"""The page of a run: a table and charts for each case."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..push.profile import Part, by_binary
from . import report_html
from .bars import Bar, chart
from .cases import NAMES, PROCESSOR, PROCESSOR_GB, PROCESSOR_MB, RATE
from .contenders import TITLES

Case = dict[str, Any]
KERNELS = "the kernel's"  # processor time that no process has used


@dataclass(frozen=True)
class Column:
    title: str
    figure: str
    form: str
    factor: float = 1

    def cell(self, turn: dict[str, float | None]) -> str:
        value = turn.get(self.figure)
        if value is None:
            return KERNELS if self.figure in (PROCESSOR, PROCESSOR_GB, PROCESSOR_MB) else "-"
        return self.form.format(value * self.factor)


MIB = 1 / (1 << 20)
COLUMNS = (
    Column("requests/s", RATE, "{:,.1f}"),
    Column("MB/s", "megabytes_per_second", "{:,.1f}"),
    Column("CPU us/request", PROCESSOR, "{:.1f}"),
    Column("CPU us/MB", PROCESSOR_MB, "{:,.0f}"),
    Column("CPU s/GB", PROCESSOR_GB, "{:.2f}"),
    Column("ranges", "answered", "{:,.0f}"),
    Column("stalls", "stalls", "{:,.0f}"),
    Column("longest, s", "longest_stall_s", "{:.2f}"),
    Column("seeks", "seeks", "{:,.0f}"),
    Column("start p99 ms", "start_ms_p99", "{:,.0f}"),
    Column("seek p99 ms", "seek_ms_p99", "{:,.0f}"),
    Column("frames lost", "frames_lost", "{:,.0f}"),
    Column("players' CPU", "players_share", "{:.0%}"),
    Column("machine us/request", "machine_us_per_request", "{:.1f}"),
    Column("machine busy", "machine_busy", "{:.0%}"),
    Column("p50 ms", "latency_ms_p50", "{:.2f}"),
    Column("p99 ms", "latency_ms_p99", "{:.2f}"),
    Column("log lines missing", "log_lines_missing", "{:,.0f}"),
    Column("connections", "connections", "{:,.0f}"),
    Column("MiB before", "resident_before", "{:.1f}", MIB),
    Column("MiB after", "resident_after", "{:.1f}", MIB),
    Column("bytes for each", "bytes_each", "{:,.0f}"),
    Column("due a second", "rate", "{:,.0f}"),
    Column("SYNs/s", "syns_per_second", "{:,.0f}"),
    Column("% in time alone", "within_alone", "{:.2f}"),
    Column("% under attack", "within_attack", "{:.2f}"),
    Column("p99 ms alone", "alone_ms_p99", "{:.2f}"),
    Column("p99 ms attacked", "attack_ms_p99", "{:.2f}"),
    Column("CPU attacked", "processor_share_attack", "{:.0%}"),
    Column("failures", "failures", "{:.0f}"),
    Column("of them attacked", "failures_attack", "{:.0f}"),
)


def columns(case: Case) -> list[Column]:
    """Those of which anybody has a figure."""
    return [column for column in COLUMNS if any(column.figure in turn for turn in case["medians"].values())]


def name_of(figure: str) -> str:
    return NAMES.get(figure, figure)


def ratio(spread: dict[str, float]) -> str:
    """The median, and where half of the rounds lie."""
    return f"{spread['median']:.2f} ({spread['low']:.2f} to {spread['high']:.2f})"


def wish(want: dict[str, Any]) -> str:
    """What was wanted or hoped for, and what came of it."""
    got = want["got"]["median"]
    shown = f"{got:,.0f}" if want["figure"] == "bytes_each" else f"{got:.2f}"
    result = "reached" if want["reached"] else "missed" if want["hoped"] else "MISSED"
    return f"{'hoped for' if want['hoped'] else 'wanted'}: {want['what']}: {shown}, {result}"


def added_latency(case: Case) -> str:
    """What each adds to the way without a dispatcher."""
    if case["load"] != "half" or "direct" not in case["medians"]:
        return ""
    base, rows = case["medians"]["direct"], []
    for name in case["contenders"]:
        if name != "direct":
            added = [case["medians"][name][figure] - base[figure] for figure in ("latency_ms_p50", "latency_ms_p99")]
            rows.append([html.escape(name), *(f"{1000 * one:,.0f}" for one in added)])
    return f"<p>Added to direct, at {case['settings']['rate']:,} requests a second:</p>\n" + report_html.table(
        ["", "p50 us", "p99 us"], rows
    )


def _medians(case: Case) -> str:
    shown = columns(case)
    rows = [[html.escape(name), *(column.cell(case["medians"][name]) for column in shown)] for name in case["contenders"]]
    return report_html.table(["median", *(column.title for column in shown)], rows)


def ratio_charts(case: Case) -> str:
    """Bars of everybody beside HAProxy, and beside the forwarder; lines show where half of the rounds lie."""
    parts = []
    for base in ("haproxy", "forwarder"):
        for figure in case["compared"]:
            bars = [
                Bar(name, one["median"], one["low"], one["high"], one["least"], one["most"])
                for name in case["contenders"]
                if (one := case["ratios"].get(f"{name}/{base}", {}).get(figure)) is not None
            ]
            if bars:
                wanted = [
                    (float(want["bound"].split()[1]), f"{'hoped for' if want['hoped'] else 'wanted'} of {want['of']}: {want['bound']}")
                    for want in case["wanted"]
                    if want["to"] == base and want["figure"] == figure and want["of"] == "sluice"
                ]
                parts.append(chart(f"{name_of(figure)}, {base} = 1", bars, wanted))
    return "\n".join(parts)


def round_charts(case: Case) -> str:
    """Every round by itself, for who wants to see how noisy it was."""
    parts = []
    for figure in (RATE, "megabytes_per_second", PROCESSOR, PROCESSOR_MB, PROCESSOR_GB):
        if figure not in case["compared"]:
            continue
        for name in case["contenders"]:
            values = [turns[name].get(figure) for turns in case["rounds"]]
            if all(value is not None for value in values):
                parts.append(f"<tr><td>{html.escape(name)}</td><td>{name_of(figure)}</td>{_cells(values)}</tr>")
    if not parts:
        return ""
    return f"<details><summary>every round</summary><table>{''.join(parts)}</table></details>"


def _cells(values: Sequence[float | None]) -> str:
    return "".join(f"<td>{value:,.1f}</td>" for value in values if value is not None)


def profile(case: Case) -> str:
    """What the dispatcher spent its time with, if perf looked on."""
    parts = [Part(**part) for part in case.get("profile", [])]
    if not parts:
        return ""
    binaries = [[html.escape(part.binary), f"{part.share:.1%}"] for part in by_binary(parts)]
    functions = [[html.escape(part.function), html.escape(part.binary), html.escape(part.thread), f"{part.share:.1%}"] for part in parts]
    tables = report_html.table(["binary", "of the samples"], binaries) + report_html.table(["function", "binary", "thread", ""], functions)
    return f"<details><summary>what sluice spends its time with</summary>{tables}</details>"


def section(case: Case) -> str:
    wishes = "".join(f"<li>{html.escape(wish(want))}</li>" for want in case["wanted"])
    verdict = f"<p><b>{html.escape(case['verdict']['text'])}</b></p>" if case["wanted"] else ""
    failed = f"<p><b>failed requests: {case['failures']}</b></p>" if case["failures"] else ""
    return "\n".join(
        [
            f"<h2>{html.escape(case['name'])}: {html.escape(case['title'])}</h2>",
            _medians(case),
            added_latency(case),
            f"<ul>{wishes}</ul>",
            verdict,
            failed,
            ratio_charts(case),
            round_charts(case),
            profile(case),
        ]
    )


def summary(run: dict[str, Any]) -> str:
    rows = [
        [
            f'{html.escape(case["name"])}',
            {None: "-", True: "reached", False: "<b>missed</b>"}[case["verdict"]["throughput"]],
            {None: "-", True: "reached", False: "<b>missed</b>"}[case["verdict"]["processor"]],
            html.escape(case["verdict"]["text"]),
        ]
        for case in run["cases"]
        if case["verdict"]["reached"] is not None
    ]
    return report_html.table(["case", "throughput", "CPU per request", "result"], rows) if rows else ""


STYLE = """body { font: 15px/1.5 system-ui, sans-serif; margin: 2em; max-width: 84em } table { border-collapse: collapse; margin: 1em 0 }
td, th { padding: .2em .7em; text-align: right; border-bottom: 1px solid #ccc } td:first-child, th:first-child { text-align: left }
.axis { font-size: 11px } .title { font-size: 13px } .grid { stroke: #ddd } .one { stroke: #333 } .spread { stroke: #222; stroke-width: 1.5 }
.mark { stroke: #b5483a; stroke-dasharray: 4 3 } svg { margin: 1em 2em 0 0; vertical-align: top }"""


def about(run: dict[str, Any]) -> str:
    """Who took part, and the facts of the run."""
    facts = {**run["machine"], **run["settings"], "time": run["time"], "seconds": run["duration"]}
    listed = "".join(f"<li>{html.escape(key)}: {html.escape(str(value))}</li>" for key, value in facts.items())
    taken = dict.fromkeys(name for case in run["cases"] for name in case["contenders"])
    who = "".join(f"<li>{html.escape(name)}: {html.escape(TITLES.get(name, ''))}</li>" for name in taken)
    return f"<h2>Who took part</h2>\n<ul>{who}</ul>\n<h2>The run</h2>\n<ul>{listed}</ul>"


def whole(run: dict[str, Any]) -> str:
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice benchmarks</title>
<style>{STYLE}</style>
<h1>Sluice benchmarks</h1>
<p>Contenders run in turn on one small machine that they share with clients and servers: only the ratios within a round mean anything. A bar
is the median of them; half of the rounds lie within the thick line on it, all within the thin one. Dashed: what is wanted of sluice. CPU per
request is the contender's own user and system time; of nft and direct it is the kernel's, and no process can be charged with it. Where
throughput and CPU time disagree, CPU time decides.</p>
{summary(run)}
{"".join(section(case) for case in run["cases"])}
{about(run)}
</html>
"""
