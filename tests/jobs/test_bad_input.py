"""Every way that input can be wrong ends in one message, exit 2 and no traceback, before anything is trained."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click_logs import click_rows, write_day

from pipeline.registry.server import reach
from schemas.config import MLflowConfig

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 3)


Damage = Callable[[Path], object]


def rewrite(column: str, values: list[object], kind: pa.DataType, day: date = FIRST) -> Damage:
    """Write a day again with another column in the place of one."""

    def damage(logs: Path) -> None:
        rows = click_rows()
        write_day(logs, day, rows.set_column(rows.column_names.index(column), column, pa.array(values, kind)))

    return damage


def truncate(logs: Path) -> None:
    path = logs / f"date={FIRST}/part-0.parquet"
    path.write_bytes(path.read_bytes()[:-50])


def nest(logs: Path) -> None:
    (logs / f"date={FIRST}/hour=03").mkdir()
    (logs / f"date={FIRST}/hour=03/part-0.parquet").write_text("rows")


def delta(logs: Path) -> None:
    (logs / "_delta_log").mkdir()


def double(logs: Path) -> None:
    rows = click_rows()
    write_day(logs, FIRST, rows.append_column("age", rows["age"]))


def empty(logs: Path) -> None:
    (logs / f"date={FIRST}/part-0.parquet").unlink()


@pytest.mark.parametrize(
    ("damage", "found", "where"),
    [
        (lambda logs: write_day(logs, LAST, click_rows().drop_columns(["age"])), "no column 'age'", "part-0.parquet"),
        (
            lambda logs: write_day(logs, FIRST, click_rows().rename_columns({"views": "view"})),
            "renamed to 'view'",
            "part-0.parquet",
        ),
        (rewrite("age", ["old"] * 8, pa.string()), "column 'age' of type string", "part-0.parquet"),
        (empty, "a day without files", f"date={FIRST}"),
        (lambda logs: write_day(logs, FIRST, click_rows().slice(0, 0)), "no rows", f"date={FIRST}"),
        (truncate, "not whole Parquet", "part-0.parquet"),
        (lambda logs: (logs / f"date={FIRST}/b.parquet").write_text("text"), "not whole Parquet", "b.parquet"),
        (nest, "hour=03/", f"date={FIRST}"),
        (delta, "a Delta Lake table", "logs"),
        (double, "2 columns named 'age'", "part-0.parquet"),
        (lambda logs: (logs / "date=20261101").mkdir(), "'20261101'", "logs"),
    ],
    ids=[
        *("missing", "renamed", "type", "no-files", "no-rows", "truncated", "not-parquet"),
        *("nested", "delta", "twice", "spelling"),
    ],
)
def test_a_log_that_its_footers_give_away_is_refused_before_ray_starts(session, damage, found, where):
    damage(session.folder / "logs")
    message = session.train_refused()
    assert found in message["found"]
    assert where in message["where"]
    assert set(message) == {"found", "expected", "where", "remedy"}
    assert not (session.folder / "work").exists(), "neither MLflow nor Ray was begun with"


@pytest.mark.parametrize(
    ("override", "found", "remedy"),
    [
        ("data.split.test_dates=[2026-12-24]", "no day 2026-12-24", "correct the dates"),
        ("data.split={by: date, train_from: 2026-11-09}", "no training day", "train_from"),
        ("stages.fm.epoch=2", "unknown key 'epoch'", "did you mean 'epochs'?"),
        ("stages.fm.members=2", "2 members of an fm", "leave members away"),
        ("cluster.num_workers=two", "'two'", "correct the value"),
        ("data.logs_uri=/nowhere", "no date=YYYY-MM-DD folder", "set data.logs_uri"),
        ("data.logs_uri=train.yaml", "a file, train.yaml", "`Other layouts` in jobs/first-hour.md"),
        pytest.param("mlflow.tracking_uri=http://127.0.0.1:9", "refused", "start the server", marks=pytest.mark.slow),
        ("mlflow.tracking_uri=file:///tmp/mlruns", "file:///tmp/mlruns", "server"),
    ],
)
def test_a_config_that_cannot_be_is_refused(session, override, found, remedy):
    message = session.train_refused(override)
    assert found in message["found"]
    assert remedy in message["remedy"]


@pytest.mark.parametrize(
    ("override", "found", "where"),
    [
        ("data.timezone=Mars", "'Mars'", "data.timezone"),
        ("data.partitioning.by=hour", "by: hour", "data.partitioning"),
        ("data.partitioning.by=column", "nothing", "data.partitioning.column"),
        ("data.partitioning={by: path, path: year=YYYY/month=MM}", "'year=YYYY/month=MM'", "data.partitioning.path"),
        ("data.partitioning={by: path, path: dt=YYYYMMDD}", "no dt=YYYYMMDD folder; 3 folders, date=", "logs"),
        (
            "data.partitioning={by: path, path: date=YYYY-MM-DD/hour=HH}",
            "part-0.parquet, which holds rows",
            f"date={FIRST}",
        ),
        ("data.partitioning={by: column, column: ts}", "no column named 'ts'", "part-0.parquet, row group 0"),
        ("data.partitioning={by: column, column: user}", "column 'user' of type string", "part-0.parquet, row group 0"),
    ],
)
def test_a_log_that_is_not_divided_as_the_config_has_it_is_refused_in_four_lines(session, override, found, where):
    message = session.train_refused(override)
    assert message["found"].startswith(found)
    assert message["where"].endswith(where)
    assert set(message) == {"found", "expected", "where", "remedy"}
    assert not (session.folder / "work").exists()


def stages_of(fm: str, fnn: str) -> str:
    """An override, by the days of two stages."""
    net = f"{{name: fnn, model: fnn, init_from: fm, batch_size: 4, days: {fnn}}}"
    return f"stages=[{{name: fm, model: fm, batch_size: 4, days: {fm}}}, {net}]"


@pytest.mark.parametrize(
    ("stages", "found", "where"),
    [
        (stages_of("{before: fnn}", "all"), "'fnn', whose days begin with the first one", "stages.fm.days.before"),
        (stages_of("{before: fnn}", "{last: 2}"), "2 training days, 2026-11-01 to 2026-11-02", "stages.fm.days"),
        (stages_of("{before: fnn}", "{before: fm}"), "a circle: fm before fnn before fm", "stages.fm.days.before"),
        (stages_of("{before: nets}", "{last: 1}"), "'nets'", "stages.fm.days.before"),
        ("stages.fm.last_days=7", "unknown key 'last_days'", "stages.0.last_days"),
    ],
    ids=["all-before", "too-few", "circle", "of-no-stage", "as-before"],
)
def test_days_that_a_stage_cannot_have_are_refused_in_four_lines(session, stages, found, where):
    message = session.train_refused(stages)
    assert message["found"].startswith(found)
    assert message["where"].endswith(where)
    assert set(message) == {"found", "expected", "where", "remedy"}


def test_a_key_that_stands_twice_is_refused_with_its_line(session):
    path = session.folder / "train.yaml"
    path.write_text(path.read_text() + "seed: 1\nseed: 2\n")
    message = session.train_refused()
    assert "'seed' stands twice" in message["found"]
    assert message["where"].endswith(f"line {len(path.read_text().splitlines())}")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_model_that_is_not_there_is_refused(session):
    config = str(session.folder / "train.yaml")
    reach(MLflowConfig(), str(session.folder / "work"))
    message = session.refused("evaluate", "--config", config, "--model", "models:/ctr@champion")
    assert "registered model" in message["expected"]
    assert message["where"] == "models:/ctr@champion"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_whatever_a_model_is_called_every_verb_refuses_what_is_none(session):
    config = str(session.folder / "train.yaml")
    for model in ("", "http://host/model", "models:/", "models:/a'b@champion", "runs:/", "file://host/x", "x" * 5000):
        evaluated = session.refused("evaluate", "--config", config, "--model", model)
        scored = session.refused("score", "--config", config, "--model", model, "--date", str(FIRST), "--out", "out")
        explained = session.refused("explain", "--config", config, "--model", model)
        assert evaluated == scored == explained
        assert set(scored) == {"found", "expected", "where", "remedy"}
    assert "no bundle.json" in session.refused("evaluate", "--config", config, "--model", "a%b#c")["found"]
    message = session.train_refused('stages.fm.init_from="models:/a\'b@champion"')
    assert message["found"] == "no alias 'champion' of \"a'b\""


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("damage", "found", "where"),
    [
        (rewrite("click", [2] + [0] * 7, pa.int8()), "2 (1 such rows)", "column 'click'"),
        (rewrite("price", [float("nan")] * 8, pa.float64()), "nan (4 such rows)", "column 'price'"),
        (rewrite("price", [float("inf")] * 8, pa.float64(), LAST), "inf (4 such rows)", f"date={LAST}"),
        (rewrite("click", [0] * 8, pa.int8(), LAST), "8 held-out rows, 0 of them clicks", str(LAST)),
    ],
    ids=["label", "nan", "infinite", "one-class"],
)
def test_bad_values_are_refused_before_training(session, damage, found, where):
    damage(session.folder / "logs")
    message = session.train_refused()
    assert found in message["found"]
    assert where in message["where"]


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_days_of_a_stage_that_hold_one_class_are_refused_before_training(session):
    rewrite("click", [0] * 8, pa.int8(), date(2026, 11, 2))(session.folder / "logs")
    message = session.train_refused(stages_of("{before: fnn}", "{last: 1}"))
    assert message["found"] == "8 training rows, 0 of them clicks"
    assert message["where"].endswith("days of stage 'fnn'")


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_a_config_that_cannot_be_placed_is_refused_with_what_is_missing(session):
    assert (
        "room for 1 of 4 ranks" in session.train_refused("cluster.num_workers=4", "cluster.cpus_per_worker=2")["found"]
    )


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_a_table_that_no_node_has_memory_for_is_refused_before_rows_are_encoded(session):
    message = session.train_refused("table.dimension=1000000000000")
    assert "ids x 1,000,000,000,001 floats" in message["found"]
    assert "no memory for 1 of them" in message["found"]
    assert "table.dimension" in message["remedy"]
    assert not (session.folder / "work" / "encoded").exists(), "nothing was encoded"
