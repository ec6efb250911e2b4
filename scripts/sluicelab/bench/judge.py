"""What the rounds of a case say: medians, ratios within a round and how far they spread, and whether what is wanted was reached."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

from .cases import Case, Wanted

Turn = dict[str, float | None]  # what one contender did in one round; None: there is no such figure
Round = dict[str, Turn]
BASES = ("haproxy", "forwarder", "direct")  # to whom everybody is compared


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, the quartiles (half of the rounds lie between them), and the ends."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return {"median": median(values), "low": low, "high": high, "least": min(values), "most": max(values)}


def medians(names: Sequence[str], history: Sequence[Round]) -> dict[str, Turn]:
    found: dict[str, Turn] = {}
    for name in names:
        figures = dict.fromkeys(figure for turns in history for figure in turns[name])
        found[name] = {}
        for figure in figures:
            values = [value for turns in history if (value := turns[name].get(figure)) is not None]
            found[name][figure] = median(values) if values else None
    return found


def ratio(of: str, to: str, figure: str, history: Sequence[Round]) -> dict[str, float] | None:
    """Of the ratios within a round; None where one of both has no such figure."""
    pairs = [(turns[of].get(figure), turns[to].get(figure)) for turns in history]
    values = [first / second for first, second in pairs if first is not None and second]
    return spread(values) if values else None


def ratios(case: Case, names: Sequence[str], history: Sequence[Round]) -> dict[str, dict[str, dict[str, float]]]:
    """By `of/to` and figure: everybody to the bases, and what is wanted."""
    pairs = [(of, to) for of in names for to in BASES if to in names and of != to]
    pairs += [(want.of, want.to) for want in case.wanted if want.of in names and want.to in names]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for of, to in dict.fromkeys(pairs):
        every = {figure: ratio(of, to, figure, history) for figure in case.compared}
        if kept := {figure: one for figure, one in every.items() if one is not None}:
            found[f"{of}/{to}"] = kept
    return found


def judged(want: Wanted, history: Sequence[Round]) -> dict[str, Any] | None:
    """None if nothing was measured of it."""
    if want.to:
        got = ratio(want.of, want.to, want.figure, history)
    else:
        values = [value for turns in history if (value := turns[want.of].get(want.figure)) is not None]
        got = spread(values) if values else None
    if got is None:
        return None
    facts = {"what": str(want), "figure": want.figure, "of": want.of, "to": want.to, "bound": want.bound, "kind": want.kind}
    return {**facts, "hoped": want.hoped, "got": got, "reached": want.reached(got["median"])}


def verdict(wanted: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Throughput and CPU time for themselves; where they disagree CPU time decides, because it repeats and throughput does not."""
    binding = [want for want in wanted if not want["hoped"]]

    def all_of(kind: str) -> bool | None:
        results = [want["reached"] for want in binding if want["kind"] == kind]
        return all(results) if results else None

    throughput, processor, other = all_of("throughput"), all_of("processor"), all_of("other")
    main = throughput if processor is None else processor
    parts = [part for part in (main, other) if part is not None]
    reached = all(parts) if parts else None
    text = "nothing is wanted" if reached is None else "reached" if reached else "missed"
    if throughput is not None and processor is not None and throughput != processor:
        text += f": CPU time decides, throughput is {'reached' if throughput else 'missed'}"
    return {"reached": reached, "throughput": throughput, "processor": processor, "text": text}


def summarise(case: Case, names: Sequence[str], history: Sequence[Round], settings: dict[str, Any]) -> dict[str, Any]:
    """The case's part of the report."""
    known = [want for want in case.wanted if want.of in names and (not want.to or want.to in names)]
    wanted = [found for want in known if (found := judged(want, history)) is not None]
    return {
        "name": case.name,
        "title": case.title,
        "load": case.load,
        "compared": list(case.compared),
        "settings": settings,
        "contenders": list(names),
        "medians": medians(names, history),
        "ratios": ratios(case, names, history),
        "wanted": wanted,
        "verdict": verdict(wanted),
        "failures": sum(int(turn.get("failures") or 0) for turns in history for turn in turns.values()),
        "rounds": list(history),
    }
