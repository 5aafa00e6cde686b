"""Calibration: a map from logits to logits, fitted on rows that the model was not, so that sum of p = sum of clicks.

Both maps rise, so the ranking stays as the model made it. `Platt` has two parameters and is the one for few clicks;
`Isotonic` takes any rising shape and wants thousands of them (Niculescu-Mizil and Caruana 2005).
"""

import math
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter, model_validator

from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.tally import Floats
from schemas.features import FROZEN

MIN_BLOCK_ROWS = 50  # of an isotonic block; fewer follow the noise of single clicks
TOLERANCE = 1e-9  # of Platt's parameters, for logits of deviation 1
MAX_NEWTON_STEPS = 100  # 5 to 10 are the rule


class Platt(BaseModel):
    """logit' = slope * logit + intercept (Platt 1999): strictly rising, but for what float32 rounds together."""

    model_config = FROZEN
    method: Literal["platt"] = "platt"
    slope: Annotated[FiniteFloat, Field(gt=0)]
    intercept: FiniteFloat

    def apply(self, logits: NDArray[Any]) -> NDArray[np.float32]:
        """Calibrated logits, [n] -> [n], computed in float64."""
        return (self.slope * logits.astype(np.float64) + self.intercept).astype(np.float32)


class Isotonic(BaseModel):
    """Straight lines between knots, in logits on both axes; beyond the first and last knot the slope is 1.

    A constant there, as isotonic regression itself has it, would tie the rows that it matters most to rank.
    """

    model_config = FROZEN
    method: Literal["isotonic"] = "isotonic"
    knots_x: tuple[FiniteFloat, ...] = Field(min_length=1, description="Logits in, strictly rising.")
    knots_y: tuple[FiniteFloat, ...] = Field(min_length=1, description="Logits out, never falling.")

    @model_validator(mode="after")
    def _the_knots_rise(self) -> Self:
        if len(self.knots_x) != len(self.knots_y):
            raise ValueError(f"{len(self.knots_x)} knots_x for {len(self.knots_y)} knots_y")
        if any(a >= b for a, b in pairwise(self.knots_x)) or any(a > b for a, b in pairwise(self.knots_y)):
            raise ValueError("knots_x must rise strictly and knots_y must not fall")
        return self

    def apply(self, logits: NDArray[Any]) -> NDArray[np.float32]:
        """Calibrated logits, [n] -> [n], computed in float64."""
        z = logits.astype(np.float64)
        beyond = z - np.clip(z, self.knots_x[0], self.knots_x[-1])
        return np.asarray(np.interp(z, self.knots_x, self.knots_y) + beyond, np.float32)


Calibration = Annotated[Platt | Isotonic, Field(discriminator="method")]
# Reads back, bit for bit, what `model_dump_json` of either wrote.
CALIBRATION: TypeAdapter[Platt | Isotonic] = TypeAdapter(Calibration)


def fit(
    method: Literal["platt", "isotonic"],
    logits: NDArray[Any],
    labels: NDArray[Any],
    weights: NDArray[Any] | None = None,
) -> Calibration:
    """The calibration that fits rows held out from training; all arrays [n], labels 0 or 1, a weight counts as rows.

    Platt: least log loss, where the labels of P clicks and N non-clicks are (P + 1) / (P + 2) and 1 / (N + 2), which
    keeps it finite where the classes don't overlap (Platt 1999). A slope that would turn the ranking round, and that
    of equal logits, is replaced by 1, and the intercept alone is fitted.

    Isotonic: the rising step function of least squares, by pooling adjacent violators (Ayer et al. 1955); blocks are
    then joined until each holds MIN_BLOCK_ROWS, and each becomes a knot at its mean logit. The p of a block of k clicks
    in n rows is k / n, but at least 0.5 / (n + 1) and as far from 1. Sorts the rows once.

    Raises ValueError for rows of one class, of which every row alone is one, and for what `Sums.of` refuses.
    """
    sums = Sums.of(logits, labels, weights)
    P, N = float(sums.positives.sum()), float(sums.negatives.sum())
    if P == 0 or N == 0:
        raise ValueError(f"expected rows of both classes to calibrate on, found {P:g} clicks and {N:g} non-clicks")
    z, y = logits.astype(np.float64), labels.astype(np.float64)
    w = np.ones_like(z) if weights is None else weights.astype(np.float64)
    if not w.all():
        z, y, w = z[w > 0], y[w > 0], w[w > 0]
    return _fit_platt(z, np.where(y == 1, (P + 1) / (P + 2), 1 / (N + 2)), w) if method == "platt" else _pool(z, y, w)


def _fit_platt(z: Floats, target: Floats, w: Floats) -> Platt:
    w = w / w.sum()
    if np.ptp(z) > 0:
        mean = _sum(w * z)
        deviation = math.sqrt(_sum(w * (z - mean) ** 2))
        slope, intercept = _newton((z - mean) / deviation, target, w)
        if slope > 0:
            return Platt(slope=slope / deviation, intercept=intercept - slope * mean / deviation)
    return Platt(slope=1.0, intercept=_shift(z, target, w))


def _newton(z: Floats, target: Floats, w: Floats) -> tuple[float, float]:
    """Slope and intercept of least log loss, by Newton's method with halved steps (Lin, Lin and Weng 2007)."""

    def nats(parameters: Floats) -> float:
        logit = parameters[0] * z + parameters[1]
        return _sum(w * (np.logaddexp(0.0, logit) - target * logit))

    parameters = np.array([0.0, _logit(_sum(w * target))])
    loss = nats(parameters)
    for _ in range(MAX_NEWTON_STEPS):
        p = _p(parameters[0] * z + parameters[1])
        error, curvature = w * (p - target), w * p * (1 - p)
        gradient = [_sum(error * z), _sum(error)]
        mixed = _sum(curvature * z)
        hessian = np.array([[_sum(curvature * z**2), mixed], [mixed, _sum(curvature)]])
        # The ridge bends only the way to the solution, where saturated p would leave nothing to divide by.
        step = np.linalg.solve(hessian + 1e-12 * np.eye(2), gradient)
        # The margin is rounding's: near the solution the loss can no longer tell steps apart, the gradient can.
        while (stepped := nats(parameters - step)) > loss + 1e-12 * abs(loss):
            step /= 2
        parameters, loss = parameters - step, stepped
        if np.abs(step).max() <= TOLERANCE:
            break
    return float(parameters[0]), float(parameters[1])


def _shift(z: Floats, target: Floats, w: Floats) -> float:
    """The b of mean p(z + b) = mean target, by bisection: logits far apart can leave Newton without a slope."""
    goal = _sum(w * target)
    low, high = _logit(goal) - float(z.max()), _logit(goal) - float(z.min())
    while high - low > TOLERANCE * max(1.0, abs(low), abs(high)):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _sum(w * _p(z + middle)) < goal else (low, middle)
    return 0.5 * (low + high)


def _pool(z: Floats, y: Floats, w: Floats) -> Isotonic:
    order = np.argsort(z, kind="stable")
    z, y, w = z[order], y[order], w[order]

    def rising(starts: NDArray[np.int64], margin: float) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Pool the blocks that don't rise, all at once and again until all do: their first rows, rows and p."""
        while True:
            rows, clicks = np.add.reduceat(w, starts), np.add.reduceat(w * y, starts)
            least = margin / (rows + 2 * margin)
            p = np.clip(clicks / rows, least, 1 - least)
            rises = np.concatenate([[True], p[1:] > p[:-1]])
            if rises.all():
                return starts, rows, p
            starts = starts[rises]

    # Rows of one logit must get one value, so no block begins among them.
    starts, rows, _ = rising(np.flatnonzero(np.concatenate([[True], z[1:] > z[:-1]])), margin=0.0)
    # Again after the clip, which can lift a small block above the larger one that follows it.
    starts, rows, p = rising(_of_enough_rows(starts, rows), margin=0.5)
    # Rounding could carry a mean over into the next block.
    knots_x = np.clip(np.add.reduceat(w * z, starts) / rows, z[starts], z[np.append(starts[1:], len(z)) - 1])
    return Isotonic(knots_x=tuple(knots_x.tolist()), knots_y=tuple(np.log(p / (1 - p)).tolist()))


def _of_enough_rows(starts: NDArray[np.int64], rows: Floats) -> NDArray[np.int64]:
    """Join blocks from the left until each holds MIN_BLOCK_ROWS, and the rest at the right with the last of them."""
    kept, held = [0], 0.0
    for start, more in zip(starts.tolist(), rows.tolist(), strict=True):
        if held >= MIN_BLOCK_ROWS:
            kept.append(start)
            held = 0.0
        held += more
    return np.array(kept if held >= MIN_BLOCK_ROWS else kept[:-1] or [0])


def _p(logit: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -logit))


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def _sum(terms: Floats) -> float:
    """Not a matrix product, whose threads would let ranks with other numbers of cores fit other bits."""
    return float(terms.sum())
