"""Stages that start from a registered model, here from the folder of its bundle."""

import shutil
from pathlib import Path

import pytest
import torch

from pipeline import origins
from pipeline.data import vocabulary
from pipeline.registry.bundle import Bundle
from pipeline.registry.tracking import Tracking
from pipeline.training import stages
from schemas.config import StageConfig, TrainConfig
from schemas.refusal import Refusal

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's own

ALL = {"w": True, "w0": True, "accumulators": 1.0}


@pytest.fixture
def recorder(tmp_path: Path) -> Tracking:
    return Tracking(f"sqlite:///{tmp_path}/mlflow.db", "0")


def starting_from(config: TrainConfig, *folders: Path) -> TrainConfig:
    """An FM from each of the folders."""
    told = [
        {"name": f"fm{i}", "model": "fm", "init_from": str(folder), "transfer": ALL} for i, folder in enumerate(folders)
    ]
    return config.model_copy(update={"stages": tuple(StageConfig.model_validate(stage) for stage in told)})


def test_a_stage_starts_from_a_models_rows_and_new_values_get_fresh_ones(
    config, bundle_folder, random_log, recorder, tmp_path
):
    warm = starting_from(config, bundle_folder)
    bundles = origins.load(warm, recorder)
    known = origins.vocabulary_of(bundles)
    grown = known.grow(vocabulary.count(random_log(400, 1), config.data.features))
    assert grown.num_ids > known.num_ids
    origins.lay_out(bundles, str(tmp_path))

    state = stages.start(warm.stages[0], warm, grown.num_ids, str(tmp_path), 0.5, stages.CPU, None)
    bundle = Bundle.load(bundle_folder)
    assert torch.equal(state.table.rows[: known.num_ids], bundle.table.rows)
    assert torch.equal(state.table.accumulators[: known.num_ids], bundle.table.accumulators)
    fresh = stages.from_scratch(warm.stages[0], warm, grown.num_ids)
    assert torch.equal(state.table.rows[known.num_ids :], fresh.table.rows[known.num_ids :])
    assert torch.equal(state.model.w0, bundle.model.w0)


def test_a_model_of_another_dimension_is_refused_with_both_shown(config, bundle_folder, recorder):
    wider = config.model_copy(update={"table": config.table.model_copy(update={"dimension": 6})})
    with pytest.raises(Refusal, match=r"dimension 4\nexpected  dimension 6,"):
        origins.load(starting_from(wider, bundle_folder), recorder)


def test_a_model_of_another_spec_is_refused_with_both_shown(config, bundle_folder, recorder):
    features = config.data.features.model_copy(update={"fields": config.data.features.fields[1:]})
    other = config.model_copy(update={"data": config.data.model_copy(update={"features": features})})
    with pytest.raises(Refusal, match=r"fields site, hour.*\nexpected  the fields hour.*: site"):
        origins.load(starting_from(other, bundle_folder), recorder)


def test_models_of_two_vocabularies_are_refused_with_both_shown(config, bundle_folder, recorder, tmp_path, monkeypatch):
    second = shutil.copytree(bundle_folder, tmp_path / "second")
    two = starting_from(config, bundle_folder, second)
    assert len(origins.load(two, recorder)) == 2, "of one vocabulary"
    fingerprints = iter(["aaaa", "bbbb"])
    monkeypatch.setattr(vocabulary.Vocabulary, "fingerprint", property(lambda _: next(fingerprints)))
    with pytest.raises(Refusal, match=r"vocabulary aaaa, .*second with vocabulary bbbb"):
        origins.load(two, recorder)
