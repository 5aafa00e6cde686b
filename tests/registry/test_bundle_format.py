"""The number of a bundle's format, held against what its files say: who changes one without the other is told."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bundles import write_random_bundle
from click_logs import click_rows

from pipeline.data import vocabulary
from pipeline.registry.bundle import Bundle, Contents, write_parts
from pipeline.registry.bundle_format import NEWEST
from pipeline.registry.weights import ACCUMULATORS, MODEL, ROWS
from schemas.checking import derived
from schemas.features import Objective

# What the files of the newest format can say. What is missing or added here, or means something else from now on,
# makes it another one: raise NEWEST, let `format_of` tell which bundles are of it and `as_now` read those of before,
# and write down what there is now.
FORMAT = 4
OF_BUNDLE = {
    "CategoricalField": "encoder kind name",
    "ClipConfig": "floor ratio",
    "ConstantSchedule": "type",
    "Contents": "calibration features format_version origin sha256 stage table",
    "ControlConfig": "embedding optimizer",
    "EarlyStopConfig": "every_epochs patience",
    "EmbeddingConfig": "beta1 beta2 clip epsilon frozen_steps l2 learning_rate name weight_decay",
    "ExponentialSchedule": "factor over_steps type",
    "FeatureSpec": "fields group ignored label objective partition row_key weight",
    "HashEncoder": "num_buckets type",
    "Isotonic": "knots_x knots_y method",
    "LinearSchedule": "final_factor type",
    "LogBucketEncoder": "min_count type",
    "MLPConfig": "activation batch_norm dropout hidden init_scale initializer rbm",
    "MultiValuedField": "combine encoder kind name",
    "NumericField": "encoder kind name",
    "OptimizerConfig": "layer_decay learning_rate momentum name weight_decay",
    "Origin": "held_out_by identity results training_days",
    "Platt": "intercept method slope",
    "QuantileBucketEncoder": "num_buckets type",
    "RBMConfig": "epochs learning_rate rows",
    "RandomSplit": "by row_key seed test_share",
    "ScaleEncoder": "to type",
    "SomeDays": "before last",
    "StageConfig": "batch_size control control_of days early_stop embedding epochs init_from members mlp model name "
    "negative_share optimizer schedule transfer",
    "StepSchedule": "every_steps factor type",
    "TableConfig": "dimension init_deviation placement wire",
    "TransferConfig": "accumulators dense scale v w w0",
    "VocabularyEncoder": "min_count type",
}
OF_VOCABULARY = {
    "": "classes fields joined label num_reserved sha256",
    "fields": "block edges missing name oov scale shift",
    "joined": "num_ids num_values",
    "label": "scale shift",
}
ONLY_OF_4 = {"bundle.json": {"objective"}, "vocabulary.json": {"classes", "label", "joined"}}  # of its features
COLUMNS = ["field", "value", "count"]
LABELS: dict[Objective, list[object]] = {
    "binary": [1, 0, 0, 0, 0, 1, 0, 0],
    "multiclass": ["red", "blue", "red", "green", "blue", "red", "red", "green"],
    "regression": [1.5, -2.0, 0.0, 7.25, 1e-3, 100.0, 3.0, -50.5],
}


def written_by(folder: Path, objective: Objective, *, joined: bool = False) -> Path:
    """The bundle of a model of that objective, a field of which has joined its vocabulary or not."""
    rows = click_rows().drop_columns(["click"]).append_column("click", [LABELS[objective]])
    bundle = write_random_bundle(folder, rows, objective=objective)
    if joined:
        spec = bundle.spec
        fewer = vocabulary.build(derived(spec, fields=spec.fields[1:]), vocabulary.count(rows, spec))
        both = fewer.under(spec, vocabulary.count(rows, spec))
        tensors = {ROWS: bundle.table.rows[: both.num_ids], ACCUMULATORS: bundle.table.accumulators[: both.num_ids]}
        tensors |= {MODEL + name: values for name, values in bundle.model.state_dict().items()}
        write_parts(folder / "bundle", bundle.contents, both, tensors)
    return folder / "bundle"


def test_what_a_bundle_json_can_say_belongs_to_the_newest_format():
    schema = Contents.model_json_schema()
    within = {name: one["properties"] for name, one in schema["$defs"].items()} | {"Contents": schema["properties"]}
    assert {name: " ".join(sorted(keys)) for name, keys in within.items()} == OF_BUNDLE
    assert NEWEST == FORMAT


@pytest.mark.parametrize("joined", [False, True], ids=["", "joined"])
@pytest.mark.parametrize("objective", LABELS)
def test_a_bundle_has_the_earliest_format_that_can_say_what_it_is(tmp_path, objective, joined):
    folder = written_by(tmp_path, objective, joined=joined)
    contents, layout = (json.loads((folder / name).read_bytes()) for name in ("bundle.json", "vocabulary.json"))
    assert {*layout} <= {*OF_VOCABULARY[""].split()}
    for name, keys in OF_VOCABULARY.items():
        objects = layout.get(name, []) if name else []
        for one in objects if isinstance(objects, list) else [objects]:
            assert {*one} == {*keys.split()}
    assert pq.read_schema(folder / "vocabulary.parquet").names == COLUMNS
    says_more = (ONLY_OF_4["bundle.json"] & {*contents["features"]}) | (ONLY_OF_4["vocabulary.json"] & {*layout})
    assert bool(says_more) == (joined or objective != "binary")
    assert contents["format_version"] == (4 if says_more else 3)
    assert Bundle.load(folder).contents.format_version == contents["format_version"]
