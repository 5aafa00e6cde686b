"""Nights of classes and of numbers: begun, gone on with, and what the morning reads about them."""

import json
from html import unescape
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from click_logs import SPEC
from html_reader import Reader
from night_folder import GATE, MODEL, ROWS, NightFolder, day

from pipeline.registry import model_uri
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
    folder = NightFolder.write(path, 6, data=data, night={"gate": gate})
    relabel(path / "logs", request.param, 6)
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


OF_CLASSES = pytest.mark.parametrize("folder", ["multiclass"], indirect=True)


def rename(folder: NightFolder, number: int, name: str, of: str = "late", rows: int = ROWS) -> None:
    """The class of the first rows of a day that have that one."""
    path = folder.path / f"logs/date={day(number)}" / "part-0.parquet"
    table = pq.read_table(path, partitioning=None)
    labels = table["click"].to_numpy(zero_copy_only=False).astype(object)
    labels[np.flatnonzero(labels == of)[:rows]] = name
    pq.write_table(table.set_column(table.column_names.index("click"), "click", [labels.astype(str)]), path)


@OF_CLASSES
def test_the_champion_before_serves_again_and_rebuilt_and_nights_go_on_from_it(folder, tmp_path):
    own = folder.copy(tmp_path / "copy")
    before, now = (own.aliases()[name] for name in ("previous_champion", "champion"))
    assert own.run("rollback").exit_code == 0
    assert own.aliases()["champion"] == before != now
    done = own.run("rebuild", night__eviction__unseen_days=1, night__eviction__max_count=10**6)
    assert done.exit_code == 0, done.stderr
    assert "is champion: NE" in done.stdout
    uris = (f"models:/{MODEL}/{own.aliases()['champion']}", f"models:/{MODEL}/{before}")
    rebuilt, whole = (model_uri.load_bundle(own.tracking, uri) for uri in uris)
    assert rebuilt.vocabulary.num_ids < whole.vocabulary.num_ids
    assert rebuilt.vocabulary.classes == whole.vocabulary.classes == ("early", "late", "never")
    done = own.night(5)
    assert done.exit_code == 0, done.stderr
    assert (own.record(5).start, own.record(5).outcome) == ("warm", "promoted")


@OF_CLASSES
def test_a_class_that_appears_is_refused_by_name_or_left_out_kept_and_told(folder, tmp_path):
    own = folder.copy(tmp_path / "copy")
    before = own.aliases()
    rename(own, 5, "returned", rows=12)
    strict = own.night(5)
    judged = ("evaluate", "--model", f"models:/{MODEL}@champion", "--dates", str(day(5)), "--json")
    for done in (strict, own.run(*judged)):
        assert done.exit_code == 2
        assert "found     'returned'" in done.stderr
        assert "another mlflow.registered_model" in done.stderr
    assert own.aliases() == before
    told = "unknown classes: 12 rows left out, 12 of 'returned' on 2026-11-05"
    done = own.night(5, data__max_bad_share=0.1)
    assert done.exit_code == 0, done.stderr
    run = own.client.get_run(own.record(5).run_id)
    assert run.data.tags["nightjar.unknown_classes"] == told
    page = Path(own.client.download_artifacts(run.info.run_id, REPORT)).read_text()
    assert told.removeprefix("u") in unescape(page)
    assert told in done.stderr
    kept = pq.read_table(own.path / f"work/quarantine/date={day(5)}", partitioning=None)
    assert kept["click"].to_pylist() == ["returned"] * 12
    done = own.run(*judged, data__max_bad_share=0.1)
    assert told in done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["unknown_classes"] == [{"day": str(day(5)), "name": "returned", "num_rows": 12}]
    assert found["rows"] == ROWS - 12
    assert own.run(*judged, data__max_bad_share=0.01).exit_code == 2


@OF_CLASSES
def test_a_class_that_goes_stays_known_and_a_start_without_it_is_not_compared(folder, tmp_path):
    own = folder.copy(tmp_path / "copy")
    for number in range(1, 7):
        rename(own, number, "late", of="never")
    assert own.night(5).exit_code == 0
    assert own.record(5).start == "warm"
    serves = own.aliases()["champion"]
    done = own.night(6, night__start="cold")
    assert done.exit_code == 0, done.stderr
    assert own.record(6).outcome == "kept"
    assert "tells other classes apart than the candidate: it knows 'never'" in own.record(6).verdict
    assert own.aliases()["champion"] == serves


def test_a_change_of_the_label_is_refused_at_once_and_another_name_begins_anew(folder, tmp_path):
    own = folder.copy(tmp_path / "copy")
    before = yaml.safe_load((own.path / "nightly.yaml").read_text())["data"]["features"]["objective"]
    for number in range(1, 7):
        path = own.path / f"logs/date={day(number)}" / "part-0.parquet"
        table = pq.read_table(path, partitioning=None)
        is_old = pc.cast(pc.greater(table["age"], 50), "int8")
        pq.write_table(table.set_column(table.column_names.index("click"), "click", is_old), path)
    split = {"train_to": str(day(4)), "test_dates": [str(day(5))]}
    verbs = {
        "plan": ("--date", str(day(5))),
        "nightly": ("--date", str(day(5))),
        "rebuild": (),
        "train": ("--set", f"data.split={json.dumps(split)}"),
    }
    others = {"binary", "multiclass", "regression"} - {before}
    with own.unchanged():
        for (verb, arguments), objective in product(verbs.items(), others):
            done = own.run(verb, *arguments, data__features__objective=objective)
            assert done.exit_code == 2, (verb, objective)
            assert f"found     champion models:/{MODEL}/" in done.stderr
            assert f"whose label is 'click', of the objective {before}" in done.stderr
            assert "set mlflow.registered_model to another name" in done.stderr
    if before == "multiclass":
        done = own.night(5, data__features__objective="binary", mlflow__registered_model="anew")
        assert done.exit_code == 0, done.stderr
        assert "models:/anew/1 serves" in done.stdout
