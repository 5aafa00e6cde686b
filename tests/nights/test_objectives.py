"""Nights of classes and of numbers: begun, gone on with, and what the morning reads about them."""

import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click_logs import SPEC
from html_reader import Reader
from night_folder import GATE, MODEL, NightFolder, day

from pipeline.report.page import REPORT
from schemas.features import Objective

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
OF_CLICKS = ("min_positives", "calibration", "max_auc_error")
BESIDE = {"multiclass": "accuracy", "regression": "rmse"}


def relabel(logs: Path, objective: Objective, days: int, classes: tuple[str, ...] = ("early", "late", "never")) -> None:
    """What was a click becomes a class or a number that goes by age, as the click did."""
    random = np.random.default_rng(5)
    for number in range(1, days + 1):
        path = logs / f"date={day(number)}" / "part-0.parquet"
        table = pq.read_table(path, partitioning=None)
        age = table["age"].to_numpy().astype(float)
        if objective == "multiclass":
            place = np.clip((age - 18 + random.normal(0, 10, len(age))) // 21, 0, 2).astype(int)
            labels = np.array(classes)[place]
        else:
            labels = 1_000 + 10 * age + random.normal(0, 50, len(age))
        place = table.column_names.index("click")
        pq.write_table(table.set_column(place, "click", [labels]), path, row_group_size=150)


@pytest.fixture(scope="module", params=["multiclass", "regression"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NightFolder:
    """Of a night from nothing, whose champion then learns the day it was judged on, and one that goes on from it."""
    gate = {key: one for key, one in GATE.items() if key not in OF_CLICKS} | {"golden_rows": 8, "slices": ["site"]}
    features = {**SPEC, "objective": request.param}
    path = tmp_path_factory.mktemp(request.param)
    data = {"logs_uri": str(path / "logs"), "features": features}
    folder = NightFolder.write(path, 4, data=data, night={"gate": gate})
    relabel(path / "logs", request.param, 4)
    for done in (folder.night(2, night__refresh=True), folder.night(4)):
        assert done.exit_code == 0, done.stderr
    return folder


@pytest.fixture
def beside(folder: NightFolder) -> str:
    return BESIDE["multiclass" if "multiclass" in folder.path.name else "regression"]


def test_nights_begin_go_on_and_are_judged_by_ne(folder, beside):
    first, second = folder.record(2), folder.record(4)
    assert (first.start, second.start) == ("cold", "warm")
    assert folder.learned_days(folder.aliases()["champion"])[:2] == [1, 2]
    assert second.candidate["ne"] < 1
    assert {"ne", beside} <= set(second.champion) & set(second.bounds)
    assert not {"auc", "calibration", "positives"} & set(second.candidate)


def test_the_morning_reads_nothing_of_clicks(folder, beside):
    path = folder.client.download_artifacts(folder.record(4).run_id, REPORT)
    page = Reader(Path(path).read_text())
    text = " ".join(page.text["section"]).lower()
    assert beside in text
    assert not [word for word in ("clicks", "auc", "calibration") if word in text]


def test_status_tells_the_figure_beside_ne(folder, beside):
    done = folder.run("status")
    assert done.exit_code == 0, done.stderr
    assert f"{dict(accuracy='accuracy', rmse='RMSE')[beside]} " in done.stdout


def test_what_is_scored_is_what_is_evaluated(folder, beside):
    model, out = ("--model", f"models:/{MODEL}@champion"), folder.path / "scores"
    evaluated = folder.run("evaluate", *model, "--dates", str(day(4)), "--json")
    scored = folder.run("score", *model, "--date", str(day(4)), "--out", str(out))
    assert scored.exit_code == 0, scored.stderr
    scores = pq.read_table(out / f"date={day(4)}", partitioning=None)
    labels = pq.read_table(folder.path / f"logs/date={day(4)}", partitioning=None)["click"].to_numpy()
    found = json.loads(evaluated.stdout.splitlines()[-1])
    if beside == "rmse":
        assert np.sqrt(np.mean((scores["prediction"].to_numpy() - labels) ** 2)) == pytest.approx(found["rmse"])
    else:
        names = [name for name in scores.column_names if name.startswith("probability_")]
        told = np.array(names)[np.stack([scores[name].to_numpy() for name in names], axis=1).argmax(axis=1)]
        assert (told == np.char.add("probability_", labels.astype(str))).mean() == found["accuracy"]


@pytest.mark.parametrize("folder", ["multiclass"], indirect=True)
def test_a_class_that_no_training_day_has_is_refused_with_its_name(folder, tmp_path):
    own = folder.copy(tmp_path / "copy")
    path = own.path / f"logs/date={day(4)}" / "part-0.parquet"
    table = pq.read_table(path, partitioning=None)
    is_first = pc.equal(table["row"], table["row"][0])
    labels = pc.if_else(is_first, "returned", table["click"])
    pq.write_table(table.set_column(table.column_names.index("click"), "click", labels), path)
    done = own.run("evaluate", "--model", f"models:/{MODEL}@champion", "--dates", str(day(4)))
    assert done.exit_code == 2
    assert "'returned'" in done.stderr
