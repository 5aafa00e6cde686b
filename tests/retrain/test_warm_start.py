"""Stages that start from a registered model, here from the folder of its bundle."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from training_states import rank_of

from pipeline.data import vocabulary
from pipeline.registry.bundle import Bundle, Origin
from pipeline.registry.tracking import Tracking
from pipeline.retrain import warm_start
from pipeline.retrain.promotion import write_bundle
from pipeline.training import checkpoint, initialize
from schemas.config import TrainConfig
from schemas.errors import Refusal
from schemas.optimization import EmbeddingConfig
from schemas.stage import StageConfig

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's own

ALL = {"w": True, "w0": True, "accumulators": 1.0}


@pytest.fixture
def tracking(tmp_path: Path) -> Tracking:
    return Tracking(f"sqlite:///{tmp_path}/mlflow.db", "0")


def starting_from(config: TrainConfig, *folders: Path) -> TrainConfig:
    """An FM from each of the folders."""
    told = [
        {"name": f"fm{i}", "model": "fm", "init_from": str(folder), "transfer": ALL} for i, folder in enumerate(folders)
    ]
    return config.model_copy(update={"stages": tuple(StageConfig.model_validate(stage) for stage in told)})


def test_a_stage_starts_from_a_models_rows_and_new_values_get_fresh_ones(
    config, bundle_folder, random_log, tracking, tmp_path
):
    warm = starting_from(config, bundle_folder)
    bundles = warm_start.load(warm, tracking)
    known = warm_start.vocabulary_of(bundles)
    grown = known.grow(vocabulary.count(random_log(400, 1), config.data.features))
    assert grown.num_ids > known.num_ids
    warm_start.lay_out(bundles, str(tmp_path))

    state = initialize.start(rank_of(warm, str(tmp_path), grown.num_ids), warm.stages[0], None)
    bundle = Bundle.load(bundle_folder)
    assert torch.equal(state.table.rows[: known.num_ids], bundle.table.rows)
    assert torch.equal(state.table.accumulators[: known.num_ids], bundle.table.accumulators)
    fresh = initialize.from_scratch(warm.stages[0], warm, grown.num_ids)
    assert torch.equal(state.table.rows[known.num_ids :], fresh.table.rows[known.num_ids :])
    assert torch.equal(state.model.w0, bundle.model.w0)


def test_a_model_of_another_dimension_is_refused_with_both_shown(config, bundle_folder, tracking):
    wider = config.model_copy(update={"table": config.table.model_copy(update={"dimension": 6})})
    with pytest.raises(Refusal, match=r"dimension 4\nexpected  dimension 6,"):
        warm_start.load(starting_from(wider, bundle_folder), tracking)


def test_a_model_of_another_spec_is_refused_with_both_shown(config, bundle_folder, tracking):
    features = config.data.features.model_copy(update={"fields": config.data.features.fields[1:]})
    other = config.model_copy(update={"data": config.data.model_copy(update={"features": features})})
    with pytest.raises(Refusal, match=r"fields site, hour.*\nexpected  the fields hour.*: site"):
        warm_start.load(starting_from(other, bundle_folder), tracking)


def test_layers_of_a_model_of_another_number_of_members_are_refused_and_its_rows_are_taken(
    config, bundle_folder, tracking
):
    mlp = config.stages[1].mlp.model_dump()
    net = {"name": "net", "model": "deepfm", "mlp": mlp, "init_from": str(bundle_folder), "transfer": ALL}

    def stages_of(**changes: object) -> TrainConfig:
        return config.model_copy(update={"stages": (StageConfig.model_validate({**net, **changes}),)})

    dense = {**ALL, "dense": True}
    assert warm_start.load(stages_of(transfer=dense), tracking)
    assert warm_start.load(stages_of(members=2), tracking)
    with pytest.raises(Refusal, match=r"has 1 x deepfm of 8, .*\nexpected  layers like its own: 2 x deepfm of 8, "):
        warm_start.load(stages_of(members=2, transfer=dense), tracking)


def test_an_adam_models_accumulators_are_left_behind(config, random_log, tracking, tmp_path):
    adam = config.stages[0].model_copy(update={"embedding": EmbeddingConfig(name="adam")})
    warm = starting_from(config, bundle_of(config, adam, random_log(400, 0), tmp_path))
    bundles = warm_start.load(warm, tracking)
    warm_start.lay_out(bundles, str(tmp_path))
    num_ids = warm_start.vocabulary_of(bundles).num_ids
    state = initialize.start(rank_of(warm, str(tmp_path), num_ids), warm.stages[0], None)
    assert not state.table.accumulators.any()


def test_models_of_two_vocabularies_are_refused_with_both_shown(config, bundle_folder, random_log, tracking, tmp_path):
    same = shutil.copytree(bundle_folder, tmp_path / "same")
    assert len(warm_start.load(starting_from(config, bundle_folder, same), tracking)) == 2
    other = bundle_of(config, config.stages[0], random_log(400, 1), tmp_path)
    one, two = (Bundle.load(folder).vocabulary.fingerprint for folder in (bundle_folder, other))
    with pytest.raises(Refusal, match=rf"vocabulary {one}, .* with vocabulary {two}"):
        warm_start.load(starting_from(config, bundle_folder, other), tracking)


def bundle_of(config: TrainConfig, stage: StageConfig, log: pa.Table, folder: Path) -> Path:
    """A bundle of the stage with the vocabulary of that log; its accumulators are 1."""
    vocab = vocabulary.build(config.data.features, vocabulary.count(log, config.data.features))
    state = initialize.from_scratch(stage, config, vocab.num_ids)
    state.table.accumulators.fill_(1.0)
    stage_folder = folder / "stage"
    stage_folder.mkdir()
    checkpoint.save(state, stage_folder)
    write_bundle(
        folder / "bundle",
        config,
        stage,
        vocab,
        stage_folder,
        Origin(identity="0123456789abcdef", training_days=[], results=checkpoint.read_progress(stage_folder).results),
    )
    return folder / "bundle"
