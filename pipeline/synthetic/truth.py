"""truth.json: what there was to learn on each day of a log, and how often its ids were seen."""

import math
from datetime import date

import numpy as np
from pydantic import BaseModel, Field

from pipeline.synthetic.chance import Array, sigmoid
from pipeline.synthetic.presets import PresetName
from pipeline.synthetic.sightings import IdTruth
from schemas.features import FROZEN


class DayTruth(BaseModel):
    """One day as drawn. Where no row or every row is clicked, what is undefined is None."""

    model_config = FROZEN
    date: date
    rows: int = Field(description="impressions")
    clicks: int = Field(description="rows with click = 1")
    click_rate: float = Field(description="clicks / rows")
    expected_click_rate: float = Field(description="mean of the true probabilities")
    log_loss: float = Field(description="of the true probabilities on the labels drawn, nats a row: the best possible")
    expected_log_loss: float = Field(description="mean entropy of the true probabilities: log_loss without the luck")
    ne: float | None = Field(description="log_loss / entropy of click_rate: the best possible normalized entropy")
    auc: float | None = Field(description="of the true probabilities on the labels drawn, exact: the best possible")
    ids: dict[str, IdTruth] = Field(
        default={},  # of logs that were written before it was told
        description="by column of ids: "
        + "; ".join(f"{name}: {field.description}" for name, field in IdTruth.model_fields.items()),
    )


class Truth(BaseModel):
    """The arguments of `generate`, what the figures are, and the days written so far."""

    model_config = FROZEN
    preset: PresetName = "apps"  # the only one there was when it was not told
    seed: int
    rows_per_day: int
    first_date: date
    num_days: int
    legend: dict[str, str] = {name: field.description or name for name, field in DayTruth.model_fields.items()}
    days: tuple[DayTruth, ...] = ()

    def arguments(self) -> str:
        log = f"{self.num_days} days from {self.first_date}, {self.rows_per_day} rows a day, seed {self.seed}"
        return f"{log}, preset {self.preset}"


def of_day(day: date, logits: Array, clicks: Array, ids: dict[str, IdTruth]) -> DayTruth:
    p, rate = sigmoid(logits), float(clicks.mean())
    nats_of_no_click = np.logaddexp(0.0, logits)
    log_loss = float((nats_of_no_click - clicks * logits).mean())
    has_both = 0 < rate < 1
    return DayTruth(
        date=day,
        rows=len(clicks),
        clicks=int(clicks.sum()),
        click_rate=rate,
        expected_click_rate=float(p.mean()),
        log_loss=log_loss,
        expected_log_loss=float((nats_of_no_click - p * logits).mean()),
        ne=-log_loss / (rate * math.log(rate) + (1 - rate) * math.log1p(-rate)) if has_both else None,
        auc=auc(logits[clicks], logits[~clicks]) if has_both else None,
        ids=ids,
    )


def auc(of_clicks: Array, of_others: Array) -> float:
    """P(a click outscores a row without one), exact, ties count half (Mann and Whitney 1947)."""
    others = np.sort(of_others)
    below, not_above = np.searchsorted(others, of_clicks, "left"), np.searchsorted(others, of_clicks, "right")
    return float((below + not_above).sum() / (2.0 * len(of_clicks) * len(others)))
