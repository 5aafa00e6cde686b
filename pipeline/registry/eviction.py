"""A bundle without the values of its vocabulary that were not seen for long, and were rare before that."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import torch

from pipeline.data.vocabulary import Vocabulary
from pipeline.registry.bundle import Bundle, write_parts
from pipeline.registry.weights import ACCUMULATORS, MODEL, ROWS
from schemas.night import EvictionConfig


@dataclass(frozen=True, slots=True)
class FieldEviction:
    """How many values of a field have an id of their own."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Eviction:
    """What a rebuild dropped: of the fields with a vocabulary, in the spec's order."""

    fields: tuple[FieldEviction, ...]

    @property
    def before(self) -> int:
        return sum(field.before for field in self.fields)

    @property
    def after(self) -> int:
        return sum(field.after for field in self.fields)

    @property
    def num_evicted(self) -> int:
        return self.before - self.after


def rebuilt_bundle(bundle: Bundle, recent_counts: pa.Table, eviction: EvictionConfig, folder: Path) -> Eviction:
    """Write `bundle` without its unseen, rare values into a new local folder, every kept row and all else as it was.

    `recent_counts` (field, value, count, as pipeline.data.vocabulary.count makes them) are of the last
    `eviction.unseen_days` days. Rows of the log whose values are all kept have the same logits, to the bit; an evicted
    value is from now on out of the vocabulary.
    """
    vocabulary, kept_ids = bundle.vocabulary.evict(recent_counts, eviction.max_count)
    kept = torch.from_numpy(kept_ids)
    tensors = {
        ROWS: bundle.table.rows.index_select(0, kept),
        ACCUMULATORS: bundle.table.accumulators.index_select(0, kept),
        **{f"{MODEL}{name}": values.contiguous() for name, values in bundle.model.state_dict().items()},
    }
    write_parts(folder, bundle.contents, vocabulary, tensors)
    before, after = _values_of_field(bundle.vocabulary), _values_of_field(vocabulary)
    names = [field.name for field in bundle.spec.fields if field.name in before]
    return Eviction(tuple(FieldEviction(name, before[name], after.get(name, 0)) for name in names))


def _values_of_field(vocabulary: Vocabulary) -> dict[str, int]:
    counted = vocabulary.values["field"].value_counts()
    return {str(item["values"]): int(item["counts"]) for item in counted.to_pylist()}
