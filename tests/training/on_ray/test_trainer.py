import os
import re
import shutil
import signal
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import damage
import pytest
import ray
from click_logs import SPEC, write_random_log
from ray.util.placement_group import placement_group, remove_placement_group

from pipeline.data.store import Store
from pipeline.registry.client import as_markdown
from pipeline.registry.tracking import connect
from pipeline.retrain.dataset import encoded_store, find_inputs
from pipeline.retrain.opening import retrain
from pipeline.runtime import load
from pipeline.runtime.progress import RATE, Event, Point, Show
from pipeline.training import affordable, checkpoint, fitting, published, results
from pipeline.training.job import TrainingJob, run_plan
from pipeline.training.on_ray import snapshot, worker
from schemas.config import ClusterConfig, TrainConfig
from schemas.days import Span
from schemas.errors import Failure, Refusal

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Two ranks, a stage that ends within an epoch of one day, one that diverges, and two members that do neither.

    A thousand rows to train on, 500 held out.
    """
    folder = tmp_path_factory.mktemp("trainer")
    write_random_log(folder / "logs", num_days=3, rows_per_day=500)
    return TrainConfig.model_validate(
        {
            "work_uri": str(folder / "work"),
            "data": {"logs_uri": str(folder / "logs"), "features": SPEC},
            "stages": [
                {"name": "fm", "model": "fm", "batch_size": 32, "epochs": 0.5, "days": {"last": 1}},
                {"name": "wild", "model": "fm", "batch_size": 32, "embedding": {"learning_rate": 1e30}},
                {
                    "name": "deepfm",
                    "model": "deepfm",
                    "init_from": "fm",
                    "transfer": {"w": True, "w0": True, "accumulators": 1.0},
                    "epochs": 2,
                    "negative_share": 0.9,
                    "batch_size": 32,
                    "mlp": {"hidden": [8], "dropout": 0.3},
                    "members": 2,
                },
            ],
            "checkpoint": {"every_steps": 5, "max_failures": 2},
            "cluster": {"num_workers": 2},
        }
    )


def encode(config: TrainConfig) -> Store:
    return encoded_store(config, find_inputs(config, lambda _: None), lambda _: None)


@dataclass(frozen=True)
class Kills:
    """Kills its own process, rank 0, at these points of stages: once at each, as files in `folder` then tell.

    Before that it removes the file `lost`, if there is to be one. The points of steps are written down in `folder`.
    """

    folder: Path | None = None
    points: tuple[tuple[str, int], ...] = ()
    lost: Path | None = None

    def __call__(self, point: Point) -> None:
        if self.folder and RATE in point.metrics:
            with (self.folder / "points").open("a") as points:
                points.write(f"{point.stage} {point.step}\n")
        if self.folder and (point.stage, point.step) in self.points:
            marker = self.folder / f"killed at {point.stage} {point.step}"
            if not marker.exists():
                marker.touch()
                if self.lost:
                    self.lost.unlink()
                time.sleep(0.5)  # until the controller, which polls, has taken up the last checkpoint
                os.kill(os.getpid(), signal.SIGKILL)


def train(config: TrainConfig, run_uri: Path, log: Kills) -> dict[str, bytes]:
    """Stage -> bytes of its published tensors, of those that did not diverge."""
    shown: list[Point] = []
    failures = fitting.fit(TrainingJob(config, encode(config), str(run_uri), log), shown.append)
    assert re.match(r"stage 'wild', step \d+: the loss ", failures.pop("wild"))
    assert not failures
    assert shown[-1].stage == "deepfm"
    assert shown[-1].step == shown[-1].num_steps, "the last step is shown"
    return {
        stage: b"".join(
            file.read_bytes() for file in sorted(Path(published.stage_uri(str(run_uri), stage)).glob("*.safetensors"))
        )
        for stage in ("fm", "deepfm")
    }


@pytest.fixture(scope="module")
def whole_run(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, train(config, folder, Kills())


def rows_of_deepfm(config: TrainConfig) -> int:
    """Those of an epoch, of which each rank has as many: nearly all of the thousand. A lone one makes no batch."""
    num_rows = encode(config).of_span(Span(), 0.9).num_rows("train")
    assert 900 < num_rows < 1000
    of_rank = num_rows // 2
    return 2 * (of_rank - (of_rank % 16 == 1))


def test_the_results_of_a_stage_are_published_with_it(config, whole_run):
    folder, _ = whole_run
    results = checkpoint.read_progress(Path(published.stage_uri(str(folder), "deepfm"))).results
    assert results["rows"] == 500
    assert results["rows_seen"] == 2 * rows_of_deepfm(config)
    assert 0.5 < results["auc"] < 1
    assert results["ne"] < 1


def test_each_stage_is_fed_the_rows_of_its_own_days_and_its_share_of_their_negatives(config, whole_run):
    rows_seen = {
        stage: checkpoint.read_progress(Path(published.stage_uri(str(whole_run[0]), stage))).rows_seen
        for stage in ("fm", "deepfm")
    }
    half = sum([16] * 8) * 2  # of the 250 rows of a rank, in batches of 16
    assert rows_seen == {"fm": half, "deepfm": 2 * rows_of_deepfm(config)}


@pytest.mark.cluster
def test_a_worker_killed_in_the_first_stage_and_in_the_last_costs_two_failures_and_not_one_bit(
    config, whole_run, tmp_path
):
    assert config.checkpoint.max_failures == 2, "none is left for a boundary of stages"
    kills = Kills(tmp_path, (("fm", 7), ("deepfm", 45)))
    resumed = train(config, tmp_path / "run", kills)
    assert {path.name for path in tmp_path.glob("killed*")} == {"killed at fm 7", "killed at deepfm 45"}
    assert resumed == whole_run[1]


def with_control(config: TrainConfig) -> TrainConfig:
    fm, _, deepfm = config.model_dump(mode="json")["stages"]
    whole = {"epochs": 1, "negative_share": 1.0}
    stages = [{**fm, "days": {"before": "deepfm"}}, {**deepfm, "days": {"last": 1}, **whole}]
    one_rank = {"num_workers": 1}  # whose days are those of all: they go by what is published
    changes = {"stages": stages, "control": True, "cluster": one_rank}
    return TrainConfig.model_validate({**config.model_dump(mode="json"), **changes})


@pytest.mark.cluster
def test_a_control_whose_worker_is_killed_goes_on_with_the_days_that_the_time_had_bought(config, tmp_path):
    own = with_control(config)
    store, run = encode(own), tmp_path / "run"
    assert not fitting.fit(
        TrainingJob(own, store, str(run), Kills(tmp_path, (("deepfm-control", 12),))), lambda point: None
    )
    assert [path.name for path in tmp_path.glob("killed*")] == ["killed at deepfm-control 12"]
    bought = affordable.on_its_days(own.plan[-1], own, store, str(run)).days
    ended = results.progress(str(run), "deepfm-control")
    assert ended.settings["days"].startswith(f"{bought.last}, ")
    assert ended.rows_seen == 500 * bought.last


@pytest.mark.cluster
def test_a_control_begins_anew_where_its_stage_is_trained_anew_and_its_time_may_buy_other_days(config, tmp_path):
    once = config.checkpoint.model_copy(update={"max_failures": 1})
    own = with_control(config).model_copy(update={"checkpoint": once})
    store, run = encode(own), tmp_path / "run"
    lost = Path(published.stage_uri(str(run), "deepfm")) / "_SUCCESS"
    kills = Kills(tmp_path, (("deepfm-control", 12),), lost)
    assert not fitting.fit(TrainingJob(own, store, str(run), kills), lambda point: None)
    assert [path.name for path in tmp_path.glob("killed*")] == ["killed at deepfm-control 12"]
    bought = affordable.on_its_days(own.plan[-1], own, store, str(run)).days
    ended = results.progress(str(run), "deepfm-control")
    assert ended.settings["days"].startswith(f"{bought.last}, ")
    assert ended.rows_seen == 500 * bought.last
    points = (tmp_path / "points").read_text().splitlines()
    assert (points.count("fm 1"), points.count("deepfm-control 1")) == (1, 2), "one began once, the other twice"


def test_a_checkpoint_is_for_no_stage_after_one_that_is_trained_anew(config, tmp_path):
    fm, _, deepfm = config.stages
    last = ray.train.Checkpoint.from_directory(tmp_path)
    saved = [worker.Saved(last, "deepfm") for _ in range(2)]
    with saved[0].folder_of(deepfm) as own:
        assert own == tmp_path
    for stage in (fm, deepfm):
        with saved[1].folder_of(stage) as own:
            assert own is None


def test_a_stage_that_had_failed_before_the_checkpoint_is_not_tried_again(config, whole_run, tmp_path):
    """It could leave a checkpoint of its own, in the place of the one that a later stage is to go on from."""
    last = max(path for path in whole_run[0].glob("checkpoint_*") if path.is_dir())
    failures = snapshot.failures_of(str(last))
    assert list(failures) == ["wild"]
    tried: list[str] = []
    job = TrainingJob(config, encode(config), str(tmp_path / "run"), Kills())
    run_plan(job, lambda stage: tried.append(stage.name), failures)
    assert tried == ["fm", "deepfm"]


def test_what_ray_keeps_of_a_job_is_gone_on_from_where_it_is_whole_and_dropped_where_it_is_damaged(
    whole_run, tmp_path, caplog
):
    run = tmp_path / "run"
    shutil.copytree(whole_run[0], run)
    snapshot.drop_damaged(str(run))
    assert not caplog.records
    left = [path for path in damage.files_below(run) if path.parts[0].startswith("checkpoint_")]
    assert len(left) == 5, "the snapshot, the table, the layers, how far they are, and what has failed before"
    for path in left:
        for kind in {*damage.kinds_of(run / path)} - ({"flipped"} if path.name == snapshot.SNAPSHOT else set()):
            copy = tmp_path / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(run, copy, ignore=shutil.ignore_patterns("stages"))
            damage.KINDS[kind](copy / path)
            snapshot.drop_damaged(str(copy))
            assert not (copy / snapshot.SNAPSHOT).exists(), f"{path}, {kind}"
    snapshot.drop_damaged(str(copy))


@pytest.mark.skipif(not os.environ.get("NIGHTJAR_DAMAGE"), reason="a whole job, to be asked for by NIGHTJAR_DAMAGE=all")
def test_a_job_whose_last_checkpoint_is_damaged_begins_anew_and_comes_to_the_same(config, whole_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole_run[0], run)
    shutil.rmtree(run / "stages" / "deepfm")
    for progress in run.glob("checkpoint_*/progress.json"):
        damage.KINDS["flipped"](progress)
    assert train(config, run, Kills()) == whole_run[1]


def test_a_lone_rank_reads_a_disk_itself_and_ray_data_feeds_several_and_what_lies_in_a_bucket(config, tmp_path):
    store = encode(config)

    def is_read_by_its_rank(uri: str, **cluster: object) -> bool:
        own = TrainConfig.model_validate({**config.model_dump(mode="json"), "cluster": cluster})
        return TrainingJob(own, replace(store, uri=uri), str(tmp_path)).is_read_by_its_rank

    assert is_read_by_its_rank(store.uri, num_workers=1)
    assert is_read_by_its_rank(f"file://{store.uri}", num_workers={"min": 1, "max": 1})
    assert not is_read_by_its_rank("s3://bucket/store", num_workers=1)
    assert not is_read_by_its_rank(store.uri, num_workers=2)
    assert not is_read_by_its_rank(store.uri, num_workers={"min": 1, "max": 2})


def wait_until_all_is_free() -> None:
    """Ray gives back what a job held some seconds after its end."""
    while any(node.free["CPU"] < node.total["CPU"] for node in load.of_cluster().nodes):
        time.sleep(0.05)


def test_a_config_that_cannot_be_placed_is_refused_with_what_each_node_has():
    wait_until_all_is_free()
    with pytest.raises(Refusal, match=r"room for 3 of 8 ranks; \S+ has 2 of 2 CPUs free, \S+ has 2 of 2 CPUs free"):
        fitting.check_room(ClusterConfig(num_workers=8), shown_to([]))
    with pytest.raises(Refusal, match="room for 0 of 1 ranks"):
        fitting.check_room(ClusterConfig(num_workers=1, use_gpu=True), shown_to([]))
    with pytest.raises(Refusal, match="room for 1 of 2 ranks beside the CPU that reads data"):
        fitting.check_room(ClusterConfig(num_workers=2, cpus_per_worker=1.5), shown_to([]))
    fitting.check_room(ClusterConfig(num_workers=2), shown_to([]))


def test_what_another_job_holds_is_waited_for_as_long_as_the_config_says():
    wait_until_all_is_free()
    held = placement_group([{"CPU": 2}])
    ray.get(held.ready())
    while all(node.free["CPU"] for node in load.of_cluster().nodes):
        time.sleep(0.05)
    shown: list[Event] = []
    try:
        with pytest.raises(Refusal, match=r"room for 1 of 2 ranks .* has 0 of 2 CPUs free") as refused:
            fitting.check_room(ClusterConfig(num_workers=2), shown_to(shown))
        assert "wait for what other jobs hold" in refused.value.remedy
        assert not shown
        giving_back = threading.Timer(1, remove_placement_group, [held])
        giving_back.start()
        fitting.check_room(ClusterConfig(num_workers=2, wait_seconds=60), shown_to(shown))
        giving_back.join()
    finally:
        remove_placement_group(held)
    assert [(event.task, event.done) for event in shown] == [("wait for the cluster", 0), ("wait for the cluster", 1)]
    assert "room for 1 of 2 ranks beside the CPU that reads data" in shown[0].note


def shown_to(events: list[Event]) -> Show:
    return events.append


def test_a_stage_that_diverges_is_named_and_the_others_go_on(config, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    diverging = here(config, tmp_path)
    summary = retrain(diverging, lambda _: None)
    assert list(summary.stages) == ["fm", "deepfm"]
    assert re.match(r"stage 'wild', step \d+: the loss ", summary.failures["wild"])
    assert retrain(diverging, lambda _: None) == summary, "asked again, it is not tried again"
    tracking = connect(diverging.mlflow, diverging.work_uri)
    runs = {run.info.run_name: run for run in tracking.client.search_runs([tracking.experiment_id])}
    parent = runs.pop(next(name for name in runs if name not in ("fm", "wild", "deepfm")))
    assert {name: run.info.status for name, run in runs.items()} == {
        "fm": "FINISHED",
        "wild": "FAILED",
        "deepfm": "FINISHED",
    }
    assert runs["wild"].data.tags["mlflow.note.content"] == as_markdown(summary.failures["wild"])
    assert (parent.info.status, parent.data.tags["nightjar.outcome"]) == ("FINISHED", "partial")


def test_a_retrain_of_which_no_stage_is_left_fails(config, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config = here(config, tmp_path)
    wild = config.model_copy(update={"stages": config.stages[1:2]})
    with pytest.raises(Failure, match=r"stage 'wild', step \d+: .* no number.* would stop there again"):
        retrain(wild, lambda _: None)


def here(config: TrainConfig, folder: Path) -> TrainConfig:
    """The config for this process, with a work folder of its own."""
    cluster = config.cluster.model_copy(update={"num_workers": 0})
    return config.model_copy(update={"work_uri": str(folder / "work"), "cluster": cluster})
