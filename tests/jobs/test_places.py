"""Places that can hold nothing are refused, and those where nothing is yet stay empty until something is recorded."""

import fsspec
import pytest
from command import nightjar

from jobs.sweep import check_out
from pipeline.registry.server import reach
from pipeline.runtime import files
from schemas.config import MLflowConfig
from schemas.errors import Refusal

LAST = "2026-11-03"  # of the log
MODEL = ("--model", "models:/ctr@champion")


@pytest.mark.parametrize(
    ("verb", "arguments", "found"),
    [
        ("status", (), "no work folder at {work}"),
        ("rollback", (), "no work folder at {work}"),
        ("rebuild", (), "no runs and no models: there is no database sqlite:///{work}/mlflow.db"),
        ("evaluate", MODEL, "no runs and no models: there is no database sqlite:///{work}/mlflow.db"),
        ("score", (*MODEL, "--date", LAST, "--out", "scores"), "no runs and no models: there is no database"),
    ],
)
def test_where_nothing_was_recorded_a_verb_says_so_and_makes_nothing(session, verb, arguments, found):
    before = set(session.folder.rglob("*"))
    message = session.refused(verb, "--config", str(session.folder / "train.yaml"), *arguments)
    assert message["found"].startswith(found.format(work=session.folder / "work"))
    assert "work_uri" in message["where"]
    assert "if " in message["remedy"]
    assert set(session.folder.rglob("*")) == before


def test_where_nothing_was_recorded_the_first_night_is_planned_and_nothing_made(session):
    before = set(session.folder.rglob("*"))
    done = nightjar("plan", "--config", "train.yaml", "--date", LAST, cwd=session.folder)
    assert done.exit_code == 0, done.stderr
    assert "champion      none yet\nstart         cold: there is no champion yet\n" in done.stdout
    assert set(session.folder.rglob("*")) == before


def test_the_pages_of_a_folder_without_runs_are_not_served(session):
    message = session.refused("ui", "--work", "work")
    assert message["found"].startswith("no runs and no models")
    assert not (session.folder / "work").exists()


OUT = ("--model", "models:/ctr@champion", "--date", LAST, "--out")
SWEEP = ("--sweep", "sweep.yaml", "--out")
PLACES = [("train", ("--set",), "work_uri="), ("status", ("--set",), "data.logs_uri="), ("score", OUT, "")]
PLACES += [("sweep", SWEEP, ""), ("generate", (), "")]


@pytest.mark.parametrize(("verb", "arguments", "key"), PLACES, ids=[verb for verb, _, _ in PLACES])
@pytest.mark.parametrize(
    ("uri", "found", "remedy"),
    [
        ("foo://x/y", "Protocol not known: foo", "correct the URI"),
        ("gs://bucket/x", "Please install gcsfs", "pip install gcsfs"),
        ("az://container/x", "Install adlfs", "pip install adlfs"),
        ("memory://x/y", "which no other process sees", "a place that all processes see"),
        ("data:,x", "'data:,x'", "./"),
        ("s3:/bucket/x", "'s3:/bucket/x'", "./"),
        ("train.yaml/x", "a file, ", "another place"),
        *[
            pytest.param("s3://", "s3:// without a bucket", "name the bucket", marks=pytest.mark.slow),
            pytest.param("s3://bucket/x", "no credentials", "AWS_ACCESS_KEY_ID", marks=pytest.mark.slow),
        ],
    ],
)
def test_a_place_that_can_hold_no_files_is_refused_and_nothing_written(
    session, monkeypatch, verb, arguments, key, uri, found, remedy
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(session.folder))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (session.folder / "sweep.yaml").write_text("{stage: fm, space: {table.dimension: {choice: [4]}}}")
    before = set(session.folder.rglob("*"))
    config = () if verb == "generate" else ("--config", "train.yaml")
    message = session.refused(verb, *config, *arguments, f"{key}{uri}")
    assert found in message["found"]
    assert remedy in message["remedy"]
    assert set(session.folder.rglob("*")) == before


@pytest.mark.slow
def test_credentials_that_are_gone_are_missed_though_the_bucket_was_open_before(session, bucket, monkeypatch):
    assert fsspec.filesystem("s3").exists(bucket)
    files.require_usable(f"{bucket}/x", "work_uri")
    monkeypatch.setenv("HOME", str(session.folder))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(Refusal, match="no credentials"):
        files.require_usable(f"{bucket}/x", "work_uri")


def test_a_log_is_not_generated_onto_a_file(session):
    assert session.refused("generate", "train.yaml")["found"] == f"a file, {session.folder}/train.yaml"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_log_is_generated_into_a_bucket(session, bucket):
    done = nightjar("generate", f"{bucket}/made/", "--days", "1", "--rows-per-day", "100", cwd=session.folder)
    assert done.exit_code == 0, done.stderr
    made = fsspec.filesystem("s3", skip_instance_cache=True).find(f"{bucket}/made")
    assert [name.rpartition("made/")[2] for name in made] == [
        "date=2026-11-01/_SUCCESS",
        "date=2026-11-01/part-0.parquet",
        "truth.json",
    ]
    assert not list(session.folder.glob("s3*"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_best_config_of_a_sweep_may_lie_in_a_bucket_and_is_not_replaced_unasked(bucket):
    files.write_bytes(f"{bucket}/best.yaml", b"mine")
    check_out(f"{bucket}/new.yaml", force=False)
    check_out(f"{bucket}/best.yaml", force=True)
    with pytest.raises(Refusal, match="a file that is there already"):
        check_out(f"{bucket}/best.yaml", force=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_work_folder_whose_mlflow_is_elsewhere_is_not_told_to_have_no_champion(session):
    (session.folder / "work").mkdir()
    reach(MLflowConfig(), str(session.folder / "other"))
    elsewhere = f"mlflow={{tracking_uri: 'sqlite:///{session.folder}/other/mlflow.db', experiment: another}}"
    message = session.refused("status", "--config", str(session.folder / "train.yaml"), "--set", elsewhere)
    assert message["found"] == "no experiment 'another', no champion of ctr and no night"
