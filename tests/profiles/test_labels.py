"""A day whose labels are classes or numbers: they are profiled, and bound, as a field is."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click_logs import write_day

from pipeline.data import logs, passes
from pipeline.data.split import ResolvedSplit
from pipeline.data.vocabulary import build
from pipeline.profiles.bounds import breaches
from pipeline.profiles.pool import pooled
from pipeline.profiles.profile import DayProfile
from pipeline.profiles.profiler import counts_of, profile_days
from schemas.config import DataConfig
from schemas.features import FeatureSpec
from schemas.night import QualityConfig

ROWS = 400
COLORS = np.array(["red"] * 300 + ["blue"] * 90 + ["green"] * 10)
NUMBERS = np.random.default_rng(0).normal(50, 10, ROWS)


def data_of(folder: Path, objective: str, days: list[np.ndarray]) -> DataConfig:
    for day, labels in enumerate(days):
        table = pa.table({"a": [f"v{row % 7}" for row in range(len(labels))], "y": labels})
        write_day(folder / "logs", date(2026, 11, 1 + day), table)
    fields = [{"name": "a", "kind": "categorical"}]
    spec = FeatureSpec.model_validate({"label": "y", "objective": objective, "fields": fields})
    return DataConfig(logs_uri=str(folder / "logs"), features=spec)


def profiles(folder: Path, objective: str, days: list[np.ndarray]) -> list[DayProfile]:
    data = data_of(folder, objective, days)
    manifest = logs.find(data, logs.days_of(data))
    return profile_days(manifest, data, str(folder / "work"))


def test_classes_are_counted_among_the_fields_and_no_row_is_a_click(tmp_path):
    (day,) = profiles(tmp_path, "multiclass", [COLORS])
    assert day.fields["y"].counts == {"red": 300, "blue": 90, "green": 10}
    assert (day.label, day.positives, day.label_rate) == ("y", None, None)
    assert pooled([day, day]).fields["y"].counts == {"red": 600, "blue": 180, "green": 20}


def test_the_quantiles_of_numbers_are_those_of_the_labels(tmp_path):
    (day,) = profiles(tmp_path, "regression", [NUMBERS])
    quantiles = day.fields["y"].quantiles
    assert quantiles is not None
    assert quantiles["50%"] == pytest.approx(np.quantile(NUMBERS, 0.5, method="inverted_cdf"), rel=2**-11)


@pytest.mark.parametrize(("objective", "lone"), [("multiclass", COLORS[:1]), ("regression", NUMBERS[:1])])
def test_a_day_whose_labels_are_all_alike_is_broken(tmp_path, objective, lone):
    *_, day = profiles(tmp_path, objective, [np.repeat(lone, ROWS)])
    (breach,) = breaches(day, [], QualityConfig())
    assert breach.kind == "broken"
    assert breach.words == "2026-11-01: different labels: 1 in 400 rows; expected two or more"


@pytest.mark.parametrize(
    ("objective", "usual", "other"),
    [("multiclass", COLORS, np.array(["red"] * 20 + ["blue"] * 380)), ("regression", NUMBERS, NUMBERS + 30)],
)
def test_labels_that_shift_are_unusual_as_a_fields_values_are(tmp_path, objective, usual, other):
    *before, new = profiles(tmp_path, objective, [usual, usual, usual, other])
    assert not breaches(before[-1], before[:-1], QualityConfig())
    assert [(one.kind, one.of) for one in breaches(new, before, QualityConfig())] == [("unusual", "values of 'y'")]


@pytest.mark.parametrize(("objective", "labels"), [("multiclass", COLORS), ("regression", NUMBERS)])
def test_what_labels_mean_is_the_same_by_profiles_and_by_the_pass_over_rows(tmp_path, objective, labels):
    data = data_of(tmp_path, objective, [labels, labels[:100]])
    manifest = logs.find(data, logs.days_of(data))
    split = ResolvedSplit(tuple(manifest.days), ())
    by_rows = build(data.features, passes.count_values(manifest, data, split))
    profile_days(manifest, data, str(tmp_path / "work"))
    of_days = counts_of(manifest.days, manifest, data, str(tmp_path / "work"))
    none = manifest.of_days([])
    by_profiles = build(data.features, passes.count_values(none, data, split, of_days))
    assert by_profiles.target == by_rows.target
    assert by_profiles.fingerprint == by_rows.fingerprint
