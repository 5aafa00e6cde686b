"""What do nights buy? Each night's champion on the day that was new, against standing still and against the mean.

    nightjar backfill --config FILE --from ... --to ...
    python tests/benchmarks/nights.py --config FILE --set data.logs_uri=... --plot infra/images/nights.png

Prints the table of verdicts, and NE averaged over the days, weighted by rows: of the nightly champions, of the first
one left alone, and of predicting the base rate of the days before. Days of one class have no NE and are left out.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from math import log
from pathlib import Path

from matplotlib.figure import Figure

from pipeline.data import logs, split
from pipeline.nights import records
from pipeline.nights.records import Night
from pipeline.registry import model_uri
from pipeline.registry.tracking import connect
from pipeline.runtime import cluster
from pipeline.scoring.held_out import score_held_out
from schemas.config import TrainConfig
from schemas.loading import load

COLORS = ("#0072B2", "#D55E00", "#999999")


@dataclass(frozen=True, slots=True)
class Day:
    """Of one held-out day: rows, share of clicks, and log loss of a way to predict them."""

    rows: float
    base_rate: float
    log_loss: float

    @property
    def ne(self) -> float:
        return self.log_loss / entropy(self.base_rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--base-days", type=int, default=20, help="of the log, whose base rate is predicted")
    parser.add_argument("--plot", type=Path)
    told = parser.parse_args()
    config = load(TrainConfig, told.config, told.set)
    nights = [night for night in records.all_of(config) if night.outcome != "stopped"]
    print(*verdicts(nights), sep="\n")
    nightly = {date.fromisoformat(day): of(figures) for night in nights for day, figures in night.progressive.items()}
    nightly = {day: one for day, one in nightly.items() if 0 < one.base_rate < 1}
    alone = first_left_alone(config, nights[0], list(nightly))
    base = base_rates(config, nights, list(nightly), told.base_days)
    ways = {
        "the nightly champions": nightly,
        "the first one left alone": alone,
        f"the base rate of the {told.base_days} days of the log before": base,
    }
    print("\n| predicted by | mean NE over the days, by rows | NE of all days together |\n|---|---:|---:|")
    for name, days in ways.items():
        print(f"| {name} | {mean_ne(days):.4f} | {joint_ne(days):.4f} |")
    if told.plot:
        plot(ways, config.night.period).savefig(told.plot, dpi=110)


def verdicts(nights: list[Night]) -> list[str]:
    """A Markdown table."""
    lines = [
        "| night | start | rows trained | candidate's NE | champion's NE | verdict | serves | minutes |",
        "|---|---|---:|---:|---:|---|---|---:|",
    ]
    for night in nights:
        ne, its = (f"{one['ne']:.4f}" if "ne" in one else "" for one in (night.candidate, night.champion))
        serves = (night.champion_uri or "").removeprefix("models:/")
        minutes = sum(night.seconds.values()) / 60
        cells = (night.day, night.start, f"{night.rows_trained:,}", ne, its, night.outcome, serves, f"{minutes:.1f}")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def of(figures: Mapping[str, float]) -> Day:
    return Day(figures["rows"], figures["base_rate"], figures["log_loss"])


def first_left_alone(config: TrainConfig, first: Night, days: list[date]) -> dict[date, Day]:
    """What the first champion makes of all later days."""
    assert first.champion_uri
    bundle = model_uri.load_bundle(connect(config.mlflow, config.work_uri), first.champion_uri)
    manifest = logs.find(config.data, days)
    with cluster.connected(config.cluster):
        by_day = score_held_out(bundle, manifest, config.data, split.to_judge(days, config.data)).by_day()
    return {day: of(metrics.as_dict()) for day, metrics in by_day.items()}


def base_rates(config: TrainConfig, nights: list[Night], days: list[date], num_days: int) -> dict[date, Day]:
    """Predicting the share of clicks of the days before the period, as much as a night knows."""
    counted = profiles(config)
    found = {}
    for night in nights:
        for day in (day for day in night.held_out_days if day in days):
            before = [counts for one, counts in sorted(counted.items()) if one < night.held_out_days[0]][-num_days:]
            p = sum(clicks for clicks, _ in before) / sum(rows for _, rows in before)
            clicks, rows = counted[day]
            found[day] = Day(rows, clicks / rows, cross_entropy(clicks / rows, p))
    return found


def profiles(config: TrainConfig) -> dict[date, tuple[int, int]]:
    """Clicks and rows of each day of the log."""
    from pipeline.profiles.profiler import profile_days

    data = config.data
    manifest = logs.find(data, logs.days_of(data))
    with cluster.connected(config.cluster):
        profiled = profile_days(manifest, data, config.work_uri)
    return {one.day: (one.positives, one.rows) for one in profiled}


def cross_entropy(rate: float, p: float) -> float:
    return -(rate * log(p) + (1 - rate) * log(1 - p))


def entropy(rate: float) -> float:
    return cross_entropy(rate, rate)


def mean_ne(days: Mapping[date, Day]) -> float:
    return _weighted(days, lambda day: day.ne)


def joint_ne(days: Mapping[date, Day]) -> float:
    """Log loss of all rows over the entropy of each day's own base rate."""
    return _weighted(days, lambda day: day.log_loss) / _weighted(days, lambda day: entropy(day.base_rate))


def _weighted(days: Mapping[date, Day], value: Callable[[Day], float]) -> float:
    return sum(day.rows * value(day) for day in days.values()) / sum(day.rows for day in days.values())


def plot(ways: Mapping[str, Mapping[date, Day]], period: str) -> Figure:
    """NE of each day, or of each month's days together."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    for (name, days), color in zip(ways.items(), COLORS, strict=True):
        of_period: dict[date, dict[date, Day]] = {}
        for day, one in sorted(days.items()):
            of_period.setdefault(day.replace(day=1) if period == "month" else day, {})[day] = one
        axes.plot(list(of_period), [joint_ne(one) for one in of_period.values()], color=color, label=name, marker=".")
    axes.set(ylabel=f"NE of the {period}, before it is learned", ylim=(None, 1.6))
    axes.axhline(1, color="black", linewidth=0.5)
    axes.legend()
    return figure


if __name__ == "__main__":
    main()
