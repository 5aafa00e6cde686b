"""Stages that start from a registered model, here from the folder of its bundle."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from training_states import rank_of

from pipeline.data import vocabulary
from pipeline.data.encode import Encoder
from pipeline.embedding.table import Table
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
    warm_start.lay_out(bundles, str(tmp_path), warm.data.features)

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


def with_fields(config: TrainConfig, names: Sequence[str]) -> TrainConfig:
    """The config with these of its fields alone, in that order."""
    of_name = {field.name: field for field in config.data.features.fields}
    features = config.data.features.model_copy(update={"fields": tuple(of_name[name] for name in names)})
    return config.model_copy(update={"data": config.data.model_copy(update={"features": features})})


def test_a_model_of_a_field_that_the_spec_has_not_is_refused_with_both_shown(config, bundle_folder, tracking):
    other = with_fields(config, config.data.features.feature_columns[1:])
    with pytest.raises(Refusal, match=r"fields site, hour.*\nexpected  all of them among the fields hour.*: site"):
        warm_start.load(starting_from(other, bundle_folder), tracking)


def test_a_model_whose_field_is_encoded_otherwise_is_refused(config, bundle_folder, tracking):
    first, *fields = config.data.features.fields
    changed = first.model_copy(update={"encoder": first.encoder.model_copy(update={"min_count": 7})})
    features = config.data.features.model_copy(update={"fields": (*fields, changed)})
    other = config.model_copy(update={"data": config.data.model_copy(update={"features": features})})
    with pytest.raises(Refusal, match=r"these are not, or otherwise: site"):
        warm_start.load(starting_from(other, bundle_folder), tracking)


FEW = ("age", "user", "tags", "hour")


@pytest.mark.parametrize("model", ["fm", "fnn", "deepfm"])
@pytest.mark.parametrize("placement", ["replicated", "row_sharded"])
def test_fields_that_join_start_fresh_and_the_model_says_what_it_said(
    config, random_log, tracking, tmp_path, model, placement
):
    log, few = random_log(400, 0), with_fields(config, FEW)
    layers = {} if model == "fm" else {"mlp": {"hidden": [8], "batch_norm": True}}
    stage = StageConfig.model_validate({"name": "own", "model": model, **layers})
    folder = bundle_of(few, stage, log, tmp_path, learned=True)
    transfer = {**ALL, "dense": model != "fm"}
    warm_stage = {**stage.model_dump(), "init_from": str(folder), "transfer": transfer}
    warm = config.model_copy(update={"stages": (StageConfig.model_validate(warm_stage),)})
    warm = warm.model_copy(update={"table": warm.table.model_copy(update={"placement": placement})})

    bundles = warm_start.load(warm, tracking)
    known, spec = warm_start.vocabulary_of(bundles), config.data.features
    counts = vocabulary.count(log, spec)
    grown = known.under(spec, counts).grow(counts)
    warm_start.lay_out(bundles, str(tmp_path), spec)
    alone = rank_of(warm, str(tmp_path), grown.num_ids)
    ranks = [replace(alone, index=index, count=2) for index in range(2)] if placement == "row_sharded" else [alone]
    states = [initialize.start(rank, warm.stages[0], None) for rank in ranks]

    def whole(name: str) -> torch.Tensor:
        parts = [getattr(state.table, name) for state in states]
        found = torch.empty(grown.num_ids, *parts[0].shape[1:])
        for index, part in enumerate(parts):
            found[index :: len(parts)] = part
        return found

    champion, fresh = Bundle.load(folder), initialize.from_scratch(warm.stages[0], warm, grown.num_ids)
    table = Table(whole("rows"), whole("accumulators"))
    assert torch.equal(table.rows[: known.num_ids], champion.table.rows)
    assert torch.equal(table.accumulators[: known.num_ids], champion.table.accumulators)
    assert torch.equal(table.rows[known.num_ids :], fresh.table.rows[known.num_ids :])
    assert not table.accumulators[known.num_ids :].any()
    started = replace(champion, vocabulary=grown, table=table, model=states[0].model.eval())
    before, after = (one.logits(Encoder(one.vocabulary).encode(log)) for one in (champion, started))
    assert before.std() > 0.5
    # Layers say the same. An FM's part meets rows whose v is drawn around 0.
    np.testing.assert_allclose(after, before, atol=1e-5 if model == "fnn" else 0.5)
    if model != "fnn":
        assert np.abs(after - before).mean() < 0.1 * before.std()


def test_new_fields_are_told_in_words():
    assert warm_start.in_words(()) == ""
    assert warm_start.in_words(("a", "b")) == "new fields: the rows of a, b start fresh, all others go on"


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
    warm_start.lay_out(bundles, str(tmp_path), warm.data.features)
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


def bundle_of(config: TrainConfig, stage: StageConfig, log: pa.Table, folder: Path, *, learned: bool = False) -> Path:
    """A bundle of the stage with the vocabulary of that log; its accumulators are 1. `learned`: its rows are large."""
    vocab = vocabulary.build(config.data.features, vocabulary.count(log, config.data.features))
    state = initialize.from_scratch(stage, config, vocab.num_ids)
    state.table.accumulators.fill_(1.0)
    if learned:
        state.table.rows.normal_(std=0.5, generator=torch.Generator().manual_seed(0))
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
