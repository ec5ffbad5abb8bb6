"""Visio's NURBSTo: the points of a curve, by de Boor's algorithm with weights.

Row cells (learn.microsoft.com, "NURBSTo Row (Geometry Section)"): X, Y the end; A the last knot but one, B
the last weight, C the first knot, D the first weight; E = NURBS(last knot, degree, xType, yType, x, y, knot,
weight, …), where type 0 counts in widths and heights of the shape.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]

MAX_CONTROLS = 256
MAX_DEGREE = 25
_NURBS = re.compile(r"NURBS\(([^)]*)\)")


@dataclass(frozen=True)
class Nurbs:
    """Control points with weights, and knots."""

    degree: int
    points: tuple[Point, ...]
    weights: tuple[float, ...]
    knots: tuple[float, ...]

    def at(self, share: float) -> Point:
        """The point at this share (0 to 1) of the curve's parameter."""
        low, high = self.knots[self.degree], self.knots[len(self.points)]
        t = low + (high - low) * share
        k = max(i for i in range(self.degree, len(self.points)) if self.knots[i] <= t)
        d = [
            (x * w, y * w, w)
            for (x, y), w in zip(
                self.points[k - self.degree : k + 1], self.weights[k - self.degree : k + 1], strict=True
            )
        ]
        for r in range(1, self.degree + 1):
            for j in range(self.degree, r - 1, -1):
                left, right = self.knots[j + k - self.degree], self.knots[j + 1 + k - r]
                a = 0.0 if right == left else (t - left) / (right - left)
                d[j] = tuple((1 - a) * p + a * q for p, q in zip(d[j - 1], d[j], strict=True))  # type: ignore[assignment]
        x, y, w = d[self.degree]
        return (x / w, y / w) if w else self.points[-1]


def read(start: Point, end: Point, ends: Sequence[float], formula: str, size: Point) -> Nurbs | None:
    """The curve from `start` to `end`; `ends` are the cells A, B, C, D. None for one that makes no sense."""
    match = _NURBS.search(formula)
    numbers = _numbers(match[1]) if match else []
    if len(numbers) < 8 or len(numbers) > 4 + 4 * MAX_CONTROLS:
        return None
    last, degree, x_type, y_type, *rest = numbers
    width, height = (1.0 if x_type else size[0]), (1.0 if y_type else size[1])
    rows = [rest[at : at + 4] for at in range(0, len(rest) - 3, 4)]
    before_last, last_weight, first, first_weight = ends
    points = [start, *((x * width, y * height) for x, y, _, _ in rows), end]
    weights = [first_weight, *(row[3] for row in rows), last_weight]
    knots = [first, *(row[2] for row in rows), before_last, last]
    if not 1 <= degree <= min(MAX_DEGREE, len(points) - 1):
        return None
    knots += [last] * (len(points) + int(degree) + 1 - len(knots))
    if any(b < a for a, b in itertools.pairwise(knots)):
        return None
    return Nurbs(int(degree), tuple(points), tuple(weights), tuple(knots))


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(each) for each in text.split(",")]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
