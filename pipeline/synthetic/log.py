"""A click log drawn from a known truth, so that what a model learned can be held against what there was to learn.

Day d depends on the seed, the rows a day and d, never on how many days are drawn.
"""

import math
from datetime import date, timedelta

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, Field, ValidationError

from pipeline.runtime import files
from pipeline.synthetic.chance import Array, sigmoid
from pipeline.synthetic.world import World
from schemas.errors import Refusal
from schemas.features import FROZEN

FIRST_DATE = date(2026, 11, 1)
ROWS_PER_PART = 500_000
ROWS_PER_GROUP = 65_536
LEAST = (1, 100, 0)  # days, rows a day, seed


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


class Truth(BaseModel):
    """truth.json: the arguments of `generate`, what the figures are, and the days written so far."""

    model_config = FROZEN
    seed: int
    rows_per_day: int
    first_date: date
    num_days: int
    legend: dict[str, str] = {name: field.description or name for name, field in DayTruth.model_fields.items()}
    days: tuple[DayTruth, ...] = ()

    def arguments(self) -> str:
        return f"{self.num_days} days from {self.first_date}, {self.rows_per_day} rows a day, seed {self.seed}"


def generate(out_uri: str, days: int, rows_per_day: int, seed: int, first_date: date = FIRST_DATE) -> Truth:
    """Write `out_uri/date=YYYY-MM-DD/part-N.parquet` and `out_uri/truth.json`; the same log complete is left as it is.

    truth.json is written anew after every day, so a call that was cut short goes on after the last whole one. Memory:
    one part, about 200 MB; about 50 bytes a row of the day; some hundred a user and item.
    Raises Refusal for arguments out of range and where other days lie already; nothing is written then.
    """
    for name, value, least in zip(("days", "rows_per_day", "seed"), (days, rows_per_day, seed), LEAST, strict=True):
        if value < least:
            raise Refusal(found=str(value), expected=f"{least} or more", where=name, remedy=f"raise {name}")
    root = out_uri.rstrip("/")
    truth = _written_so_far(root, Truth(seed=seed, rows_per_day=rows_per_day, first_date=first_date, num_days=days))
    if len(truth.days) == days:
        return truth
    _write_truth(root, truth)
    world = World(rows_per_day, seed)
    for index in range(days):
        world.begin_day(index)
        if index < len(truth.days):
            continue
        day = _write_day(root, world, index, first_date + timedelta(index), rows_per_day)
        truth = truth.model_copy(update={"days": (*truth.days, day)})
        _write_truth(root, truth)
    return truth


def auc(of_clicks: Array, of_others: Array) -> float:
    """P(a click outscores a row without one), exact, ties count half (Mann and Whitney 1947)."""
    others = np.sort(of_others)
    below, not_above = np.searchsorted(others, of_clicks, "left"), np.searchsorted(others, of_clicks, "right")
    return float((below + not_above).sum() / (2.0 * len(of_clicks) * len(others)))


def _written_so_far(root: str, wanted: Truth) -> Truth:
    fs, path = fsspec.core.url_to_fs(root)
    if files.exists(f"{root}/truth.json"):
        try:
            truth = Truth.model_validate_json(files.read_bytes(f"{root}/truth.json"))
        except ValidationError:
            found = "a truth.json that `generate` did not write"
        else:
            if truth.arguments() == wanted.arguments():
                return truth
            found = truth.arguments()
    elif fs.glob(f"{path}/date=*"):
        found = "days without a truth.json"
    else:
        return wanted
    raise Refusal(
        found=found,
        expected=f"no days yet, or {wanted.arguments()}",
        where=root,
        remedy="choose another folder, or remove this one if nobody needs it",
    )


def _write_truth(root: str, truth: Truth) -> None:
    files.write_bytes(f"{root}/truth.json", (truth.model_dump_json(indent=1) + "\n").encode())


def _write_day(root: str, world: World, index: int, day: date, num_rows: int) -> DayTruth:
    folder = f"{root}/date={day}"
    logits, clicks = [], []
    for part, start in enumerate(range(0, num_rows, ROWS_PER_PART)):
        rng = world.rng(index, 2 + part)
        rows = world.draw(rng, min(ROWS_PER_PART, num_rows - start))
        logits.append(world.logits(rows))
        clicks.append(rng.random(len(logits[-1])) < sigmoid(logits[-1]))
        row_ids = int(f"{day:%Y%m%d}") * 10**10 + start + np.arange(len(logits[-1]))
        table = pa.table({"row_id": row_ids, "click": clicks[-1].astype(np.int8), **world.columns(rows)})
        sink = pa.BufferOutputStream()
        # Without the Arrow schema in the footer, what is written from dictionaries is read as plain strings.
        pq.write_table(table, sink, row_group_size=ROWS_PER_GROUP, store_schema=False)
        files.write_bytes(f"{folder}/part-{part}.parquet", sink.getvalue().to_pybytes())
    files.mark_complete(folder)
    return _day_truth(day, np.concatenate(logits), np.concatenate(clicks))


def _day_truth(day: date, logits: Array, clicks: Array) -> DayTruth:
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
    )
