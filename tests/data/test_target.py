"""What the labels of classes and of numbers become: learned with the vocabulary, encoded, kept, and held to."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click_logs import click_rows, write_day

from pipeline.data import logs, passes, store, vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import Store
from pipeline.data.target import MAX_CLASSES, Target
from pipeline.data.vocabulary import Vocabulary
from pipeline.data.windows import different_labels, local_windows
from pipeline.runtime.trusted import Damaged
from schemas.config import DataConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec

DAYS = [date(2026, 11, 1 + day) for day in range(3)]
SPLIT = ResolvedSplit((DAYS[0], DAYS[1]), (DAYS[2],))
COLORS = ["red", "blue", "red", "green", "blue", "red", "red", "green"]
NUMBERS = [1.5, -2.0, 0.0, 7.25, 1e-3, 100.0, 3.0, -50.5]


def spec_of(objective: str) -> FeatureSpec:
    fields = [{"name": "user", "kind": "categorical"}, {"name": "age", "kind": "numeric"}]
    ignored = ["row", "site", "tags", "views", "price"]
    return FeatureSpec.model_validate({"label": "y", "objective": objective, "fields": fields, "ignored": ignored})


def labelled(labels: object, kind: pa.DataType | None = None) -> pa.Table:
    column = pa.array(labels, kind)
    return click_rows().slice(0, len(column)).drop_columns(["click"]).append_column("y", column)


def built(table: pa.Table, spec: FeatureSpec) -> Vocabulary:
    return vocabulary.build(spec, vocabulary.count(table, spec))


def encoded(
    tmp_path: Path, spec: FeatureSpec, days: list[pa.Table], max_bad_share: float = 0.0
) -> tuple[Store, Vocabulary]:
    """The last day held out."""
    for day, table in zip(DAYS, days, strict=True):
        write_day(tmp_path / "logs", day, table)
    uri, folder = str(tmp_path / "logs"), str(tmp_path / "store")
    data = DataConfig(logs_uri=uri, features=spec, max_bad_share=max_bad_share)
    manifest = logs.find(data, DAYS)
    vocab = vocabulary.build(spec, passes.count_values(manifest, data, SPLIT))
    store.write_vocabulary(folder, vocab)
    parts = passes.encode_rows(manifest, vocab, data, SPLIT, 0, folder)
    return store.complete(folder, vocab.num_ids, parts, vocab.fingerprint, vocab.target), vocab


def labels_of(found: Store, split: store.SplitName) -> list[float]:
    return sorted(np.concatenate([rows.labels for rows in local_windows(found, split, 2, 0, 1)]).tolist())


@pytest.mark.parametrize(
    ("labels", "kind", "classes", "encoded"),
    [
        (["b", "a", "b", "c"], pa.string(), ("a", "b", "c"), [1, 0, 1, 2]),
        (["b", "a", "b", "c"], pa.dictionary(pa.int8(), pa.large_string()), ("a", "b", "c"), [1, 0, 1, 2]),
        ([b"b", b"a", b"a", b"b"], pa.binary(), ("a", "b"), [1, 0, 0, 1]),
        ([10, 2, 10, -1], pa.int64(), ("-1", "10", "2"), [1, 2, 1, 0]),
        ([10.0, 2.0, 10.0, 3.0], pa.float64(), ("10", "2", "3"), [0, 1, 0, 2]),
        ([True, False, True, True], pa.bool_(), ("false", "true"), [1, 0, 1, 1]),
        (["", "ä", "", "z"], pa.string_view(), ("", "z", "ä"), [0, 2, 0, 1]),
    ],
)
def test_classes_are_their_text_in_order_whatever_the_columns_type(labels, kind, classes, encoded):
    spec = spec_of("multiclass")
    table = labelled(labels, pa.string() if pa.types.is_dictionary(kind) else kind)
    if pa.types.is_dictionary(kind):
        table = table.set_column(table.column_names.index("y"), "y", table["y"].cast(kind))
    vocab = built(table, spec)
    assert vocab.classes == classes
    assert Encoder(vocab).encode(table).labels.tolist() == encoded


def test_the_files_of_clicks_say_nothing_of_labels(spec):
    vocab = built(click_rows(), spec)
    assert [*json.loads(vocab.layout_json())] == ["num_reserved", "fields"]
    assert vocab.target == Target()


@pytest.mark.parametrize(("objective", "labels"), [("multiclass", COLORS), ("regression", NUMBERS)])
def test_a_target_survives_its_files_and_is_part_of_the_fingerprint(objective, labels):
    spec = spec_of(objective)
    vocab = built(labelled(labels), spec)
    again = Vocabulary.from_parts(spec, vocab.layout_json(), vocab.values)
    assert (again.target, again.fingerprint) == (vocab.target, vocab.fingerprint)
    other = built(labelled(["red"] * 7 + ["blue"] if objective == "multiclass" else [1.0] * 7 + [2.0]), spec)
    assert other.fingerprint != vocab.fingerprint
    grown = vocab.grow(vocabulary.count(labelled(labels[:4] + labels[:4]), spec))
    assert grown.target == vocab.target, "growing leaves the labels' meaning as it is"


def test_numbers_are_scaled_by_mean_and_deviation_of_the_training_rows():
    target = built(labelled(NUMBERS), spec_of("regression")).target
    assert target.shift == pytest.approx(np.mean(NUMBERS), abs=2**-11 * 100)
    assert target.scale == pytest.approx(np.std(NUMBERS), rel=2**-10)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["a"] * 4, "one class, 'a', in all training rows"),
        ([str(i) for i in range(MAX_CLASSES + 1)], "1,001 different values in the training rows"),
    ],
)
def test_labels_of_one_class_or_of_too_many_are_refused(labels, found):
    spec = spec_of("multiclass")
    counts = pa.table({"field": ["y"] * len(labels), "value": labels, "count": [1] * len(labels)})
    with pytest.raises(Refusal) as refusal:
        vocabulary.build(spec, counts)
    assert refusal.value.found == found
    assert refusal.value.where == "data.features.label, column 'y'"


def test_numbers_that_hardly_differ_from_their_mean_are_refused():
    with pytest.raises(Refusal, match="subtract about 1e\\+09 of each"):
        built(labelled([1e9, 1e9 + 1, 1e9 + 2]), spec_of("regression"))


@pytest.mark.parametrize(
    ("objective", "labels", "kept"),
    [("multiclass", COLORS, [0, 0, 1, 1, 2, 2, 2, 2]), ("regression", NUMBERS, sorted(np.float32(NUMBERS).tolist()))],
)
def test_labels_come_back_from_the_store_as_they_were_encoded(tmp_path, objective, labels, kept):
    found, vocab = encoded(tmp_path, spec_of(objective), [labelled(labels)] * 3)
    assert labels_of(found, "test") == kept
    assert labels_of(found, "train") == sorted([*kept, *kept])
    again = store.open_store(found.uri, vocab.spec)
    assert again == found
    assert again.target == vocab.target
    assert len(different_labels(found, "train")) == 2


STRANGE = ["red", "blue", "violet", "green", "blue", "red", "red", "green"]


def test_a_class_that_only_a_held_out_day_has_is_refused_with_its_name(tmp_path):
    with pytest.raises(Refusal) as refusal:
        encoded(tmp_path, spec_of("multiclass"), [labelled(COLORS), labelled(COLORS), labelled(STRANGE)])
    assert refusal.value.found == "'violet' (1 such rows)"
    assert refusal.value.expected == "one of the 3 classes of the training rows: 'blue', 'green', 'red'"
    assert "another mlflow.registered_model" in refusal.value.remedy


def test_rows_of_unknown_classes_are_left_out_where_a_share_of_bad_rows_may_be(tmp_path):
    days = [labelled(COLORS), labelled(COLORS), labelled(STRANGE)]
    found, _ = encoded(tmp_path, spec_of("multiclass"), days, max_bad_share=0.25)
    assert found.num_rows("test") == 7


@pytest.mark.parametrize(
    "layout",
    [
        {"classes": ["b", "a"]},
        {"classes": ["a", "a"]},
        {"classes": ["a"]},
        {"label": {"shift": 0.0, "scale": 1.0}},
        {},
    ],
)
def test_a_vocabulary_whose_classes_were_edited_is_damaged(tmp_path, layout):
    spec = spec_of("multiclass")
    vocab = built(labelled(COLORS), spec)
    edited = {key: one for key, one in json.loads(vocab.layout_json()).items() if key != "classes"}
    store.write_vocabulary(str(tmp_path), vocab)
    store.trusted.write(f"{tmp_path}/vocabulary.json", {**edited, **layout})
    with pytest.raises(Damaged):
        store.read_vocabulary(str(tmp_path), spec)
