"""The load: requests that come when they come (programs/openloop.c), and what became of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..programs import compiled
from ..traffic import Running

Numbers = dict[str, Any]
OUTCOMES = ("good", "late", "unavailable", "other_status", "refused", "reset", "closed", "timed_out", "unsent")


def start(folder: Path, address: str, port: int, host: str = "client1", **options: object) -> Running:
    """An openloop with those options (its source says which); `warm_up` for `warm-up`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = compiled("openloop", folder, "-lm")
    words = [f"{name.replace('_', '-')}={value}" for name, value in options.items()]
    log = folder / f"openloop-{len(list(folder.glob('openloop-*.log')))}.log"
    return Running(host, [program, address, str(port), *words], log)


def check(numbers: Numbers) -> Numbers:
    """Every request that was due has ended in exactly one way, or the figures mean nothing."""
    ended = sum(numbers[name] for name in OUTCOMES)
    if ended != numbers["due"]:
        raise ValueError(f"{numbers['due']} requests were due, and {ended} have ended: { {name: numbers[name] for name in OUTCOMES} }")
    if numbers["unsent"]:
        raise ValueError(
            f"{numbers['unsent']} of {numbers['due']} requests found no connection in the load generator: the figures mean nothing"
        )
    return numbers


def goodput(numbers: Numbers) -> float:
    """Good answers a second."""
    return float(numbers["good"] / numbers["seconds"])


def answered(numbers: Numbers) -> float:
    """Answers (200) a second, late ones too."""
    return float((numbers["good"] + numbers["late"]) / numbers["seconds"])
