"""Row-sharded training in a real Ray cluster: killed, resumed, and resumed by another number of ranks."""

import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from click_logs import SPEC, write_random_log

from pipeline.retrain.dataset import encoded_store, find_inputs
from pipeline.runtime.progress import Point
from pipeline.training import checkpoint, fitting, published
from pipeline.training.job import TrainingJob
from schemas.config import TrainConfig

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Two ranks that hold a half of the table each; a thousand rows to train on and five hundred held out."""
    folder = tmp_path_factory.mktemp("sharded")
    write_random_log(folder / "logs", num_days=3, rows_per_day=500)
    return TrainConfig.model_validate(
        {
            "work_uri": str(folder / "work"),
            "data": {"logs_uri": str(folder / "logs"), "features": SPEC},
            "table": {"placement": "row_sharded"},
            "stages": [
                {"name": "fm", "model": "fm", "batch_size": 32},
                {
                    "name": "deepfm",
                    "model": "deepfm",
                    "init_from": "fm",
                    "transfer": {"w": True, "w0": True, "accumulators": 1.0},
                    "batch_size": 32,
                    "mlp": {"hidden": [8]},
                },
            ],
            "checkpoint": {"every_steps": 10, "max_failures": 1},
            "cluster": {"num_workers": 2},
        }
    )


@dataclass(frozen=True)
class KillOnce:
    """Where points are reported, which kills its own process, rank 0, at one step of the last stage.

    `left` is then what the run's folder was at that moment.
    """

    run_uri: Path | None = None
    left: Path | None = None

    def __call__(self, point: Point) -> None:
        if self.run_uri and self.left and (point.stage, point.step) == ("deepfm", 25) and not self.left.exists():
            shutil.copytree(self.run_uri, self.left)
            os.kill(os.getpid(), signal.SIGKILL)


def train(config: TrainConfig, run_uri: Path, log: KillOnce) -> dict[str, dict[str, torch.Tensor]]:
    """Stage -> its published tensors."""
    store = encoded_store(config, find_inputs(config, lambda _: None), lambda _: None)
    fitting.fit(TrainingJob(config, store, str(run_uri), log), lambda point: None)
    return {stage.name: checkpoint.load_tensors(published_folder(run_uri, stage.name)) for stage in config.stages}


def published_folder(run_uri: Path, stage: str) -> Path:
    return Path(published.stage_uri(str(run_uri), stage))


@pytest.fixture(scope="module")
def whole_run(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict]]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, train(config, folder, KillOnce())


def test_every_rank_publishes_its_shard(whole_run):
    folder, _ = whole_run
    names = {path.name for path in published_folder(folder, "deepfm").iterdir()}
    assert {"table-0-of-2.safetensors", "table-1-of-2.safetensors", "_SUCCESS"} < names


@pytest.fixture(scope="module")
def killed(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict]]:
    """What rank 0 left when it was killed, and the tensors of the run that went on."""
    folder = tmp_path_factory.mktemp("killed")
    left = folder / "left" / "run"
    return left, train(config, folder / "run", KillOnce(folder / "run", left))


def test_a_killed_worker_costs_time_but_not_one_bit(whole_run, killed):
    left, resumed = killed
    assert left.exists()
    for stage, tensors in whole_run[1].items():
        for name, values in tensors.items():
            assert torch.equal(resumed[stage][name], values), (stage, name)


def test_a_run_goes_on_with_another_number_of_ranks(config, whole_run, killed):
    left, _ = killed
    assert not published_folder(left, "deepfm").exists()
    one_rank = config.model_copy(update={"cluster": config.cluster.model_copy(update={"num_workers": 1})})
    train(one_rank, left, KillOnce())
    went_on, whole = (
        json.loads((published_folder(run_uri, "deepfm") / checkpoint.PROGRESS).read_text())
        for run_uri in (left, whole_run[0])
    )
    assert (went_on["table"]["num_shards"], whole["table"]["num_shards"]) == (1, 2)
    results, of_whole = (one["progress"]["results"] for one in (went_on, whole))
    assert results["rows_seen"] == pytest.approx(1000, abs=32)
    assert results["ne"] == pytest.approx(of_whole["ne"], abs=0.02), "other batches of the same rows"
