"""The figures that a terminal shows, each with its interval."""

import io
import json
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from rich.console import Console

from jobs.evaluate import Judged, in_json, print_figures
from jobs.nightly import print_night
from jobs.status import print_nights
from jobs.train import print_summary
from pipeline.evaluation.intervals import with_bounds
from pipeline.evaluation.metrics import Sums
from pipeline.nights.history import history
from pipeline.nights.records import Move, Night
from pipeline.retrain.summary import Summary, parse_summary
from pipeline.runtime import trusted

FIGURES = {"rows_seen": 2e6, "rows_per_second": 9e4, "auc": 0.7012, "log_loss": 0.1234, "ne": 0.9123}
FIGURES |= {"calibration": 1.0512, "positives": 43.0}
BOUNDS = {"auc": (0.61, 0.79), "ne": (0.871, 0.953), "calibration": (0.72, 1.38), "log_loss": (0.11, 0.13)}
SUMMARY = Summary(
    run_id="run",
    identity="identity",
    tracking_uri="sqlite:///db",
    held_out_days=("2026-11-07",),
    stages={"fm": FIGURES, "deepfm": FIGURES},
    best_stage="fm",
    best_possible_ne=None,
    model_uri="models:/ctr/1",
    alias="challenger",
    verdict="43 held-out clicks are fewer than 100 (night.gate.min_positives: 100)",
    intervals={"fm": BOUNDS, "deepfm": BOUNDS},
)
NIGHT = Night(
    day=date(2026, 11, 7),
    key="key",
    outcome="kept",
    verdict=SUMMARY.verdict,
    held_out_days=(date(2026, 11, 7),),
    start="cold",
    run_id="run",
    tracking_uri="sqlite:///db",
    champion_uri=None,
    candidate=FIGURES,
    bounds=BOUNDS,
)


def shown(print_it, what, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False)
    print_it(what, console)
    return console.file.getvalue()


def test_each_model_of_a_retrain_stands_with_its_intervals_and_few_clicks_say_what_they_tell():
    lines = shown(print_summary, SUMMARY).splitlines()
    assert all(len(line.rstrip()) <= 120 for line in lines)
    (fm,) = [line for line in lines if line.strip().startswith("fm ")]
    assert "0.7012 (0.610 to 0.790)" in fm
    assert "0.9123 (0.871 to 0.953)" in fm
    assert "1.051 (0.72 to 1.38)" in fm
    assert "43 clicks tell AUC to +-0.09 and NE to +-0.04" in lines


def test_where_the_terminal_is_narrow_the_intervals_stand_below_and_no_number_is_cut():
    lines = shown(print_summary, SUMMARY, width=80).splitlines()
    (fm,) = [line.split() for line in lines if line.strip().startswith("fm ")]
    assert fm == ["fm", "2,000,000", "90,000", "0.7012", "0.1234", "0.9123", "1.051"]
    below = " ".join(" ".join(lines).split())
    assert "fm: NE 0.9123 (0.871 to 0.953), AUC 0.7012 (0.610 to 0.790), calibration 1.051 (0.72 to 1.38)" in below
    assert "0.610" not in shown(print_summary, SUMMARY, width=160).split("43 clicks")[1]


def test_what_needs_no_model_stands_below_the_models_and_what_none_can_beat_where_it_is_known():
    without = {"base rate": {"ne": 1.0021, "auc": 0.5, "log_loss": 0.1355}, "base rate of each user": {"ne": 0.953}}
    bounds = {**SUMMARY.intervals, "base rate": {"ne": (1.0001, 1.0041), "auc": (0.5, 0.5)}}
    lines = shown(print_summary, replace(SUMMARY, baselines=without, intervals=bounds), width=160).splitlines()
    (base,) = [line.split() for line in lines if line.strip().startswith("base rate  ")]
    assert base[2:] == ["0.5000", "0.1355", "1.0021", "(1.0001", "to", "1.0041)"]
    (of_users,) = [line.split() for line in lines if line.strip().startswith("base rate of each user")]
    assert of_users[5:] == ["0.9530"]
    assert "unknown" not in "".join(lines)
    assert "best possible" not in "".join(lines)
    known = shown(print_summary, replace(SUMMARY, best_possible_ne=0.7573)).splitlines()
    (best,) = [line.split() for line in known if line.strip().startswith("best possible")]
    assert best == ["best", "possible", "0.7573"]


def test_a_summary_and_a_record_of_earlier_versions_are_read_and_told_without_intervals():
    old = {name: value for name, value in asdict(SUMMARY).items() if name != "intervals"}
    summary = parse_summary(trusted.sealed(old))
    assert summary.intervals == {}
    assert "0.7012   " in shown(print_summary, summary)
    night = replace(NIGHT, bounds={}, champion_uri="models:/ctr/1")
    assert "  candidate: NE 0.9123, AUC 0.7012, calibration 1.051" in shown(print_night, night).splitlines()
    assert parse_summary(trusted.sealed(asdict(SUMMARY))) == SUMMARY


def test_a_night_that_rejects_what_came_first_says_that_nothing_serves_and_how_sure_its_figures_are():
    lines = shown(print_night, NIGHT).splitlines()
    assert lines[0].startswith("2026-11-07: nothing serves yet: 43 held-out clicks are fewer than 100 (night.gate.min_")
    assert lines[1:3] == [
        "  candidate: NE 0.9123 (0.871 to 0.953), AUC 0.7012 (0.610 to 0.790), calibration 1.051 (0.72 to 1.38)",
        "  43 clicks tell AUC to +-0.09 and NE to +-0.04",
    ]
    assert replace(NIGHT, champion_uri="models:/ctr/1").became == "kept"


@pytest.mark.parametrize("width", [80, 200])
def test_evaluate_tells_the_interval_of_each_day_and_of_all(width: int):
    random = np.random.default_rng(0)
    days = {
        date(2026, 11, number): Judged.of(Sums.of(random.normal(-3, 1, 400), random.random(400) < 0.1))
        for number in (6, 7)
    }
    total = Judged.of(Sums.of(random.normal(-3, 1, 800), random.random(800) < 0.1))
    console = Console(file=io.StringIO(), width=width, markup=False)
    print_figures("models:/ctr/1", days, total, (), console)
    told = " ".join(console.file.getvalue().split())
    for one in (*days.values(), total):
        assert with_bounds(one.metrics.auc, one.bounds["auc"]) in told
    assert f"{total.metrics.positives:.0f} clicks tell AUC to" in told
    found = json.loads(in_json("models:/ctr/1", days, total, ()))
    assert found["intervals"]["ne"] == list(total.bounds["ne"])
    assert found["by_date"]["2026-11-06"]["intervals"].keys() == {"log_loss", "ne", "calibration", "auc"}


@pytest.mark.parametrize("width", [80, 120])
def test_no_number_of_status_is_cut_on_a_narrow_terminal(width):
    ended = datetime(2026, 11, 27, 3, tzinfo=UTC)
    night = replace(NIGHT, champion=FIGURES, champion_uri="models:/ctr/2", outcome="promoted", rows_trained=1_450_000)
    move = Move(ended + timedelta(hours=1), "rollback", "models:/ctr/2", "models:/ctr/1", "ann")
    lines = shown(print_nights, history([replace(night, ended=ended)], [move], "models:/ctr/1"), width).splitlines()
    assert max(map(len, lines)) <= width
    told = " ".join(" ".join(lines).split())
    for number in ("2026-11-07", "0.9123", "ctr/1", "1,450,000", "2026-11-27 04:00"):
        assert f" {number} " in told
    assert "\N{HORIZONTAL ELLIPSIS}" not in told
