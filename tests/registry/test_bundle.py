import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from bundles import bundle_logits
from safetensors import safe_open
from training_states import logits_of

from pipeline.data.batch import Batch
from pipeline.evaluation.calibration import Isotonic, Platt
from pipeline.registry.bundle import Bundle, Origin
from pipeline.retrain.promotion import write_bundle
from pipeline.training import checkpoint, initialize, published
from schemas.checking import derived
from schemas.config import RandomSplit
from schemas.errors import Refusal

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> Bundle:
    return Bundle.load(bundle_folder)


@pytest.fixture
def copied(bundle_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


def test_a_bundle_scores_bit_for_bit_as_training_evaluates(bundle, state, random_log):
    log = random_log(8200, 1)  # values that the vocabulary has never seen among them, and two batches
    rows = bundle.encoder.encode(log)
    batches = [Batch.of(rows, 0, 8192), Batch.of(rows, 8192, 8200)]
    evaluated = logits_of(state, batches).numpy()
    scored = bundle.logits(rows)
    assert scored.dtype == np.float32
    assert np.array_equal(scored, evaluated)
    assert len(np.unique(scored)) > 8000


def test_a_bundle_of_members_scores_bit_for_bit_as_evaluated_by_the_mean_of_their_probabilities(
    config, bundle, random_log, tmp_path
):
    stage, folder = derived(config.stages[1], members=3), tmp_path / "stage"
    state = initialize.from_scratch(stage, config, bundle.vocabulary.num_ids)
    state.table.rows.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    folder.mkdir()
    checkpoint.save(state, folder)
    origin = Origin(identity="0123456789abcdef", training_days=[], results={"ne": 0.9})
    write_bundle(tmp_path / "bundle", config, stage, bundle.vocabulary, folder, origin)
    log = random_log(100, 1)
    rows, many = bundle.encoder.encode(log), Bundle.load(tmp_path / "bundle")
    assert many.stage.members == 3
    assert np.array_equal(many.logits(rows), logits_of(state, [Batch.of(rows, 0, 100)]).numpy())
    with torch.no_grad():
        p_MB = state.model.eval()(state.table.read(Batch.of(rows, 0, 100))).sigmoid()
    assert p_MB.std(dim=0).min() > 1e-4
    assert many.probabilities(log) == pytest.approx(p_MB.mean(dim=0).numpy(), rel=1e-5)


def test_a_bundle_of_before_stages_had_members_loads_as_it_was(copied):
    before = Bundle.load(copied)
    contents = json.loads((copied / "bundle.json").read_text())
    assert contents["stage"].pop("members") == 1
    (copied / "bundle.json").write_text(json.dumps(contents))
    assert Bundle.load(copied).contents == before.contents


def test_probability_is_the_sigmoid_of_the_logit(bundle, random_log):
    log = random_log(20, 1)
    expected = 1 / (1 + np.exp(-bundle_logits(bundle, log).astype(np.float64)))
    assert bundle.probabilities(log) == pytest.approx(expected, rel=1e-5)


def test_rows_need_no_label_and_may_be_none_at_all(bundle, random_log):
    log = random_log(5, 1)
    assert np.array_equal(bundle_logits(bundle, log.drop_columns("click")), bundle_logits(bundle, log))
    assert bundle_logits(bundle, log.slice(0, 0)).shape == (0,)


def test_a_row_without_any_value_has_a_score(bundle, random_log):
    log = random_log(5, 1)
    empty = pa.table({name: pa.nulls(1, log.schema.field(name).type) for name in bundle.spec.feature_columns})
    assert np.isfinite(bundle_logits(bundle, empty)).all()


def test_a_warm_start_finds_rows_accumulators_and_bias(bundle, state):
    assert np.array_equal(bundle.table.rows, state.table.rows)
    assert np.array_equal(bundle.table.accumulators, state.table.accumulators)
    assert bundle.model.w0 == state.model.w0
    assert bundle.vocabulary.num_ids == len(state.table.rows)


def test_a_bundle_tells_where_it_came_from(bundle, config):
    assert bundle.stage == config.stages[1]
    assert bundle.spec == config.data.features
    origin = bundle.contents.origin
    assert origin.identity == "0123456789abcdef"
    assert origin.training_days == (date(2026, 11, 17), date(2026, 11, 18))
    assert origin.results == {"ne": 0.9, "auc": 0.7}
    assert "held_out_by" not in origin.model_dump_json(), "bundles of a split by date are as they were"
    by_key = RandomSplit(by="random", row_key="row")
    at_random = origin.model_copy(update={"held_out_by": by_key})
    assert Origin.model_validate_json(at_random.model_dump_json()).held_out_by == by_key


def test_a_bundle_holds_four_files_and_no_optimizer(bundle_folder):
    names = {path.name for path in bundle_folder.iterdir()}
    assert names == {"bundle.json", "vocabulary.json", "vocabulary.parquet", "weights.safetensors"}
    with safe_open(bundle_folder / "weights.safetensors", "pt") as file:
        assert {name.partition(".")[0] for name in file.keys()} == {"table", "model"}  # noqa: SIM118 (no mapping)


@pytest.mark.slow
@pytest.mark.parametrize(
    "layer",
    [Platt(slope=0.3, intercept=-2.1), Isotonic(knots_x=(-1.1, 0.7), knots_y=(-3.3, 0.1))],
    ids=["platt", "isotonic"],
)
def test_a_bundle_with_a_calibration_returns_calibrated_logits_to_the_bit(
    config, state, random_log, bundle, tmp_path, layer
):
    stage_folder, log = tmp_path / "stage", random_log(8200, 1)
    stage_folder.mkdir()
    checkpoint.save(state, stage_folder)
    (stage_folder / published.CALIBRATION).write_text(layer.model_dump_json())
    write_bundle(
        tmp_path / "bundle",
        config,
        config.stages[1],
        bundle.vocabulary,
        stage_folder,
        Origin(identity="0123456789abcdef", training_days=[], results=checkpoint.read_progress(stage_folder).results),
    )
    calibrated = Bundle.load(tmp_path / "bundle")
    assert calibrated.contents.calibration == layer
    expected = layer.apply(bundle_logits(bundle, log))
    assert np.array_equal(bundle_logits(calibrated, log), expected)
    assert not np.array_equal(expected, bundle_logits(bundle, log))
    p = 1 / (1 + np.exp(-expected.astype(np.float64)))
    assert calibrated.probabilities(log) == pytest.approx(p, rel=1e-5)
    again = Bundle.load(shutil.copytree(tmp_path / "bundle", tmp_path / "copy"))
    assert np.array_equal(bundle_logits(again, log), expected)


def test_a_bundle_of_a_stage_without_a_calibration_has_none(bundle):
    assert bundle.contents.calibration is None


def test_a_bundle_that_does_not_speak_of_calibration_has_none(copied, bundle, random_log):
    contents = json.loads((copied / "bundle.json").read_text())
    del contents["calibration"]
    (copied / "bundle.json").write_text(json.dumps(contents))
    log = random_log(20, 1)
    assert np.array_equal(bundle_logits(Bundle.load(copied), log), bundle_logits(bundle, log))


@pytest.mark.parametrize("name", ["vocabulary.json", "vocabulary.parquet", "weights.safetensors"])
def test_an_edited_file_is_refused_by_name(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[-1] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(Refusal, match=f"{name} with SHA-256"):
        Bundle.load(copied)


@pytest.mark.parametrize("name", ["vocabulary.json", "vocabulary.parquet", "weights.safetensors"])
def test_a_missing_file_is_refused_by_name(copied, name):
    (copied / name).unlink()
    with pytest.raises(Refusal, match=f"{name} is missing"):
        Bundle.load(copied)


def test_a_folder_without_contents_is_no_bundle(tmp_path):
    with pytest.raises(Refusal, match=r"no bundle\.json"):
        Bundle.load(tmp_path)


def test_a_later_format_is_refused_before_anything_else_is_read(copied):
    contents = json.loads((copied / "bundle.json").read_text())
    (copied / "bundle.json").write_text(json.dumps({"format_version": 5, "renamed": contents}))
    with pytest.raises(Refusal, match="format_version 5"):
        Bundle.load(copied)


def test_a_bundle_of_the_format_before_loads_as_it_was(copied):
    contents = json.loads((copied / "bundle.json").read_text())
    before = Bundle.load(copied)
    for part in (contents["stage"], contents["stage"]["control"]):
        part["rows"] = part.pop("embedding")
    (copied / "bundle.json").write_text(json.dumps({**contents, "format_version": 1}))
    assert Bundle.load(copied).contents == before.contents


@pytest.mark.parametrize(("last", "days"), [(None, "all"), (3, {"last": 3, "before": None})], ids=["all", "last"])
def test_a_bundle_of_a_stage_that_had_last_days_loads_with_its_days(copied, last, days):
    contents = json.loads((copied / "bundle.json").read_text())
    del contents["stage"]["days"]
    contents["stage"]["last_days"] = last
    (copied / "bundle.json").write_text(json.dumps({**contents, "format_version": 2}))
    assert Bundle.load(copied).contents.model_dump()["stage"]["days"] == days


def test_contents_that_are_cut_short_are_refused(copied):
    (copied / "bundle.json").write_text((copied / "bundle.json").read_text()[:-10])
    with pytest.raises(Refusal, match="format_version None"):
        Bundle.load(copied)


@pytest.mark.slow
def test_loading_imports_neither_ray_nor_mlflow(bundle_folder):
    code = f"""
import sys
from pathlib import Path
from pipeline.registry.bundle import Bundle
Bundle.load(Path({str(bundle_folder)!r})).encoder
print(sorted({{"ray", "mlflow"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
