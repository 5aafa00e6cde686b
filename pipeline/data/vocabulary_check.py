"""Whether a vocabulary that was read can be one that was built and grown: a file may have been edited, or mixed up."""

from collections.abc import Iterable
from itertools import pairwise
from math import isfinite

import pyarrow.compute as pc

from pipeline.data.field_ids import FieldIds, block_size
from pipeline.data.vocabulary import Vocabulary
from schemas.features import FeatureField


def check(vocabulary: Vocabulary) -> None:
    """Raise ValueError for ids that overlap, numbers that `build` finds in no log, values of no field, other labels."""
    if vocabulary.target.objective != vocabulary.spec.objective:
        raise ValueError(f"labels of {vocabulary.target.objective}, not of {vocabulary.spec.objective}")
    _check_names((ids.name for ids in vocabulary.fields), vocabulary)
    _check_own_ids(vocabulary)
    if any(column.null_count for column in vocabulary.values.columns):
        raise ValueError("a value without its field, its text or its count")
    learned = {field.name for field in vocabulary.spec.fields if hasattr(field.encoder, "min_count")}
    strangers = {*pc.unique(vocabulary.values["field"]).to_pylist()} - learned
    if strangers:
        raise ValueError(f"values of {', '.join(sorted(strangers))}, which learns none")


def check_distinct(vocabulary: Vocabulary) -> None:
    """Raise ValueError for a value that has two ids. Cost: that of hashing all values."""
    values = vocabulary.values
    num_distinct = len(values.group_by(["field", "value"]).aggregate([]))
    if num_distinct != len(values):
        raise ValueError(f"{len(values) - num_distinct:,} values that have an id already")


def _check_own_ids(vocabulary: Vocabulary) -> None:
    """Those that were there from the start, then those that joined it together, each time: as they are laid out."""
    counts = [one.num_values for one in vocabulary.joined]
    if sorted(rising := [0, *counts, len(vocabulary.values)]) != rising:
        raise ValueError(f"fields that joined {counts} values, of {len(vocabulary.values):,}")
    in_order = sorted(zip(vocabulary.spec.fields, vocabulary.fields, strict=True), key=lambda one: one[1].oov)
    for start, num_ids in vocabulary.own_ids:
        together = [(field, ids) for field, ids in in_order if ids.oov < start + num_ids]
        in_order = in_order[len(together) :]
        next_id = start + 2 * len(together)
        for position, (field, ids) in enumerate(together):
            expected = start + 2 * position, start + 2 * position + 1, next_id
            if (ids.oov, ids.missing, ids.block) != expected:
                raise ValueError(
                    f"field {ids.name!r} begins at the ids {(ids.oov, ids.missing, ids.block)}, not {expected}"
                )
            _check_numbers(field, ids)
            next_id += block_size(field, ids)
        if next_id != start + num_ids:
            raise ValueError(f"{num_ids} reserved ids, not the {next_id - start} of its fields")
    for _, ids in in_order:
        raise ValueError(f"field {ids.name!r} begins at the id {ids.oov}, which is none of a field's own")


def _check_names(found: Iterable[str], vocabulary: Vocabulary) -> None:
    names, expected = [*found], [field.name for field in vocabulary.spec.fields]
    if names != expected:
        raise ValueError(f"ids of the fields {names}, not of {expected}")


def _check_numbers(field: FeatureField, ids: FieldIds) -> None:
    num_edges = getattr(field.encoder, "num_buckets", 1) - 1 if field.encoder.type == "quantile_bucket" else 0
    if len(ids.edges) > num_edges:
        raise ValueError(f"field {ids.name!r} has {len(ids.edges)} edges, not at most {num_edges}")
    if not all(map(isfinite, ids.edges)) or any(low >= high for low, high in pairwise(ids.edges)):
        raise ValueError(f"field {ids.name!r} has edges that do not rise")
    if not isfinite(ids.shift) or not isfinite(ids.scale) or ids.scale <= 0:
        raise ValueError(f"field {ids.name!r} has the shift {ids.shift} and the scale {ids.scale}")
