"""Row-sharded training in a real Ray cluster: killed, resumed, and resumed by another number of ranks."""

import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from bundles import bundle_of
from click_logs import SPEC, click_rows, write_random_log

from pipeline.data import vocabulary
from pipeline.embedding.table import Table
from pipeline.registry.tracking import Tracking
from pipeline.retrain import warm_start
from pipeline.retrain.dataset import encoded_store, find_inputs
from pipeline.runtime.progress import Point
from pipeline.training import checkpoint, fitting, initialize, published
from pipeline.training.job import TrainingJob
from schemas.checking import derived
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


def test_a_warm_start_on_more_fields_gives_each_rank_its_half_of_old_and_of_new_rows(config, tmp_path):
    net, spec = config.stages[1], config.data.features
    fewer = derived(spec, fields=spec.fields[2:])
    alone = derived(net, init_from=None)
    before = derived(config, data=derived(config.data, features=fewer), stages=(alone,))
    vocab = vocabulary.build(fewer, vocabulary.count(click_rows(), fewer))
    state = initialize.from_scratch(alone, before, vocab.num_ids)
    state.table.rows.normal_(generator=torch.Generator().manual_seed(0))
    champion = bundle_of(before, state, vocab, tmp_path)

    held_still = derived(net.embedding, frozen_steps=1_000)
    transfer = derived(net.transfer, dense=True)
    going_on = derived(net, name="warm", init_from=str(tmp_path / "bundle"), transfer=transfer, embedding=held_still)
    warm, run_uri = derived(config, stages=(going_on,)), tmp_path / "run"
    bundles = warm_start.load(warm, Tracking(f"sqlite:///{tmp_path}/mlflow.db", "0"))
    store = encoded_store(warm, find_inputs(warm, lambda _: None), lambda _: None, vocab)
    warm_start.lay_out(bundles, str(run_uri), spec)
    fitting.fit(TrainingJob(warm, store, str(run_uri), KillOnce()), lambda point: None)

    folder = published_folder(run_uri, "warm")
    tensors, fresh = checkpoint.load_tensors(folder), Table.create(store.num_ids, warm.table, warm.seed)
    assert (folder / "table-1-of-2.safetensors").exists()
    assert store.num_ids > vocab.num_ids
    assert torch.equal(tensors["table.rows"][: vocab.num_ids], champion.table.rows)
    assert torch.equal(tensors["table.rows"][vocab.num_ids :], fresh.rows[vocab.num_ids :])
    assert tensors["model.w0"] != champion.model.w0, "it has been trained"
