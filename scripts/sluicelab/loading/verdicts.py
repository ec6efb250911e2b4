"""Whether what is wanted of controlled loading was reached: from the figures of a run alone."""

from __future__ import annotations

from typing import Any

from ..robustness.figures import Figures

HELD, OPTIMISED, FIXED, DIRECT = "sluice-hold", "sluice-optimise", "sluice-fixed", "direct"
REGRET_MOST = {HELD: 0.05, OPTIMISED: 0.08}  # against the best fixed limit, the same requests at the same times
VARIATION_MOST = {HELD: 0.1, OPTIMISED: 0.2}  # of the limit, once it has found its place
WINDOWS_MOST = {(HELD, "one"): 20, (HELD, "maximum"): 20, (OPTIMISED, "one"): 30, (OPTIMISED, "maximum"): 40}
PEAK_SHARE_LEAST = 0.95  # of the sweep's best rate, as goodput at the highest load
TIMES_UNCONTROLLED_LEAST = 3  # the rate of the same server without control; [0041] says nearly three
LITTLE_MOST = 0.05  # |N - X R| / N: the dispatcher's measurements of itself
RECOVERED_LEAST = 0.9  # of the best fixed limit's goodput, at the end of a disturbance
DRIFT_MOST = 1  # connections, under low demand
NO_DEMAND_LOST = 0.98  # of the requests under low demand must be good
BUSY_MOST = 0.95  # share of all processors; above it they are what limits the server


def regret(goodput: float, best: float) -> float:
    """1 - goodput/best; negative where it was better."""
    return 1 - goodput / best if best else 0.0


def fair(entry: dict[str, Any], field: str = "goodput") -> float:
    """In requests of average cost, as the sweep's: what costs happened to be drawn in these seconds is nobody's merit."""
    return float(entry[field] * entry["mean_cost"])


def judge(run: dict[str, Any], figures: Figures) -> None:
    """All that the run has figures for. What was not run is not judged."""
    _sweep(run["sweep"], figures)
    _curve(run["curve"], run["sweep"]["best_rate"], figures)
    for entry in run["convergence"]:
        _convergence(entry, figures)
    for entry in run["disturbances"]:
        _disturbance(entry, run["disturbances"], figures)


def _sweep(sweep: dict[str, Any], figures: Figures) -> None:
    figures.note("best fixed limit, and its rate a second", f"{sweep['best_limit']}, {sweep['best_rate']:.1f} (by {sweep['method']})")
    busy = max((point["busy"] for point in sweep["points"] if point.get("rate", 0) >= PEAK_SHARE_LEAST * sweep["best_rate"]), default=0.0)
    if busy > BUSY_MOST:
        what = "processors busy at the sweep's best rate"
        figures.note(what, f"{busy:.2f}: what an overload costs clients and dispatcher is taken from the server; regret tells more than shares")
    off = [point["little"] for point in sweep["points"] if point["little"] is not None]
    if off:
        figures.at_most("Little's law in the sweep: |N - X R| / N at most", max(off), LITTLE_MOST)


def _curve(curve: list[dict[str, Any]], best_rate: float, figures: Figures) -> None:
    by = {(entry["contender"], entry["load"]): entry for entry in curve}
    loads = sorted({entry["load"] for entry in curve})
    for load in (load for load in loads if load > 1):
        best = by.get((FIXED, load))
        for name, most in REGRET_MOST.items():
            one = by.get((name, load))
            if best and one:
                figures.at_most(f"{name}: regret at {load:g} x the peak", regret(fair(one), fair(best)), most)
    if not loads:
        return
    highest = loads[-1]
    uncontrolled = by.get((DIRECT, highest))
    for name in REGRET_MOST:
        one = by.get((name, highest))
        if one is None:
            continue
        share = fair(one) / best_rate
        figures.at_least(f"{name}: goodput at {highest:g} x the peak, as a share of the sweep's best rate", share, PEAK_SHARE_LEAST)
        if uncontrolled:
            times = fair(one, "server_rate") / max(fair(uncontrolled, "server_rate"), 1e-9)
            what = f"{name}: the server's rate at {highest:g} x the peak, beside that of the same server uncontrolled"
            figures.at_least(what, times, TIMES_UNCONTROLLED_LEAST, "times")


def _convergence(entry: dict[str, Any], figures: Figures) -> None:
    name, start = entry["contender"], entry["from"]
    most = WINDOWS_MOST.get((name, start))
    if most is None:
        return
    what = f"{name}: windows from {'a limit of one' if start == 'one' else 'the maximum'} to {entry['goal']}"
    if entry["reached"]:
        figures.at_most(what, entry["windows"], most, "windows")
    elif entry["windows"] < most:
        figures.note(what, f"not there after {entry['windows']:.0f} of {most} windows, and the run was over")
    else:
        figures.true(
            what, False, f"not there after {entry['windows']:.0f} windows, {entry['seconds']:.0f} s; the limit is {entry['limit_end']:.0f}"
        )
    if entry["variation"] is not None:
        figures.at_most(f"{name}: variation of the limit at rest, begun at {start}", entry["variation"], VARIATION_MOST[name])


def _disturbance(entry: dict[str, Any], all_entries: list[dict[str, Any]], figures: Figures) -> None:
    name, what = entry["contender"], entry["name"]
    if name not in REGRET_MOST:
        return
    if what == "low-demand":
        figures.at_most(f"{name}, {what}: the limit's drift", entry["drift"], DRIFT_MOST, "connections")
        figures.at_least(f"{name}, {what}: good requests, as a share of all", entry["good_share"], NO_DEMAND_LOST)
        return
    best = next((other for other in all_entries if other["name"] == what and other["contender"] == FIXED), None)
    if best is None:
        figures.note(f"{name}, {what}: goodput a second, and at the end", f"{entry['goodput']:.1f}, {entry['goodput_end']:.1f}")
        return
    figures.note(f"{name}, {what}: regret over the whole", f"{regret(fair(entry), fair(best)):.3f}")
    share = entry["goodput_end"] / max(best["goodput_end"], 1e-9)
    figures.at_least(f"{name}, {what}: goodput at the end, as a share of the best fixed limit's", share, RECOVERED_LEAST)
