"""How many of the newest days a control learns from: what the seconds buy that its stage took, with all before it.

What this goes by is published, and stays as it is: all ranks come to the same, and so do those that go on for them.
"""

from collections.abc import Sequence
from itertools import accumulate

from pipeline.data.store import Store
from pipeline.training import results
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.days import SomeDays, Span
from schemas.plan import lineages
from schemas.stage import StageConfig

MOST_CHOICES = 32  # Ray Data is told of each before the job begins, and has some work by it


def choices(stage: StageConfig, config: TrainConfig, store: Store) -> list[int]:
    """Of how many days a control may be given: at least as many as its stage has, at most all; of many not each."""
    days = _rows_of_days(stage, store)
    own = next(one for one in config.plan if one.name == stage.control_of)
    least, most = max(1, len(config.span_of(own).of(days))), len(days)
    if most - least < MOST_CHOICES:
        return list(range(least, most + 1))
    steps = MOST_CHOICES - 1
    return sorted({round(least * (most / least) ** (step / steps)) for step in range(steps + 1)})


def nearest(rows_of_days: Sequence[int], num_rows: float, among: Sequence[int]) -> int:
    """Of days with so many rows, the newest first, how many together come closest to `num_rows`."""
    totals = list(accumulate(rows_of_days))
    return min(among, key=lambda number: abs(totals[number - 1] - num_rows))


def on_its_days(stage: StageConfig, config: TrainConfig, store: Store, run_uri: str) -> StageConfig:
    """The stage as it is to be trained now; one that says its days itself as it is."""
    if stage.days != "affordable":
        return stage
    assert stage.control_of
    net = results.progress(run_uri, stage.control_of)
    earlier = lineages(config.plan)[stage.control_of]
    seconds = net.seconds + sum(results.progress(run_uri, name).seconds for name in earlier)
    num_rows = seconds * net.rows_seen / max(net.seconds, 1e-9) / stage.epochs
    number = nearest(_rows_of_days(stage, store), num_rows, choices(stage, config, store))
    return derived(stage, days=SomeDays(last=number))


def _rows_of_days(stage: StageConfig, store: Store) -> list[int]:
    """That the stage would train on, the newest day first."""
    read = store.of_span(Span(), stage.negative_share)
    parts = read.of_split("train")
    days = sorted({part.day for part in parts}, reverse=True)
    return [sum(read.num_read(part) for part in parts if part.day == day) for day in days]
