"""What travels to a cluster: read there, it is the very config that was read here, and it holds no secret."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from bundles import STAGES
from click_logs import SPEC
from secret_uris import SECRET_URIS

from pipeline.submission.environment import FORWARDED, forwarded
from pipeline.submission.naming import name_of
from pipeline.submission.work import CONFIG, Work, require_no_secrets, require_portable, text_of
from schemas.checking import derived
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.loading import load
from schemas.sweep import SweepConfig

CONFIGS = Path(__file__).parents[2] / "jobs" / "configs"
WHOLE = [path for path in sorted(CONFIGS.glob("*.yaml")) if not path.stem.endswith(("_features", "_sweep"))]
IN_BUCKETS = {"work_uri": "s3://clicks/work", "mlflow": {"tracking_uri": "http://mlflow:5000"}}


def config_of(**changes: Any) -> TrainConfig:
    data = {"logs_uri": "s3://clicks/logs", "features": SPEC}
    return TrainConfig.model_validate({"data": data, "stages": STAGES} | IN_BUCKETS | changes)


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_the_config_that_travels_is_read_elsewhere_as_what_was_read_here(path, tmp_path, monkeypatch):
    here = load(TrainConfig, path, ["seed=7", "data.split.test_dates=[2026-11-08]"] if "demo" in path.name else [])
    Work("train", here).write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [CONFIG]
    there = load(TrainConfig, Path(CONFIG))
    assert derived(there, night=derived(there.night, wait_seconds=0)) == here


def test_a_sweep_that_travels_is_read_elsewhere_as_what_was_read_here(tmp_path):
    here = load(SweepConfig, CONFIGS / "demo_sweep.yaml")
    work = Work("sweep", config_of(), beside={"sweep.yaml": text_of(CONFIGS / "demo_sweep.yaml")})
    work.write(tmp_path)
    assert load(SweepConfig, tmp_path / "sweep.yaml") == here


def test_a_job_runs_on_its_own_cluster_whichever_the_config_names(tmp_path):
    Work("train", config_of(cluster={"address": "10.0.0.1:6379", "num_workers": 2})).write(tmp_path)
    assert load(TrainConfig, tmp_path / CONFIG).cluster == config_of(cluster={"num_workers": 2}).cluster


def test_a_job_waits_for_the_lease_of_one_that_was_lost_unless_the_config_says_for_how_long(tmp_path):
    for own, waits in (({}, 180), ({"lease_seconds": 60}, 90), ({"wait_seconds": 0}, 0), ({"wait_seconds": 7}, 7)):
        Work("train", config_of(night=own)).write(tmp_path)
        assert load(TrainConfig, tmp_path / CONFIG).night.wait_seconds == waits


def test_arguments_reach_the_command_as_they_were_typed():
    work = Work("score", config_of(), ("--model", "models:/ctr name's/1", "--out", "s3://b/$HOME `x`"))
    assert work.entrypoint == (
        "exec nightjar score --config config.yaml --model 'models:/ctr name'\"'\"'s/1' --out 's3://b/$HOME `x`'"
    )


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"work_uri": "/home/me/.nightjar"}, "work_uri"),
        ({"data": {"logs_uri": "/home/me/logs", "features": SPEC}}, "data.logs_uri"),
        ({"mlflow": {"tracking_uri": "sqlite:////home/me/mlflow.db"}}, "mlflow.tracking_uri"),
        ({"stages": [{"name": "fm", "model": "fm", "init_from": "/home/me/bundle"}]}, "stages.0.init_from"),
    ],
    ids=["work", "log", "MLflow", "model"],
)
def test_a_path_of_this_machine_is_refused_by_the_name_of_its_key(changes, where):
    with pytest.raises(Refusal, match="--shared-paths") as refused:
        require_portable(Work("train", config_of(**changes)))
    assert refused.value.where == where


def test_paths_in_options_and_in_the_shell_are_refused_as_those_of_the_config_are():
    require_portable(Work("train", config_of()))
    with pytest.raises(Refusal) as refused:
        require_portable(Work("score", config_of(), places={"--out": "/home/me/scores"}))
    assert refused.value.where == "--out"
    work = Work("train", config_of(mlflow={}), environment={"MLFLOW_TRACKING_URI": "sqlite:////home/me/mlflow.db"})
    with pytest.raises(Refusal) as refused:
        require_portable(work)
    assert refused.value.where == "MLFLOW_TRACKING_URI"


def with_secret(uri: str) -> list[Work]:
    """In each place where one could stand."""
    data = {"logs_uri": uri, "features": SPEC}
    return [
        Work("train", config_of(data=data)),
        Work("train", config_of(mlflow={"tracking_uri": uri})),
        Work("score", config_of(), ("--out", uri)),
        Work("train", config_of(mlflow={}), environment={"MLFLOW_TRACKING_URI": uri}),
        Work("sweep", config_of(), beside={"sweep.yaml": f"names: [{uri!r}]" if '"' not in uri else ""}),
    ]


@pytest.mark.parametrize(("uri", "secret"), SECRET_URIS, ids=[str(place) for place in range(len(SECRET_URIS))])
def test_a_secret_goes_to_no_job_server_wherever_it_stands_and_is_not_told(uri, secret):
    for work in with_secret(uri.replace("'", "")):
        with pytest.raises(Refusal) as refused:
            require_no_secrets(work)
        assert secret.replace("'", "") not in str(refused.value)
        assert "***" in refused.value.found


def test_a_password_of_the_shell_is_refused_where_the_config_repeats_it(monkeypatch):
    require_no_secrets(Work("train", config_of(work_uri="s3://clicks/an-odd-name-41")))
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "an-odd-name-41")
    with pytest.raises(Refusal, match=r"s3://clicks/\*\*\*"):
        require_no_secrets(Work("train", config_of(work_uri="s3://clicks/an-odd-name-41")))


def test_only_what_is_on_the_list_goes_with_a_job():
    shell = dict.fromkeys([*FORWARDED, "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "RAY_AUTH_TOKEN", "HOME"], "x")
    assert forwarded(config_of(mlflow={}), {**shell, "MLFLOW_TRACKING_URI": "http://mlflow:5000"}).keys() == {
        *FORWARDED
    }
    assert "MLFLOW_TRACKING_URI" not in forwarded(config_of(), shell), "the config names another"
    assert forwarded(config_of(), {"AWS_REGION": ""}) == {}


def name(changes: Mapping[str, Any], *arguments: str, log: str = "", **environment: str) -> str:
    work = Work("nightly", config_of(**changes), arguments, environment=environment)
    return name_of(work, date(2026, 11, 16), log).attempt(1)


def test_the_same_work_has_the_same_id_and_other_work_another():
    assert name({}).startswith("nightjar-nightly-2026-11-16-")
    assert name({}) == name({"cluster": {"address": "10.0.0.1:6379"}}) == name({}, NIGHTJAR_LOG="json")
    assert name({}) == name({}, "--json") == name({}, "--log", "json"), "how it is told decides nothing"
    others = [name({"seed": 1}), name({}, "--again"), name({}, log="written anew"), name({}, AWS_REGION="eu-west-1")]
    assert len({name({}), *others}) == 5


def test_an_attempt_is_known_by_its_number_and_other_ids_are_none():
    mine = name_of(Work("train", config_of()), date(2026, 11, 16))
    assert mine.number_of(mine.attempt(12)) == 12
    for other in (mine.stem, f"{mine.stem}-0", f"{mine.stem}-1-1", f"{mine.stem}-x", f"x{mine.attempt(1)}"):
        assert mine.number_of(other) is None
