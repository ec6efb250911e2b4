"""A limit's course in time, as /metrics told it, and what is read from it: windows until it is right, and how much it swings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

# A controller's window (docs/configuration.md): at least so long, and until it has so many answers, but no longer than that.
WINDOW_LEAST, WINDOW_MOST = 0.25, 2.0
ANSWERS_LEAST, ANSWERS_PER_CONNECTION = 10, 7
STAYS_SECONDS, STAYS_SHARE = 3.0, 0.7  # what is right by chance for a moment does not count: it must be so for most of the time after


@dataclass(frozen=True)
class Sample:
    """One scrape. Seconds from the start of the load; requests that were answered so far, by any server."""

    time: float
    limits: dict[str, float]
    active: float
    queued: float
    answered: float
    states: tuple[str, ...] = ()

    @property
    def limit(self) -> float:
        """The mean of the servers'."""
        return fmean(self.limits.values())


@dataclass
class Trace:
    samples: list[Sample] = field(default_factory=list)

    def between(self, begin: float, end: float = math.inf) -> list[Sample]:
        return [sample for sample in self.samples if begin <= sample.time <= end]

    def document(self) -> list[dict[str, Any]]:
        return [
            {
                "time": round(sample.time, 3),
                "limits": sample.limits,
                "active": sample.active,
                "queued": sample.queued,
                "answered": sample.answered,
                "states": list(sample.states),
            }
            for sample in self.samples
        ]


def window_seconds(limit: float, rate: float) -> float:
    """How long a controller's window is at that limit, with so many answers a second."""
    answers = max(ANSWERS_LEAST, ANSWERS_PER_CONNECTION * limit)
    return min(WINDOW_MOST, max(WINDOW_LEAST, answers / rate)) if rate > 0 else WINDOW_MOST


def windows_passed(samples: Sequence[Sample]) -> float:
    """Windows from the first sample to the last, by their length at each sample's limit and rate. The dispatcher takes fewer: it waits
    after a change of the limit until the requests of before have left."""
    passed = 0.0
    for one, other in pairwise(samples):
        seconds = other.time - one.time
        rate = (other.answered - one.answered) / seconds if seconds > 0 else 0.0
        passed += seconds / window_seconds(one.limit, rate)
    return passed


@dataclass(frozen=True)
class Convergence:
    """When a limit got where it should be, to stay there. `reached` is false if it never did: then these are the run's length."""

    reached: bool
    seconds: float
    windows: float


def convergence(trace: Trace, is_right: Callable[[float], bool]) -> Convergence:
    """The first sample whose limit is right, and from which it is so for most of the time that follows."""
    samples = trace.samples
    if not samples:
        return Convergence(False, 0, 0)
    for index, sample in enumerate(samples):
        after = [other for other in samples[index:] if other.time <= sample.time + STAYS_SECONDS]
        if samples[-1].time < sample.time + STAYS_SECONDS / 2:
            break
        if is_right(sample.limit) and sum(is_right(other.limit) for other in after) >= STAYS_SHARE * len(after):
            return Convergence(True, sample.time - samples[0].time, windows_passed(samples[: index + 1]))
    return Convergence(False, samples[-1].time - samples[0].time, windows_passed(samples))


def variation(values: Sequence[float]) -> float:
    """Coefficient of variation: the standard deviation in means."""
    mean = fmean(values) if values else 0.0
    return pstdev(values) / mean if mean else 0.0


def rate_between(slices: dict[str, Any], slice_ms: float, which: str, begin: float, end: float) -> float:
    """A second, of the load generator's slices that lie between those times (seconds from its start)."""
    length = slice_ms / 1000
    first, last = math.ceil(begin / length - 1e-9), math.floor(end / length + 1e-9)
    chosen = slices[which][first:last]
    return float(sum(chosen)) / (len(chosen) * length) if chosen else 0.0
