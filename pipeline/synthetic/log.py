"""A click log drawn from a known truth, so that what a model learned can be held against what there was to learn.

Day d depends on the preset, the seed, the rows a day and d, never on how many days are drawn.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipeline.runtime import files
from pipeline.synthetic.chance import sigmoid
from pipeline.synthetic.impressions import Impressions
from pipeline.synthetic.presets import DEFAULT, PresetName
from pipeline.synthetic.sightings import Sightings
from pipeline.synthetic.truth import DayTruth, Truth, of_day
from pipeline.synthetic.world import World
from schemas.errors import Refusal

FIRST_DATE = date(2026, 11, 1)
ROWS_PER_PART = 500_000
ROWS_PER_GROUP = 65_536
LEAST = (1, 100, 0)  # days, rows a day, seed


def generate(
    out_uri: str,
    days: int,
    rows_per_day: int,
    seed: int,
    first_date: date = FIRST_DATE,
    preset: PresetName = DEFAULT,
) -> Truth:
    """Write `out_uri/date=YYYY-MM-DD/part-N.parquet` and `out_uri/truth.json`; the same log complete is left as it is.

    truth.json is written anew after every day, so a call that was cut short goes on after the last whole one. Memory:
    one part, about 200 MB; about 50 bytes a row of the day; some hundred a user and item there is, eight for any other.
    Raises Refusal for arguments out of range and where other days lie already; nothing is written then.
    """
    for name, value, least in zip(("days", "rows_per_day", "seed"), (days, rows_per_day, seed), LEAST, strict=True):
        if value < least:
            raise Refusal(found=str(value), expected=f"{least} or more", where=name, remedy=f"raise {name}")
    root = out_uri.rstrip("/")
    wanted = Truth(preset=preset, seed=seed, rows_per_day=rows_per_day, first_date=first_date, num_days=days)
    written = _written_so_far(root, wanted)
    if len(written.days) == days:
        return written
    _write_truth(root, written)
    world, sightings = World(rows_per_day, seed, preset), Sightings()
    for index in range(days):
        world.begin_day(index)
        parts = _parts(world, rows_per_day)
        if index < len(written.days):  # its rows are drawn again: what they show, later days' have seen
            for _, rows in parts:
                sightings.add(world.ids(rows))
            sightings.end_day()
            continue
        day = _write_day(root, first_date + timedelta(index), parts, world, sightings)
        written = written.model_copy(update={"days": (*written.days, day)})
        _write_truth(root, written)
    return written


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


def _parts(world: World, num_rows: int) -> Iterator[tuple[np.random.Generator, Impressions]]:
    """The rows of the day begun last, and what their coins are to be thrown by."""
    for part, start in enumerate(range(0, num_rows, ROWS_PER_PART)):
        rng = world.rng(world.day, 2 + part)
        yield rng, world.draw(rng, min(ROWS_PER_PART, num_rows - start))


def _write_day(
    root: str,
    day: date,
    parts: Iterator[tuple[np.random.Generator, Impressions]],
    world: World,
    sightings: Sightings,
) -> DayTruth:
    folder = f"{root}/date={day}"
    logits, clicks = [], []
    for part, (rng, rows) in enumerate(parts):
        logits.append(world.logits(rows))
        clicks.append(rng.random(len(logits[-1])) < sigmoid(logits[-1]))
        row_ids = int(f"{day:%Y%m%d}") * 10**10 + part * ROWS_PER_PART + np.arange(len(logits[-1]))
        table = pa.table({"row_id": row_ids, "click": clicks[-1].astype(np.int8), **world.columns(rows)})
        sink = pa.BufferOutputStream()
        # Without the Arrow schema in the footer, what is written from dictionaries is read as plain strings.
        pq.write_table(table, sink, row_group_size=ROWS_PER_GROUP, store_schema=False)
        files.write_bytes(f"{folder}/part-{part}.parquet", sink.getvalue().to_pybytes())
        sightings.add(world.ids(rows))
    files.mark_complete(folder)
    return of_day(day, np.concatenate(logits), np.concatenate(clicks), sightings.end_day())
