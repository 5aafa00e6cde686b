"""Nights of logs that are small as public ones are: few clicks a day, and ratings by month."""

import json
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from click_logs import write_day
from command import Done
from night_folder import NightFolder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]

FIELDS = ("user", "item", "place")
LONGEST = 600  # characters of a line


def folder_with(path: Path, label: str, days: dict[date, pa.Table], night: dict[str, Any]) -> NightFolder:
    for day, table in days.items():
        write_day(path / "logs", day, table, row_group_size=len(table))
    features = {"label": label, "group": "user", "fields": [{"name": name, "kind": "categorical"} for name in FIELDS]}
    config = {
        "work_uri": str(path / "work"),
        "data": {"logs_uri": str(path / "logs"), "features": features},
        "table": {"dimension": 4},
        "stages": [{"name": "fm", "model": "fm", "batch_size": 256, "epochs": 4, "embedding": {"l2": 1e-4}}],
        "cluster": {"num_workers": 0},
        "night": {"gate": {"golden_rows": 0}, **night},
    }
    (path / "nightly.yaml").write_text(yaml.safe_dump(config))
    return NightFolder(path)


def few_clicks() -> dict[date, pa.Table]:
    """Seven days of 2,400 impressions, of which the item that is shown decides how many are clicked, some 2 %."""
    random, days = np.random.default_rng(0), {}
    appeal = random.normal(0, 1.0, 40)
    for number in range(7):
        item = random.integers(0, 40, 2_400)
        chance = 0.021 * np.exp(appeal[item] - 0.5)
        columns = {
            "user": random.integers(0, 900, 2_400).astype(str),
            "item": item.astype(str),
            "place": random.choice(["top", "side"], 2_400),
            "click": (random.random(2_400) < chance).astype(np.int8),
        }
        days[date(2026, 10, 1) + timedelta(number)] = pa.table(columns)
    return days


def ratings() -> dict[date, pa.Table]:
    """Four months of 25 days of 24 ratings, of which half are good; who rates what changes by the month."""
    random, days = np.random.default_rng(0), {}
    appeal, taste = random.normal(0, 1.0, 200), random.normal(0, 0.7, 200)
    for month in range(6, 10):
        for number in range(25):
            user, item = (random.integers(10 * (month - 6), 10 * (month - 6) + 60, 24) for _ in range(2))
            good = random.random(24) < 1 / (1 + np.exp(-appeal[item] - taste[user]))
            columns = {"user": user.astype(str), "item": item.astype(str), "good": good.astype(np.int8)}
            columns["place"] = random.choice(["home", "cinema"], 24)
            days[date(2026, month, 1 + number)] = pa.table(columns)
    return days


def said(done: Done) -> list[str]:
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= LONGEST
    return lines


def artifacts_of(folder: NightFolder, run_id: str) -> Path:
    return folder.path / "work" / "mlartifacts" / run_id / "artifacts"


def test_thirty_clicks_a_day_are_too_few_to_serve_by_and_a_pool_of_three_days_is_not(tmp_path):
    folder, last = folder_with(tmp_path, "click", few_clicks(), {}), date(2026, 10, 7)
    lines = said(folder.run("nightly", "--date", str(last)))
    day = folder.records()[0]
    clicks = int(day.candidate["positives"])
    assert 20 < clicks < 50
    assert lines[0].startswith(f"{last}: nothing serves yet: {clicks} held-out clicks are fewer than 100 ")
    assert "(night.gate.min_positives: 100)" in lines[0]
    assert day.failed_rules == ("positives",), "no rule of the instrument, and none of the base rate"
    assert day.candidate["auc_error"] == 0
    assert f"  {clicks} clicks tell AUC to +-0." in "\n".join(lines)
    low, high = day.bounds["auc"]
    assert low < day.candidate["auc"] < high
    assert high - low > 0.1
    assert day.baselines["base rate"]["ne"] > 0.99
    assert "base rate of each user" in day.baselines
    tags = folder.client.get_model_version("ctr", "1").tags
    assert (tags["nightjar.decision"], tags["nightjar.failed_rules"]) == ("rejected", "positives")
    assert "nothing serves yet" in folder.run("status").stdout

    pooled = folder.run("nightly", "--date", str(last), "--again", night__period={"rows": 7_000}, night__start="cold")
    lines = said(pooled)
    night = next(one for one in folder.records() if len(one.held_out_days) == 3)
    assert night.outcome == "promoted", night.verdict
    assert night.candidate["rows"] == 7_200
    assert lines[0].startswith(f"{last}: promoted: NE 0.")
    assert folder.learned_days(2) == [1, 2, 3, 4], "the window ends before the pool"
    shown = " ".join(unescape((artifacts_of(folder, night.run_id) / "report.html").read_text()).split())
    assert "The data of the 3 new days" in shown
    assert "of the training days' base rate of" in shown


def test_a_month_of_ratings_is_judged_as_one_and_told_in_a_few_lines(tmp_path):
    night = {"period": "month", "window_days": 1_000, "quality": {"trailing_days": 2}}
    folder = folder_with(tmp_path, "good", ratings(), night)
    plan = folder.run("plan").stdout
    assert "hold out      600 rows of 2026-09-01 to 2026-09-25" in plan
    lines = said(folder.run("backfill", "--from", "2026-08-01", "--to", "2026-09-30", night__gate__min_rows=500))
    assert [line.partition(":")[0] for line in lines[:2]] == ["2026-08-25", "2026-09-25"]
    first, second = folder.records()
    assert len(second.held_out_days) == 25
    assert (first.outcome, second.start) == ("promoted", "warm"), (first.verdict, second.verdict)
    assert not second.breaches
    (profile,) = json.loads((artifacts_of(folder, second.run_id) / "profiles.json").read_text())
    assert (profile["rows"], profile["num_days"], profile["first_day"]) == (600, 25, "2026-09-01")
    told = (artifacts_of(folder, second.run_id) / "breaches.txt").read_text().splitlines()
    assert all("2 trailing pools of 25 days" in line for line in told)
    assert len(second.unusual) <= 10
    assert "none" in folder.run("status").stdout.splitlines()[-1], "each day of the month has had its night"
