"""Bundles whose files were edited, and the hashes of the files with them: whoever can do the one can do the other."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from bundles import bundle_logits
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.registry import bundle
from pipeline.registry.bundle import Bundle
from schemas.errors import Refusal

pytestmark = pytest.mark.slow
WEIGHTS = "weights.safetensors"
NAN, INF = float("nan"), float("inf")

Tensors = dict[str, Tensor]
Edit = Callable[[Any], Any]


@pytest.fixture
def copied(bundle_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


def rehash(folder: Path) -> None:
    contents = json.loads((folder / "bundle.json").read_text())
    contents["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in bundle.FILES}
    (folder / "bundle.json").write_text(json.dumps(contents))


def edit_tensors(folder: Path, edit: Edit, *, keep_metadata: bool = True) -> None:
    with safe_open(folder / WEIGHTS, "pt") as file:
        metadata = file.metadata()
    tensors = {name: values.clone() for name, values in load_file(folder / WEIGHTS).items()}
    edit(tensors)
    save_file(tensors, folder / WEIGHTS, metadata if keep_metadata else None)
    rehash(folder)


def edit_json(path: Path, edit: Edit) -> None:
    content = json.loads(path.read_text())
    content.pop("sha256", None) if path.name == "vocabulary.json" else None
    edit(content)
    path.write_text(json.dumps(content))
    rehash(path.parent)


def edit_values(folder: Path, edit: Edit) -> None:
    values = pq.read_table(folder / "vocabulary.parquet")
    pq.write_table(edit(values), folder / "vocabulary.parquet")
    rehash(folder)


def put(name: str, value: float) -> Edit:
    def edit(tensors: Tensors) -> None:
        tensors[name].view(-1)[3] = value

    return edit


def change(name: str, to: Callable[[Tensor], Tensor]) -> Edit:
    def edit(tensors: Tensors) -> None:
        tensors[name] = to(tensors[name]).contiguous()

    return edit


LAYER = "model.mlp.layers.0.weight"
TENSORS: dict[str, tuple[Edit, str]] = {
    "a-row-of-nan": (put("table.rows", NAN), "table.rows holds what is no finite number"),
    "a-row-of-inf": (put("table.rows", INF), "table.rows holds what is no finite number"),
    "an-accumulator-of-nan": (put("table.accumulators", NAN), "table.accumulators holds what is no finite number"),
    "an-accumulator-below-0": (put("table.accumulators", -1.0), "table.accumulators holds -1"),
    "a-layer-of-inf": (put(LAYER, -INF), f"{LAYER} holds what is no finite number"),
    "fewer-rows": (change("table.rows", lambda rows: rows[:-1]), "table.rows is float32"),
    "wider-rows": (change("table.rows", lambda rows: rows.repeat(1, 2)), "table.rows is float32"),
    "fewer-accumulators": (change("table.accumulators", lambda sums: sums[:-1]), "table.accumulators is float32"),
    "a-turned-layer": (change(LAYER, lambda values: values.T), f"{LAYER} is float32"),
    "another-dtype": (change("table.rows", lambda rows: rows.double()), "table.rows is float64"),
    "a-layer-of-integers": (change(LAYER, lambda values: values.int()), f"{LAYER} is int32"),
    "no-rows": (lambda tensors: tensors.pop("table.rows"), "no tensor table.rows"),
    "no-layer": (lambda tensors: tensors.pop(LAYER), f"no tensor {LAYER}"),
    "one-more": (lambda tensors: tensors.update(more=torch.ones(1)), "a tensor more, which its model has not"),
}


@pytest.mark.parametrize("edited", [*TENSORS])
def test_weights_that_no_training_leaves_are_refused_in_words(copied, edited):
    edit, words = TENSORS[edited]
    edit_tensors(copied, edit)
    with pytest.raises(Refusal) as refused:
        Bundle.load(copied)
    assert words in refused.value.found
    assert refused.value.where.endswith(WEIGHTS)


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_weights_that_are_cut_short_are_refused_in_words(copied, length):
    (copied / WEIGHTS).write_bytes((copied / WEIGHTS).read_bytes()[:length])
    rehash(copied)
    with pytest.raises(Refusal, match=r"a damaged file[\s\S]*weights\.safetensors"):
        Bundle.load(copied)


VALUES: dict[str, Edit] = {
    "reversed": lambda values: values.take(np.arange(len(values))[::-1]),
    "permuted": lambda values: values.take(np.random.default_rng(0).permutation(len(values))),
    "two-changed-places": lambda values: values.take([1, 0, *range(2, len(values))]),
    "one-twice": lambda values: values.take([0, *range(len(values) - 1)]),
    "one-less": lambda values: values.slice(1),
    "no-text": lambda values: values.set_column(1, "value", pc.if_else(True, None, values["value"])),
    "no-field": lambda values: values.set_column(0, "field", pc.replace_substring(values["field"], "site", "user")),
    "another-text": lambda values: values.set_column(1, "value", pc.replace_substring(values["value"], "s1", "s01")),
    "a-column-less": lambda values: values.drop_columns(["count"]),
}


@pytest.mark.parametrize("edited", [*VALUES])
def test_a_vocabulary_that_its_table_was_not_made_for_is_refused_in_words(copied, edited):
    edit_values(copied, VALUES[edited])
    with pytest.raises(Refusal, match="a damaged file"):
        Bundle.load(copied)


def test_a_value_that_stands_twice_is_refused_where_the_weights_tell_nothing_of_their_vocabulary(copied):
    edit_tensors(copied, lambda tensors: None, keep_metadata=False)
    Bundle.load(copied)
    edit_values(copied, VALUES["one-twice"])
    with pytest.raises(Refusal, match="1 values that have an id already"):
        Bundle.load(copied)


def of_field(field_name: str, **values: object) -> Edit:
    def edit(layout: dict[str, Any]) -> None:
        next(field for field in layout["fields"] if field["name"] == field_name).update(values)

    return edit


LAYOUTS: dict[str, tuple[Edit, str]] = {
    "overlapping-ids": (of_field("site", oov=1), "field 'site' begins at the ids"),
    "an-overlapping-block": (of_field("user", block=0), "field 'user' begins at the ids"),
    "an-id-below-0": (of_field("hour", missing=-1), "field 'hour' begins at the ids"),
    "more-reserved": (lambda layout: layout.update(num_reserved=1000), "1000 reserved ids"),
    "edges-that-fall": (of_field("price", edges=[2.0, 1.0]), "field 'price' has edges that do not rise"),
    "edges-of-nan": (of_field("price", edges=[1.0, NAN]), "field 'price' has edges that do not rise"),
    "a-scale-of-0": (of_field("age", scale=0.0), "field 'age' has the shift"),
    "a-scale-of-nan": (of_field("age", scale=NAN), "field 'age' has the shift"),
    "a-shift-of-inf": (of_field("age", shift=INF), "field 'age' has the shift"),
    "a-scale-of-text": (of_field("age", scale="1"), "a damaged file"),
    "another-name": (of_field("site", name="sight"), "ids of the fields"),
    "one-less": (lambda layout: layout["fields"].pop(), "ids of the fields"),
    "no-fields": (lambda layout: layout.pop("fields"), "a damaged file"),
}


@pytest.mark.parametrize("edited", [*LAYOUTS])
def test_ids_that_no_vocabulary_can_have_are_refused_in_words(copied, edited):
    edit, words = LAYOUTS[edited]
    edit_json(copied / "vocabulary.json", edit)
    with pytest.raises(Refusal) as refused:
        Bundle.load(copied)
    assert words in refused.value.found


CALIBRATIONS = {
    "falling": {"method": "platt", "slope": -1.0, "intercept": 0.0},
    "flat": {"method": "platt", "slope": 0.0, "intercept": 0.0},
    "of-nan": {"method": "platt", "slope": NAN, "intercept": 0.0},
    "falling-knots": {"method": "isotonic", "knots_x": [0.0, 1.0], "knots_y": [1.0, 0.0]},
    "unordered-knots": {"method": "isotonic", "knots_x": [1.0, 0.0], "knots_y": [0.0, 1.0]},
    "a-knot-less": {"method": "isotonic", "knots_x": [0.0, 1.0], "knots_y": [0.0]},
    "of-no-kind": {"method": "magic"},
}


@pytest.mark.parametrize("edited", [*CALIBRATIONS])
def test_a_calibration_that_does_not_rise_is_refused_in_words(copied, edited):
    edit_json(copied / "bundle.json", lambda contents: contents.update(calibration=CALIBRATIONS[edited]))
    with pytest.raises(Refusal, match="calibration"):
        Bundle.load(copied)


@pytest.mark.parametrize(
    "content", ["", "null", "[]", "7", '"text"', "[" * 100_000, '{"format_version": 1, "stage": 3}']
)
def test_contents_that_are_other_json_are_refused_in_words(copied, content):
    (copied / "bundle.json").write_text(content)
    with pytest.raises(Refusal, match=r"bundle\.json"):
        Bundle.load(copied)


def test_another_activation_is_refused_where_the_digest_of_the_contents_is_known(copied, random_log):
    sha256, before = bundle.digest_of(copied), Bundle.load(copied)
    Bundle.load(copied, sha256)
    text = (copied / "bundle.json").read_text()
    assert '"activation":"relu"' in text.replace(" ", "")
    (copied / "bundle.json").write_text(text.replace("relu", "tanh"))
    log = random_log(20, 1)
    assert not np.array_equal(bundle_logits(Bundle.load(copied), log), bundle_logits(before, log))
    with pytest.raises(Refusal, match=r"bundle\.json with SHA-256"):
        Bundle.load(copied, sha256)
    (copied / "bundle.json").unlink()
    with pytest.raises(Refusal, match=r"no bundle\.json[\s\S]*restore the folder"):
        Bundle.load(copied, sha256)
