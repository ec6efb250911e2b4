"""What a server does with so many requests at work: the universal scalability law, and the curve that a sweep of fixed limits finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

FITS_WITHIN = 0.06  # of each measured rate: the law is then taken for the server's curve, else the points themselves


@dataclass(frozen=True)
class Law:
    """X(N) = gain N / (1 + sigma (N-1) + kappa N (N-1)), a second (N. Gunther)."""

    gain: float
    sigma: float
    kappa: float

    def rate(self, n: float) -> float:
        return self.gain * n / (1 + self.sigma * (n - 1) + self.kappa * n * (n - 1))

    @classmethod
    def fit(cls, points: Sequence[tuple[float, float]]) -> Law | None:
        """Least squares of the relative errors of N/X, which is linear in 1/gain, sigma/gain and kappa/gain. None if no law fits."""
        rows = [((1.0, n - 1, n * (n - 1)), n / rate) for n, rate in points if rate > 0]
        if len(rows) < 3:
            return None
        # The normal equations, each row divided by what it should give.
        matrix = [[sum(row[i] * row[j] / y**2 for row, y in rows) for j in range(3)] for i in range(3)]
        right = [sum(row[i] / y for row, y in rows) for i in range(3)]
        solution = solve(matrix, right)
        if solution is None or solution[0] <= 0:
            return None
        law = cls(1 / solution[0], max(0.0, solution[1] / solution[0]), max(0.0, solution[2] / solution[0]))
        return law

    def error(self, points: Sequence[tuple[float, float]]) -> float:
        """The largest relative error at the points."""
        return max(abs(self.rate(n) / rate - 1) for n, rate in points if rate > 0)


def solve(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """Gaussian elimination with pivoting; None for a singular matrix."""
    size = len(right)
    rows = [[*matrix[i], right[i]] for i in range(size)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda i: abs(rows[i][column]))
        if abs(rows[pivot][column]) < 1e-300:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for i in range(size):
            if i != column:
                factor = rows[i][column] / rows[column][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column])]
    return [rows[i][size] / rows[i][i] for i in range(size)]


@dataclass(frozen=True)
class Point:
    """A fixed limit, and what was measured with it: requests a second, and seconds from dispatch to the response."""

    limit: int
    rate: float
    response: float


class Curve:
    """X(L) and R(L) of a server by its sweep. Between the measured limits the law that fits them, else straight lines in logarithms."""

    def __init__(self, points: Sequence[Point]) -> None:
        if not points or any(point.rate <= 0 or point.response <= 0 for point in points):
            raise ValueError(f"a sweep needs points with answers, these are {list(points)}")
        self.points = sorted(points, key=lambda point: point.limit)
        pairs = [(float(point.limit), point.rate) for point in self.points]
        law = Law.fit(pairs)
        self.law = law if law is not None and law.error(pairs) <= FITS_WITHIN else None
        self.best_limit = max(range(1, self.points[-1].limit + 1), key=self.rate)
        self.best_rate = self.rate(self.best_limit)

    @property
    def method(self) -> str:
        return "the law that fits the sweep" if self.law else "the sweep's points"

    def rate(self, limit: float) -> float:
        if self.law:
            return self.law.rate(limit)
        return _between([(point.limit, point.rate) for point in self.points], limit)

    def response(self, limit: float) -> float:
        """Seconds. By Little's law where the rate follows the law: its noise is less than that of measured times."""
        if self.law:
            return limit / self.law.rate(limit)
        return _between([(point.limit, point.response) for point in self.points], limit)

    def limits(self, share: float) -> tuple[int, int]:
        """The least and the greatest limit around the best one at which the rate is at least that share of the best."""
        low = high = self.best_limit
        while low > 1 and self.rate(low - 1) >= share * self.best_rate:
            low -= 1
        while high < self.points[-1].limit and self.rate(high + 1) >= share * self.best_rate:
            high += 1
        return low, high

    def band(self, share: float = 0.98) -> tuple[float, float]:
        """Response times in seconds to hold so that the rate is that share of the best: what an operator reads off the sweep.

        At least as wide as a limit of whole connections needs, high/low >= 1 + 2/L."""
        low, high = (self.response(limit) for limit in self.limits(share))
        least = 1 + 2 / self.best_limit
        if high / low < least:
            middle = self.response(self.best_limit)
            low, high = min(low, middle / math.sqrt(least)), max(high, middle * math.sqrt(least))
        return low, high


def _between(points: Sequence[tuple[float, float]], x: float) -> float:
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            part = math.log(x / x0) / math.log(x1 / x0)
            return math.exp(math.log(y0) + part * (math.log(y1) - math.log(y0)))
    return points[-1][1]
